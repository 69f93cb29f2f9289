"""Accuracy by the size of the change: what attacks found, and what was proved, norm by norm."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from auditor.domain.readings import Bound, Measurement
from auditor.rendering.changes import about, axis_name, ordered
from auditor.rendering.figures.doubts import doubts, series_name
from auditor.rendering.figures.effort import effort_note
from auditor.rendering.figures.panel import Panel, coordinate, ends, said
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.numbers import scalar
from auditor.rendering.phrases import coordinates
from auditor.rendering.plots.marks import SERIES
from auditor.rendering.plots.robustness import (
    Chart,
    Curve,
    CurvePoint,
    LimitMark,
    robustness_plot,
)

ATTACKED, PROVED = "robust_accuracy", "certified_accuracy"
SMOOTHING = "smoothing"
HEADER = ("By", "Budget (eps)", "Accuracy", "Interval", "How sure")
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
class Place:
    """A reading with the budget that it holds at."""

    m: Measurement
    eps: float
    point: CurvePoint


@dataclass(frozen=True, slots=True)
class Plane:
    """The readings that one plot shows together: of one norm, or of one check without any."""

    norm: str
    check: str
    places: tuple[Place, ...]

    def of(self, metric: str) -> tuple[Place, ...]:
        """Return the places of one metric."""
        return tuple(place for place in self.places if place.m.metric == metric)


def attack_panels(
    inputs: RenderedInputs, measured: Sequence[Measurement], key: str
) -> Iterator[Panel]:
    """Yield a panel for each norm, then one for each smoothed classifier."""
    places = _places(measured)
    plain = [place for place in places if place.m.params.get("method") != SMOOTHING]
    for index, plane in enumerate(_planes(plain)):
        yield _panel(inputs, measured, plane, f"{key}-{index}")
    smoothed = [place for place in places if place.m.params.get("method") == SMOOTHING]
    for index, plane in enumerate(_planes(smoothed)):
        yield _smoothed(inputs, plane, f"{key}-smoothed-{index}")


def _places(measured: Sequence[Measurement]) -> list[Place]:
    found = []
    for m in measured:
        eps, of = coordinate(m, "eps", "radius"), ends(m)
        if m.metric in {ATTACKED, PROVED} and not m.slice and eps is not None and of is not None:
            found.append(Place(m, eps, CurvePoint(eps, *of, doubted=m.doubted)))
    return sorted(found, key=lambda place: place.eps)


def _planes(places: Sequence[Place]) -> Iterator[Plane]:
    """Group places by norm; those of a check that names none stand alone."""
    norms = ordered(norm for place in places if (norm := _norm(place.m)))
    for norm in norms:
        mine = tuple(place for place in places if _norm(place.m) == norm)
        yield Plane(norm, mine[0].m.check, mine)
    alone = dict.fromkeys(place.m.check for place in places if not _norm(place.m))
    for check in alone:
        mine = tuple(p for p in places if p.m.check == check and not _norm(p.m))
        yield Plane("", check, mine)


def _norm(m: Measurement) -> str:
    return str(m.params.get("norm", ""))


def _panel(
    inputs: RenderedInputs, measured: Sequence[Measurement], plane: Plane, key: str
) -> Panel:
    lines = [_curve(measured, places, name) for name, places in _series(inputs, plane)]
    curves = _strongest(lines)
    proofs = plane.of(PROVED)
    method = ", ".join(sorted({_method(place.m) for place in proofs} - {""}))
    proven = _curve(measured, proofs, f"proved{f' ({method})' if method else ''}")
    title = _title(inputs, plane)
    chart = Chart(
        title=title,
        x_name=axis_name(plane.norm),
        curves=curves,
        proven=proven if proofs else None,
        limits=_limits(inputs, plane),
    )
    hidden = len(lines) - len(curves)
    more = f" Attacks that found less ({hidden}) are in the table only." if hidden else ""
    return Panel(
        title=title,
        target=plane.places[0].m.target,
        caption=(_about_proofs(plane) + more).strip(),
        drawing=robustness_plot(key, chart),
        header=HEADER,
        rows=_rows(inputs, plane),
        notes=_notes(measured, plane),
    )


def _strongest(lines: Sequence[Curve]) -> tuple[Curve, ...]:
    """Return as many curves as a plot tells apart: those that found most, in their order."""
    left = {line.name: sum(p.value for p in line.points) / len(line.points) for line in lines}
    kept = sorted(lines, key=lambda line: left[line.name])[:SERIES]
    return tuple(line for line in lines if line in kept)


def _title(inputs: RenderedInputs, plane: Plane) -> str:
    start = "Accuracy under attack" if plane.of(ATTACKED) else "Accuracy that is proved"
    if plane.norm:
        return f"{start}: {about(plane.norm)}"
    return f"{start}: {series_name(inputs, plane.check)}"


def _about_proofs(plane: Plane) -> str:
    """Say what a proof is, and whether it is of the rows that were attacked."""
    proved, attacked = ({place.m.n for place in plane.of(name)} for name in (PROVED, ATTACKED))
    if not proved:
        return ""
    if not attacked or proved & attacked:
        return PROVEN
    return PROVEN + OTHER_ROWS.format(proved=max(proved), attacked=max(attacked))


def _notes(measured: Sequence[Measurement], plane: Plane) -> tuple[str, ...]:
    attacked = [place.m for place in plane.of(ATTACKED)]
    checks = {m.check for m in attacked}
    medians = [
        m
        for m in measured
        if m.metric == "min_breaking_eps" and m.check in checks and _norm(m) == plane.norm
    ]
    effort = effort_note(plane.norm, attacked, medians)
    return (*doubts([place.m for place in plane.places]), *([effort] if effort else []))


def _smoothed(inputs: RenderedInputs, plane: Plane, key: str) -> Panel:
    named = list(_series(inputs, plane, PROVED))[:SERIES]
    title = "Accuracy that is certified for the smoothed classifier"
    curves = tuple(Curve(f"certified, {name}", _pooled(places)) for name, places in named)
    chart = Chart(title=title, x_name=axis_name(plane.norm), curves=curves)
    return Panel(
        title=title,
        target=plane.places[0].m.target,
        caption=f"{SMOOTHED} Each mark is the least accuracy that it has.",
        drawing=robustness_plot(key, chart),
        header=HEADER,
        rows=_rows(inputs, plane),
        notes=doubts([place.m for place in plane.places]),
    )


def _series(
    inputs: RenderedInputs, plane: Plane, metric: str = ATTACKED
) -> Iterator[tuple[str, tuple[Place, ...]]]:
    """Yield what belongs on one line: a check's attacks, pooled where it names several."""
    lines: dict[tuple[str, str], list[Place]] = {}
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
    return coordinates({name: value for name, value in m.params.items() if name not in shared})


