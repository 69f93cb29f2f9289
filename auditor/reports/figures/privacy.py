"""Report panels for privacy attacks (membership, attributes, extraction) and data poisoning."""

from collections.abc import Callable, Iterator, Sequence

from auditor.domain.readings import Measurement, Unit
from auditor.reports.figures.panel import (
    Ends,
    FigurePanel,
    first_coordinate,
    format_figure_cells,
    interval_ends,
    list_doubts,
)
from auditor.reports.inputs import ReportInputs
from auditor.reports.numbers import format_measurement, format_number, format_scalar
from auditor.reports.plots.intervals import IntervalRow, draw_interval_rows
from auditor.reports.plots.robustness import (
    CurvePoint,
    RobustnessChart,
    RobustnessCurve,
    draw_robustness_plot,
)
from auditor.reports.plots.svg import SERIES, SvgDrawing
from auditor.reports.wording import check_title

MOST_LEAK_ROWS = 12
COLUMNS = (
    "How much oftener the attack names a member's level than an imputer which never sees the "
    "model, less what it gains of others. 0 is no leak; intervals hold jointly. Each is a bound: "
    "who knows more may find more."
)
COPIES = (
    "On how many held-out rows a copy decides as the model does, by what it was taught with: dots "
    "are copies from the model's answers, squares the best one that true labels of as many rows "
    "teach. Better attackers copy more."
)
NEAR = (
    "Among the rows nearest to what was made up, members less others: 0 is chance. Each row that "
    "is nearest counts once. That a made-up row looks like its class is no leak; the p-value says "
    "whether members lie nearer."
)


def column_panels(
    inputs: ReportInputs, measured: Sequence[Measurement], key: str
) -> Iterator[FigurePanel]:
    """Yield what is given away of each column."""
    del inputs
    part = _of(measured, "privacy.attribute", "advantage")
    if part:
        yield FigurePanel(
            title="What it gives away of its members' columns",
            target=part[0][0].target,
            caption=COLUMNS,
            drawing=draw_interval_rows(
                key,
                "What it gives away of its members' columns",
                [_row(str(m.params.get("column", "")), of, m) for m, of in part[:MOST_LEAK_ROWS]],
                Unit.NONE,
                ideal=0.0,
            ),
            header=("Column", "Gain", "Interval", "How sure", "Members right", "Imputer right"),
            rows=tuple(
                (
                    str(m.params.get("column", "")),
                    *format_figure_cells(m),
                    _share(m, "members_accuracy"),
                    _share(m, "members_baseline"),
                )
                for m, _ in part
            ),
        )


def fidelity_panels(
    inputs: ReportInputs, measured: Sequence[Measurement], key: str
) -> Iterator[FigurePanel]:
    """Yield how faithful copies are, by growing numbers of queries."""
    del inputs
    part = _of(measured, "privacy.extraction", "fidelity")
    part.sort(key=lambda item: (str(item[0].params.get("strategy")), _queries(item[0])))
    rows: list[IntervalRow] = []
    for m, of in part[:MOST_LEAK_ROWS]:
        rows.append(_row(_asked(m), of, m))
        labels = m.details.get("taught_by_labels")
        if isinstance(labels, int | float):
            rows.append(IntervalRow("", labels, labels, labels, 1))
    if rows:
        title = "How faithfully it is copied"
        yield FigurePanel(
            title=title,
            target=part[0][0].target,
            caption=COPIES,
            drawing=draw_interval_rows(key, title, rows, Unit.SHARE),
            header=("Queries", "Fidelity", "Interval", "How sure", "Taught by labels"),
            rows=tuple(
                (_asked(m), *format_figure_cells(m), _share(m, "taught_by_labels")) for m, _ in part
            ),
        )


def proximity_panels(
    inputs: ReportInputs, measured: Sequence[Measurement], key: str
) -> Iterator[FigurePanel]:
    """Yield whether what attacks made up is nearer to members than to others."""
    del inputs
    part = _of(measured, "privacy.inversion", "member_proximity")
    if part:
        title = "Whether made-up rows are near to members"
        yield FigurePanel(
            title=title,
            target=part[0][0].target,
            caption=NEAR,
            drawing=draw_interval_rows(
                key,
                title,
                [_row(_attack(m), of, m) for m, of in part[:MOST_LEAK_ROWS]],
                Unit.NONE,
                ideal=0.0,
            ),
            header=("Attack, prior", "Members less others", "Interval", "How sure", "p-value"),
            rows=tuple(
                (_attack(m), *format_figure_cells(m), _plain(m, "p_value")) for m, _ in part
            ),
        )


