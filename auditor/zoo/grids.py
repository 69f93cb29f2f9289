"""Specimens in pairs: for each planted one a clean twin, over architectures and seeds."""

from collections.abc import Iterable, Sequence
from itertools import product

from auditor.zoo.specimens import Specimen


def pairs(
    family: str,
    defects: Iterable[tuple[str, float | None]],
    architectures: Sequence[str],
    seeds: Iterable[int],
) -> tuple[Specimen, ...]:
    """Return every defect with its strength in every architecture with every seed, and its twin."""
    return tuple(
        Specimen(family, defect, architecture, seed, planted, strength)
        for (defect, strength), architecture, seed in product(defects, architectures, seeds)
        for planted in (True, False)
    )
