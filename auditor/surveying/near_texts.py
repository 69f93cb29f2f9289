"""Texts that are nearly equal: that share most of their shingles."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.surveying.links import NO_LINKS, by_key
from auditor.surveying.materials import Rows

SHINGLE = 5
BANDS, ROWS = 16, 4
BLOCK = 1 << 20
"""Letters that are hashed at a time."""
ODD = np.uint64(0x9E3779B97F4A7C15)

Keys = NDArray[np.uint64]


@dataclass(frozen=True, slots=True, eq=False)
class Shingled:
    """Texts as their shingles: ``[letters]`` of all texts, and where each text's ones start."""

    shingles: Keys
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Shingled":
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
        for start, stop in self._blocks():
            first = self.starts[start]
            part = self.shingles[first : self.starts[stop]]
            for at, salt in enumerate(salts):
                least = np.minimum.reduceat(_mixed(part ^ salt), self.starts[start:stop] - first)
                found[at // ROWS, start:stop] = _mixed(found[at // ROWS, start:stop] ^ least)
        return found

    def _blocks(self) -> list[tuple[int, int]]:
        total = len(self.starts) - 1
        cuts = np.searchsorted(self.starts, np.arange(0, self.starts[-1], BLOCK))
        edges = sorted({0, total, *(int(cut) for cut in cuts if cut < total)})
        return list(itertools.pairwise(edges))


def near_texts(ours: Sequence[str], theirs: Sequence[str] | None, share: float) -> Rows:
    """Return links ``[m, 2]`` of texts of whose joint shingles they share at least ``share``.

    Candidates share one of 16 bands; then the share itself is counted (Jaccard's index). Of texts
    that share 0.8 some 0.9998 become candidates, of those that share 0.5 some 0.64.
    """
    one = Shingled.of(ours)
    other = one if theirs is None else Shingled.of(theirs)
    mine, keys = one.bands(), other.bands()
    found = [
        by_key(row, None if theirs is None else looked_up)
        for row, looked_up in zip(mine, keys, strict=True)
    ]
    links = np.unique(np.concatenate(found), axis=0)
    kept = [link for link in links if _jaccard(one, other, *link) >= share]
    return np.array(kept, dtype=np.int64) if kept else NO_LINKS


def _jaccard(one: Shingled, other: Shingled, ours: int, theirs: int) -> float:
    mine, rest = one.of_text(ours), other.of_text(theirs)
    both = np.intersect1d(mine, rest, assume_unique=True).size
    return float(both / (mine.size + rest.size - both))


def _mixed(keys: Keys) -> Keys:
    """Spread 64 bits (the finaliser of SplitMix64)."""
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(keys ^ (keys >> np.uint64(31)))
