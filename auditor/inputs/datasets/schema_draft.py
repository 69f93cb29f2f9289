"""Drafts a schema of a table: what kind of values each column holds, and within which range."""

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import yaml

from auditor._yaml import write_number
from auditor.domain.column_names import is_protected_name, split_name
from auditor.domain.guesses import Confidence
from auditor.domain.json import Json
from auditor.domain.tasks import Array, FeatureKind, Floats
from auditor.inputs.datasets.schema import DRAFTED

MOST_CODES = 8
"""Whole numbers of at most so many distinct values are drafted as categories."""
LEAST_ROWS_A_CODE = 5
COUNTS = frozenset(
    {"n", "num", "number", "count", "counts", "children", "rooms", "year", "years", "days", "age"}
)
"""Words of names of columns that count, as a plural does: few whole numbers are not codes there."""
SINGULAR = ("ss", "us", "is")
"""Ends of words such as class, status and basis, which are no plural."""
PAST = frozenset({"history", "past", "previous", "prior", "birth", "born", "ever", "since"})
"""Words of names of columns that say what has happened already."""
TWO = 2
FEWEST_STEPS = 5
ROUND_STEPS = (1, 2, 5)
USUAL_DOMAINS = ((0.0, 1.0), (0.0, 255.0))
MOST_COLUMNS = 256
"""An array of more columns has one range: no person reads so many lines."""
OTHER_SCALE = 4
HEAD = f"""\
{DRAFTED}{{data}}. The order of the features is the order of the model's inputs.
# Check every line: attacks move values within these ranges, so a range that is too narrow, or a
# column that is wrongly immutable, makes the model look more robust than it is.
features:
"""


@dataclass(frozen=True, slots=True)
class DraftedFeature:
    """A feature as it is drafted, with the evidence for its kind, and for being immutable."""

    name: str
    kind: FeatureKind
    evidence: str
    confidence: Confidence
    range: tuple[float, float] | None = None
    categories: tuple[float, ...] = ()
    nullable: bool = False
    immutable: str = ""
    one_hot: str | None = None

    def to_json(self) -> dict[str, Json]:
        """Return the settings as a schema has them, without the name."""
        found: dict[str, Json] = {"kind": self.kind.value}
        if self.range is not None:
            found["range"] = list(self.range)
        if self.categories:
            found["categories"] = list(self.categories)
        if self.one_hot is not None:
            found["one_hot"] = self.one_hot
        flags = {"nullable": self.nullable, "immutable": bool(self.immutable)}
        return {**found, **{name: True for name, flag in flags.items() if flag}}


def draft_features(columns: Mapping[str, pl.Series]) -> tuple[DraftedFeature, ...]:
    """Return a feature for each column of numbers, in their order."""
    values = {name: to_floats(column) for name, column in columns.items()}
    drafted = [_draft(name, numbers) for name, numbers in values.items()]
    for prefix, names in _one_hot_groups(drafted, values):
        words = f"exactly one of {len(names)} columns {prefix}_… is 1 in every row"
        drafted = [
            replace(item, one_hot=prefix, evidence=f"{item.evidence}; {words}")
            if item.name in names
            else item
            for item in drafted
        ]
    return tuple(drafted)


def draft_domain(low: float, high: float) -> tuple[float, float] | None:
    """Return the usual range of pixels that the data fill, else theirs, rounded outwards."""
    for usual in USUAL_DOMAINS:
        if usual[0] <= low <= high <= usual[1] and high > usual[1] / 2:
            return usual
    return round_outwards(low, high) if low < high else None


def find_other_scale(inputs: Array) -> float | None:
    """Return the factor from the usual range of pixels that all values fill to the other one."""
    if inputs.dtype.kind not in "iuf" or not inputs.size or not np.isfinite(inputs).all():
        return None
    one, bytes_ = (usual[1] for usual in USUAL_DOMAINS)
    domain = draft_domain(float(inputs.min()), float(inputs.max()))
    return {(0.0, one): bytes_, (0.0, bytes_): 1 / bytes_}.get(domain) if domain else None


def list_array_columns(inputs: Array) -> dict[str, pl.Series]:
    """Return the columns of ``[n, columns]`` by place, if their scales differ; else none.

    One range for all would be far too wide for most of them. Pixels have one scale.
    """
    if (
        inputs.ndim != TWO
        or inputs.dtype.kind not in "biuf"
        or not 1 < inputs.shape[1] <= MOST_COLUMNS
    ):
        return {}
    values = inputs.astype(np.float64)
    if not len(values) or not np.isfinite(values).all():
        return {}
    widths = np.ptp(values, axis=0)
    moving = widths[widths > 0]
    if not moving.size or np.median(moving) >= np.ptp(values) / OTHER_SCALE:
        return {}
    return {f"x{place}": pl.Series(column) for place, column in enumerate(values.T)}


def write_schema(features: Sequence[DraftedFeature], data: str) -> str:
    """Return the YAML of a schema, with the evidence of every guess as a comment."""
    shown = "".join(f"{line}\n" for item in features for line in _lines(item))
    return HEAD.format(data=_plain(data)) + shown


