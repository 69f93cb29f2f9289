"""Which decisions differ between two runs, told in counts: how many, which classes, which rows."""

from collections.abc import Iterator, Mapping, Sequence

from auditor.domain.readings import Measurement, Unit
from auditor.rendering.figures.panel import Panel, ends
from auditor.rendering.numbers import DASH, count, figure
from auditor.rendering.plots.intervals import Row, interval_rows
from auditor.rendering.stories.overflow import (
    at_risk,
    here,
    overflow_cures,
    overflow_parts,
    overflows,
)
from auditor.rendering.stories.story import Cure, Part, Scene, whole

PARITY = "hardware.parity"
MOST_CLASSES = 14
WORST_HEADER = ("Row", "other run", "here", "score moved by")
CLASS_HEADER = ("", "Decisions that differ", "Interval", "Rows")
NOT_OVERFLOW = (
    "Overflow of 8-bit sums is not the reason: {why}. Processors and runtimes also differ in the "
    "precision that they choose, in which operators they fuse, and in the order in which they add."
)
LOOK = Cure(
    "Look at precision, session options and placement of the target under “How it was run”, and "
    "audit again without fusing, by a line under that target in targets.yaml: if the flips go, "
    "fusing made them.",
    "graph_optimization: none",
)
VALIDATE = Cure(
    "Or make the target itself the reference that is validated: what was tested elsewhere was not "
    "what runs here."
)


def tell_parity(scene: Scene) -> tuple[Sequence[Part], Sequence[Cure]]:
    """Tell how the target's decisions differ from the reference's, and why."""
    rate = scene.figure(PARITY, "flip_rate")
    if rate is None:
        return (), ()
    counted = flip_part(scene, PARITY, rate, "the reference run")
    if not whole(rate.details, "flips"):
        return (counted,), ()
    risk, seen = at_risk(scene), overflows(scene)
    if risk and seen:
        why = Part(
            topic=f"here:{scene.target}", name=f"Overflow on {scene.target}", told=(here(scene),)
        )
        return (counted, why, *overflow_parts(scene)), overflow_cures(scene)
    return (counted, Part(topic=f"why:{scene.target}", name="Why", told=(_why(scene),))), (
        LOOK,
        VALIDATE,
    )


def _why(scene: Scene) -> str:
    risk, seen = at_risk(scene), overflows(scene)
    if risk is False:
        return NOT_OVERFLOW.format(
            why="the scan found no 8-bit weights whose products can overflow"
        )
    if risk and seen is False:
        return NOT_OVERFLOW.format(why="with exact sums, no decision changes on this target")
    return "Whether 8-bit sums overflow on this target was not measured, so the reason is open."


def flip_part(scene: Scene, check: str, rate: Measurement, other: str) -> Part:
    """Count the decisions that differ from another run; draw classes and list rows if any do."""
    flips = whole(rate.details, "flips")
    name = f"Which decisions differ on {scene.target}"
    topic = f"flips:{check}:{scene.target}"
    if not flips:
        said = f"Each of {count(rate.n)} decisions on {scene.target} is the one of {other}."
        return Part(topic=topic, name=name, told=(said,))
    verb = "decision differs" if flips == 1 else "decisions differ"
    told = [
        f"{count(flips)} of {count(rate.n)} {verb} from {other}: {figure(rate).whole}.",
        *_truth(scene, check),
    ]
    panels = [item for item in (_classes(scene, check), _worst(scene, rate, other)) if item]
    return Part(topic=topic, name=name, told=tuple(told), panels=tuple(panels))


def _truth(scene: Scene, check: str) -> Iterator[str]:
    change = scene.figure(check, "accuracy_change")
    if change is None:
        return
    lost, gained = whole(change.details, "lost"), whole(change.details, "gained")
    before, after = (change.details.get(name) for name in ("before", "after"))
    said = f"{count(lost)} that were right became wrong, and {count(gained)} wrong became right"
    if isinstance(before, int | float) and isinstance(after, int | float):
        said += f": accuracy goes from {before * 100:.1f} % to {after * 100:.1f} %"
    yield f"{said}."


def _classes(scene: Scene, check: str) -> Panel | None:
    found = [
        (str(m.params.get("class", "")), m, of)
        for m in scene.measured(check, "class_flip_rate")
        if (of := ends(m)) is not None
    ]
    if not found:
        return None
    ranked = sorted(found, key=lambda item: (-item[2][0], item[0]))
    title = "Which classes are hit"
    rows = [Row(name, *of) for name, _, of in ranked[:MOST_CLASSES]]
    hidden = len(ranked) - len(rows)
    more = f" {hidden} more classes are in the table only." if hidden else ""
    apart = _apart([(name, of[0]) for name, _, of in ranked])
    return Panel(
        title=title,
        target=scene.target,
        caption=f"Share of the decisions for a class that differ here, the worst first.{apart} The "
        f"intervals hold jointly.{more}",
        drawing=interval_rows(f"{scene.key}-classes", title, rows, Unit.SHARE),
        header=CLASS_HEADER,
        rows=tuple(
            (name, words.value, words.interval, count(m.n))
            for name, m, _ in ranked
            for words in [figure(m)]
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


def _worst(scene: Scene, rate: Measurement, other: str) -> Panel | None:
    listed = rate.details.get("worst_rows")
    rows = listed if isinstance(listed, Sequence) and not isinstance(listed, str) else ()
    found = tuple(_moved(row) for row in rows if isinstance(row, Mapping))
    if not found:
        return None
    return Panel(
        title="Which rows flip hardest",
        target=scene.target,
        caption=f"By row id of the evaluation data: the decision of {other}, the decision here, "
        "and how far a score moved.",
        header=WORST_HEADER,
        rows=found,
    )


def _moved(row: Mapping[str, object]) -> tuple[str, ...]:
    moved = row.get("moved")
    size = f"{moved:.3g}" if isinstance(moved, int | float) else DASH
    return str(row.get("id", "")), str(row.get("before", "")), str(row.get("after", "")), size


def _percent(value: float) -> str:
    return f"{value * 100:.0f} %"
