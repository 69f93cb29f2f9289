"""Exact and near duplicates among table rows, images and texts, and leaks between datasets.

Texts match if they share most shingles, table rows if they agree in all but a few columns or within
a tolerance, and images whatever their brightness and contrast. Groups are arrays ``[m, 2]`` of row
and group.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from auditor.domain.datasets import TEXT, Dataset
from auditor.domain.evidence import find_image_axes
from auditor.domain.readings import Gap, GapReason
from auditor.domain.tasks import Array, FeatureKind, Floats, InputFeature, InputSpace

Rows = NDArray[np.int64]
DIGEST = 16
MOST_CODED = 1 << 20
"""Numbers whose bytes are held at a time."""


class RowKind(StrEnum):
    """What the rows of a dataset are."""

    TABLE = "table"
    PICTURES = "pictures"
    TEXTS = "texts"


@dataclass(frozen=True, slots=True, eq=False)
class ComparableRows:
    """The inputs of a dataset, what they are, and which columns of a table are measured numbers.

    ``measured`` ``[columns]`` is empty for pictures and texts; other columns are counts or codes,
    which are equal or not.
    """

    kind: RowKind
    values: Array
    features: tuple[str, ...] = ()
    measured: NDArray[np.bool_] | None = None

    @property
    def table(self) -> Floats:
        """The numbers of a table."""
        return self.values.astype(np.float64)

    def take(self, rows: NDArray[np.generic]) -> "ComparableRows":
        """Return the same of some rows."""
        return ComparableRows(self.kind, self.values[rows], self.features, self.measured)


def build_comparable_rows(dataset: Dataset, space: InputSpace | Gap) -> ComparableRows | Gap:
    """Return the inputs of a dataset as rows that can be compared, or why they cannot be."""
    values = dataset.inputs
    if values is None:
        return NO_INPUTS
    if dataset.texts:
        return ComparableRows(RowKind.TEXTS, values)
    if dataset.tabular:
        features = () if isinstance(space, Gap) else space.features
        return ComparableRows(RowKind.TABLE, values, dataset.features, _measured(values, features))
    if find_image_axes(values.shape[1:]) is None:
        return _OTHER_SHAPE
    return ComparableRows(RowKind.PICTURES, values)


def _measured(values: Array, features: tuple[InputFeature, ...]) -> NDArray[np.bool_]:
    if len(features) == values.shape[1]:
        return np.array([feature.kind is FeatureKind.NUMERIC for feature in features])
    table = values.astype(np.float64)
    return np.asarray(np.any(np.isfinite(table) & (table != np.round(table)), axis=0))


SCORE_DIGITS = 12


def row_codes(*parts: Array) -> tuple[Rows, ...]:
    """Return for each part ``[n, ...]`` codes ``[n]``, alike exactly where rows are equal.

    A missing number equals a missing number, and -0 equals 0. Rows are told apart by 128 bits of
    BLAKE2b, which stay in memory: whoever knew a short row's digest could guess the row.
    """
    digests = [_digests(part) for part in parts]
    _, found = np.unique(np.concatenate(digests), return_inverse=True)
    ends = np.cumsum([len(part) for part in parts])[:-1]
    return tuple(part.astype(np.int64) for part in np.split(found, ends))


def _digests(part: Array) -> NDArray[np.bytes_]:
    step = max(1, MOST_CODED // max(1, part[:1].size))
    blocks = (part[start : start + step] for start in range(0, len(part), step))
    # Block by block: an object of Python for each row of all would weigh four times its digest.
    made = b"".join(
        b"".join(blake2b(row, digest_size=DIGEST).digest() for row in _row_bytes(block))
        for block in blocks
    )
    return np.frombuffer(made, dtype=f"V{DIGEST}")


def _row_bytes(rows: Array) -> list[bytes]:
    if rows.dtype.kind == TEXT:
        return [str(text).encode() for text in rows]
    plain = np.ascontiguousarray(rows, dtype=np.float64).reshape(len(rows), -1) + 0.0
    plain[np.isnan(plain)] = np.nan
    found: list[bytes] = plain.view(f"V{plain.itemsize * plain.shape[1]}").ravel().tolist()
    return found


def first_equal_rows(coded: Rows) -> Rows:
    """Return ``[n]``: the number of the first row that has a row's code."""
    _, first, place = np.unique(coded, return_index=True, return_inverse=True)
    return np.asarray(first[place], dtype=np.int64)


