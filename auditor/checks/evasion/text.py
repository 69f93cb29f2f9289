"""How often a text is still read rightly when a few of its words are misspelt or exchanged."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from auditor.attacks.arenas import positive, two_classes
from auditor.attacks.counterexamples.claims import ByExample
from auditor.attacks.counterexamples.texts import MISREAD
from auditor.attacks.curves import best_half_width
from auditor.attacks.goals import goal_of
from auditor.attacks.texts.campaign import campaign
from auditor.attacks.texts.hunting import Plan
from auditor.attacks.texts.moves import MOVES
from auditor.attacks.texts.readings import readings
from auditor.attacks.texts.synonyms import SHIPPED, read_synonyms
from auditor.attacks.texts.text_rows import READ
from auditor.attacks.texts.threats import TextThreat
from auditor.attacks.texts.trials import describe, gather
from auditor.domain.budgets import Budget, Cost, Size
from auditor.domain.canonical import Json
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.evidence import Evidence
from auditor.domain.policies import Control
from auditor.domain.readings import Bound, Reading, Unit
from auditor.domain.rows import ByRow
from auditor.domain.subjects import Shard, Subject
from auditor.errors import PolicyError

SECONDS_A_QUERY = 1e-4
"""Most of it is making texts and counting their edits again."""


@dataclass(frozen=True, slots=True)
class Text:
    """Looks for the fewest words of a text whose change turns the decision.

    Words (what stands between white space) are ranked by what the target's score loses without
    each (Gao et al. 2018, DeepWordBug; Jin et al. 2020, TextFooler); then one after the other is
    changed, and the ``beam`` best texts are kept. A changed word lies within ``edits`` letters
    (Levenshtein) of the one it stands for, or is one of its listed ``synonyms``, lines of the form
    ``word=other,another`` (none: a small English list of ours); no word is split, joined, added or
    dropped. Every text is held to this again before it counts. ``moves`` are the changes that are
    tried, ``tries`` of them a word: typing mistakes inside words of at least ``least_letters``
    letters (Pruthi et al. 2019), Cyrillic letters that look like Latin ones in any word, and
    synonyms. Whether a person still reads the same is not measured. A row costs at most
    ``queries``.
    """

    words: tuple[int, ...] = (1, 2, 4)
    edits: int = 2
    moves: tuple[str, ...] = MOVES
    synonyms: tuple[str, ...] = ()
    queries: int = 100
    beam: int = 3
    tries: int = 6
    least_letters: int = 4
    rows: int = 100
    examples: int = 8
    label: str = ""
    decision: str = ""

    id: ClassVar[str] = "evasion.text"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Accuracy under misspelt or exchanged words"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.CLASSIFICATION, Need.EVALUATION, Need.LABELS, Need.MODEL, Need.TEXT}
    )
    uses: ClassVar[tuple[str, ...]] = ()
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
        Control("mitre-atlas", "AML.T0015"),
        Control("mitre-atlas", "AML.T0043.001"),
        Control("owasp-ml", "ML01"),
        Control("nist-ai-100-2", "NISTAML.025"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {},
        Budget.CI: {"words": (1, 2, 3, 4, 6), "queries": 500, "beam": 5, "rows": 300},
        Budget.FULL: {
            "words": (1, 2, 3, 4, 6, 8),
            "queries": 3000,
            "beam": 10,
            "tries": 12,
            "rows": 2000,
        },
    }
    grid: ClassVar[Mapping[str, str]] = {"words": "words"}
    by_example: ClassVar[ByExample] = MISREAD
    by_row: ClassVar[ByRow] = READ

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        positive(queries=self.queries, beam=self.beam, tries=self.tries, rows=self.rows)
        positive(edits=self.edits, least_letters=self.least_letters)
        two_classes(self.label, self.decision)
        if not self.words or min(self.words) < 1:
            raise PolicyError(
                f"words {list(self.words)} of evasion.text is no list of numbers of words",
                cure="Give at least one whole number of at least 1.",
            )
        if not self.moves or not set(self.moves) <= set(MOVES):
            raise PolicyError(
                f"moves {list(self.moves)} of evasion.text do not all exist",
                cure=f"Choose from {', '.join(MOVES)}.",
            )
        _ = self.threat

    @property
    def budgets(self) -> tuple[int, ...]:
        """The numbers of words, the smallest first."""
        return tuple(sorted(set(self.words)))

    @property
    def threat(self) -> TextThreat:
        """What an attacker may make of a text."""
        listed = read_synonyms(self.synonyms or SHIPPED) if "synonym" in self.moves else {}
        return TextThreat(self.budgets[-1], self.edits, listed)

    def cost(self, size: Size) -> Cost:
        """Return upper bounds; texts that break or are wrong from the start cost less."""
        asked = min(self.rows, size.rows) * self.queries
        return Cost(queries=size.rows + asked, seconds=asked * SECONDS_A_QUERY)

    def precision(self, size: Size, confidence: float) -> Mapping[str, float]:
        """Return the half width that the shares have where they are 0 or 1."""
        best = best_half_width(min(self.rows, size.rows), confidence)
        return {"clean_accuracy": best, "robust_accuracy": best}

    def observe(self, subject: Subject, shard: Shard) -> Evidence:
        """Attack the first ``rows`` texts of the audit's permutation that can be harmed."""
        goal = goal_of(subject.task, self.label, self.decision)
        trial = gather(subject, self.threat, goal, self.rows, self.queries)
        plan = Plan(
            self.moves,
            self.queries // trial.judge.repeats,
            self.beam,
            self.tries,
            self.least_letters,
        )
        movable = campaign(trial.judge, plan, subject.seed, subject.progress)
        return describe(trial, movable, self.examples * subject.show_examples)

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count successes again from the target's probabilities and what was changed."""
        effort: dict[str, Json] = {
            "moves": list(self.moves),
            "queries_a_row": self.queries,
            "beam": self.beam,
            "tries": self.tries,
        }
        return readings(evidence, self.budgets, confidence, effort)


CHECK: type[Check] = Text
