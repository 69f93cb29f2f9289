"""Explains which decisions differ between two runs: how many, of which classes, in which rows."""

from collections.abc import Iterator, Mapping, Sequence

from auditor.domain.explanations import ExplanationContext, ExplanationPart, read_count
from auditor.domain.number_text import DASH, format_count, format_measurement
from auditor.domain.readings import Measurement, Unit
from auditor.domain.report_panels import BlockPanel, IntervalChart, IntervalRow, interval_ends

MOST_CLASSES = 14
WORST_HEADER = ("Row", "other run", "here", "score moved by")
CLASS_HEADER = ("", "Decisions that differ", "Interval", "Rows")


def build_flip_part(
    scene: ExplanationContext, check: str, rate: Measurement, other: str
) -> ExplanationPart:
    """Count the decisions that differ from another run; draw classes and list rows if any do."""
    flips = read_count(rate.details, "flips")
    name = f"Which decisions differ on {scene.target}"
    topic = f"flips:{check}:{scene.target}"
    if not flips:
        said = f"Each of {format_count(rate.n)} decisions on {scene.target} is the one of {other}."
        return ExplanationPart(topic=topic, name=name, told=(said,))
    verb = "decision differs" if flips == 1 else "decisions differ"
    told = [
        (
            f"{format_count(flips)} of {format_count(rate.n)} {verb} from {other}: "
            f"{format_measurement(rate).whole}."
        ),
        *_truth(scene, check),
    ]
    panels = [item for item in (_classes(scene, check), _worst(rate, other)) if item]
    return ExplanationPart(topic=topic, name=name, told=tuple(told), panels=tuple(panels))


def _truth(scene: ExplanationContext, check: str) -> Iterator[str]:
    change = scene.figure(check, "accuracy_change")
    if change is None:
        return
    lost, gained = read_count(change.details, "lost"), read_count(change.details, "gained")
    before, after = (change.details.get(name) for name in ("before", "after"))
    said = (
        f"{format_count(lost)} that were right became wrong, and {format_count(gained)} wrong "
        "became right"
    )
    if isinstance(before, int | float) and isinstance(after, int | float):
        said += f": accuracy goes from {before * 100:.1f} % to {after * 100:.1f} %"
    yield f"{said}."


def _classes(scene: ExplanationContext, check: str) -> BlockPanel | None:
    found = [
        (str(m.params.get("class", "")), m, of)
        for m in scene.measured(check, "class_flip_rate")
        if (of := interval_ends(m)) is not None
    ]
    if not found:
        return None
    ranked = sorted(found, key=lambda item: (-item[2][0], item[0]))
    title = "Flips by class"
    rows = [IntervalRow(name, *of) for name, _, of in ranked[:MOST_CLASSES]]
    hidden = len(ranked) - len(rows)
    more = f" {hidden} more classes are in the table only." if hidden else ""
    apart = _apart([(name, of[0]) for name, _, of in ranked])
    return BlockPanel(
        title=title,
        caption=f"Share of the decisions for a class that differ here, the worst first.{apart} The "
        f"intervals hold jointly.{more}",
        chart=IntervalChart(tuple(rows), Unit.SHARE),
        header=CLASS_HEADER,
        rows=tuple(
            (name, words.value, words.interval, format_count(m.n))
            for name, m, _ in ranked
            for words in [format_measurement(m)]
        ),
    )


def _apart(ranked: Sequence[tuple[str, float]]) -> str:
    """Name the first and the last class, where they differ."""
    (worst, most), (least, fewest) = ranked[0], ranked[-1]
    if most <= fewest:
        return ""
    return (
        f" Class {worst} is hit hardest ({_percent(most)}), class {least} least "
        f"({_percent(fewest)})."
    )


def _worst(rate: Measurement, other: str) -> BlockPanel | None:
    listed = rate.details.get("worst_rows")
    rows = listed if isinstance(listed, Sequence) and not isinstance(listed, str) else ()
    found = tuple(_moved(row) for row in rows if isinstance(row, Mapping))
    if not found:
        return None
    return BlockPanel(
        title="Rows with the largest change",
        caption=f"By row ID of the evaluation data: the decision of {other}, the "
        "decision here, and the largest change of a score.",
        header=WORST_HEADER,
        rows=found,
    )


def _moved(row: Mapping[str, object]) -> tuple[str, ...]:
    moved = row.get("moved")
    size = f"{moved:.3g}" if isinstance(moved, int | float) else DASH
    return str(row.get("id", "")), str(row.get("before", "")), str(row.get("after", "")), size


def _percent(value: float) -> str:
    return f"{value * 100:.0f} %"