def _curve(measured: Sequence[Measurement], places: Sequence[Place], name: str) -> Curve:
    check = places[0].m.check if places else ""
    clean = next((m for m in measured if m.check == check and m.metric == "clean_accuracy"), None)
    found = None if clean is None else ends(clean)
    start = None if found is None else CurvePoint(0.0, *found)
    return Curve(name, _pooled(places), start)


def _pooled(places: Sequence[Place]) -> tuple[CurvePoint, ...]:
    """Return one point a budget, of several bounds the one that says most."""
    found: dict[float, CurvePoint] = {}
    for place in places:
        other, upper = found.get(place.eps), place.m.bound is Bound.AT_MOST
        nearer = other is None or (place.point.value < other.value) == upper
        if nearer and (other is None or place.point.value != other.value):
            found[place.eps] = place.point
    return tuple(found.values())


def _limits(inputs: RenderedInputs, plane: Plane) -> tuple[LimitMark, ...]:
    checks = {(place.m.check, place.m.metric) for place in plane.places}
    marks = {
        (float(eps), rule.limits.least)
        for rule in inputs.policy.rules
        if (rule.check, rule.metric) in checks
        if rule.where.get("norm", plane.norm) == plane.norm
        if rule.limits is not None and rule.limits.least is not None
        if isinstance(eps := rule.where.get("eps"), int | float)
    }
    return tuple(LimitMark(eps, least) for eps, least in sorted(marks))


def _rows(inputs: RenderedInputs, plane: Plane) -> tuple[tuple[str, ...], ...]:
    """Return attack after attack, each by growing budget, and proofs last."""
    rows = [(place.m.metric == PROVED, _who(inputs, place.m), place) for place in plane.places]
    order = list(dict.fromkeys(who for _, who, _ in rows))
    rows.sort(key=lambda row: (row[0], order.index(row[1])))
    return tuple((who, scalar(place.eps), *said(place.m)) for _, who, place in rows)


def _who(inputs: RenderedInputs, m: Measurement) -> str:
    more = [str(m.params[name]) for name in ("attack", "method") if name in m.params]
    name = "proved" if m.metric == PROVED else series_name(inputs, m.check)
    return ", ".join([name, *more, *filter(None, [_apart(m)])])


def _method(m: Measurement) -> str:
    return str(m.params.get("method", ""))