def code_answers(dataset: Dataset) -> Rows:
    """Return codes ``[n]``, alike where rows have equal scores, labels, groups and times."""
    parts: list[Array] = []
    if dataset.scores is not None:
        parts.append(np.round(dataset.scores, SCORE_DIGITS))
    truth = (dataset.labels, dataset.decisions, dataset.targets, dataset.times)
    columns = [*dataset.groups.values(), *dataset.slices.values()]
    parts += [it for it in (*truth, *(it.codes for it in columns)) if it is not None]
    codes = np.zeros(dataset.rows, np.int64)
    for part in parts:
        whole = part.ndim == 1 and part.dtype.kind in "iu"
        further = part.astype(np.int64) if whole else row_codes(part)[0]
        codes = join_codes(codes, further)
    return codes


def join_codes(codes: Rows, further: Rows) -> Rows:
    """Return codes ``[n]``, alike where rows are alike in both, below the number of rows."""
    low = int(further.min(initial=0))
    span = int(further.max(initial=0)) - low + 1
    joined: Rows = np.unique(codes * span + (further - low), return_inverse=True)[1]
    return joined.astype(np.int64, copy=False).ravel()


NO_INPUTS = Gap(
    reason=GapReason.NEEDS_MODEL,
    detail="In an audit of predictions alone the data hold no inputs.",
    cure="Name the model's file under model.artifact in the audit file.",
)
_OTHER_SHAPE = Gap(
    reason=GapReason.UNSUPPORTED,
    detail="The inputs are neither a table nor pictures nor texts.",
    cure="Rows of this shape cannot be compared yet; leave the check out.",
)


NO_LINKS: Rows = np.empty((0, 2), dtype=np.int64)


@dataclass(frozen=True, slots=True)
class RowPool:
    """Rows that are compared: ``ours`` with ``theirs``, or with each other (``theirs`` is None)."""

    ours: Floats
    theirs: Floats | None = None

    @property
    def corpus(self) -> Floats:
        """What each of ours is looked up in."""
        return self.ours if self.theirs is None else self.theirs


def link_by_key(ours: NDArray[np.integer], theirs: NDArray[np.integer] | None) -> Rows:
    """Return a link ``[m, 2]`` of each row to the first other row that has the same key.

    ``theirs`` are the keys to look ours up in; ``None``: ours, in which no row is its own other.
    """
    keys = ours if theirs is None else theirs
    distinct, first = np.unique(keys, return_index=True)
    place = np.minimum(np.searchsorted(distinct, ours), distinct.size - 1)
    there = first[place]
    found = distinct[place] == ours
    if theirs is None:
        found &= there != np.arange(ours.size)
    rows = np.flatnonzero(found)
    return np.stack((rows, there[rows]), axis=1).astype(np.int64)


def link_by_distance(pool: RowPool, radius: float, norm: float, neighbours: int = 1) -> Rows:
    """Return links ``[m, 2]`` of each row to its nearest others within ``radius``, nearest first.

    ``norm`` is 2 for Euclid's distance, infinity for the largest difference of a coordinate.
    """
    itself = pool.theirs is None
    count = min(neighbours + itself, len(pool.corpus))
    tree = cKDTree(pool.corpus, balanced_tree=False, compact_nodes=False)
    # The tree looks for what is strictly nearer.
    bound = np.nextafter(radius, np.inf)
    ranks = np.arange(1, count + 1)
    answers = tree.query(pool.ours, k=ranks, p=norm, distance_upper_bound=bound)
    away, there = (np.asarray(answer) for answer in answers)
    found = np.isfinite(away)
    if itself:
        found &= there != np.arange(len(there))[:, None]
    rows = np.nonzero(found)[0]
    return np.stack((rows, there[found]), axis=1).astype(np.int64)


