"""What planted poison buys an attacker, and which training rows look like poison."""

from collections.abc import Iterator, Sequence

from auditor.domain.readings import Measurement
from auditor.rendering.figures.doubts import doubts
from auditor.rendering.figures.panel import Panel, coordinate, ends, said
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.numbers import figure, scalar
from auditor.rendering.phrases import check_title
from auditor.rendering.plots.marks import SERIES
from auditor.rendering.plots.robustness import Chart, Curve, CurvePoint, robustness_plot

CHECK, SCAN = "poisoning.susceptibility", "poisoning.training_scan"
JOINT = "joint"
MOST = 25
NAMED_SHARE = "suspect_share"
SUCCESS, DROP = "attack_success_rate", "accuracy_drop"
NAMES = {
    "flip": "any labels flipped",
    "targeted": "one class relabelled",
    "patch": "a patch in the corner",
    "blend": "a blended pattern",
    "clean_label": "a patch, labels kept",
}
NAMED = (
    "Rows that trusted rows of their label do not explain, strangest first: look at them before "
    "anybody trains on them again. Rows without an id of their own are counted from 1."
)
CAPTION = (
    "Rows that are decided as the attacker wants, after training with so much poison. Each mark is "
    "what was found, and poison that is chosen with care does more. Bands are intervals over rows "
    "and repeats; marks at 0 are the same rows after training without poison."
)


def poison_panels(
    inputs: RenderedInputs, measured: Sequence[Measurement], key: str
) -> Iterator[Panel]:
    """Yield one panel for what was trained again: the whole model, or its last layer."""
    mine = [m for m in measured if m.check == CHECK and _rate(m) is not None and ends(m)]
    for place, means in enumerate(dict.fromkeys(str(m.params.get("retrained")) for m in mine)):
        shown = [m for m in mine if str(m.params.get("retrained")) == means]
        curves = tuple(_curves([m for m in shown if m.metric == SUCCESS]))[:SERIES]
        if not curves:
            continue
        title = check_title(inputs, CHECK)
        chart = Chart(
            title=title,
            x_name="share of the training rows that is poison",
            curves=curves,
            y_name="decided as the attacker wants",
            start_name="no poison",
        )
        lower = next((str(t) for m in shown if (t := m.details.get("lower_bound"))), "")
        yield Panel(
            title=title,
            target=shown[0].target,
            caption=CAPTION,
            drawing=robustness_plot(f"{key}-{place}", chart),
            header=("Poison", "Share of rows", "What", "Figure", "Interval", "How sure"),
            rows=tuple(_row(m) for m in shown),
            notes=(*doubts(shown), *([f"{lower[0].upper()}{lower[1:]}."] if lower else [])),
        )


def scan_panels(
    inputs: RenderedInputs, measured: Sequence[Measurement], key: str
) -> Iterator[Panel]:
    """Yield the training rows that a scan names, where it names any."""
    del key
    for m in measured:
        listed = m.details.get("suspects")
        joint = m.metric == NAMED_SHARE and m.params.get("method") == JOINT
        if m.check != SCAN or not joint or not isinstance(listed, list):
            continue
        names = ("id", "label", "suggested")
        rows = [
            tuple(str(it.get(name, "")) for name in names) for it in listed if isinstance(it, dict)
        ]
        if rows:
            yield Panel(
                title=check_title(inputs, SCAN),
                target=m.target,
                caption=f"{NAMED} Named share: {figure(m).whole}.{_hidden(len(rows))}",
                header=("Row", "Label", "Trusted rows say"),
                rows=tuple(rows[:MOST]),
                notes=doubts([m]),
            )


def _hidden(listed: int) -> str:
    return f" {listed - MOST} more are in the record only." if listed > MOST else ""


def _rate(m: Measurement) -> float | None:
    return coordinate(m, "rate")


def _curves(measured: Sequence[Measurement]) -> Iterator[Curve]:
    for attack in dict.fromkeys(str(m.params.get("attack")) for m in measured):
        mine = [m for m in measured if str(m.params.get("attack")) == attack]
        points = [
            CurvePoint(rate, *of, doubted=m.doubted)
            for m in mine
            if (rate := _rate(m)) is not None and (of := ends(m)) is not None
        ]
        before = mine[0].details.get("without_poison")
        start = float(before) if isinstance(before, int | float) else None
        yield Curve(
            NAMES.get(attack, attack),
            tuple(sorted(points, key=lambda point: point.eps)),
            None if start is None else CurvePoint(0.0, start, start, start),
        )


def _row(m: Measurement) -> tuple[str, ...]:
    attack = str(m.params.get("attack"))
    what = "turned to the target" if m.metric == SUCCESS else "accuracy lost"
    return (NAMES.get(attack, attack), scalar(_rate(m) or 0.0), what, *said(m))