def _of(measured: Sequence[Measurement], check: str, metric: str) -> list[tuple[Measurement, Ends]]:
    mine = (m for m in measured if m.check == check and m.metric == metric)
    return [(m, of) for m in mine if (of := interval_ends(m)) is not None]


def _row(name: str, of: Ends, m: Measurement) -> IntervalRow:
    return IntervalRow(name, *of, 0, m.doubted)


def _queries(m: Measurement) -> float:
    asked = m.params.get("queries")
    return float(asked) if isinstance(asked, int | float) else 0.0


def _asked(m: Measurement) -> str:
    return f"{format_scalar(_queries(m))} by {m.params.get('strategy', '')}"


def _attack(m: Measurement) -> str:
    attack, prior = (str(m.params.get(name, "")) for name in ("attack", "prior"))
    return attack if prior == "none" else f"{attack}, {prior}"


def _share(m: Measurement, name: str) -> str:
    value = m.details.get(name)
    return format_number(value, Unit.SHARE) if isinstance(value, int | float) else ""


def _plain(m: Measurement, name: str) -> str:
    value = m.details.get(name)
    return format_scalar(value) if isinstance(value, int | float) else ""


CHECK, SCAN = "poisoning.susceptibility", "poisoning.training_scan"
JOINT = "joint"
MOST_SCAN_ROWS = 25
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
    inputs: ReportInputs, measured: Sequence[Measurement], key: str
) -> Iterator[FigurePanel]:
    """Yield one panel for what was trained again: the whole model, or its last layer."""
    mine = [m for m in measured if m.check == CHECK and _rate(m) is not None and interval_ends(m)]
    for place, means in enumerate(dict.fromkeys(str(m.params.get("retrained")) for m in mine)):
        shown = [m for m in mine if str(m.params.get("retrained")) == means]
        curves = tuple(_curves([m for m in shown if m.metric == SUCCESS]))[:SERIES]
        if not curves:
            continue
        title = check_title(inputs, CHECK)
        chart = RobustnessChart(
            title=title,
            x_name="share of the training rows that is poison",
            curves=curves,
            y_name="decided as the attacker wants",
            start_name="no poison",
        )
        lower = next((str(t) for m in shown if (t := m.details.get("lower_bound"))), "")
        yield FigurePanel(
            title=title,
            target=shown[0].target,
            caption=CAPTION,
            drawing=draw_robustness_plot(f"{key}-{place}", chart),
            header=("Poison", "Share of rows", "What", "Figure", "Interval", "How sure"),
            rows=tuple(_row_poison(m) for m in shown),
            notes=(*list_doubts(shown), *([f"{lower[0].upper()}{lower[1:]}."] if lower else [])),
        )


def scan_panels(
    inputs: ReportInputs, measured: Sequence[Measurement], key: str
) -> Iterator[FigurePanel]:
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
            yield FigurePanel(
                title=check_title(inputs, SCAN),
                target=m.target,
                caption=f"{NAMED} Named share: {format_measurement(m).whole}.{_hidden(len(rows))}",
                header=("Row", "Label", "Trusted rows say"),
                rows=tuple(rows[:MOST_SCAN_ROWS]),
                notes=list_doubts([m]),
            )


def _hidden(listed: int) -> str:
    return (
        f" {listed - MOST_SCAN_ROWS} more are in the record only."
        if listed > MOST_SCAN_ROWS
        else ""
    )


def _rate(m: Measurement) -> float | None:
    return first_coordinate(m, "rate")


def _curves(measured: Sequence[Measurement]) -> Iterator[RobustnessCurve]:
    for attack in dict.fromkeys(str(m.params.get("attack")) for m in measured):
        mine = [m for m in measured if str(m.params.get("attack")) == attack]
        points = [
            CurvePoint(rate, *of, doubted=m.doubted)
            for m in mine
            if (rate := _rate(m)) is not None and (of := interval_ends(m)) is not None
        ]
        before = mine[0].details.get("without_poison")
        start = float(before) if isinstance(before, int | float) else None
        yield RobustnessCurve(
            NAMES.get(attack, attack),
            tuple(sorted(points, key=lambda point: point.eps)),
            None if start is None else CurvePoint(0.0, start, start, start),
        )


