"""Sealing: a record names what its checks saw by hiding commitments instead of plain digests."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from auditor.disclosing.commitments import Commitment, Place, commit
from auditor.domain.evidence import Evidence, encode
from auditor.domain.observed import Seen
from auditor.domain.rows import IDS, by_row


@dataclass(frozen=True, slots=True)
class Sealed:
    """A commitment, and the digest of the blob that it stands for, which the record never has."""

    commitment: Commitment
    plain: str


def seal(seen: Seen, key: bytes) -> tuple[Seen, tuple[Sealed, ...]]:
    """Return an observation that names commitments under a record's key, and what they seal.

    Items that the check says go by row are bound row by row, all others as one leaf.
    """
    origin, told = seen.observation, by_row(seen.check)
    rows = count_rows(seen.evidence)
    found = {}
    for name, item in sorted(seen.evidence.items()):
        place = Place(origin.target, origin.check, name)
        bound = commit(key, place, item, rows if name in told.each else None)
        found[name] = Sealed(bound, encode(item).digest)
    names = {name: item.commitment.digest for name, item in found.items()}
    sealed = replace(origin, evidence=names, committed=True)
    return replace(seen, observation=sealed), tuple(found.values())


def count_rows(evidence: Evidence) -> int | None:
    """Return over how many rows evidence runs, or ``None`` where it does not name them."""
    named = evidence.get(IDS)
    listed = isinstance(named, np.ndarray) and named.ndim == 1
    listed = listed or (isinstance(named, Sequence) and not isinstance(named, str))
    return len(named) if listed and isinstance(named, (np.ndarray, Sequence)) else None
