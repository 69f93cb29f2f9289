"""Report panels for robustness: accuracy by perturbation budget, corruptions, and attack costs.

Further panels show accuracy under attack by class and group, the smallest change that breaks half
of the rows (in the unit of its norm), and the table columns that attacks change.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from auditor.domain.findings import Outcome
from auditor.domain.json import Json
from auditor.domain.number_text import (
    DASH,
    NORMS,
    describe_norm,
    format_change_size,
    format_coordinates,
    format_count,
    format_measurement,
    format_scalar,
    join_interval,
    name_norm_axis,
    sort_norms,
)
from auditor.domain.readings import BoundKind, Measurement, Unit
from auditor.domain.report_panels import (
    BOUNDS,
    CurvePoint,
    IntervalRow,
    LimitMark,
    RobustnessChart,
    RobustnessCurve,
    ShareBar,
    first_coordinate,
    format_figure_cells,
    interval_ends,
    list_doubts,
)
from auditor.reports.declarations import REGRESSION
from auditor.reports.figures.attack_costs import describe_attack_costs
from auditor.reports.figures.panel import HOTTEST, FigureGrid, FigurePanel, GridCell, series_name
from auditor.reports.plots.intervals import (
    PlotStrip,
    StripSpan,
    draw_bars,
    draw_interval_rows,
    draw_strips,
)
from auditor.reports.plots.robustness import draw_robustness_plot
from auditor.reports.plots.svg import SERIES
from auditor.reports.rendering_inputs import ReportInputs
from auditor.reports.wording import check_title, metric_title

MOST_ROWS = 16
TINTED = (
    "The stronger a cell is tinted, the more is lost against the same rows unchanged. Nobody "
    "chooses these changes against the model: this is an average case, not an attack."
)
BY_BUDGET = (
    "What the worst change within a budget leaves is a bound: a longer search may find a worse one."
)
BOTH = " Squares are the average over random changes within the budget."


def grid_panels(
    inputs: ReportInputs, measured: Sequence[Measurement], key: str
) -> Iterator[FigurePanel]:
    """Yield a tinted table for each check whose readings go by kind and severity."""
    del key
    cells = [m for m in measured if {"kind", "severity"} <= m.params.keys() and interval_ends(m)]
    for check in dict.fromkeys(m.check for m in cells):
        mine = [m for m in cells if m.check == check]
        whole = [m for m in measured if m.check == check and not m.params and not m.slice]
        yield FigurePanel(
            title=check_title(inputs, check),
            target=mine[0].target,
            caption=TINTED,
            grid=_grid(mine, whole),
            notes=(*_summary(inputs, whole), *list_doubts(mine), *_not_asked(whole)),
            wide=True,
        )


def _grid(cells: Sequence[Measurement], whole: Sequence[Measurement]) -> FigureGrid:
    severities = sorted({_severity(m) for m in cells})
    kinds = sorted(
        {str(m.params["kind"]) for m in cells}, key=lambda kind: (_mean(cells, kind), kind)
    )
    clean = next((m for m in whole if m.metric == "clean_accuracy"), None)
    best = 1.0 if clean is None else (interval_ends(clean) or (1.0,))[0]
    placed = {(str(m.params["kind"]), _severity(m)): m for m in cells}
    rows = tuple(
        (
            kind.replace("_", " "),
            (
                *(_cell(placed.get((kind, severity)), best) for severity in severities),
                GridCell(
                    f"{_mean(cells, kind) * 100:.0f} %", heat=_heat(best - _mean(cells, kind))
                ),
            ),
        )
        for kind in kinds
    )
    header = ("Kind", *(f"severity {format_scalar(severity)}" for severity in severities), "mean")
    return FigureGrid(header, rows)


def _severity(m: Measurement) -> float:
    return first_coordinate(m, "severity") or 0.0


def _mean(cells: Sequence[Measurement], kind: str) -> float:
    values = [(interval_ends(m) or (0.0,))[0] for m in cells if m.params["kind"] == kind]
    return sum(values) / len(values)


def _cell(m: Measurement | None, best: float) -> GridCell:
    found = None if m is None else interval_ends(m)
    if m is None or found is None:
        return GridCell("no figure")
    words = format_measurement(m)
    return GridCell(words.value, words.interval.replace(" %", ""), _heat(best - found[0]))


def _heat(lost: float) -> int:
    return min(HOTTEST, max(0, round(lost * 10)))


def _summary(inputs: ReportInputs, whole: Sequence[Measurement]) -> Iterator[str]:
    for m in whole:
        kind = m.details.get("kind")
        named = f", {kind.replace('_', ' ')}" if isinstance(kind, str) else ""
        words = format_measurement(m)
        interval = f" ({words.interval})" if words.interval else ""
        yield f"{metric_title(inputs, m.check, m.metric)}{named}: {words.value}{interval}."


def _not_asked(whole: Sequence[Measurement]) -> Iterator[str]:
    """Name the kinds that have no meaning for these inputs, by reason."""
    reasons: dict[str, list[str]] = {}
    for m in whole:
        told = m.details.get("not_defined")
        for kind, why in told.items() if isinstance(told, Mapping) else ():
            reasons.setdefault(str(why), []).append(str(kind).replace("_", " "))
    for why, kinds in reasons.items():
        yield f"Not asked: {', '.join(kinds)} ({why})."


def budget_panels(
    inputs: ReportInputs, measured: Sequence[Measurement], key: str
) -> Iterator[FigurePanel]:
    """Yield rows of accuracy for each attack whose budgets are no sizes in a norm."""
    attacked = [
        m
        for m in measured
        if m.metric == "robust_accuracy" and not m.slice
        if first_coordinate(m, "eps") is None and interval_ends(m)
    ]
    for index, check in enumerate(dict.fromkeys(m.check for m in attacked)):
        mine = [
            m for m in measured if m.check == check and m.unit is Unit.SHARE and interval_ends(m)
        ]
        yield _by_budget(inputs, mine, f"{key}-{index}")


def _by_budget(inputs: ReportInputs, mine: Sequence[Measurement], key: str) -> FigurePanel:
    title = check_title(inputs, mine[0].check)
    clean = [m for m in mine if m.metric == "clean_accuracy"]
    pairs = [(m, _average(mine, m)) for m in mine if m.metric == "robust_accuracy"]
    listed = [m for pair in pairs for m in pair if m is not None]
    rows = []
    for m in (*clean[:1], *listed):
        value, low, high = interval_ends(m) or (0.0, 0.0, 0.0)
        drawn_averaged = m.metric == "mean_accuracy"
        name = "on average" if drawn_averaged else _name(m)
        rows.append(
            IntervalRow(name, value, low, high, series=int(drawn_averaged), doubted=m.doubted)
        )
    averaged = any(average is not None for _, average in pairs)
    return FigurePanel(
        title=title,
        target=mine[0].target,
        caption=BY_BUDGET + (BOTH if averaged else ""),
        drawing=draw_interval_rows(key, title, rows[:MOST_ROWS], Unit.SHARE),
        header=("Budget", "Figure", "Accuracy", "Interval", "How sure", "Within"),
        rows=tuple(
            (
                _name(m),
                metric_title(inputs, m.check, m.metric),
                *format_figure_cells(m),
                _reach(m.details),
            )
            for m in (*clean, *listed)
        ),
        notes=list_doubts(listed),
    )


def _average(mine: Sequence[Measurement], of: Measurement) -> Measurement | None:
    found = (m for m in mine if m.metric == "mean_accuracy" and m.params == of.params)
    return next(found, None)


def _name(m: Measurement) -> str:
    if len(m.params) == 1:
        (value,) = m.params.values()
        return format_scalar(value)
    return format_coordinates(m.params) or "no change"


def _reach(details: Mapping[str, Json]) -> str:
    reach = details.get("reach")
    if not isinstance(reach, Mapping):
        return ""
    return ", ".join(
        f"{name.replace('_', ' ')} {format_scalar(value)}" for name, value in reach.items()
    )


ATTACKED, PROVED = "robust_accuracy", "certified_accuracy"
SMOOTHING = "smoothing"
CURVE_HEADER = ("By", "Budget (eps)", "Accuracy", "Interval", "How sure")
PROVEN = (
    "What is proved is the least accuracy that the model has, whatever the attack; the truth lies "
    "between proof and attack."
)
OTHER_ROWS = " The proof looked at {proved} rows and attacks at {attacked}: compare them with care."
SMOOTHED = (
    "This certifies the smoothed classifier, which decides by majority over copies of an input "
    "with noise added. The model as it is deployed is not that classifier."
)


@dataclass(frozen=True, slots=True)
class CurveReading:
    """A reading with the budget that it holds at."""

    m: Measurement
    eps: float
    point: CurvePoint


@dataclass(frozen=True, slots=True)
class CurveGroup:
    """The readings that one plot shows together: of one norm, or of one check without any."""

    norm: str
    check: str
    places: tuple[CurveReading, ...]

    def of(self, metric: str) -> tuple[CurveReading, ...]:
        """Return the places of one metric."""
        return tuple(place for place in self.places if place.m.metric == metric)


def attack_panels(
    inputs: ReportInputs, measured: Sequence[Measurement], key: str
) -> Iterator[FigurePanel]:
    """Yield a panel for each norm, then one for each smoothed classifier."""
    found = []
    for m in measured:
        eps, of = first_coordinate(m, "eps", "radius"), interval_ends(m)
        if m.metric in {ATTACKED, PROVED} and not m.slice and eps is not None and of is not None:
            found.append(CurveReading(m, eps, CurvePoint(eps, *of, doubted=m.doubted)))
    places = sorted(found, key=lambda place: place.eps)
    plain = [place for place in places if place.m.params.get("method") != SMOOTHING]
    for index, plane in enumerate(_planes(plain)):
        yield _panel(inputs, measured, plane, f"{key}-{index}")
    smoothed = [place for place in places if place.m.params.get("method") == SMOOTHING]
    for index, plane in enumerate(_planes(smoothed)):
        named = list(_series(inputs, plane, PROVED))[:SERIES]
        title = "Certified accuracy of the smoothed classifier"
        curves = tuple(
            RobustnessCurve(f"certified, {name}", _pooled(places)) for name, places in named
        )
        chart = RobustnessChart(title=title, x_name=name_norm_axis(plane.norm), curves=curves)
        yield FigurePanel(
            title=title,
            target=plane.places[0].m.target,
            caption=f"{SMOOTHED} Each mark is the least accuracy that it has.",
            drawing=draw_robustness_plot(f"{key}-smoothed-{index}", chart),
            header=CURVE_HEADER,
            rows=_rows(inputs, plane),
            notes=list_doubts([place.m for place in plane.places]),
        )


def _planes(places: Sequence[CurveReading]) -> Iterator[CurveGroup]:
    """Group places by norm; those of a check that names none stand alone."""
    norms = sort_norms(norm for place in places if (norm := _norm(place.m)))
    for norm in norms:
        mine = tuple(place for place in places if _norm(place.m) == norm)
        yield CurveGroup(norm, mine[0].m.check, mine)
    alone = dict.fromkeys(place.m.check for place in places if not _norm(place.m))
    for check in alone:
        mine = tuple(p for p in places if p.m.check == check and not _norm(p.m))
        yield CurveGroup("", check, mine)


def _norm(m: Measurement) -> str:
    return str(m.params.get("norm", ""))


def _panel(
    inputs: ReportInputs, measured: Sequence[Measurement], plane: CurveGroup, key: str
) -> FigurePanel:
    lines = [_curve(measured, places, name) for name, places in _series(inputs, plane)]
    # As many curves as a plot tells apart: those that found most, in their order
    left = {line.name: sum(p.value for p in line.points) / len(line.points) for line in lines}
    kept = sorted(lines, key=lambda line: left[line.name])[:SERIES]
    curves = tuple(line for line in lines if line in kept)
    proofs = plane.of(PROVED)
    method = ", ".join(sorted({str(place.m.params.get("method", "")) for place in proofs} - {""}))
    proven = _curve(measured, proofs, f"proved{f' ({method})' if method else ''}")
    start = "Accuracy under attack" if plane.of(ATTACKED) else "Certified accuracy"
    if plane.norm:
        title = f"{start}: {describe_norm(plane.norm)}"
    else:
        title = f"{start}: {series_name(inputs, plane.check)}"
    chart = RobustnessChart(
        title=title,
        x_name=name_norm_axis(plane.norm),
        curves=curves,
        proven=proven if proofs else None,
        limits=_limits(inputs, plane),
        y_name="within the tolerance"
        if inputs.record.request.task == REGRESSION
        else "still classified correctly",
    )
    hidden = len(lines) - len(curves)
    more = f" Attacks that found less ({hidden}) are in the table only." if hidden else ""
    # Say what a proof is, and whether it is of the rows that were attacked
    proved, attacked = ({place.m.n for place in plane.of(name)} for name in (PROVED, ATTACKED))
    if not proved:
        about_proofs = ""
    elif not attacked or proved & attacked:
        about_proofs = PROVEN
    else:
        about_proofs = PROVEN + OTHER_ROWS.format(proved=max(proved), attacked=max(attacked))
    return FigurePanel(
        title=title,
        target=plane.places[0].m.target,
        caption=(about_proofs + more).strip(),
        drawing=draw_robustness_plot(key, chart),
        header=CURVE_HEADER,
        rows=_rows(inputs, plane),
        notes=_notes(measured, plane),
    )


def _notes(measured: Sequence[Measurement], plane: CurveGroup) -> tuple[str, ...]:
    attacked = [place.m for place in plane.of(ATTACKED)]
    checks = {m.check for m in attacked}
    medians = [
        m
        for m in measured
        if m.metric == "min_breaking_eps" and m.check in checks and _norm(m) == plane.norm
    ]
    effort = describe_attack_costs(plane.norm, attacked, medians)
    return (*list_doubts([place.m for place in plane.places]), *([effort] if effort else []))


def _series(
    inputs: ReportInputs, plane: CurveGroup, metric: str = ATTACKED
) -> Iterator[tuple[str, tuple[CurveReading, ...]]]:
    """Yield what belongs on one line: a check's attacks, pooled where it names several."""
    lines: dict[tuple[str, str], list[CurveReading]] = {}
    for place in plane.of(metric):
        lines.setdefault((place.m.check, _apart(place.m)), []).append(place)
    checks = [check for check, _ in lines]
    for (check, more), places in lines.items():
        name = series_name(inputs, check)
        if metric == PROVED:
            yield more or "by majority", tuple(places)
        elif more and checks.count(check) > 1:
            yield f"{name}, {more}", tuple(places)
        else:
            yield name, tuple(places)


