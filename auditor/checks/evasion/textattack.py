"""Check of robust accuracy on texts under attacks of the TextAttack library."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import ClassVar, cast

from auditor.attacks.counterexamples.text_claims import BY_RECIPE
from auditor.attacks.evasion.attack_setup import require_positive
from auditor.attacks.evasion.goals import goal_for_task
from auditor.attacks.evasion.readings import best_half_width
from auditor.attacks.text.evidence import (
    REREAD,
    build_text_readings,
    describe_text_run,
    prepare_text_run,
)
from auditor.attacks.text.textattack import (
    NOT_HERE,
    OFFLINE,
    RECIPES,
    open_recipe,
    run_recipe,
    textattack_version,
)
from auditor.attacks.text.threat_model import TextThreat
from auditor.attacks.text.word_edits import TextWords
from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.challenges import CounterexampleClaims
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.evidence import Evidence, Item
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import BoundKind, Gap, GapReason, Measurement, Reading, Unit
from auditor.domain.row_evidence import RowEvidence
from auditor.errors import PolicyError

SECONDS_A_QUERY = 1e-3
SECONDS_TO_IMPORT = 15.0
OF_ROWS = ("ids", "labels", "groups", "clean_probabilities")
"""What the evidence holds once; all else is of one recipe, under ``recipe.name``."""
NONE_ASKED = Gap(
    metric="robust_accuracy",
    reason=GapReason.OVER_BUDGET,
    detail="No recipe of TextAttack is asked for at this budget.",
    cure="Name some in the policy, checks: {evasion.textattack: {attacks: [DeepWordBugGao2018]}}.",
)


@dataclass(frozen=True, slots=True)
class TextAttackCheck(Check):
    """Runs recipes of TextAttack (Morris et al. 2020) that you list by name, each on its own.

    The result of a recipe is only a claim. It counts if the target's own answer is wrong and at
    most ``words`` words were changed, each by at most ``edits`` letters; both are counted again.
    The details hold the number of claims that failed. A recipe may request ``queries`` texts a row.

    An audit downloads no files, so recipes that download embeddings or language models are Gaps
    with their reason. Recipes that change letters run: DeepWordBugGao2018 and Pruthi2019.
    TextAttack itself reads the stop words of NLTK, which you must install.
    """

    attacks: tuple[str, ...] = ("DeepWordBugGao2018",)
    words: tuple[int, ...] = (1, 2, 4)
    edits: int = 2
    queries: int = 200
    rows: int = 50

    id: ClassVar[str] = "evasion.textattack"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Accuracy under attacks from TextAttack"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.CLASSIFICATION, Need.EVALUATION, Need.LABELS, Need.MODEL, Need.TEXT}
    )
    modules: ClassVar[Mapping[str, str]] = {"textattack": "text"}
    emits: ClassVar[Mapping[str, Metric]] = {
        "clean_accuracy": Metric(
            "Accuracy on the attacked texts before any attack", Unit.SHARE, higher_is_better=True
        ),
        "robust_accuracy": Metric(
            "Accuracy under attack", Unit.SHARE, BoundKind.AT_MOST, higher_is_better=True
        ),
        "words_changed": Metric(
            "Words to change to break half of the texts (all: no change breaks them)",
            Unit.COUNT,
            BoundKind.AT_MOST,
            higher_is_better=True,
        ),
    }
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(5)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.7"),
        FrameworkControl("iso-42001", "A.6.2.4"),
        FrameworkControl("mitre-atlas", "AML.T0043.001"),
        FrameworkControl("owasp-ml", "ML01"),
        FrameworkControl("nist-ai-100-2", "NISTAML.025"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {"attacks": ()},  # the library alone takes seconds to start
        Budget.CI: {"queries": 500},
        Budget.FULL: {"attacks": OFFLINE, "queries": 5000, "rows": 500},
    }
    grid: ClassVar[Mapping[str, str]] = {"attack": "attacks", "words": "words"}
    by_example: ClassVar[CounterexampleClaims] = BY_RECIPE
    by_row: ClassVar[RowEvidence] = REREAD

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        require_positive(edits=self.edits, queries=self.queries, rows=self.rows)
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

    def cost(self, size: AuditSize) -> CheckCost:
        """Return upper bounds; rows that break early cost less."""
        asked = min(self.rows, size.rows) * self.queries * len(self.runnable)
        seconds = asked * SECONDS_A_QUERY + SECONDS_TO_IMPORT * bool(self.runnable)
        return CheckCost(queries=size.rows + asked, clean=size.rows, seconds=seconds)

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Return the half width that the shares have where they are 0 or 1."""
        best = best_half_width(min(self.rows, size.rows), confidence)
        return {"clean_accuracy": best, "robust_accuracy": best}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Let each recipe change the first ``rows`` texts of the audit's permutation.

        Raises ``MissingExtraError`` where TextAttack cannot be imported.
        """
        found: dict[str, Item] = {
            "runs": {},
            "library": textattack_version() if self.runnable else "",
        }
        runs: dict[str, Json] = {}
        for done, name in enumerate(self.runnable):
            threat = TextThreat(self.budgets[-1], self.edits, {})
            trial = prepare_text_run(
                subject, threat, goal_for_task(subject.task), self.rows, self.queries
            )
            recipe = open_recipe(name, self.budgets[-1], subject.seed & 0xFFFFFFFF)
            tick = partial(subject.progress, done, len(self.runnable), name)
            runs[name] = cast("Json", asdict(run_recipe(recipe, trial.judge, tick)))
            words = tuple(len(TextWords.of(text).words) for text in trial.judge.texts)
            told = describe_text_run(trial, words, most_examples=0)
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
                failure = str(runs[name]["failure"]) if name in runs else ""
                found.append(
                    Gap(
                        metric="robust_accuracy",
                        params={"attack": name},
                        reason=GapReason.UNSUPPORTED,
                        detail=f"{name} of TextAttack failed: {failure}."
                        if failure
                        else f"{name} of TextAttack does not run here: {NOT_HERE[name]}.",
                        cure="Read evasion.text, or name DeepWordBugGao2018 or Pruthi2019.",
                    )
                )
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
            for reading in build_text_readings(own, self.budgets, confidence, effort)
        ]


CHECK: type[Check] = TextAttackCheck
