"""Rows that stand twice: exactly, or nearly."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from auditor.domain.tasks import Array
from auditor.surveying.links import NO_LINKS, by_key, chained, together
from auditor.surveying.materials import Kind, Material, Rows, codes, first_of_each
from auditor.surveying.near_pictures import near_pictures
from auditor.surveying.near_tables import Tolerance, near_rows
from auditor.surveying.near_texts import near_texts

NEARLY = "nearest rows, rows that agree but for a few columns, small pictures, or minhash bands"
"""How near rows are looked for, in the words of a reading's method."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """When two rows that are not equal are nearly so, for each kind of rows."""

    table: Tolerance = field(default_factory=Tolerance)
    pictures: float = 0.1
    texts: float = 0.8

    @classmethod
    def of(cls, columns: int, tolerance: float, distance: float, shingles: float) -> "Likeness":
        """Take it from the parameters of a check."""
        return cls(Tolerance(columns, tolerance), distance, shingles)

    def links(self, ours: Material, theirs: Material | None) -> Rows:
        """Return links ``[m, 2]`` of near rows of two samples, or within one."""
        if not len(ours.values) or (theirs is not None and not len(theirs.values)):
            return NO_LINKS
        match ours.kind:
            case Kind.TABLE:
                other = None if theirs is None else theirs.table
                return near_rows(ours.table, other, _measured(ours, theirs), self.table)
            case Kind.PICTURES:
                return near_pictures(ours.values, _values(theirs), self.pictures)
            case Kind.TEXTS:
                texts = [str(text) for text in ours.values]
                other_texts = None if theirs is None else [str(text) for text in theirs.values]
                return near_texts(texts, other_texts, self.texts)


@dataclass(frozen=True, slots=True, eq=False)
class Repeats:
    """Rows of one sample that stand more than once: ``[m, 2]``, row and group.

    Groups of ``near`` hold those of ``exact`` whole, and at least two rows that differ.
    """

    exact: Rows
    near: Rows


def repeats(rows: Material, likeness: Likeness) -> Repeats:
    """Return the groups of equal and of nearly equal rows of a sample."""
    (coded,) = codes(rows.values)
    firsts = first_of_each(coded)
    distinct = np.unique(firsts)
    links = likeness.links(rows.take(distinct), None)
    chains = chained(links, len(distinct))
    alone = np.bincount(chains)[chains] == 1
    place = np.searchsorted(distinct, firsts)
    near, unlinked = chains[place], alone[place]
    near[unlinked] = chains.size + np.arange(int(unlinked.sum()))
    return Repeats(together(coded), together(near))


@dataclass(frozen=True, slots=True, eq=False)
class Leaks:
    """Rows of ours and where they stand among theirs, as links ``[m, 2]``, each of ours once."""

    exact: Rows
    near: Rows


def leaks(ours: Material, theirs: Material, likeness: Likeness) -> Leaks:
    """Return which rows of ours stand among theirs; a row that does exactly is not near as well."""
    mine, other = codes(ours.values, theirs.values)
    exact = by_key(mine, other)
    rest = np.setdiff1d(np.arange(len(mine)), exact[:, 0])
    _, first = np.unique(other, return_index=True)
    links = likeness.links(ours.take(rest), theirs.take(first))
    near = np.stack((rest[links[:, 0]], first[links[:, 1]]), axis=1)
    _, once = np.unique(near[:, 0], return_index=True)
    return Leaks(exact, near[once].astype(np.int64))


def shuffled(rows: Material, seed: int) -> Material | None:
    """Return a table whose columns were shuffled, each on its own; ``None`` for other rows.

    What stands twice in it does so by chance: few columns of few values repeat themselves.
    """
    if rows.kind is not Kind.TABLE:
        return None
    mixed = np.random.default_rng(seed).permuted(rows.table, axis=0)
    return Material(rows.kind, mixed, rows.features, rows.measured)


def _measured(ours: Material, theirs: Material | None) -> NDArray[np.bool_]:
    """Return which columns hold measured numbers on either side."""
    flags = [rows.measured for rows in (ours, theirs) if rows is not None]
    known = [part for part in flags if part is not None]
    return np.any(known, axis=0) if known else np.zeros(0, dtype=np.bool_)


def _values(rows: Material | None) -> Array | None:
    return None if rows is None else rows.values