def _apart(m: Measurement) -> str:
    """Return the coordinates that make another series of a reading."""
    shared = {"eps", "radius", "norm", "method", "attack"}
    return format_coordinates(
        {name: value for name, value in m.params.items() if name not in shared}
    )


def _curve(
    measured: Sequence[Measurement], places: Sequence[CurveReading], name: str
) -> RobustnessCurve:
    check = places[0].m.check if places else ""
    clean = next((m for m in measured if m.check == check and m.metric == "clean_accuracy"), None)
    found = None if clean is None else interval_ends(clean)
    start = None if found is None else CurvePoint(0.0, *found)
    return RobustnessCurve(name, _pooled(places), start)


def _pooled(places: Sequence[CurveReading]) -> tuple[CurvePoint, ...]:
    """Return one point a budget, of several bounds the one that says most."""
    found: dict[float, CurvePoint] = {}
    for place in places:
        other, upper = found.get(place.eps), place.m.bound is BoundKind.AT_MOST
        nearer = other is None or (place.point.value < other.value) == upper
        if nearer and (other is None or place.point.value != other.value):
            found[place.eps] = place.point
    return tuple(found.values())


def _limits(inputs: ReportInputs, plane: CurveGroup) -> tuple[LimitMark, ...]:
    checks = {(place.m.check, place.m.metric) for place in plane.places}
    findings = inputs.record.findings
    idle = {it.rule for it in findings if it.outcome is Outcome.NOT_APPLICABLE}
    idle -= {it.rule for it in findings if it.outcome is not Outcome.NOT_APPLICABLE}
    marks = {
        (float(eps), rule.limits.least)
        for rule in inputs.policy.rules
        if (rule.check, rule.metric) in checks
        if rule.where.get("norm", plane.norm) == plane.norm
        if rule.limits is not None and rule.limits.least is not None
        if isinstance(eps := rule.where.get("eps"), int | float)
        if rule.id not in idle
    }
    return tuple(LimitMark(eps, least) for eps, least in sorted(marks))


