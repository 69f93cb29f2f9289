"""Check of susceptibility to poisoning: what planted poison does to a retrained model."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from auditor.attacks.poisoning.poison_campaign import PoisonPlan, foresee_gap, run_poison_campaign
from auditor.attacks.poisoning.poison_trial import PoisonAttack
from auditor.attacks.poisoning.poison_trial_readings import (
    EMITS,
    HEAD,
    RECIPE,
    SUCCESS,
    PoisonOutcome,
)
from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.gaps import read_gap
from auditor.domain.json import Json
from auditor.domain.number_text import format_scalar
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Gap, Measurement, Reading
from auditor.domain.report_blocks import BlockPlace, Reads, ReportBlock, ReportSection
from auditor.domain.report_panels import (
    BlockPanel,
    CurvePoint,
    RobustnessChart,
    RobustnessCurve,
    first_coordinate,
    format_figure_cells,
    interval_ends,
    list_doubts,
)
from auditor.errors import PolicyError
from auditor.metrics.stats.proportions import clopper_pearson

SECONDS_A_ROW = {RECIPE: 3e-3, HEAD: 3e-5}
MOST_CURVES = 5
NAMES = {
    "flip": "any labels flipped",
    "targeted": "one class relabelled",
    "patch": "a patch in the corner",
    "blend": "a blended pattern",
    "clean_label": "a patch with correct labels",
}
CAPTION = (
    "Rows with the decision that the attacker wants, after training with this share of "
    "poison. Each mark is a lower bound: carefully chosen poison does more. Bands are "
    "intervals over rows and repeats; marks at 0 are the same rows after training "
    "without poison."
)


@dataclass(frozen=True, slots=True)
class PoisoningSusceptibilityCheck(Check):
    """Plants poison into your training rows, trains again, and measures the effect.

    - ``attacks``: ``flip`` gives rows any other label, and ``targeted`` gives rows of one class the
      label of another. ``patch`` (BadNets) and ``blend`` put a trigger on rows of any class and
      give them the target's label. ``clean_label`` keeps labels: rows of the target class are mixed
      half with others and get the patch (the simple form of Turner et al. 2019 in input space).
    - ``rates``: shares of all training rows.
    - ``attack_success_rate``: the share of evaluation rows that are then decided as the target,
      among the source class or among all other classes with the trigger.
    - ``accuracy_drop``: accuracy after training without poison minus accuracy with it.

    With your recipe the whole model is trained again, ``repeats`` times with seeds and poison of
    their own. If the retrained models do not decide as the artifact does, the result is a Gap.
    Without a recipe (or with ``retrain: head``) only the last layer is trained, on the outputs of
    the layers before it. For triggers this is a lower bound and may be far too low. The cost of
    wrong labels may be lower or higher in full training, so these figures are doubted.

    Source and target are drawn by the seed. An attacker who chooses rows with care succeeds more
    often than any of these. Intervals cover other rows and other repeats.
    """

    attacks: tuple[str, ...] = ("flip", "targeted", "patch", "blend", "clean_label")
    rates: tuple[float, ...] = (0.01, 0.05)
    repeats: int = 3
    rows: int = 20_000
    tested: int = 1000
    retrain: Literal["auto", "recipe", "head"] = "auto"

    id: ClassVar[str] = "poisoning.susceptibility"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Susceptibility to poisoned training data"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.TRAINING, Need.EVALUATION, Need.LABELS, Need.CLASSIFICATION}
    )
    wants: ClassVar[frozenset[Need]] = frozenset({Need.RECIPE, Need.MODEL, Need.SPACE})
    coordinates: ClassVar[frozenset[str]] = frozenset({"attack", "rate", "retrained"})
    emits: ClassVar[Mapping[str, Metric]] = EMITS
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(5)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.7"),
        FrameworkControl("nist-ai-100-2", "NISTAML.013"),
        FrameworkControl("nist-ai-100-2", "NISTAML.023"),
        FrameworkControl("owasp-ml", "ML02"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {
            "rates": (0.01, 0.02, 0.05),
            "rows": 5000,
            "tested": 500,
            "retrain": "head",
        },
        Budget.CI: {"attacks": ("patch",), "rates": (0.01,)},
        Budget.FULL: {
            "rates": (0.002, 0.005, 0.01, 0.02, 0.05, 0.1),
            "repeats": 5,
            "rows": 100_000,
            "tested": 5000,
        },
    }
    grid: ClassVar[Mapping[str, str]] = {"attack": "attacks", "rate": "rates"}
    place: ClassVar[BlockPlace] = BlockPlace(ReportSection.POISONED, 1)

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        if not self.attacks or not set(self.attacks) <= set(PoisonAttack):
            raise PolicyError(
                f"the attacks {list(self.attacks)} of {self.id} are not all known",
                cure=f"Name some of {', '.join(PoisonAttack)}.",
            )
        if not self.rates or not all(0 < rate < 1 for rate in self.rates):
            raise PolicyError(
                f"the rates {list(self.rates)} of {self.id} are not shares",
                cure="Give at least one share of the training rows, as 0.01.",
            )
        if min(self.repeats, self.rows, self.tested) < 1:
            message = "repeats, rows and tested are at least 1"
            raise ValueError(message)

    @property
    def plan(self) -> PoisonPlan:
        """The attacks in one order, the rates from the least."""
        attacks = tuple(it for it in PoisonAttack if it in self.attacks)
        rates = tuple(sorted(set(self.rates)))
        return PoisonPlan(attacks, rates, self.repeats, self.rows, self.tested, self.retrain)

    def cost(self, size: AuditSize) -> CheckCost:
        """Say what the last layer's training takes; a recipe takes what it takes."""
        rows, plan = min(self.rows, size.beside.get(DatasetRole.TRAINING.value, 0)), self.plan
        planted = plan.repeats * len(plan.attacks) * round(plan.rates[-1] * rows)
        seen = rows + planted + (1 + len(plan.attacks)) * min(self.tested, size.rows)
        pace = SECONDS_A_ROW[HEAD if self.retrain == HEAD else RECIPE]
        seconds = pace * plan.trainings * rows
        return CheckCost(queries=seen + size.rows, clean=size.rows, seconds=seconds)

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Half width of a success rate of one half, from rows alone."""
        rows = min(self.tested, size.rows)
        half = clopper_pearson(rows // 2, rows, confidence) if rows else None
        return {} if half is None else {SUCCESS: (half.high - half.low) / 2}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Plant, train and ask.

        Raises ``RecipeError``, and what ``ModelBench.embedding`` raises.
        """
        return run_poison_campaign(subject, self.plan)

    def refuses(self, subject: Subject) -> Gap | None:
        """Say that there is nothing to train anew. Raises what ``ModelBench.embedding`` raises."""
        return foresee_gap(subject, self.plan)

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count what was decided with and without poison."""
        if evidence["gap"] is not None:
            return (read_gap(evidence["gap"]),)
        plan = self.plan
        kinds = tuple(map(PoisonAttack, plan.attacks))
        return PoisonOutcome.of(evidence).readings(kinds, plan.rates, confidence)

    @classmethod
    def block(cls, measurements: Sequence[Measurement], evidence: Reads) -> ReportBlock:
        """Show what poison does, for each means of training again."""
        mine = [m for m in measurements if first_coordinate(m, "rate") is not None]
        mine = [m for m in mine if interval_ends(m) is not None]
        means = dict.fromkeys(str(m.params.get("retrained")) for m in mine)
        parts = [
            panel
            for name in means
            for panel in _panels(cls.title, [m for m in mine if m.params.get("retrained") == name])
        ]
        return ReportBlock(parts=tuple(parts))


def _panels(title: str, shown: Sequence[Measurement]) -> Iterator[BlockPanel]:
    curves = tuple(_curves([m for m in shown if m.metric == SUCCESS]))[:MOST_CURVES]
    if not curves:
        return
    lower = next((str(t) for m in shown if (t := m.details.get("lower_bound"))), "")
    yield BlockPanel(
        title=title,
        caption=CAPTION,
        chart=RobustnessChart(
            title=title,
            x_name="poisoned share of the training rows",
            curves=curves,
            y_name="attack success rate",
            start_name="no poison",
        ),
        header=("Poison", "Share of rows", "What", "Figure", "Interval", "How sure"),
        rows=tuple(_row(m) for m in shown),
        notes=(*list_doubts(shown), *([f"{lower[0].upper()}{lower[1:]}."] if lower else [])),
    )


def _curves(measured: Sequence[Measurement]) -> Iterator[RobustnessCurve]:
    for attack in dict.fromkeys(str(m.params.get("attack")) for m in measured):
        mine = [m for m in measured if str(m.params.get("attack")) == attack]
        points = [
            CurvePoint(rate, *of, doubted=m.doubted)
            for m in mine
            if (rate := first_coordinate(m, "rate")) is not None
            if (of := interval_ends(m)) is not None
        ]
        before = mine[0].details.get("without_poison")
        start = float(before) if isinstance(before, int | float) else None
        yield RobustnessCurve(
            NAMES.get(attack, attack),
            tuple(sorted(points, key=lambda point: point.eps)),
            None if start is None else CurvePoint(0.0, start, start, start),
        )


def _row(m: Measurement) -> tuple[str, ...]:
    attack = str(m.params.get("attack"))
    what = "turned into the target class" if m.metric == SUCCESS else "accuracy lost"
    rate = format_scalar(first_coordinate(m, "rate") or 0.0)
    return (NAMES.get(attack, attack), rate, what, *format_figure_cells(m))


CHECK: type[Check] = PoisoningSusceptibilityCheck
