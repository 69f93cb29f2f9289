"""Where a check begins to see a defect: the same specimens, with the defect weaker and stronger."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

from auditor.zoo.specimens import Family, Scale, Specimen

EACH = 10
"""Specimens of a strength: as many as tell a half from nothing, and from all."""


@runtime_checkable
class Graded(Protocol):
    """A family whose defects, or some of them, can be made weaker and stronger."""

    @property
    def strengths(self) -> Mapping[str, Sequence[float]]:
        """Strengths to try by defect, in the order in which they are to be read."""


def visited(family: Family, scale: Scale) -> Sequence[Specimen]:
    """Return the specimens of a family that a selftest of a scale tries."""
    return curve(family) if scale is Scale.CURVE else family.specimens(scale)


def curve(family: Family) -> tuple[Specimen, ...]:
    """Return up to ``EACH`` planted specimens of every strength; of no defect without a strength.

    There are no clean twins, since those of a full selftest are theirs too. Seeds come before
    architectures, so that a few specimens are of all architectures.
    """
    if not isinstance(family, Graded):
        return ()
    return tuple(
        replace(one, strength=strength)
        for defect, strengths in family.strengths.items()
        for strength in strengths
        for one in _few(family, defect)
    )


def _few(family: Family, defect: str) -> Sequence[Specimen]:
    """Return planted specimens of a defect, each of another architecture or seed."""
    found = {
        (one.seed, one.architecture): one
        for one in family.specimens(Scale.FULL)
        if one.planted and one.defect == defect
    }
    return [found[key] for key in sorted(found)][:EACH]