def _rows(inputs: ReportInputs, plane: CurveGroup) -> tuple[tuple[str, ...], ...]:
    """Return attack after attack, each by growing budget, and proofs last."""
    rows = [(place.m.metric == PROVED, _who(inputs, place.m), place) for place in plane.places]
    order = list(dict.fromkeys(who for _, who, _ in rows))
    rows.sort(key=lambda row: (row[0], order.index(row[1])))
    return tuple(
        (who, format_scalar(place.eps), *format_figure_cells(place.m)) for _, who, place in rows
    )


def _who(inputs: ReportInputs, m: Measurement) -> str:
    more = [str(m.params[name]) for name in ("attack", "method") if name in m.params]
    name = "proved" if m.metric == PROVED else series_name(inputs, m.check)
    return ", ".join([name, *more, *filter(None, [_apart(m)])])


MOST_PARTS = 14
LEAST, MOST = 0.05, 0.95
"""Between these, a budget breaks some rows and not all, so that it can tell who is broken."""
SUBGROUP_HEADER = ("", "Accuracy under attack", "Interval", "Rows")
Part = Mapping[str, object]


def subgroup_panels(
    inputs: ReportInputs, measured: Sequence[Measurement], key: str
) -> Iterator[FigurePanel]:
    """Yield a panel for the classes, and one for each group column, at a telling budget.

    One attack speaks for each norm that a rule bounds (or for the first norm): the strongest.
    """
    index = 0
    for m in _speakers(inputs, measured):
        for about, parts in _breakdowns(m):
            yield _panel_victims(inputs, m, (about, parts), f"{key}-{index}")
            index += 1