def _row_poison(m: Measurement) -> tuple[str, ...]:
    attack = str(m.params.get("attack"))
    what = "turned to the target" if m.metric == SUCCESS else "accuracy lost"
    return (
        NAMES.get(attack, attack),
        format_scalar(_rate(m) or 0.0),
        what,
        *format_figure_cells(m),
    )


MEMBERSHIP, OBFUSCATION = "privacy.membership", "privacy.obfuscation"
CHANCE = 0.5
MOST_GROUPS = 14
MEMBERS = (
    "How often a row that was trained on looks more like one than a row that was not. Half is "
    "chance; each figure is what this attack found, and a better one may find more."
)
HIDDEN = (
    "The same attack after the answers were altered. Half is chance. The table says what altering "
    "costs on rows that the model did not learn from."
)
COSTS = ("auc_change", "smece_change", "brier_change", "accuracy_change")


def membership_panels(
    inputs: ReportInputs, measured: Sequence[Measurement], key: str
) -> Iterator[FigurePanel]:
    """Yield, for each target, the area of every attack and of every group."""
    del inputs
    mine = [
        m for m in measured if m.check == MEMBERSHIP and m.metric == "auc" and _plain_exposure(m)
    ]
    for index, target in enumerate(dict.fromkeys(m.target for m in mine)):
        part = [m for m in mine if m.target == target]
        said_of_all = [
            str(m.value)
            for m in measured
            if (m.check, m.metric, m.target) == (MEMBERSHIP, "verdict", target)
            and m.params.get("attack") == "all"
        ]
        yield FigurePanel(
            title="Telling which rows were trained on",
            target=target,
            caption=" ".join((MEMBERS, *(f"All together: {it}." for it in said_of_all))),
            drawing=_drawn(
                f"{key}-{index}", "Telling which rows were trained on", part, _attack_exposure
            ),
            header=("Attack", "Area under the ROC curve", "Interval", "How sure"),
            rows=tuple((_attack_exposure(m), *format_figure_cells(m)) for m in part),
        )


def obfuscation_panels(
    inputs: ReportInputs, measured: Sequence[Measurement], key: str
) -> Iterator[FigurePanel]:
    """Yield, for each target, what is left of the attack after each way of altering."""
    del inputs
    mine = [m for m in measured if m.check == OBFUSCATION]
    for index, target in enumerate(dict.fromkeys(m.target for m in mine)):
        here = [m for m in mine if m.target == target]
        part = [m for m in here if m.metric == "auc"]
        yield FigurePanel(
            title="What altering answers hides",
            target=target,
            caption=HIDDEN,
            drawing=_drawn(f"{key}-{index}", "What altering answers hides", part, _way),
            header=("Altered by", "Attack", "Change", "Calibration", "Brier", "Accuracy"),
            rows=tuple((_way(m), format_figure_cells(m)[0], *_changes(m, here)) for m in part),
        )


def _plain_exposure(m: Measurement) -> bool:
    return m.params.get("rounding") == "none"


def _attack_exposure(m: Measurement) -> str:
    group, shadows = (str(m.params.get(name, "")) for name in ("group", "shadows"))
    name = str(m.params.get("attack", ""))
    parts = [name] if shadows == "none" else [name, shadows]
    return ", ".join(parts if group == "all" else [*parts, group])


def _way(m: Measurement) -> str:
    name, strength = str(m.params.get("mitigation", "")), m.params.get("strength", 0.0)
    return f"{name} {format_scalar(strength)}" if strength else name


def _changes(m: Measurement, here: Sequence[Measurement]) -> tuple[str, ...]:
    found = {it.metric: format_figure_cells(it)[0] for it in here if it.params == m.params}
    return tuple(found.get(name, "") for name in COSTS)


def _drawn(
    key: str, title: str, part: Sequence[Measurement], named: Callable[[Measurement], str]
) -> SvgDrawing:
    rows = [
        IntervalRow(named(m), *of, 0, m.doubted)
        for m in part[:MOST_GROUPS]
        if (of := interval_ends(m)) is not None
    ]
    return draw_interval_rows(key, title, rows, Unit.SHARE, ideal=CHANCE)