def _lines(feature: DraftedFeature) -> Iterator[str]:
    written = [f"name: {_quoted(feature.name)}", f"kind: {feature.kind.value}"]
    if feature.range is not None:
        written.append(
            f"range: [{write_number(feature.range[0])}, {write_number(feature.range[1])}]"
        )
    if feature.categories:
        written.append(f"categories: [{', '.join(map(write_number, feature.categories))}]")
    if feature.nullable:
        written.append("nullable: true")
    if feature.immutable:
        written.append("immutable: true")
    if feature.one_hot is not None:
        written.append(f"one_hot: {_quoted(feature.one_hot)}")
    why = _plain(feature.evidence)
    yield f"  # {feature.confidence.mark}: {why} → {feature.kind.value}"
    if feature.immutable:
        sure = feature.confidence is Confidence.CONFIRMED
        mark = Confidence.CONFIRMED.mark if sure else Confidence.LOW.mark
        yield f"  # {mark}: {feature.immutable} → immutable"
    yield f"  - {{{', '.join(written)}}}"


def to_floats(column: pl.Series) -> Floats:
    """Return a column as float64, NaN where it is missing."""
    if column.dtype == pl.String:
        column = column.str.strip_chars()
    found: Floats = column.cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy()
    return found.astype(np.float64)


def _draft(name: str, numbers: Floats) -> DraftedFeature:
    known = numbers[np.isfinite(numbers)]
    nullable = len(known) < len(numbers)
    kind = _guess_kind(name, known)
    missing = f"; missing in {len(numbers) - len(known)} of {len(numbers)} rows" if nullable else ""
    return replace(
        kind, evidence=kind.evidence + missing, nullable=nullable, immutable=_reason(name)
    )


def _guess_kind(name: str, known: Floats) -> DraftedFeature:
    distinct = np.unique(known)
    low, high = (float(distinct[0]), float(distinct[-1])) if distinct.size else (0.0, 0.0)
    spans = f"{write_number(low)} to {write_number(high)} in {len(known)} rows"
    whole = bool((distinct == np.round(distinct)).all())
    if distinct.size == TWO and (low, high) == (0.0, 1.0):
        return DraftedFeature(name, FeatureKind.BINARY, "only 0 and 1", Confidence.HIGH)
    if distinct.size < TWO:
        words = f"every row holds {write_number(low)}"
        around = (low - 1, low + 1)
        return DraftedFeature(name, FeatureKind.NUMERIC, words, Confidence.LOW, around)
    few = distinct.size <= MOST_CODES and len(known) >= LEAST_ROWS_A_CODE * distinct.size
    if whole and few and not _counts(name):
        codes = tuple(float(item) for item in distinct)
        words = f"{distinct.size} values, all whole numbers"
        return DraftedFeature(
            name, FeatureKind.CATEGORICAL, words, Confidence.LOW, categories=codes
        )
    bounds = round_outwards(low, high, whole=whole)
    if whole:
        words = f"whole numbers, {spans}, rounded outwards"
        return DraftedFeature(name, FeatureKind.INTEGER, words, Confidence.MEDIUM, bounds)
    words = f"numbers, {spans}, rounded outwards"
    return DraftedFeature(name, FeatureKind.NUMERIC, words, Confidence.MEDIUM, bounds)


def _counts(name: str) -> bool:
    """Return whether the name of a column counts things, as ``n_rooms`` and ``late_payments``."""
    words = split_name(name)
    many = name.lower().endswith("s") and not name.lower().endswith(SINGULAR)
    return many or not COUNTS.isdisjoint(words)


def _reason(name: str) -> str:
    """Return why a column looks as if nobody could change it, or nothing."""
    if is_protected_name(name):
        return "the name says who a person is"
    return "the name speaks of the past" if not PAST.isdisjoint(split_name(name)) else ""


def round_outwards(low: float, high: float, *, whole: bool = False) -> tuple[float, float]:
    """Return round bounds that are no narrower than the data, and keep the sign of all values.

    They are multiples of 1, 2 or 5 times a power of ten, so that few are 40 % wider than the data:
    attacks move inputs by shares of their range.
    """
    if not math.isfinite(high - low):
        return low, high
    least = max((high - low) / FEWEST_STEPS, sys.float_info.min)
    power = 10.0 ** math.floor(math.log10(least))
    # The logarithm can be rounded up, and then no multiple of the power is small enough.
    step = max([power, *(size * power for size in ROUND_STEPS if size * power <= least)])
    step = max(step, 1.0) if whole else step
    below, above = math.floor(low / step) * step, math.ceil(high / step) * step
    least, most = float(f"{below:.12g}"), float(f"{above:.12g}")
    return min(least, low), max(most, high)


def _one_hot_groups(
    drafted: Sequence[DraftedFeature], values: Mapping[str, Floats]
) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield the binary columns of a common prefix of which exactly one is 1 in every row.

    Names of levels may hold underscores, so that every prefix is tried, the longest first.
    """
    prefixes: dict[str, list[str]] = {}
    for item in drafted:
        ends = [at for at, sign in enumerate(item.name) if sign == "_" and at]
        for end in ends if item.kind is FeatureKind.BINARY else ():
            prefixes.setdefault(item.name[:end], []).append(item.name)
    reasons = {item.name: item.immutable for item in drafted}
    taken: set[str] = set()
    for prefix in sorted(prefixes, key=len, reverse=True):
        names = [name for name in prefixes[prefix] if name not in taken]
        if len(names) <= 1:
            continue
        total = np.sum([values[name] for name in names], axis=0)
        same = len({bool(reasons[name]) for name in names}) == 1
        if same and (total == 1).all():
            taken.update(names)
            yield prefix, frozenset(names)


def _quoted(text: str) -> str:
    dumped = yaml.safe_dump(text, default_style='"', width=float("inf"), allow_unicode=True)
    return dumped.strip()


def _plain(text: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in text)