def component_codes(links: Rows, rows: int) -> Rows:
    """Return ``[rows]`` codes: rows have the same one where a chain of links joins them."""
    ones = np.ones(len(links), dtype=np.int8)
    graph = coo_array((ones, (links[:, 0], links[:, 1])), shape=(rows, rows))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def group_rows(coded: Rows) -> Rows:
    """Return ``[m, 2]``, row and group, of the rows that share their code with another one.

    Groups are numbered in the order of their first rows.
    """
    _, first, place, counts = np.unique(
        coded, return_index=True, return_inverse=True, return_counts=True
    )
    rows = np.flatnonzero(counts[place] > 1)
    _, groups = np.unique(first[place[rows]], return_inverse=True)
    return np.stack((rows, groups), axis=1).astype(np.int64)


SHINGLE = 5
BANDS, ROWS = 16, 4
LETTER_BLOCK = 1 << 20
"""Letters that are hashed at a time."""
ODD = np.uint64(0x9E3779B97F4A7C15)

Keys = NDArray[np.uint64]


@dataclass(frozen=True, slots=True, eq=False)
class ShingleIndex:
    """Texts as their shingles: ``[letters]`` of all texts, and where each text's ones start."""

    shingles: Keys
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, texts: Sequence[str]) -> "ShingleIndex":
        """Cut texts into overlapping runs of five letters; case and blanks do not count."""
        plain = [" ".join(text.lower().split()).ljust(SHINGLE, "\0") for text in texts]
        letters = np.frombuffer("".join(plain).encode("utf-32-le"), dtype=np.uint32)
        lengths = np.array([len(text) for text in plain], dtype=np.int64)
        ends = np.cumsum(lengths)
        hashed = np.zeros(max(letters.size - SHINGLE + 1, 0), dtype=np.uint64)
        for offset in range(SHINGLE):
            hashed = hashed * ODD + letters[offset : offset + hashed.size].astype(np.uint64)
        inside = np.ones(hashed.size, dtype=np.bool_)
        for back in range(1, SHINGLE):
            inside[ends[:-1] - back] = False
        counts = lengths - SHINGLE + 1
        return cls(_mixed(hashed[inside]), np.append(0, np.cumsum(counts)))

    def of_text(self, row: int) -> Keys:
        """Return the distinct shingles of one text."""
        return np.unique(self.shingles[self.starts[row] : self.starts[row + 1]])

    def bands(self) -> Keys:
        """Return ``[BANDS, n]`` keys: texts that share a band are likely to be alike.

        Each joins ``ROWS`` least values under a random order of all shingles (Broder 1997,
        Compression and Complexity of Sequences; bands by Leskovec, Rajaraman and Ullman, Mining of
        Massive Datasets, chapter 3).
        """
        salts = np.random.default_rng(0).integers(1, 1 << 63, BANDS * ROWS, dtype=np.uint64)
        found = np.zeros((BANDS, len(self.starts) - 1), dtype=np.uint64)
        total = len(self.starts) - 1
        cuts = np.searchsorted(self.starts, np.arange(0, self.starts[-1], LETTER_BLOCK))
        edges = sorted({0, total, *(int(cut) for cut in cuts if cut < total)})
        blocks = list(itertools.pairwise(edges))
        for start, stop in blocks:
            first = self.starts[start]
            part = self.shingles[first : self.starts[stop]]
            for at, salt in enumerate(salts):
                least = np.minimum.reduceat(_mixed(part ^ salt), self.starts[start:stop] - first)
                found[at // ROWS, start:stop] = _mixed(found[at // ROWS, start:stop] ^ least)
        return found


def link_near_texts(ours: Sequence[str], theirs: Sequence[str] | None, share: float) -> Rows:
    """Return links ``[m, 2]`` of texts of whose joint shingles they share at least ``share``.

    Candidates share one of 16 bands; then the share itself is counted (Jaccard's index). Of texts
    that share 0.8 some 0.9998 become candidates, of those that share 0.5 some 0.64.
    """
    one = ShingleIndex.of(ours)
    other = one if theirs is None else ShingleIndex.of(theirs)
    mine, keys = one.bands(), other.bands()
    found = [
        link_by_key(row, None if theirs is None else looked_up)
        for row, looked_up in zip(mine, keys, strict=True)
    ]
    links = np.unique(np.concatenate(found), axis=0)
    kept = [link for link in links if _jaccard(one, other, *link) >= share]
    return np.array(kept, dtype=np.int64) if kept else NO_LINKS


def _jaccard(one: ShingleIndex, other: ShingleIndex, ours: int, theirs: int) -> float:
    mine, rest = one.of_text(ours), other.of_text(theirs)
    both = np.intersect1d(mine, rest, assume_unique=True).size
    return float(both / (mine.size + rest.size - both))


def _mixed(keys: Keys) -> Keys:
    """Spread 64 bits (the finaliser of SplitMix64)."""
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(keys ^ (keys >> np.uint64(31)))


APART = 4.0
"""How far apart, in tolerances, codes lie that are not equal."""
CENTRE = (16, 50, 84)


@dataclass(frozen=True, slots=True)
class RowTolerance:
    """When rows of a table are nearly equal.

    All but ``columns`` of their columns are equal, or all are: measured numbers within ``share``
    of the column's spread (half of the width of its middle two thirds), and others exactly.
    """

    columns: int = 1
    share: float = 1e-3


def link_near_rows(
    ours: Floats, theirs: Floats | None, measured: NDArray[np.bool_], tolerance: RowTolerance
) -> Rows:
    """Return links ``[m, 2]`` of rows of ``ours`` to rows of ``theirs``, or to each other."""
    whole = ours if theirs is None else np.concatenate((ours, theirs))
    within = NO_LINKS
    if measured.any():
        # Scale each column so that its tolerance is 1; a missing number is a place of its own
        points = np.empty_like(whole)
        for at, column in enumerate(whole.T):
            known = np.isfinite(column)
            if not measured[at]:
                points[:, at] = np.unique(column, return_inverse=True)[1] * APART
                continue
            values = column[known]
            unit = robust_spread(values) * tolerance.share
            middle = np.median(values) if values.size else 0.0
            points[:, at] = np.where(known, (column - middle) / unit, 0.0)
            points[~known, at] = points[known, at].min(initial=0.0) - APART
        within = link_by_distance(_split(points, len(ours), theirs), 1.0, np.inf)
    return np.concatenate((within, _but_for_columns(whole, len(ours), theirs, tolerance.columns)))


def _split(points: Floats, ours: int, theirs: Floats | None) -> RowPool:
    return RowPool(points) if theirs is None else RowPool(points[:ours], points[ours:])


def robust_spread(values: Floats) -> float:
    """Return half of the width of the middle two thirds, else the deviation, else 1."""
    if not values.size:
        return 1.0
    low, _, high = np.percentile(values, CENTRE)
    return float((high - low) / 2 or values.std() or 1.0)


def _but_for_columns(whole: Floats, ours: int, theirs: Floats | None, most: int) -> Rows:
    """Return links of rows that agree in all but ``most`` columns.

    The key of a row is a sum over its columns, from which the columns left out are taken away: a
    pass for each choice of columns. Tables of which that would leave less than half match nothing.
    """
    width = whole.shape[1]
    if not most or 2 * most >= width:
        return NO_LINKS
    made = []
    for at, column in enumerate(whole.T):
        # 64 pseudo-random bits for each value of a column
        distinct, place = np.unique(column, return_inverse=True)
        bits = np.random.default_rng(at).integers(
            0, 1 << 64, distinct.size, dtype=np.uint64, endpoint=False
        )
        made.append(np.asarray(bits[place]))
    parts = np.stack(made)
    total = parts.sum(axis=0, dtype=np.uint64)
    found = []
    for left_out in combinations(range(width), most):
        keys = total - parts[list(left_out)].sum(axis=0, dtype=np.uint64)
        found.append(link_by_key(keys[:ours], None if theirs is None else keys[ours:]))
    return np.unique(np.concatenate(found), axis=0)


SIDE = 8
CANDIDATES = 4
WIDER = 2.0
"""How much farther apart than the pictures their small forms may lie."""
BLOCK = 4096
FLAT = 1e-6


def link_near_pictures(ours: Array, theirs: Array | None, distance: float) -> Rows:
    """Return links ``[m, 2]`` of pictures whose grey values, centred and scaled to length one, lie
    within ``distance`` of each other (a correlation of ``1 - distance ** 2 / 2``).

    They are looked for among the ``CANDIDATES`` whose means over a grid of 8 by 8 are the nearest.
    A picture of one colour is like no other.
    """
    grey = grey_values(ours)
    other = None if theirs is None else grey_values(theirs)
    pool = RowPool(
        normalized_thumbnails(grey), None if other is None else normalized_thumbnails(other)
    )
    drawn = [np.flatnonzero(np.any(part != 0, axis=1)) for part in (pool.ours, pool.corpus)]
    if not drawn[0].size or not drawn[1].size:
        return NO_LINKS
    trimmed = RowPool(pool.ours[drawn[0]], None if theirs is None else pool.corpus[drawn[1]])
    links = link_by_distance(trimmed, WIDER * distance, 2.0, CANDIDATES)
    links = np.stack((drawn[0][links[:, 0]], drawn[1][links[:, 1]]), axis=1)
    verified_theirs = grey if other is None else other
    kept = []
    for start in range(0, len(links), BLOCK):
        part = links[start : start + BLOCK]
        one = _scaled(grey[part[:, 0]].reshape(len(part), -1).astype(np.float64))
        verified_other = _scaled(
            verified_theirs[part[:, 1]].reshape(len(part), -1).astype(np.float64)
        )
        kept.append(part[np.linalg.norm(one - verified_other, axis=1) <= distance])
    return np.concatenate(kept) if kept else NO_LINKS


def grey_values(pictures: Array) -> Floats:
    """Return ``[n, height, width]``, the mean over channels. Raises ``ValueError`` for no image."""
    axes = find_image_axes(pictures.shape[1:])
    if axes is None:
        message = f"rows of shape {pictures.shape[1:]} are no pictures"
        raise ValueError(message)
    values = pictures.astype(np.float32)
    if axes[2] is not None:
        values = values.mean(axis=1 + axes[2])
    return np.asarray(values, dtype=np.float32)


def grid_means(grey: Floats) -> Floats:
    """Return ``[n, cells]`` means over a grid of at most 8 by 8 cells."""
    for axis in (1, 2):
        length = grey.shape[axis]
        edges = np.unique(np.arange(SIDE) * length // SIDE)
        sizes = np.diff(np.append(edges, length))
        summed = np.add.reduceat(grey, edges, axis=axis)
        grey = summed / (sizes[:, None] if axis == 1 else sizes)
    return grey.reshape(len(grey), -1).astype(np.float64)


def normalized_thumbnails(grey: Floats) -> Floats:
    """Return the means over a grid, centred and scaled to length one."""
    return _scaled(grid_means(grey))


def _scaled(flat: Floats) -> Floats:
    centred = flat - flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    whole = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.where(length > FLAT * whole, centred / np.maximum(length, FLAT * FLAT), 0.0)


NEARLY = "nearest rows, rows that agree but for a few columns, small pictures, or minhash bands"
"""How near rows are looked for, in the words of a reading's method."""


@dataclass(frozen=True, slots=True)
class NearDuplicateRule:
    """When two rows that are not equal are nearly so, for each kind of rows."""

    table: RowTolerance = field(default_factory=RowTolerance)
    pictures: float = 0.1
    texts: float = 0.8

    @classmethod
    def of(
        cls, columns: int, tolerance: float, distance: float, shingles: float
    ) -> "NearDuplicateRule":
        """Take it from the parameters of a check."""
        return cls(RowTolerance(columns, tolerance), distance, shingles)

    def links(self, ours: ComparableRows, theirs: ComparableRows | None) -> Rows:
        """Return links ``[m, 2]`` of near rows of two samples, or within one."""
        if not len(ours.values) or (theirs is not None and not len(theirs.values)):
            return NO_LINKS
        match ours.kind:
            case RowKind.TABLE:
                other = None if theirs is None else theirs.table
                flags = [rows.measured for rows in (ours, theirs) if rows is not None]
                known = [part for part in flags if part is not None]
                return link_near_rows(
                    ours.table,
                    other,
                    np.any(known, axis=0) if known else np.zeros(0, dtype=np.bool_),
                    self.table,
                )
            case RowKind.PICTURES:
                return link_near_pictures(
                    ours.values, None if theirs is None else theirs.values, self.pictures
                )
            case RowKind.TEXTS:
                texts = [str(text) for text in ours.values]
                other_texts = None if theirs is None else [str(text) for text in theirs.values]
                return link_near_texts(texts, other_texts, self.texts)


@dataclass(frozen=True, slots=True, eq=False)
class DuplicateGroups:
    """Rows of one sample that stand more than once: ``[m, 2]``, row and group.

    Groups of ``near`` hold those of ``exact`` whole, and at least two rows that differ.
    """

    exact: Rows
    near: Rows


def find_duplicates(rows: ComparableRows, likeness: NearDuplicateRule) -> DuplicateGroups:
    """Return the groups of equal and of nearly equal rows of a sample."""
    (coded,) = row_codes(rows.values)
    firsts = first_equal_rows(coded)
    distinct = np.unique(firsts)
    links = likeness.links(rows.take(distinct), None)
    chains = component_codes(links, len(distinct))
    alone = np.bincount(chains)[chains] == 1
    place = np.searchsorted(distinct, firsts)
    near, unlinked = chains[place], alone[place]
    near[unlinked] = chains.size + np.arange(int(unlinked.sum()))
    return DuplicateGroups(group_rows(coded), group_rows(near))


@dataclass(frozen=True, slots=True, eq=False)
class LeakLinks:
    """Rows of ours and where they stand among theirs, as links ``[m, 2]``, each of ours once."""

    exact: Rows
    near: Rows


def find_leaks(
    ours: ComparableRows, theirs: ComparableRows, likeness: NearDuplicateRule
) -> LeakLinks:
    """Return which rows of ours stand among theirs; a row that does exactly is not near as well."""
    mine, other = row_codes(ours.values, theirs.values)
    exact = link_by_key(mine, other)
    rest = np.setdiff1d(np.arange(len(mine)), exact[:, 0])
    _, first = np.unique(other, return_index=True)
    links = likeness.links(ours.take(rest), theirs.take(first))
    near = np.stack((rest[links[:, 0]], first[links[:, 1]]), axis=1)
    _, once = np.unique(near[:, 0], return_index=True)
    return LeakLinks(exact, near[once].astype(np.int64))


def shuffle_columns(rows: ComparableRows, seed: int) -> ComparableRows | None:
    """Return a table whose columns were shuffled, each on its own; ``None`` for other rows.

    What stands twice in it does so by chance: few columns of few values repeat themselves.
    """
    if rows.kind is not RowKind.TABLE:
        return None
    mixed = np.random.default_rng(seed).permuted(rows.table, axis=0)
    return ComparableRows(rows.kind, mixed, rows.features, rows.measured)


def count_extra_rows(groups: Rows) -> int:
    """Count the rows beyond the first of each group."""
    return len(groups) - len(np.unique(groups[:, 1]))


def count_near_rows(exact: Rows, near: Rows) -> int:
    """Count the rows that nearly repeat another one, beside those that do so exactly.

    Each group of ``exact`` lies in a group of ``near`` whole, or not at all.
    """
    return count_extra_rows(near) - count_extra_rows(exact[np.isin(exact[:, 0], near[:, 0])])


def conflicting_groups(groups: Rows, truth: Floats, apart: float) -> Rows:
    """Return the groups, whole, in which some of ``truth`` ``[m]`` lie more than ``apart``."""
    count = int(groups[:, 1].max(initial=-1)) + 1
    least, most = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(least, groups[:, 1], truth)
    np.maximum.at(most, groups[:, 1], truth)
    kept: Rows = groups[(most - least > apart)[groups[:, 1]]]
    return kept


def largest_groups(groups: Rows, names: NDArray[np.str_], most: int) -> list[list[str]]:
    """Return the names ``[m]`` of the rows of the ``most`` largest groups, ``most`` of each."""
    numbers, sizes = np.unique(groups[:, 1], return_counts=True)
    chosen = numbers[np.argsort(-sizes, kind="stable")[:most]]
    return [[str(name) for name in names[groups[:, 1] == one][:most]] for one in chosen]
