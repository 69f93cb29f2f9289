"""Check of robust accuracy under spatial transformations: turned, moved or lit otherwise."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from auditor.attacks.corruptions.accuracy_survey import (
    best_half_widths,
    model_input_shape,
    prepare_sample,
)
from auditor.attacks.corruptions.images import find_image_layout
from auditor.attacks.corruptions.row_evidence import VIEWED
from auditor.attacks.corruptions.spatial_search import (
    SpatialSearch,
    build_spatial_readings,
    describe_undefined,
    image_shape_gap,
)
from auditor.attacks.counterexamples.spatial_claims import VIEWS
from auditor.attacks.evasion.attack_setup import require_positive
from auditor.attacks.evasion.spatial_transformations import BUDGETS, TransformationGrid
from auditor.attacks.image_resampling import EDGE, FILLS
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

SECONDS_A_VIEW = 5e-6
MOST_ALONE = 10


@dataclass(frozen=True, slots=True)
class SpatialAttackCheck(Check):
    """Searches the worst view of each picture within a budget (Engstrom et al. 2019).

    First, ``draws`` random transformations run on all rows; their average is ``mean_accuracy``.
    Rows that withstand then face a grid of ``rotations`` by ``shifts`` down and across, and scale,
    shear, brightness, contrast and hue, each alone and in both directions.

    ``flips`` allows mirror images; leave it off for letters and signs, which change their meaning.
    ``fill`` fills the border: with the nearest pixel (``edge``) or the lowest value (``low``).
    ``auditor.attacks.evasion.spatial_transformations.BUDGETS`` defines small, medium and large; a
    row broken by one counts as broken by all larger ones.

    If your audit may show examples, up to ``examples`` broken rows are kept, before and after.
    """

    budgets: tuple[str, ...] = tuple(BUDGETS)
    rotations: int = 5
    shifts: int = 3
    draws: int = 10
    flips: bool = False
    fill: str = EDGE
    rows: int = 100
    examples: int = 6

    id: ClassVar[str] = "evasion.spatial"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Accuracy under the worst rotation, shift or lighting"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.CLASSIFICATION, Need.EVALUATION, Need.LABELS, Need.MODEL, Need.SPACE}
    )
    emits: ClassVar[Mapping[str, Metric]] = {
        "clean_accuracy": Metric(
            "Accuracy on the same rows before any change", Unit.SHARE, higher_is_better=True
        ),
        "robust_accuracy": Metric(
            "Accuracy under the worst view found",
            Unit.SHARE,
            BoundKind.AT_MOST,
            higher_is_better=True,
        ),
        "mean_accuracy": Metric(
            "Mean accuracy over random views within the budget",
            Unit.SHARE,
            higher_is_better=True,
        ),
    }
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(4)"),
        FrameworkControl("eu-ai-act", "15(5)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.7"),
        FrameworkControl("iso-42001", "A.6.2.4"),
        FrameworkControl("mitre-atlas", "AML.T0015"),
        FrameworkControl("owasp-ml", "ML01"),
        FrameworkControl("nist-ai-100-2", "NISTAML.022"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {},
        Budget.CI: {"rotations": 11, "shifts": 5, "draws": 20, "rows": 200},
        Budget.FULL: {"rotations": 31, "shifts": 5, "draws": 50, "rows": 1000},
    }
    grid: ClassVar[Mapping[str, str]] = {"budget": "budgets"}
    by_example: ClassVar[CounterexampleClaims] = VIEWS
    by_row: ClassVar[RowEvidence] = VIEWED

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        require_positive(
            rotations=self.rotations, shifts=self.shifts, draws=self.draws, rows=self.rows
        )
        if not self.budgets or not set(self.budgets) <= set(BUDGETS):
            raise PolicyError(
                f"budgets {list(self.budgets)} of a spatial check do not all exist",
                cure=f"Choose from {', '.join(BUDGETS)}.",
            )
        if self.fill not in FILLS:
            raise PolicyError(
                f"a spatial check cannot fill borders by {self.fill!r}",
                cure=f"Choose from {', '.join(FILLS)}.",
            )

    @property
    def growing(self) -> tuple[str, ...]:
        """The budgets, the smallest first."""
        return tuple(name for name in BUDGETS if name in self.budgets)

    def cost(self, size: AuditSize) -> CheckCost:
        """Return upper bounds; rows that break or are wrong from the start cost less.

        The seconds are those of small pictures, and grow with the pixels.
        """
        grid = self.rotations * self.shifts**2 * (1 + self.flips) + MOST_ALONE
        views = min(self.rows, size.rows) * len(self.growing) * (self.draws + grid)
        return CheckCost(queries=size.rows + views, clean=size.rows, seconds=views * SECONDS_A_VIEW)

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Return the half widths where the model is always right."""
        one, mean = best_half_widths(min(self.rows, size.rows), confidence)
        return {"clean_accuracy": one, "robust_accuracy": one, "mean_accuracy": mean}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Look at the first ``rows`` rows of the audit's permutation from elsewhere."""
        trial = prepare_sample(subject, self.rows)
        seen = find_image_layout(
            trial.rows.shape[1:], trial.space, trial.model_takes, whole=trial.whole
        )
        if seen is None:
            return describe_undefined(trial)
        finder = TransformationGrid(
            seen.size, seen.channels, self.rotations, self.shifts, self.flips
        )
        search = SpatialSearch(trial, seen, finder, self.draws, self.fill)
        most = self.examples * subject.show_examples
        return search.evidence(self.growing, subject.seed, subject.progress, most)

    def refuses(self, subject: Subject) -> Gap | None:
        """Say that there is nothing to turn or move."""
        rows, model, space = (
            subject.datasets[DatasetRole.EVALUATION].inputs,
            subject.model,
            subject.space,
        )
        if rows is None or isinstance(model, Gap) or isinstance(space, Gap):
            return None
        row = rows.shape[1:]
        seen = find_image_layout(row, space, model_input_shape(model))
        return None if seen is not None else image_shape_gap([int(side) for side in row])

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count right decisions again, of views within reach alone."""
        return build_spatial_readings(evidence, confidence)


CHECK: type[Check] = SpatialAttackCheck
