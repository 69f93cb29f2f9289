"""Check of robust accuracy on texts: a few words are misspelt or exchanged."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from auditor.attacks.counterexamples.text_claims import MISREAD
from auditor.attacks.evasion.attack_setup import require_harmful_decision, require_positive
from auditor.attacks.evasion.goals import goal_for_task
from auditor.attacks.evasion.readings import best_half_width
from auditor.attacks.text.evidence import (
    READ,
    build_text_readings,
    describe_text_run,
    prepare_text_run,
)
from auditor.attacks.text.search import TextSearchPlan, attack_texts
from auditor.attacks.text.threat_model import TextThreat
from auditor.attacks.text.word_edits import MOVES, SHIPPED, read_synonyms
from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.challenges import CounterexampleClaims
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import BoundKind, Reading, Unit
from auditor.domain.row_evidence import RowEvidence
from auditor.errors import PolicyError

SECONDS_A_QUERY = 1e-4
"""Most of it is making texts and counting their edits again."""


@dataclass(frozen=True, slots=True)
class TextSearchCheck(Check):
    """Searches the smallest number of words to change in a text so that the decision turns.

    Words (text between white space) are ranked by the loss of the target's score without each (Gao
    et al. 2018, DeepWordBug; Jin et al. 2020, TextFooler). Then they are changed one after the
    other, and the ``beam`` best texts are kept. Words are never split, joined, added or dropped.
    Every text is tested against these limits again before it counts.

    - ``edits``: letters (Levenshtein) by which a word may change, unless it becomes a listed
      synonym.
    - ``synonyms``: your lines such as ``word=other,another`` (empty: a small built-in English
      list).
    - ``moves``: kinds of changes, with ``tries`` of them for a word: typing mistakes inside words
      of at least ``least_letters`` letters (Pruthi et al. 2019), Cyrillic letters that look like
      Latin ones in any word, and synonyms.
    - ``queries``: highest cost of a row.

    The check does not measure whether people still read the same meaning.
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
    title: ClassVar[str] = "Accuracy under misspelled or replaced words"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.CLASSIFICATION, Need.EVALUATION, Need.LABELS, Need.MODEL, Need.TEXT}
    )
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
        FrameworkControl("mitre-atlas", "AML.T0015"),
        FrameworkControl("mitre-atlas", "AML.T0043.001"),
        FrameworkControl("owasp-ml", "ML01"),
        FrameworkControl("nist-ai-100-2", "NISTAML.025"),
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
    by_example: ClassVar[CounterexampleClaims] = MISREAD
    by_row: ClassVar[RowEvidence] = READ

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        require_positive(queries=self.queries, beam=self.beam, tries=self.tries, rows=self.rows)
        require_positive(edits=self.edits, least_letters=self.least_letters)
        require_harmful_decision(self.label, self.decision)
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

    def cost(self, size: AuditSize) -> CheckCost:
        """Return upper bounds; texts that break or are wrong from the start cost less."""
        asked = min(self.rows, size.rows) * self.queries
        return CheckCost(
            queries=size.rows + asked, clean=size.rows, seconds=asked * SECONDS_A_QUERY
        )

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Return the half width that the shares have where they are 0 or 1."""
        best = best_half_width(min(self.rows, size.rows), confidence)
        return {"clean_accuracy": best, "robust_accuracy": best}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Attack the first ``rows`` texts of the audit's permutation that can be harmed."""
        goal = goal_for_task(subject.task, self.label, self.decision)
        trial = prepare_text_run(subject, self.threat, goal, self.rows, self.queries)
        plan = TextSearchPlan(
            self.moves,
            self.queries // trial.judge.repeats,
            self.beam,
            self.tries,
            self.least_letters,
        )
        movable = attack_texts(trial.judge, plan, subject.seed, subject.progress)
        return describe_text_run(trial, movable, self.examples * subject.show_examples)

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count successes again from the target's probabilities and what was changed."""
        effort: dict[str, Json] = {
            "moves": list(self.moves),
            "queries_a_row": self.queries,
            "beam": self.beam,
            "tries": self.tries,
        }
        return build_text_readings(evidence, self.budgets, confidence, effort)


CHECK: type[Check] = TextSearchCheck
