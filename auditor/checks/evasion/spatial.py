"""How often the model stays right when what it sees is turned, moved or lit otherwise."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from auditor.attacks.arenas import positive
from auditor.attacks.corruptions.changed_rows import VIEWED
from auditor.attacks.corruptions.pictures import canvas
from auditor.attacks.corruptions.sampling import EDGE, FILLS
from auditor.attacks.corruptions.sightings import no_pictures, readings
from auditor.attacks.corruptions.trials import best_half_widths, gather, taken_by
from auditor.attacks.corruptions.views import Search, undefined
from auditor.attacks.counterexamples.claims import ByExample
from auditor.attacks.counterexamples.views import VIEWS
from auditor.attacks.spatial import BUDGETS, Finder
from auditor.domain.budgets import Budget, Cost, Size
from auditor.domain.canonical import Json
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import Role
from auditor.domain.evidence import Evidence
from auditor.domain.policies import Control
from auditor.domain.readings import Bound, Gap, Reading, Unit
from auditor.domain.rows import ByRow
from auditor.domain.subjects import Shard, Subject
from auditor.errors import PolicyError

SECONDS_A_VIEW = 5e-6
MOST_ALONE = 10


@dataclass(frozen=True, slots=True)
class Spatial:
    """Looks for the worst view of each picture within a budget (Engstrom et al. 2019).

    First ``draws`` transformations with every part at random, on all rows: their average is
    ``mean_accuracy``. Then, on the rows that still stand, a grid of ``rotations`` by ``shifts``
    down and across, and scale, shear, brightness, contrast and hue alone, each to both sides.
    ``flips`` allows mirror images, which are other things for letters and signs. Over the border
    comes the nearest pixel (``fill`` edge) or nothing (low). ``auditor.attacks.spatial.BUDGETS``
    says how far small, medium and large go; a row broken by one is broken by all larger ones.
    With leave to show examples, up to ``examples`` broken rows are kept, before and after.
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
    title: ClassVar[str] = "Accuracy under the worst rotation, shift or light"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.CLASSIFICATION, Need.EVALUATION, Need.LABELS, Need.MODEL, Need.SPACE}
    )
    uses: ClassVar[tuple[str, ...]] = ()
    emits: ClassVar[Mapping[str, Metric]] = {
        "clean_accuracy": Metric(
            "Accuracy on the same rows before any change", Unit.SHARE, higher_is_better=True
        ),
        "robust_accuracy": Metric(
            "Accuracy under the worst view that was found",
            Unit.SHARE,
            Bound.AT_MOST,
            higher_is_better=True,
        ),
        "mean_accuracy": Metric(
            "Accuracy on average over random views within the budget",
            Unit.SHARE,
            higher_is_better=True,
        ),
    }
    controls: ClassVar[tuple[Control, ...]] = (
        Control("eu-ai-act", "15(4)"),
        Control("eu-ai-act", "15(5)"),
        Control("nist-ai-rmf", "MEASURE 2.7"),
        Control("iso-42001", "A.6.2.4"),
        Control("mitre-atlas", "AML.T0015"),
        Control("owasp-ml", "ML01"),
        Control("nist-ai-100-2", "NISTAML.022"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {},
        Budget.CI: {"rotations": 11, "shifts": 5, "draws": 20, "rows": 200},
        Budget.FULL: {"rotations": 31, "shifts": 5, "draws": 50, "rows": 1000},
    }
    grid: ClassVar[Mapping[str, str]] = {"budget": "budgets"}
    by_example: ClassVar[ByExample] = VIEWS
    by_row: ClassVar[ByRow] = VIEWED

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        positive(rotations=self.rotations, shifts=self.shifts, draws=self.draws, rows=self.rows)
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

    def cost(self, size: Size) -> Cost:
        """Return upper bounds; rows that break or are wrong from the start cost less.

        The seconds are those of small pictures, and grow with the pixels.
        """
        grid = self.rotations * self.shifts**2 * (1 + self.flips) + MOST_ALONE
        views = min(self.rows, size.rows) * len(self.growing) * (self.draws + grid)
        return Cost(queries=size.rows + views, seconds=views * SECONDS_A_VIEW)

    def precision(self, size: Size, confidence: float) -> Mapping[str, float]:
        """Return the half widths where the model is always right."""
        one, mean = best_half_widths(min(self.rows, size.rows), confidence)
        return {"clean_accuracy": one, "robust_accuracy": one, "mean_accuracy": mean}

    def observe(self, subject: Subject, shard: Shard) -> Evidence:
        """Look at the first ``rows`` rows of the audit's permutation from elsewhere."""
        trial = gather(subject, self.rows)
        seen = canvas(trial.rows.shape[1:], trial.space, trial.model_takes, whole=trial.whole)
        if seen is None:
            return undefined(trial)
        finder = Finder(seen.size, seen.channels, self.rotations, self.shifts, self.flips)
        search = Search(trial, seen, finder, self.draws, self.fill)
        most = self.examples * subject.show_examples
        return search.evidence(self.growing, subject.seed, subject.progress, most)

    def refuses(self, subject: Subject) -> Gap | None:
        """Say that there is nothing to turn or move."""
        rows, model, space = subject.datasets[Role.EVALUATION].inputs, subject.model, subject.space
        if rows is None or isinstance(model, Gap) or isinstance(space, Gap):
            return None
        row = rows.shape[1:]
        seen = canvas(row, space, taken_by(model))
        return None if seen is not None else no_pictures([int(side) for side in row])

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count right decisions again, of views within reach alone."""
        return readings(evidence, confidence)


CHECK: type[Check] = Spatial
