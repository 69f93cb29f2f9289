"""Numbers as people read them: true after rounding, and never finer than they are known."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal

from auditor.domain.canonical import Json
from auditor.domain.readings import Bound, Measurement, Unit

DASH = "\N{EN DASH}"
COMMA_FROM = 10_000
MOST_DIGITS = 6
EXACT_DIGITS = 4
SIDE_DIGITS = 17
"""As many as may be needed to stand on the right side of a limit."""
WIDE = Context(prec=400)
"""Holds every digit of the largest float with all its decimals."""
_VALUE_ROUNDING = {
    Bound.ESTIMATE: ROUND_HALF_EVEN,
    Bound.AT_MOST: ROUND_CEILING,
    Bound.AT_LEAST: ROUND_FLOOR,
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
class Scale:
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
    (1.0, Scale(_ONE, " s")),
    (1e-3, Scale(Decimal(1000), " ms")),
    (0.0, Scale(Decimal(1_000_000), " µs")),
)
_BYTES = (
    (2.0**30, Scale(_ONE / 2**30, " GiB")),
    (2.0**20, Scale(_ONE / 2**20, " MiB")),
    (2.0**10, Scale(_ONE / 2**10, " KiB")),
    (0.0, Scale(_ONE, " B")),
)
_FIXED = {
    Unit.SHARE: Scale(Decimal(100), " %"),
    Unit.PER_SECOND: Scale(_ONE, " per second"),
    Unit.NAT: Scale(_ONE, " nat"),
    Unit.COUNT: Scale(_ONE, ""),
    Unit.NONE: Scale(_ONE, ""),
}


def scale_of(unit: Unit, magnitude: float) -> Scale:
    """Return how figures of that unit and size are written."""
    steps = {Unit.SECOND: _SECONDS, Unit.BYTE: _BYTES}.get(unit)
    if steps is None:
        return _FIXED[unit]
    return next(scale for least, scale in steps if abs(magnitude) >= least)


@dataclass(frozen=True, slots=True)
class Figure:
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


def figure(measurement: Measurement, limits: Iterable[float] = ()) -> Figure:
    """Put a measurement into words; rounding never moves a figure across one of ``limits``."""
    value = measurement.value
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return Figure(_plain(value), "", f"n = {count(measurement.n)}" if measurement.n else "")
    ends = _ends(measurement)
    scale = scale_of(measurement.unit, value)
    rounding = _VALUE_ROUNDING[measurement.bound]
    parts = [(value, rounding)]
    if ends is not None:
        parts += [(ends[0], ROUND_FLOOR), (ends[1], ROUND_CEILING)]
    digits = _digits(scale, parts, tuple(limits))
    texts = [scale.write(number, digits, how) for number, how in parts]
    # A dash between numbers below zero would read as one more sign.
    between = " to " if any(text.startswith("-") for text in texts[1:]) else DASH
    interval = between.join(texts[1:])
    sure = _sureness(measurement, interval=bool(interval))
    return Figure(texts[0], interval, sure, _rounded(scale, measurement.bound, value, digits))


def number(value: float, unit: Unit = Unit.NONE) -> str:
    """Write a number that stands alone, such as a limit, with no more digits than it has."""
    scale = scale_of(unit, value)
    digits = _shortest(scale, value, MOST_DIGITS)
    return scale.write(value, digits)


def scalar(value: Json) -> str:
    """Write a parameter or a coordinate."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return _plain(value)
    if isinstance(value, int):
        return count(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def exact(value: float | bool | str | None) -> str:  # noqa: FBT001 -- a value to write, not a switch
    """Write a figure for machines: every digit that it has."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value)


def count(value: int) -> str:
    """Write a whole number; a comma earns its place from five digits on."""
    return f"{value:,}" if abs(value) >= COMMA_FROM else str(value)


def percent(confidence: float) -> str:
    """Write a confidence level."""
    return number(confidence, Unit.SHARE)


def _plain(value: bool | str | None) -> str:  # noqa: FBT001 -- a value to write, not a switch
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "nothing" if value is None else value


def _ends(measurement: Measurement) -> tuple[float, float] | None:
    if measurement.low is None or measurement.high is None:
        return None
    return measurement.low, measurement.high


def _rounded(scale: Scale, bound: Bound, value: float, digits: int) -> str:
    """Say from what a bound was rounded outward: judging wrote that figure into the record."""
    size = Decimal(repr(float(value))) * scale.factor
    most = max(0, EXACT_DIGITS - 1 - size.adjusted())
    finer = next((at for at in range(most) if scale.rounded(value, at) == size), most)
    if bound is Bound.ESTIMATE or finer <= digits:
        return ""
    way = "up" if bound is Bound.AT_MOST else "down"
    if scale.rounded(value, finer) == scale.rounded(value, digits, _VALUE_ROUNDING[bound]):
        return ""  # so near that the digits that are told do not tell the two apart
    return f"rounded {way} from {scale.write(value, finer)}"


def _sureness(measurement: Measurement, *, interval: bool) -> str:
    parts = []
    if interval and measurement.confidence is not None:
        parts.append(f"{percent(measurement.confidence)} confidence")
    if measurement.n:
        parts.append(f"n = {count(measurement.n)}")
    if interval and measurement.method:
        parts.append(METHODS.get(measurement.method, measurement.method))
    return ", ".join(parts)


def _digits(scale: Scale, parts: list[tuple[float, str]], limits: tuple[float, ...]) -> int:
    numbers = [value for value, _ in parts]
    width = (Decimal(repr(max(numbers))) - Decimal(repr(min(numbers)))) * scale.factor
    if len(parts) > 1 and width > 0:
        digits = min(MOST_DIGITS, max(0, -(width / 2).adjusted()))
    else:
        digits = _shortest(scale, numbers[0], EXACT_DIGITS)
    while digits < SIDE_DIGITS and not _on_their_side(scale, parts, limits, digits):
        digits += 1
    return digits


def _on_their_side(
    scale: Scale, parts: list[tuple[float, str]], limits: tuple[float, ...], digits: int
) -> bool:
    for value, rounding in parts:
        written = scale.rounded(value, digits, rounding)
        for limit in limits:
            exact = Decimal(repr(float(limit))) * scale.factor
            if (value > limit) != (written > exact) or (value < limit) != (written < exact):
                return False
    return True


def _shortest(scale: Scale, value: float, most: int) -> int:
    exact = Decimal(repr(float(value))) * scale.factor
    for digits in range(most):
        if scale.rounded(value, digits) == exact:
            return digits
    small = 0 if exact == 0 else max(0, -exact.adjusted())
    return min(MOST_DIGITS, max(2, small + 2)) if abs(exact) < 100 else 1  # noqa: PLR2004 -- three figures before the point need one after it
