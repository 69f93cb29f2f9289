"""Check of robust accuracy on tables: an attacker makes other rows that could exist."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from auditor.attacks.counterexamples.table_claims import POSSIBLE
from auditor.attacks.evasion.attack_setup import (
    require_harmful_decision,
    require_positive,
    sort_budgets,
)
from auditor.attacks.evasion.readings import best_half_width
from auditor.attacks.evasion.run_check import (
    CRAFTED_INPUT_CONTROLS,
    SECONDS_A_PASS,
    robustness_metrics,
)
from auditor.attacks.tabular.campaign import REFINE, Stage, attack_table, parse_stages
from auditor.attacks.tabular.evidence import (
    NO_TABLE,
    TABLED,
    describe_tabular_run,
    is_table,
    prepare_tabular_run,
)
from auditor.attacks.tabular.readings import build_tabular_readings, nothing_to_attack_gap
from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.challenges import CounterexampleClaims
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import BoundKind, Gap, Reading, Unit
from auditor.domain.row_evidence import RowEvidence
from auditor.errors import PolicyError

SECONDS_A_QUERY = 4e-5
"""Most of it is repair: keeping rows possible costs more than asking about them."""


@dataclass(frozen=True, slots=True)
class TabularAttackCheck(Check):
    """Attacks rows of a table with rows that could exist, and counts success on the target alone.

    Attacked rows keep types, ranges, directions, one-hot groups and the relations that you declare.

    - ``eps``: share of their range by which numeric and integer features move. All others that are
      not immutable may take any code.
    - ``most_features``: how many features may move (0: no limit).
    - ``label`` and ``decision``: one harm to attack, such as a refused applicant who is approved
      (empty: any).
    - ``stages``: ``capgd:STEPSxRESTARTS`` uses the twin if there is one (Simonetto et al. 2024);
      ``search:QUERIES`` queries the target alone.
    - ``minimising``: queries a row to make each success minimal.
    """

    eps: tuple[float, ...] = (0.02, 0.05, 0.1)
    stages: tuple[str, ...] = ("capgd:20", "search:60")
    rows: int = 200
    most_features: int = 0
    label: str = ""
    decision: str = ""
    minimising: int = 300
    examples: int = 8

    id: ClassVar[str] = "evasion.tabular"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Accuracy under attacks with realistic table rows"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.CLASSIFICATION, Need.EVALUATION, Need.LABELS, Need.MODEL, Need.SPACE}
    )
    wants: ClassVar[frozenset[Need]] = frozenset({Need.TWIN})
    emits: ClassVar[Mapping[str, Metric]] = {
        **robustness_metrics(),
        "features_moved": Metric(
            "Features to change to break half of the rows (all: no change breaks them)",
            Unit.COUNT,
            BoundKind.AT_MOST,
            higher_is_better=True,
        ),
    }
    controls: ClassVar[tuple[FrameworkControl, ...]] = CRAFTED_INPUT_CONTROLS
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {},
        Budget.CI: {
            "eps": (0.01, 0.02, 0.05, 0.1, 0.2),
            "stages": ("capgd:50x3", "search:300"),
            "rows": 500,
        },
        Budget.FULL: {
            "eps": (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3),
            "stages": ("capgd:100x5", "search:1000x2"),
            "rows": 2000,
            "minimising": 1000,
        },
    }
    grid: ClassVar[Mapping[str, str]] = {"eps": "eps"}
    by_example: ClassVar[CounterexampleClaims] = POSSIBLE
    by_row: ClassVar[RowEvidence] = TABLED

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        sort_budgets(self.eps)
        require_positive(rows=self.rows, minimising=self.minimising)
        parse_stages(self.stages)
        if self.most_features < 0:
            raise PolicyError(
                f"most_features {self.most_features} of an evasion check is no number of features",
                cure="Give a whole number; 0 sets no limit.",
            )
        require_harmful_decision(self.label, self.decision)

    @property
    def attacks(self) -> tuple[Stage, ...]:
        """The attacks that the stages name."""
        return parse_stages(self.stages)

    def cost(self, size: AuditSize) -> CheckCost:
        """Return upper bounds; rows that break or are wrong from the start cost less.

        The passes are those of a model that has a twin.
        """
        rows, budgets = min(self.rows, size.rows), len(sort_budgets(self.eps))
        passes = rows * budgets * sum(attack.passes for attack in self.attacks)
        asked = budgets * sum(attack.queries for attack in self.attacks)
        asked = rows * (asked + REFINE + self.minimising)
        seconds = passes * (SECONDS_A_PASS + SECONDS_A_QUERY) + asked * SECONDS_A_QUERY
        return CheckCost(queries=size.rows + asked, clean=size.rows, passes=passes, seconds=seconds)

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Return the half width that the shares have where they are 0 or 1."""
        best = best_half_width(min(self.rows, size.rows), confidence)
        return {"clean_accuracy": best, "robust_accuracy": best}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Attack the first ``rows`` rows of the audit's permutation that can be harmed."""
        entered = prepare_tabular_run(
            subject, self.rows, self.label, self.decision, self.most_features
        )
        if isinstance(entered, str):
            return {"settings": {"undefined": entered}}
        found = attack_table(
            entered.table,
            self.attacks,
            sort_budgets(self.eps),
            subject.seed,
            subject.progress,
            minimising=self.minimising,
        )
        return describe_tabular_run(entered, found, self.examples * subject.show_examples)

    def refuses(self, subject: Subject) -> Gap | None:
        """Say that the rows are no table, as pictures are none."""
        rows, space = subject.datasets[DatasetRole.EVALUATION].inputs, subject.space
        if rows is None or isinstance(space, Gap) or is_table(space, rows):
            return None
        return nothing_to_attack_gap(NO_TABLE)

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count successes again from the target's probabilities and what each row keeps."""
        effort: dict[str, Json] = {"stages": [attack.name for attack in self.attacks]}
        return build_tabular_readings(evidence, confidence, effort)


CHECK: type[Check] = TabularAttackCheck
