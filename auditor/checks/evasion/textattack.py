"""How often a text is still read rightly under attacks of TextAttack."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import ClassVar, cast

from auditor.attacks.arenas import positive
from auditor.attacks.counterexamples.claims import ByExample
from auditor.attacks.counterexamples.texts import BY_RECIPE
from auditor.attacks.curves import best_half_width
from auditor.attacks.goals import goal_of
from auditor.attacks.texts.readings import readings
from auditor.attacks.texts.recipes import pursue
from auditor.attacks.texts.text_rows import REREAD
from auditor.attacks.texts.textattack import NOT_HERE, OFFLINE, RECIPES, open_recipe, version
from auditor.attacks.texts.threats import TextThreat
from auditor.attacks.texts.trials import describe, gather
from auditor.attacks.texts.words import Words
from auditor.domain.budgets import Budget, Cost, Size
from auditor.domain.canonical import Json
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.evidence import Evidence, Item
from auditor.domain.policies import Control
from auditor.domain.readings import Bound, Gap, Measurement, Reading, Reason, Unit
from auditor.domain.rows import ByRow
from auditor.domain.subjects import Shard, Subject
from auditor.errors import PolicyError

SECONDS_A_QUERY = 1e-3
SECONDS_TO_IMPORT = 15.0
OF_ROWS = ("ids", "labels", "groups", "clean_probabilities")
"""What the evidence holds once; all else is of one recipe, under ``recipe.name``."""
NONE_ASKED = Gap(
    metric="robust_accuracy",
    reason=Reason.OVER_BUDGET,
    detail="No recipe of TextAttack is asked for at this budget.",
    cure="Name some in the policy, checks: {evasion.textattack: {attacks: [DeepWordBugGao2018]}}.",
)


@dataclass(frozen=True, slots=True)
class TextAttack:
    """Runs recipes of TextAttack (Morris et al. 2020) by name, each on its own.

    What a recipe returns is a claim: it counts where the target's own answer is wrong, and where
    at most ``words`` words were changed, each by at most ``edits`` letters, which is counted anew.
    The details say how many claims did not hold. An audit fetches nothing, so that recipes which
    download embeddings or language models are Gaps with their reason; those that change letters
    run: DeepWordBugGao2018 and Pruthi2019. A recipe may ask for ``queries`` texts a row.
    TextAttack itself reads the stop words of NLTK, which have to be there.
    """

    attacks: tuple[str, ...] = ("DeepWordBugGao2018",)
    words: tuple[int, ...] = (1, 2, 4)
    edits: int = 2
    queries: int = 200
    rows: int = 50

    id: ClassVar[str] = "evasion.textattack"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Accuracy under attacks of TextAttack"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.CLASSIFICATION, Need.EVALUATION, Need.LABELS, Need.MODEL, Need.TEXT}
    )
    uses: ClassVar[tuple[str, ...]] = ()
    modules: ClassVar[Mapping[str, str]] = {"textattack": "text"}
    emits: ClassVar[Mapping[str, Metric]] = {
        "clean_accuracy": Metric(
            "Accuracy on the attacked texts before any attack", Unit.SHARE, higher_is_better=True
        ),
        "robust_accuracy": Metric(
            "Accuracy under attack", Unit.SHARE, Bound.AT_MOST, higher_is_better=True
        ),
        "words_changed": Metric(
            "Words to change to break half of the texts (all: nothing breaks them)",
            Unit.COUNT,
            Bound.AT_MOST,
            higher_is_better=True,
        ),
    }
    controls: ClassVar[tuple[Control, ...]] = (
        Control("eu-ai-act", "15(5)"),
        Control("nist-ai-rmf", "MEASURE 2.7"),
        Control("iso-42001", "A.6.2.4"),
        Control("mitre-atlas", "AML.T0043.001"),
        Control("owasp-ml", "ML01"),
        Control("nist-ai-100-2", "NISTAML.025"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {"attacks": ()},  # the library alone takes seconds to start
        Budget.CI: {"queries": 500},
        Budget.FULL: {"attacks": OFFLINE, "queries": 5000, "rows": 500},
    }
    grid: ClassVar[Mapping[str, str]] = {"attack": "attacks", "words": "words"}
    by_example: ClassVar[ByExample] = BY_RECIPE
    by_row: ClassVar[ByRow] = REREAD

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        positive(edits=self.edits, queries=self.queries, rows=self.rows)
        strangers = sorted(set(self.attacks) - set(RECIPES))
        if strangers:
            raise PolicyError(
                f"TextAttack has no recipe {', '.join(strangers)} that evasion.textattack knows",
                cure=f"Choose from {', '.join(RECIPES)}.",
            )
        if not self.words or min(self.words) < 1:
            raise PolicyError(
                f"words {list(self.words)} of evasion.textattack is no list of numbers of words",
                cure="Give at least one whole number of at least 1.",
            )

    @property
    def budgets(self) -> tuple[int, ...]:
        """The numbers of words, the smallest first."""
        return tuple(sorted(set(self.words)))

    @property
    def runnable(self) -> tuple[str, ...]:
        """The recipes that are asked for and fetch nothing."""
        return tuple(name for name in OFFLINE if name in self.attacks)

    def cost(self, size: Size) -> Cost:
        """Return upper bounds; rows that break early cost less."""
        asked = min(self.rows, size.rows) * self.queries * len(self.runnable)
        seconds = asked * SECONDS_A_QUERY + SECONDS_TO_IMPORT * bool(self.runnable)
        return Cost(queries=size.rows + asked, seconds=seconds)

    def precision(self, size: Size, confidence: float) -> Mapping[str, float]:
        """Return the half width that the shares have where they are 0 or 1."""
        best = best_half_width(min(self.rows, size.rows), confidence)
        return {"clean_accuracy": best, "robust_accuracy": best}

    def observe(self, subject: Subject, shard: Shard) -> Evidence:
        """Let each recipe change the first ``rows`` texts of the audit's permutation.

        Raises ``MissingExtraError`` where TextAttack cannot be imported.
        """
        found: dict[str, Item] = {"runs": {}, "library": version() if self.runnable else ""}
        runs: dict[str, Json] = {}
        for done, name in enumerate(self.runnable):
            threat = TextThreat(self.budgets[-1], self.edits, {})
            trial = gather(subject, threat, goal_of(subject.task), self.rows, self.queries)
            recipe = open_recipe(name, self.budgets[-1], subject.seed & 0xFFFFFFFF)
            tick = partial(subject.progress, done, len(self.runnable), name)
            runs[name] = cast("Json", asdict(pursue(recipe, trial.judge, tick)))
            words = tuple(len(Words.of(text).words) for text in trial.judge.texts)
            told = describe(trial, words, most_examples=0)
            found.update((key, told[key]) for key in OF_ROWS)
            found.update((f"{name}.{key}", told[key]) for key in told if key not in OF_ROWS)
        return {**found, "runs": runs}

    def refuses(self, subject: Subject) -> Gap | None:
        """Say that no recipe is named."""
        return None if self.attacks else NONE_ASKED

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count successes again, recipe by recipe."""
        runs = cast("Mapping[str, Mapping[str, Json]]", evidence["runs"])
        found: list[Reading] = []
        for name in sorted(set(self.attacks)):
            if name in runs and not runs[name]["failure"]:
                told = self._figures_of(name, evidence, confidence)
                found += told if not found or isinstance(found[0], Gap) else told[1:]
            else:
                found.append(_gap(name, str(runs[name]["failure"]) if name in runs else ""))
        return tuple(found) or (NONE_ASKED,)

    def _figures_of(self, name: str, evidence: Evidence, confidence: float) -> list[Reading]:
        own = {key: evidence[key] for key in OF_ROWS}
        own |= {
            key.removeprefix(f"{name}."): item
            for key, item in evidence.items()
            if key.startswith(f"{name}.")
        }
        runs = cast("Mapping[str, Json]", evidence["runs"])
        effort: dict[str, Json] = {
            "library": f"textattack {evidence['library']}",
            "claims": runs[name],
            "queries_a_row": self.queries,
        }
        return [
            reading
            if isinstance(reading, Measurement) and reading.metric == "clean_accuracy"
            else replace(reading, params={"attack": name, **reading.params})
            for reading in readings(own, self.budgets, confidence, effort)
        ]


def _gap(name: str, failure: str) -> Gap:
    return Gap(
        metric="robust_accuracy",
        params={"attack": name},
        reason=Reason.UNSUPPORTED,
        detail=f"{name} of TextAttack failed: {failure}."
        if failure
        else f"{name} of TextAttack does not run here: {NOT_HERE[name]}.",
        cure="Read evasion.text, or name DeepWordBugGao2018 or Pruthi2019.",
    )


CHECK: type[Check] = TextAttack
