"""How small a change breaks half of the rows, norm by norm, in the norm's own unit."""

from collections.abc import Iterator, Sequence

from auditor.domain.readings import Bound, Measurement
from auditor.rendering.changes import NORMS, about, change_words, ordered
from auditor.rendering.figures.doubts import doubts, series_name
from auditor.rendering.figures.panel import Panel, ends, said
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.numbers import DASH
from auditor.rendering.phrases import BOUNDS
from auditor.rendering.plots.strips import Span, Strip, strip_plot

METRICS = ("min_breaking_eps", "median_distance")
HALF = 0.5
ROOM = 1.15
HEADER = ("Kind of change", "By", "Half of the rows break at", "Interval", "How sure")
CAPTION = (
    "The median over rows, those that are wrong anyway at 0. An attack says at most: a stronger "
    "one may need less. A proof says at least."
)


def breaking_panels(
    inputs: RenderedInputs, measured: Sequence[Measurement], key: str
) -> Iterator[Panel]:
    """Yield one panel with a strip for each norm that has such a figure."""
    found = [m for m in measured if m.metric in METRICS and not m.slice and ends(m) is not None]
    if not found:
        return
    norms = (*ordered(norm for m in found if (norm := _norm(m))), "")
    groups = [[m for m in found if _norm(m) == norm] for norm in norms]
    strips = [_strip(inputs, _strongest(group)) for group in groups if group]
    title = "How small a change breaks half of the rows"
    yield Panel(
        title=title,
        target=found[0].target,
        caption=CAPTION,
        drawing=strip_plot(key, title, strips),
        header=HEADER,
        rows=tuple(_row(inputs, m) for group in groups for m in group),
        notes=doubts(found),
    )


def _strongest(group: Sequence[Measurement]) -> list[Measurement]:
    """Keep one figure of each check that runs several attacks: the smallest change."""
    least = {
        m.check: m for m in sorted(group, key=lambda m: -(ends(m) or (0.0,))[0]) if _several(m)
    }
    return [m for m in group if not _several(m) or least[m.check] is m]


def _several(m: Measurement) -> bool:
    return "attack" in m.params


def _norm(m: Measurement) -> str:
    return str(m.params.get("norm", ""))


def _about(inputs: RenderedInputs, m: Measurement) -> str:
    return about(_norm(m)) if _norm(m) else series_name(inputs, m.check)


def _strip(inputs: RenderedInputs, group: Sequence[Measurement]) -> Strip:
    spans = tuple(_span(inputs, m) for m in group)
    drawn = [span for span in spans if not span.words]
    values = [span.value for span in drawn]
    near = [span.high for span in drawn if span.high <= 2 * max(values)]
    most = max([*values, *near], default=1.0) * ROOM or 1.0
    words = NORMS.get(_norm(group[0]))
    unit = "share of the range" if words is None else words.unit
    title = "Other changes" if words is None else about(_norm(group[0])).capitalize()
    return Strip(f"{title} ({unit})", spans, most, unit)


def _span(inputs: RenderedInputs, m: Measurement) -> Span:
    value, low, high = ends(m) or (0.0, 0.0, 0.0)
    proved = m.bound is Bound.AT_LEAST
    unbroken = m.details.get("unbroken_share")
    standing = isinstance(unbroken, int | float) and unbroken > HALF and not proved
    return Span(
        name=_name(inputs, m),
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
    at = change_words(_norm(m), largest) if isinstance(largest, int | float) else "the largest"
    return f"not found: {share:.0f} % still right at {at}"


def _name(inputs: RenderedInputs, m: Measurement) -> str:
    method = str(m.params.get("method", m.params.get("attack", "")))
    if m.bound is Bound.AT_LEAST:
        return f"proved ({method})" if method else "proved"
    return method or series_name(inputs, m.check)


def _row(inputs: RenderedInputs, m: Measurement) -> tuple[str, ...]:
    value, low, high = ends(m) or (0.0, 0.0, 0.0)
    words = BOUNDS[m.bound] + change_words(_norm(m), value)
    span = _span(inputs, m)
    interval = f"{low:.3g}{DASH}{high:.3g}"
    return _about(inputs, m), span.name, span.words or words, interval, said(m)[-1]
