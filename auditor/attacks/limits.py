"""How far the coordinates of clean rows reach, and parts of that which are looked up when asked."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.norms import N
from auditor.domain.tasks import Array, Floats

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Limits:
    """``[n, ...]`` clean rows, and what each of their coordinates can reach alone.

    ``exact`` are the rows in double precision, as are ``lower`` and ``upper``; ``least`` and
    ``most`` are the same limits in the rows' own type.
    """

    clean: Array
    exact: Floats
    lower: Floats
    upper: Floats
    least: Array
    most: Array


@dataclass(frozen=True, eq=False)
class Within:
    """Limits of the rows at some places of ``whole`` (``None``: of all), each taken when asked for.

    Attacks leave rows out all the time, and most of them look at two or three of the arrays.
    """

    whole: Limits
    places: Places | None = None

    def take(self, rows: Places) -> Self:
        """Return the part for some of the rows."""
        return type(self)(self.whole, rows if self.places is None else self.places.take(rows))

    @cached_property
    def clean(self) -> Array:
        """The clean rows."""
        return self._own(self.whole.clean)

    @cached_property
    def lower(self) -> Floats:
        """The least that each coordinate can reach alone."""
        return self._own(self.whole.lower)

    @cached_property
    def upper(self) -> Floats:
        """The largest that each coordinate can reach alone."""
        return self._own(self.whole.upper)

    @cached_property
    def least(self) -> Array:
        """The least in the rows' own type."""
        return self._own(self.whole.least)

    @cached_property
    def most(self) -> Array:
        """The largest in the rows' own type."""
        return self._own(self.whole.most)

    @cached_property
    def exact(self) -> Floats:
        """The clean rows in double precision."""
        return self._own(self.whole.exact)

    def _own(self, values: NDArray[N]) -> NDArray[N]:
        return values if self.places is None else values.take(self.places, axis=0)
