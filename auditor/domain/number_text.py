"""Number formatting for reports: values, intervals, percentages, and perturbation sizes by norm.

A rounded number never crosses its limit and never shows more digits than its precision supports.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from types import MappingProxyType

from auditor.domain.confusable_names import quote_unclear_name
from auditor.domain.json import Json
from auditor.domain.readings import BoundKind, Measurement, Unit

DASH = "\N{EN DASH}"
COMMA_FROM = 10_000
"""Of numbers that may be years or names."""
MOST_DIGITS = 6
EXACT_DIGITS = 4
SIDE_DIGITS = 17
"""As many as may be needed to stand on the right side of a limit."""
MOST_DIGITS_MORE = 2
"""So many more digits that one end needs beside its limit, the figure and the other end get too."""
WIDE = Context(prec=400)
"""Holds every digit of the largest float with all its decimals."""
_VALUE_ROUNDING = {
    BoundKind.ESTIMATE: ROUND_HALF_EVEN,
    BoundKind.AT_MOST: ROUND_CEILING,
    BoundKind.AT_LEAST: ROUND_FLOOR,
}
METHODS = {
    "clopper-pearson": f"Clopper{DASH}Pearson",
    "wilson": "Wilson",
    "bootstrap": "bootstrap",
    "bca-bootstrap": "BCa bootstrap",
    "newcombe": "Newcombe",
    "delong": "DeLong",
}


@dataclass(frozen=True, slots=True)
class NumberScale:
    """How figures of one size and unit are written: multiplied by ``factor``, then ``suffix``."""

    factor: Decimal
    suffix: str

    def write(self, value: float, digits: int, rounding: str = ROUND_HALF_EVEN) -> str:
        """Write one figure with ``digits`` decimals."""
        rounded = self.rounded(value, digits, rounding)
        return f"{rounded:,f}{self.suffix}"

    def rounded(self, value: float, digits: int, rounding: str = ROUND_HALF_EVEN) -> Decimal:
        """Return the figure as it will be written, as a number."""
        exact = Decimal(repr(float(value))) * self.factor
        rounded = exact.quantize(Decimal(1).scaleb(-digits), rounding=rounding, context=WIDE)
        return abs(rounded) if rounded == 0 else rounded


_ONE = Decimal(1)
_SECONDS = (
    (1.0, NumberScale(_ONE, " s")),
    (1e-3, NumberScale(Decimal(1000), " ms")),
    (0.0, NumberScale(Decimal(1_000_000), " µs")),
)
_BYTES = (
    (2.0**30, NumberScale(_ONE / 2**30, " GiB")),
    (2.0**20, NumberScale(_ONE / 2**20, " MiB")),
    (2.0**10, NumberScale(_ONE / 2**10, " KiB")),
    (0.0, NumberScale(_ONE, " B")),
)
_FIXED = {
    Unit.SHARE: NumberScale(Decimal(100), " %"),
    Unit.PER_SECOND: NumberScale(_ONE, " per second"),
    Unit.NAT: NumberScale(_ONE, " nat"),
    Unit.COUNT: NumberScale(_ONE, ""),
    Unit.NONE: NumberScale(_ONE, ""),
}


def find_scale(unit: Unit, magnitude: float) -> NumberScale:
    """Return how figures of that unit and size are written."""
    steps = {Unit.SECOND: _SECONDS, Unit.BYTE: _BYTES}.get(unit)
    if steps is None:
        return _FIXED[unit]
    return next(scale for least, scale in steps if abs(magnitude) >= least)


@dataclass(frozen=True, slots=True)
class FigureText:
    """A measurement in words: the value, the interval (or nothing), how sure that is, and from
    what a bound was rounded outward (or nothing).
    """

    value: str
    interval: str
    sure: str
    rounded: str = ""

    @property
    def whole(self) -> str:
        """Value, interval and sureness in one phrase."""
        said = "; ".join(text for text in (self.rounded, self.interval, self.sure) if text)
        return f"{self.value} ({said})" if said else self.value


def format_measurement(measurement: Measurement, limits: Iterable[float] = ()) -> FigureText:
    """Put a measurement into words; rounding never moves a figure across one of ``limits``."""
    value = measurement.value
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return FigureText(
            _plain(value), "", f"n = {format_count(measurement.n)}" if measurement.n else ""
        )
    if measurement.low is None or measurement.high is None:
        ends = None
    else:
        ends = measurement.low, measurement.high
    scale = find_scale(measurement.unit, value)
    rounding = _VALUE_ROUNDING[measurement.bound]
    parts = [(value, rounding)]
    if ends is not None:
        parts += [(ends[0], ROUND_FLOOR), (ends[1], ROUND_CEILING)]
    digits_limits = tuple(limits)
    numbers = [value for value, _ in parts]
    width = (Decimal(repr(max(numbers))) - Decimal(repr(min(numbers)))) * scale.factor
    if len(parts) > 1 and width > 0:
        digits = min(MOST_DIGITS, max(0, -(width / 2).adjusted()))
    else:
        digits = _shortest(scale, numbers[0], EXACT_DIGITS)
    each = [_count_digits(scale, *part, digits_limits, digits) for part in parts]
    shown = [scale.rounded(part[0], many, part[1]) for part, many in zip(parts, each, strict=True)]
    few = max(each) <= digits + MOST_DIGITS_MORE
    if few or not shown[1:] or not shown[1] <= shown[0] <= shown[2]:
        each = [max(each)] * len(parts)  # few digits may not move a figure out of its interval
    texts = [scale.write(part[0], many, part[1]) for part, many in zip(parts, each, strict=True)]
    interval = "" if ends is None else join_interval(*texts[1:])
    sureness_interval = bool(interval)
    sureness_parts = []
    if sureness_interval and measurement.confidence is not None:
        sureness_parts.append(f"{format_percent(measurement.confidence)} confidence")
    if measurement.n:
        sureness_parts.append(f"n = {format_count(measurement.n)}")
    if sureness_interval and measurement.method:
        sureness_parts.append(METHODS.get(measurement.method, measurement.method))
    sure = ", ".join(sureness_parts)
    return FigureText(texts[0], interval, sure, _rounded(scale, measurement.bound, value, each[0]))


def join_interval(low: str, high: str) -> str:
    """Join the written ends of an interval; a unit that both have stands once."""
    # A dash between numbers below zero would read as one more sign.
    between = " to " if low.startswith("-") or high.startswith("-") else DASH
    unit = "".join(high.partition(" ")[1:])
    return f"{low.removesuffix(unit)}{between}{high}"


def format_number(value: float, unit: Unit = Unit.NONE) -> str:
    """Write a number that stands alone, such as a limit, with no more digits than it has."""
    scale = find_scale(unit, value)
    digits = _shortest(scale, value, MOST_DIGITS)
    return scale.write(value, digits)


def format_scalar(value: Json) -> str:
    """Write a parameter or a coordinate."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return _plain(value)
    if isinstance(value, int):
        return format_count(value) if abs(value) >= COMMA_FROM else str(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def format_setting(value: Json) -> str:
    """Write a setting of an audit file without brackets, and quote names that could mislead."""
    if isinstance(value, Mapping):
        said = ((quote_unclear_name(name), format_setting(held)) for name, held in value.items())
        return ", ".join(f"{name} {held}" for name, held in said)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(format_setting(item) for item in value)
    return quote_unclear_name(value) if isinstance(value, str) else format_scalar(value)


def format_exact(value: float | bool | str | None) -> str:  # noqa: FBT001 -- a value to write, not a switch
    """Write a figure for machines: every digit that it has."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value)


def format_count(value: int) -> str:
    """Write a whole number, with commas between its thousands."""
    return f"{value:,}"


def format_counted(number: int, noun: str) -> str:
    """Write a number of things: ``1 rule``, ``2 queries``."""
    many = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else many}"


def format_percent(confidence: float) -> str:
    """Write a confidence level."""
    return format_number(confidence, Unit.SHARE)


def _plain(value: bool | str | None) -> str:  # noqa: FBT001 -- a value to write, not a switch
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "nothing" if value is None else value


def _rounded(scale: NumberScale, bound: BoundKind, value: float, digits: int) -> str:
    """Say from what a bound was rounded outward: judging wrote that figure into the record."""
    size = Decimal(repr(float(value))) * scale.factor
    most = max(0, EXACT_DIGITS - 1 - size.adjusted())
    finer = next((at for at in range(most) if scale.rounded(value, at) == size), most)
    if bound is BoundKind.ESTIMATE or finer <= digits:
        return ""
    way = "up" if bound is BoundKind.AT_MOST else "down"
    if scale.rounded(value, finer) == scale.rounded(value, digits, _VALUE_ROUNDING[bound]):
        return ""  # so near that the digits that are told do not tell the two apart
    return f"rounded {way} from {scale.write(value, finer)}"


def _count_digits(
    scale: NumberScale, value: float, rounding: str, limits: tuple[float, ...], digits: int
) -> int:
    """Return how many decimals, ``digits`` at least, leave a number on its side of each limit."""
    exact = [Decimal(repr(float(limit))) * scale.factor for limit in limits]
    while digits < SIDE_DIGITS:
        written = scale.rounded(value, digits, rounding)
        if all(
            (value > limit) == (written > there) and (value < limit) == (written < there)
            for limit, there in zip(limits, exact, strict=True)
        ):
            break
        digits += 1
    return digits


def _shortest(scale: NumberScale, value: float, most: int) -> int:
    exact = Decimal(repr(float(value))) * scale.factor
    for digits in range(most):
        if scale.rounded(value, digits) == exact:
            return digits
    small = 0 if exact == 0 else max(0, -exact.adjusted())
    return min(MOST_DIGITS, max(2, small + 2)) if abs(exact) < 100 else 1  # noqa: PLR2004 -- three figures before the point need one after it


@dataclass(frozen=True, slots=True)
class NormWording:
    """What a norm counts: as a title says it, as an axis says it, and after a number.

    ``unit`` is what numbers of an axis without a name of its own are in.
    """

    about: str
    axis: str
    unit: str
    one: str
    many: str


NORMS: Mapping[str, NormWording] = MappingProxyType(
    {
        "linf": NormWording(
            "L∞ (every feature changes a little)",
            "largest change of a feature (L∞), as a share of its range",
            "share of the range",
            "of the range",
            "of the range",
        ),
        "l2": NormWording(
            "L2 (small Euclidean distance)",
            "Euclidean size of the change (L2), in ranges",
            "ranges",
            "range (L2)",
            "ranges (L2)",
        ),
        "l1": NormWording(
            "L1 (small sum of changes)",
            "sum of all changes (L1), in ranges",
            "ranges (L1)",
            "range (L1)",
            "ranges (L1)",
        ),
        "l0": NormWording(
            "L0 (a few features change freely)",
            "number of changed features (L0)",
            "features",
            "feature",
            "features",
        ),
    }
)
"""In the order in which a reader meets them."""


def sort_norms(norms: Iterable[str]) -> tuple[str, ...]:
    """Return norms without repeats: known ones in our order, then others by name."""
    known = list(NORMS)
    found = sorted(set(norms), key=lambda norm: (norm not in NORMS, norm))
    return tuple(sorted(found, key=lambda norm: known.index(norm) if norm in NORMS else len(known)))


def describe_norm(norm: str) -> str:
    """Say what kind of change a norm allows."""
    words = NORMS.get(norm)
    return words.about if words else f"changes measured by {norm}" if norm else "changes"


def name_norm_axis(norm: str) -> str:
    """Name the axis on which changes of a norm lie."""
    words = NORMS.get(norm)
    return words.axis if words else "budget of the attack (eps)"


def format_change_size(norm: str, size: float) -> str:
    """Write the size of a change with its unit: ``0.034 of the range``, ``2 places``."""
    words = NORMS.get(norm)
    number = f"{size:.3g}"
    if words is None:
        return f"{number} ({norm})" if norm else number
    return f"{number} {words.one if number == '1' else words.many}"


def describe_extreme_groups(m: Measurement) -> str:
    """Say which two groups differ most and their figures; nothing for other measurements."""
    highest, lowest = m.details.get("highest"), m.details.get("lowest")
    if not isinstance(highest, str) or not isinstance(lowest, str):
        return ""
    counts = m.details.get("counts")
    named = counts if isinstance(counts, Mapping) else {}
    if named and _share(highest, named) == _share(lowest, named) is not None:
        return ""
    return f" Highest: {_group(highest, named)}; lowest: {_group(lowest, named)}."


def _group(name: str, counts: Mapping[str, Json]) -> str:
    share, held = _share(name, counts), counts.get(name)
    if share is None or not isinstance(held, Mapping):
        return name
    return f"{name} ({format_number(share, Unit.SHARE)} of {format_scalar(held['n'])})"


def _share(name: str, counts: Mapping[str, Json]) -> float | None:
    held = counts.get(name)
    if not isinstance(held, Mapping):
        return None
    k, n = held.get("k"), held.get("n")
    if not isinstance(k, int | float) or not isinstance(n, int | float) or not n:
        return None
    return k / n


def format_coordinates(params: Mapping[str, Json], slice_: Mapping[str, str] | None = None) -> str:
    """Say where a figure holds: parameters first, then the slice of the data."""
    named = dict(params)
    column, group = named.pop("group_column", None), named.pop("group", None)
    people = [] if column is None else [f"groups of {format_scalar(column)}"]
    if column is not None and group is not None:
        people = [f"{format_scalar(column)} = {format_scalar(group)}"]
    places = [_format_coordinate(name, value) for name, value in named.items()]
    places = [*people, *places, *(f"{name} = {value}" for name, value in (slice_ or {}).items())]
    return ", ".join(places)


def _format_coordinate(name: str, value: Json) -> str:
    if name == "norm" and value in NORMS:
        return NORMS[str(value)].about.partition(" ")[0]
    return f"{name.replace('_', ' ')} = {format_scalar(value)}"


MINUTE, HOUR, SHORT = 60, 3600, 10


def format_duration(seconds: float | None) -> str:
    """Write an estimated time as people do: ``2.7 s``, ``26 s``, ``5 min``, ``1 h 20 min``."""
    if seconds is None:
        return "unknown"
    if round(seconds, 1) < SHORT:
        return f"{seconds:.1f} s"
    if round(seconds) < MINUTE:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / MINUTE), MINUTE)
    parts = [f"{hours:,} h"] * (hours > 0) + [f"{minutes} min"] * (minutes > 0)
    return " ".join(parts)
