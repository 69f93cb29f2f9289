"""Report panels that checks contribute, as values without markup: charts, grids and tables.

A check makes panels of its own readings (``Check.block``); the report draws each kind of chart.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from auditor.domain.json import Json
from auditor.domain.number_text import format_measurement, format_number, format_scalar
from auditor.domain.readings import BoundKind, Measurement, Unit

Row = tuple[str, ...]
Ends = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """One line of a legend: the class of what is drawn, its name, and its mark's shape."""

    kind: str
    name: str
    shape: int = 0


@dataclass(frozen=True, slots=True)
class IntervalRow:
    """One figure with the ends of its interval; series tell kinds of figures apart."""

    name: str
    value: float
    low: float
    high: float
    series: int = 0
    doubted: bool = False


@dataclass(frozen=True, slots=True)
class ShareBar:
    """A named share, and a remark that stands beside its bar."""

    name: str
    share: float
    remark: str


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Accuracy at one budget, with the ends of its interval; ``doubted`` ones are drawn hollow."""

    eps: float
    value: float
    low: float
    high: float
    doubted: bool = False


@dataclass(frozen=True, slots=True)
class RobustnessCurve:
    """What one attack found, or one method proved, by growing budget.

    ``start`` is the accuracy at budget 0: without any attack.
    """

    name: str
    points: tuple[CurvePoint, ...]
    start: CurvePoint | None = None

    @property
    def all(self) -> tuple[CurvePoint, ...]:
        """The points with the start."""
        return self.points if self.start is None else (self.start, *self.points)


@dataclass(frozen=True, slots=True)
class LimitMark:
    """A limit that a rule sets at one budget."""

    eps: float
    least: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RobustnessChart:
    """Curves of attacks (upper bounds), at most one of a proof (a lower bound), and limits.

    ``y_name`` says what is counted, ``start_name`` what the marks at 0 are.
    """

    title: str
    x_name: str
    curves: tuple[RobustnessCurve, ...]
    proven: RobustnessCurve | None = None
    limits: tuple[LimitMark, ...] = ()
    y_name: str = "still classified correctly"
    start_name: str = "no attack"

    @property
    def everything(self) -> tuple[RobustnessCurve, ...]:
        """All curves, a proof last."""
        return self.curves if self.proven is None else (*self.curves, self.proven)

    @property
    def starts(self) -> tuple[CurvePoint, ...]:
        """The different accuracies without attack."""
        found = {c.start.value: c.start for c in self.everything if c.start is not None}
        return tuple(found.values())

    @property
    def most(self) -> float:
        """The budget at which drawing ends: from there on nothing is left of any curve."""
        budgets = sorted({point.eps for curve in self.everything for point in curve.points})
        left = [p.eps for curve in self.everything for p in curve.points if p.value > 0]
        last = max([*left, *(limit.eps for limit in self.limits)], default=0.0)
        return next((eps for eps in budgets if eps > last), max(budgets[-1], last))


@dataclass(frozen=True, slots=True)
class PeriodPoint:
    """A figure of one period with the ends of its interval."""

    name: str
    value: float
    low: float
    high: float
    doubted: bool = False


@dataclass(frozen=True, slots=True)
class DiagramBin:
    """Rows whose confidence lies in ``[low, high]``: what the model said, and what was true."""

    low: float
    high: float
    confidence: float
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    n: int


@dataclass(frozen=True, slots=True)
class DiagramPoint:
    """A point of the smooth curve: what was stated, how often it came true, and its limits."""

    stated: float
    happened: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SmoothError:
    """The smooth error with its interval, and between what a calibrated model's would lie."""

    value: float
    low: float
    high: float
    null_low: float
    null_high: float


