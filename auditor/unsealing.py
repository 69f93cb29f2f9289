"""Unseal committed evidence in a record's folder: all of it by its key, or what is shown."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from auditor.disclosing.commitments import Commitment, Place, commit
from auditor.disclosing.openings import Opening, open_all
from auditor.disclosing.rows import Form
from auditor.disclosing.secrets import Secret, reveal
from auditor.domain.evidence import Item, decode, encode
from auditor.domain.records import AuditRecord, Observation
from auditor.errors import AuditorError, RecordError
from auditor.folders import ERASURE, KEY, OPENINGS, ROWS, RecordFolder

_CURE = "Take the folder as auditor wrote it, unchanged."


@dataclass(frozen=True, slots=True, eq=False)
class Unsealed:
    """One item of evidence as far as it is ``shown``; ``item`` may be null in itself.

    ``withheld`` are the numbers of the rows that a shown ``item`` lacks.
    """

    place: Place
    commitment: Commitment
    item: "Item | None"
    withheld: frozenset[int] = frozenset()
    shown: bool = True
    opening: Opening | None = None

    @property
    def whole(self) -> bool:
        """Whether all of it is shown."""
        return self.shown and not self.withheld

    @property
    def lacking(self) -> int:
        """How many of its rows are withheld."""
        return len(self.withheld) if self.shown else self.commitment.header.leaves

    @property
    def one_leaf(self) -> bool:
        """Whether it is bound as one leaf and not by row."""
        return self.commitment.header.form is Form.WHOLE

    def opened(self, secret: Secret | None) -> Opening:
        """Return what opens it. Raises ``RecordError`` where nothing of it is shown."""
        if self.opening is not None:
            return self.opening
        if secret is None or not self.shown:
            raise RecordError(f"nothing of {self.place.item} is shown", cure=_CURE)
        return open_all(secret.key, self.place, self.item, self.commitment)


def secret_of(folder: RecordFolder, record: AuditRecord) -> Secret | None:
    """Return a record's key, where it lies in the folder.

    Raises ``RecordError`` where it is malformed or another record's, or the folder contradicts
    itself: a key beside openings, rows without a key, or either beside the proof of an erasure.
    """
    held = [name for name in (KEY, ROWS, OPENINGS) if folder.has(name)]
    if held and folder.has(ERASURE):
        raise RecordError(f"{ERASURE} lies beside {held[0]}, which was to be gone", cure=_CURE)
    if (ROWS in held) != (KEY in held) or {KEY, OPENINGS} <= set(held):
        raise RecordError(
            f"{' and '.join(held)} do not go together: a key opens all rows, openings some",
            cure=_CURE,
        )
    if KEY not in held:
        return None
    secret = Secret.parse(folder.read(KEY))
    hidden = {f"sha256:{item.file.sha256}" for item in record.request.inputs}
    if set(secret.blobs) != committed(record) or not set(secret.inputs) <= hidden:
        raise RecordError(f"{KEY} is the key of another record", cure=_CURE)
    reveal(record.request, secret)
    return secret


def committed(record: AuditRecord) -> set[str]:
    """Return the digests of the commitments that a record names."""
    sealed = (seen for seen in record.observations if seen.committed)
    return {digest for seen in sealed for digest in seen.evidence.values()}


def carried(folder: RecordFolder, record: AuditRecord, secret: Secret) -> dict[str, bytes]:
    """Return the files that open ``record``, of those that open the record in ``folder``."""
    named = committed(record)
    own = replace(secret, blobs={name: secret.blobs[name] for name in named})
    places = [f"{ROWS}/{name.removeprefix('sha256:')}" for name in sorted(named)]
    return {KEY: own.emit(), **{place: folder.read(place) for place in places}}


def unseal(
    folder: RecordFolder, seen: Observation, secret: Secret | None
) -> Mapping[str, Unsealed]:
    """Return every item of a committed observation, as far as the folder shows it.

    Raises ``RecordError`` for what is not what the record binds, and where the items of one
    observation do not withhold the same rows.
    """
    found = {name: _item(folder, seen, name, secret) for name in seen.evidence}
    by_row = [one for one in found.values() if one.shown and not one.one_leaf]
    if len({one.withheld for one in by_row}) > 1:
        raise RecordError(
            f"the evidence of {seen.check} on {seen.target} withholds other rows in one place than "
            "in another",
            cure=_CURE,
        )
    return found


def strangers(folder: RecordFolder, record: AuditRecord) -> Iterator[str]:
    """Name the files that open what the record does not name."""
    known = {digest.removeprefix("sha256:") for digest in committed(record)}
    for place in (ROWS, OPENINGS):
        for name in folder.names_in(place):
            if name not in known:
                yield f"{place}/{name} opens nothing that is named in the record"


def _item(folder: RecordFolder, seen: Observation, name: str, secret: Secret | None) -> Unsealed:
    digest = seen.evidence[name]
    place, bound = Place(seen.target, seen.check, name), Commitment.parse(folder.evidence(digest))
    key = digest.removeprefix("sha256:")
    try:
        if secret is not None:
            return Unsealed(place, bound, _by_key(folder, place, bound, secret))
        if not folder.has(f"{OPENINGS}/{key}"):
            return Unsealed(place, bound, None, shown=False)
        opening = Opening.parse(folder.read(f"{OPENINGS}/{key}"))
        item = opening.item(bound)
    except AuditorError as error:
        raise RecordError(
            f"{name} of {seen.check} on {seen.target}: {error.problem}", cure=error.cure
        ) from None
    return Unsealed(place, bound, item, opening.withheld, opening=opening)


def _by_key(folder: RecordFolder, place: Place, bound: Commitment, secret: Secret) -> Item:
    raw = folder.read(f"{ROWS}/{bound.digest.removeprefix('sha256:')}")
    try:
        item = decode(raw)
        blob = encode(item)
        rows = None if bound.header.form is Form.WHOLE else bound.header.leaves
        same = commit(secret.key, place, item, rows) == bound
    except (ValueError, TypeError, EOFError, SyntaxError, OverflowError, MemoryError):
        raise RecordError("its rows are no array and no JSON", cure=_CURE) from None
    if blob.raw != raw or not same or secret.blobs[bound.digest] != blob.digest:
        raise RecordError("its rows are not those that the record binds", cure=_CURE)
    return item
