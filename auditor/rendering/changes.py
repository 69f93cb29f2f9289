"""The size of a change in words, norm by norm."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class NormWords:
    """What a norm counts: as a title says it, as an axis says it, and after a number.

    ``unit`` is what numbers of an axis without a name of its own are in.
    """

    about: str
    axis: str
    unit: str
    one: str
    many: str


NORMS: Mapping[str, NormWords] = MappingProxyType(
    {
        "linf": NormWords(
            "every number changed a little",
            "most that one number changes, as a share of its range",
            "share of the range",
            "of the range",
            "of the range",
        ),
        "l2": NormWords(
            "changes small in sum of squares",
            "size of the whole change (L2), in ranges",
            "ranges",
            "range (L2)",
            "ranges (L2)",
        ),
        "l1": NormWords(
            "changes small in sum",
            "sum of all changes (L1), in ranges",
            "ranges in sum",
            "range in sum (L1)",
            "ranges in sum (L1)",
        ),
        "l0": NormWords(
            "a few places changed at will", "places that change (L0)", "places", "place", "places"
        ),
    }
)
"""In the order in which a reader meets them."""


def ordered(norms: Iterable[str]) -> tuple[str, ...]:
    """Return norms without repeats: known ones in our order, then others by name."""
    known = list(NORMS)
    found = sorted(set(norms), key=lambda norm: (norm not in NORMS, norm))
    return tuple(sorted(found, key=lambda norm: known.index(norm) if norm in NORMS else len(known)))


def about(norm: str) -> str:
    """Say what kind of change a norm allows."""
    words = NORMS.get(norm)
    return words.about if words else f"changes measured by {norm}" if norm else "changes"


def axis_name(norm: str) -> str:
    """Name the axis on which changes of a norm lie."""
    words = NORMS.get(norm)
    return words.axis if words else "budget of the attack (eps)"


def change_words(norm: str, size: float) -> str:
    """Write the size of a change with its unit: ``0.034 of the range``, ``2 places``."""
    words = NORMS.get(norm)
    number = f"{size:.3g}"
    if words is None:
        return f"{number} ({norm})" if norm else number
    return f"{number} {words.one if number == '1' else words.many}"