def choose_telling_budget(readings: Sequence[Measurement]) -> Measurement:
    """Return the largest budget that breaks some rows and not all, or else the middle one."""
    grown = sorted(readings, key=lambda m: first_coordinate(m, "eps", "words") or 0.0)
    between = [m for m in grown if LEAST < (interval_ends(m) or (0.0,))[0] < MOST]
    return between[-1] if between else grown[len(grown) // 2]


def _speakers(inputs: ReportInputs, measured: Sequence[Measurement]) -> Iterator[Measurement]:
    curves: dict[tuple[str, str], list[Measurement]] = {}
    for m in measured:
        if m.metric == "robust_accuracy" and not m.slice and list(_breakdowns(m)):
            curves.setdefault((str(m.params.get("norm", "")), m.check), []).append(m)
    bounded = {rule.check for rule in inputs.policy.rules if rule.metric == "robust_accuracy"}
    norms = sort_norms(norm for norm, check in curves if check in bounded)
    for norm in norms or sort_norms(norm for norm, _ in curves)[:1]:
        mine = [readings for (of, _), readings in curves.items() if of == norm]
        yield choose_telling_budget(min(mine, key=_strength))


def _strength(readings: Sequence[Measurement]) -> float:
    return sum((interval_ends(m) or (1.0,))[0] for m in readings) / len(readings)


def _breakdowns(m: Measurement) -> Iterator[tuple[str, list[Part]]]:
    by_group = m.details.get("by_group")
    columns = dict(by_group) if isinstance(by_group, Mapping) else {}
    for about, listed in {"class": m.details.get("by_class"), **columns}.items():
        parts = _parts(listed)
        if len(parts) > 1:
            yield about, parts


def _parts(listed: object) -> list[Part]:
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        return []
    numbers = ("value", "low", "high", "rows")
    return [
        part
        for part in listed
        if isinstance(part, Mapping)
        if all(isinstance(part.get(name), int | float) for name in numbers)
    ]


def _panel_victims(
    inputs: ReportInputs, m: Measurement, breakdown: tuple[str, list[Part]], key: str
) -> FigurePanel:
    about, parts = breakdown
    eps = first_coordinate(m, "eps")
    norm = str(m.params.get("norm", ""))
    budget = format_coordinates(m.params) if eps is None else format_change_size(norm, eps)
    title = f"Robust accuracy by {about}"
    shown = parts[:MOST_PARTS]
    rows = [
        IntervalRow(str(part.get("name", "")), *_numbers(part), doubted=m.doubted) for part in shown
    ]
    hidden = len(parts) - len(shown)
    more = f" {hidden} more, none less robust, are in the table only." if hidden else ""
    return FigurePanel(
        title=title,
        target=m.target,
        caption=f"Accuracy under {series_name(inputs, m.check)}, at a budget of {budget}, the "
        f"least robust first. Each interval holds for that {_one(about)} alone.{more}",
        drawing=draw_interval_rows(key, title, rows, Unit.SHARE),
        header=SUBGROUP_HEADER,
        rows=tuple(_row_victims(part) for part in parts),
        notes=list_doubts([m]),
    )


def _one(about: str) -> str:
    return "class" if about == "class" else "group"


def _numbers(part: Part) -> tuple[float, float, float]:
    value, low, high = (float(str(part[name])) for name in ("value", "low", "high"))
    return value, low, high


def _row_victims(part: Part) -> tuple[str, ...]:
    value, low, high = (f"{number * 100:.1f} %" for number in _numbers(part))
    return (
        str(part.get("name", "")),
        value,
        join_interval(low, high),
        format_count(int(str(part["rows"]))),
    )


METRICS = ("min_breaking_eps", "median_distance")
HALF = 0.5
ROOM = 1.15
BREAKING_HEADER = ("Kind of change", "By", "Half of the rows break at", "Interval", "How sure")
BREAKING_CAPTION = (
    "The median over rows, those that are wrong anyway at 0. An attack says at most: a stronger "
    "one may need less. A proof says at least."
)


def breaking_size_panels(
    inputs: ReportInputs, measured: Sequence[Measurement], key: str
) -> Iterator[FigurePanel]:
    """Yield one panel with a strip for each norm that has such a figure."""
    found = [
        m for m in measured if m.metric in METRICS and not m.slice and interval_ends(m) is not None
    ]
    if not found:
        return
    norms = (*sort_norms(norm for m in found if (norm := _norm(m))), "")
    groups = [[m for m in found if _norm(m) == norm] for norm in norms]
    strips = [_strip(inputs, _strongest_breaking(group)) for group in groups if group]
    title = "Smallest change that breaks half of the rows"
    yield FigurePanel(
        title=title,
        target=found[0].target,
        caption=BREAKING_CAPTION,
        drawing=draw_strips(key, title, strips),
        header=BREAKING_HEADER,
        rows=tuple(_row_breaking(inputs, m) for group in groups for m in group),
        notes=list_doubts(found),
    )


def _strongest_breaking(group: Sequence[Measurement]) -> list[Measurement]:
    """Keep one figure of each check that runs several attacks: the smallest change."""
    least = {
        m.check: m
        for m in sorted(group, key=lambda m: -(interval_ends(m) or (0.0,))[0])
        if _several(m)
    }
    return [m for m in group if not _several(m) or least[m.check] is m]


def _several(m: Measurement) -> bool:
    return "attack" in m.params


def _strip(inputs: ReportInputs, group: Sequence[Measurement]) -> PlotStrip:
    spans = tuple(_span(inputs, m) for m in group)
    drawn = [span for span in spans if not span.words]
    values = [span.value for span in drawn]
    near = [span.high for span in drawn if span.high <= 2 * max(values)]
    most = max([*values, *near], default=1.0) * ROOM or 1.0
    words = NORMS.get(_norm(group[0]))
    unit = "share of the range" if words is None else words.unit
    title = "Other changes" if words is None else describe_norm(_norm(group[0])).capitalize()
    return PlotStrip(f"{title} ({unit})", spans, most, unit)


def _span(inputs: ReportInputs, m: Measurement) -> StripSpan:
    value, low, high = interval_ends(m) or (0.0, 0.0, 0.0)
    proved = m.bound is BoundKind.AT_LEAST
    unbroken = m.details.get("unbroken_share")
    standing = isinstance(unbroken, int | float) and unbroken > HALF and not proved
    method = str(m.params.get("method", m.params.get("attack", "")))
    if m.bound is BoundKind.AT_LEAST:
        name_breaking = f"proved ({method})" if method else "proved"
    else:
        name_breaking = method or series_name(inputs, m.check)
    return StripSpan(
        name=name_breaking,
        value=value,
        low=low,
        high=high,
        series="proven" if proved else "series-0",
        doubted=m.doubted,
        words=_none(m, unbroken) if standing else "",
    )


def _none(m: Measurement, unbroken: object) -> str:
    largest = m.details.get("largest_eps")
    share = float(unbroken) * 100 if isinstance(unbroken, int | float) else 100.0
    at = (
        format_change_size(_norm(m), largest) if isinstance(largest, int | float) else "the largest"
    )
    return f"not found: {share:.0f} % still right at {at}"


def _row_breaking(inputs: ReportInputs, m: Measurement) -> tuple[str, ...]:
    value, low, high = interval_ends(m) or (0.0, 0.0, 0.0)
    words = BOUNDS[m.bound] + format_change_size(_norm(m), value)
    span = _span(inputs, m)
    interval = f"{low:.3g}{DASH}{high:.3g}"
    about = describe_norm(_norm(m)) if _norm(m) else series_name(inputs, m.check)
    return about, span.name, span.words or words, interval, format_figure_cells(m)[-1]


MOST_ATTACKS = 5
MOST_FEATURES = 6
MINUS = "\N{MINUS SIGN}"
MOVE_HEADER = ("Attack", "Feature", "Rows in which it moved", "Mean change where it moved")
MOVE_CAPTION = (
    "The share of broken rows in which a feature moved, and by how much of its range on average "
    "where it moved; a sign says which way. Attacks that move the fewest features come first."
)


@dataclass(frozen=True, slots=True)
class FeatureMove:
    """One feature that an attack moves."""

    feature: str
    share: float
    far: str


def move_panels(
    inputs: ReportInputs, measured: Sequence[Measurement], key: str
) -> Iterator[FigurePanel]:
    """Yield one panel that holds every attack whose details say what moved."""
    found: dict[str, tuple[FeatureMove, ...]] = {}
    for m in measured:
        moves = _moves(m.details.get("moved"))
        if moves and not m.slice:
            name = str(m.params.get("attack", series_name(inputs, m.check)))
            found.setdefault(name[:1].upper() + name[1:], moves)
    if not found:
        return
    fewest = sorted(found.items(), key=lambda item: sum(move.share for move in item[1]))
    shown = fewest[:MOST_ATTACKS]
    title = "Features that attacks change"
    hidden = len(fewest) - len(shown)
    yield FigurePanel(
        title=title,
        target=measured[0].target,
        caption=MOVE_CAPTION + (f" {hidden} more attacks are in the table only." if hidden else ""),
        drawing=draw_bars(key, title, [(name, _bars(moves)) for name, moves in shown]),
        header=MOVE_HEADER,
        rows=tuple(
            (name, move.feature, _percent(move.share), move.far)
            for name, moves in fewest
            for move in moves
        ),
    )


def _moves(listed: object) -> tuple[FeatureMove, ...]:
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        return ()
    return tuple(
        FeatureMove(
            str(item.get("feature", "")), float(share), _far(item.get("mean_change"), share)
        )
        for item in listed
        if isinstance(item, Mapping)
        if isinstance(share := item.get("share"), int | float)
    )


def _far(told: object, share: float) -> str:
    """Write how far a feature moved where it moved.

    One number is a mean over all broken rows; columns that move together are a choice.
    """
    if isinstance(told, Mapping):
        sizes = [item for item in told.values() if isinstance(item, int | float)]
        signed = f"{sizes[0]:+.2g}" if len(sizes) == 1 else "another choice"
        return signed.replace("-", MINUS)
    return f"{told / share:.2g}" if isinstance(told, int | float) and share > 0 else ""


def _bars(moves: Sequence[FeatureMove]) -> list[ShareBar]:
    return [
        ShareBar(move.feature, move.share, f"{_percent(move.share)}{_by(move)}")
        for move in moves[:MOST_FEATURES]
    ]


def _by(move: FeatureMove) -> str:
    if not move.far:
        return ""
    return f", by {move.far}" if any(letter.isdigit() for letter in move.far) else f", {move.far}"


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"