@dataclass(frozen=True, slots=True)
class IntervalChart:
    """Rows of point and interval; a broken line marks the ``ideal``, ``entries`` are a legend."""

    rows: tuple[IntervalRow, ...]
    unit: Unit
    ideal: float | None = None
    entries: tuple[LegendEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class PeriodChart:
    """Figures of periods in order, and the limit that they are held against."""

    points: tuple[PeriodPoint, ...]
    unit: Unit
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class ReliabilityChart:
    """How often stated values came true: bins, where values lie, a smooth curve, and its error."""

    bins: tuple[DiagramBin, ...]
    histogram: tuple[DiagramBin, ...]
    curve: tuple[DiagramPoint, ...] = ()
    beside: SmoothError | None = None


@dataclass(frozen=True, slots=True)
class ClassReliabilityChart:
    """A small reliability diagram for each class, by its name."""

    classes: tuple[tuple[str, tuple[DiagramBin, ...]], ...]


@dataclass(frozen=True, slots=True)
class ShareBarChart:
    """Groups of labelled shares, each group under its name."""

    groups: tuple[tuple[str, tuple[ShareBar, ...]], ...]


Chart: TypeAlias = (
    IntervalChart
    | RobustnessChart
    | PeriodChart
    | ReliabilityChart
    | ClassReliabilityChart
    | ShareBarChart
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockPanel:
    """A chart, what it says in words, and its figures as a table.

    ``notes`` are paragraphs below the caption; a ``wide`` panel takes the whole width.
    """

    title: str
    caption: str
    chart: Chart | None = None
    header: Row = ()
    rows: tuple[Row, ...] = ()
    notes: tuple[str, ...] = ()
    wide: bool = False


BOUNDS: Mapping[BoundKind, str] = MappingProxyType(
    {BoundKind.ESTIMATE: "", BoundKind.AT_MOST: "at most ", BoundKind.AT_LEAST: "at least "}
)
UNSTEADY = "the model answers differently when asked again, or for few rows at a time"
MOST_REASONS = 3


def interval_ends(m: Measurement) -> Ends | None:
    """Return the value of a measurement and its interval's ends, or ``None`` for no number."""
    if isinstance(m.value, bool | str) or m.value is None:
        return None
    low = m.value if m.low is None else m.low
    return m.value, low, m.value if m.high is None else m.high


def first_coordinate(m: Measurement, *names: str) -> float | None:
    """Return the first numeric coordinate among ``names``."""
    for name in names:
        value = m.params.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    return None


def format_figure_cells(m: Measurement) -> Row:
    """Return a figure as a bound, its interval and how sure it is, as cells of a table."""
    words = format_measurement(m)
    value = BOUNDS[m.bound] + words.value
    found = interval_ends(m)
    alone = "" if found is None else format_number(found[0], m.unit)
    remark = f"{words.sure} (doubted)" if m.doubted else words.sure
    return value, words.interval or alone, remark


def list_doubt_reasons(details: Mapping[str, Json]) -> str:
    """Return why a check doubts a reading, as its details have it: in one text, or a list."""
    listed = details.get("doubts")
    several = listed if isinstance(listed, Sequence) and not isinstance(listed, str) else ()
    told = [item for item in (details.get("doubt"), *several) if isinstance(item, str)]
    return "; ".join(item.rstrip(".") for item in told if item)


def list_doubts(measured: Sequence[Measurement]) -> tuple[str, ...]:
    """Say why doubted figures are not to be believed, each reason once."""
    found = dict.fromkeys(_doubt(m.details) for m in measured if m.doubted)
    if not found:
        return ()
    told = "; ".join(list(found)[:MOST_REASONS])
    return (f"Hollow marks are not to be believed: {told}.",)


def _doubt(details: Mapping[str, Json]) -> str:
    steady = details.get("deterministic", True)
    return list_doubt_reasons(details) or ("the check doubts them" if steady else UNSTEADY)


def build_interval_panels(  # noqa: PLR0913 -- what such a panel is made of
    readings: Iterable[Measurement],
    name: Callable[[Measurement], str],
    *,
    title: str,
    caption: str,
    header: Row,
    ideal: float | None = None,
    most: int = 12,
    cells: Callable[[Measurement], Row] = format_figure_cells,
    unit: Unit | None = None,
) -> tuple[BlockPanel, ...]:
    """Return a panel of the readings that have an interval; nothing where none has.

    The chart shows the first ``most`` of them, the table all, each by its ``name`` and ``cells``.
    """
    drawn = [(m, of) for m in readings if (of := interval_ends(m)) is not None]
    if not drawn:
        return ()
    rows = tuple(IntervalRow(name(m), *of, 0, m.doubted) for m, of in drawn[:most])
    panel = BlockPanel(
        title=title,
        caption=caption,
        chart=IntervalChart(rows, drawn[0][0].unit if unit is None else unit, ideal),
        header=header,
        rows=tuple((name(m), *cells(m)) for m, _ in drawn),
    )
    return (panel,)


SAMPLES = {"evaluation": "evaluation data", "training": "training data"}


def name_sample(m: Measurement) -> str:
    """Return which data a reading of data is about, in words."""
    data = str(m.params.get("data", "evaluation"))
    return SAMPLES.get(data, data)


def list_detail_rows(items: object, names: Sequence[str]) -> tuple[Row, ...]:
    """Return a list of a reading's details as rows of a table, by the members ``names``."""
    if not isinstance(items, Sequence) or isinstance(items, str):
        return ()
    told = [item for item in items if isinstance(item, Mapping)]
    return tuple(tuple(_detail_cell(item.get(name)) for name in names) for item in told)


def _detail_cell(value: Json) -> str:
    if isinstance(value, float):
        return f"{value:.2f}".replace("-", "\N{MINUS SIGN}")
    return format_scalar(value)


def count_hidden_rows(rows: int, most: int) -> tuple[str, ...]:
    """Return the note on rows that a table does not show."""
    return (f"{rows - most} more are in the record.",) if rows > most else ()


def note_chance(m: Measurement) -> tuple[str, ...]:
    """Return the note on how much would be found by chance alone, where a reading says it."""
    chance = m.details.get("by_chance")
    if not isinstance(chance, int | float) or not 0 < chance <= 1:
        return ()
    return (f"By chance alone, columns shuffled, it were {format_number(chance, Unit.SHARE)}.",)


def format_detail_share(m: Measurement, name: str) -> str:
    """Return a share of a reading's details in words; nothing where there is none."""
    value = m.details.get(name)
    return format_number(value, Unit.SHARE) if isinstance(value, int | float) else ""
