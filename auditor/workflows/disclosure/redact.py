"""Redacts a record's folder: a copy that withholds rows and keeps the signature."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from auditor.domain.checks import Check
from auditor.domain.digests import Digest
from auditor.domain.records import AuditRecord
from auditor.domain.row_evidence import IDS
from auditor.errors import RecordError, UsageError
from auditor.reports.folder import KEY, OPENINGS, ROWS, RecordFolder
from auditor.trust.disclosure import CommitmentOpening, DisclosureKey
from auditor.workflows.evidence import (
    UnsealedItem,
    find_observing_check,
    read_record_secret,
    unseal_observation,
)

FEW = 20
"""Where fewer rows are withheld, who knows all others can try out what the figures say of them."""


@dataclass(frozen=True, slots=True)
class RedactionChoice:
    """Which rows are withheld, by their ids, and of which checks all else is shown beside.

    ``rows`` are those that are withheld, or where ``shows`` is set, those that alone are shown.
    """

    rows: frozenset[str]
    shows: bool = False
    also: frozenset[str] = frozenset()

    def withholds(self, row: str) -> bool:
        """Whether the row of that id is withheld."""
        return (row in self.rows) is not self.shows


@dataclass(frozen=True, slots=True)
class RedactedFolder:
    """A folder's files, and how many rows each check withholds, of how many."""

    files: Mapping[str, bytes]
    withheld: Mapping[str, tuple[int, int]]

    @property
    def fewest(self) -> int:
        """The least number of rows that any check withholds which withholds some."""
        return min((count for count, _ in self.withheld.values() if count), default=0)


def redact_folder(
    folder: RecordFolder,
    record: AuditRecord,
    checks: Mapping[str, type[Check]],
    choice: RedactionChoice,
) -> RedactedFolder:
    """Return a record's files without its key, and with openings of the rows that are shown.

    A row that is withheld is withheld in every item of every check that names it. Items that are
    not by row are shown where their check says that they tell of none, or ``choice`` names it.
    Raises ``RecordError`` where evidence is not committed, or not what was bound; ``UsageError``
    for rows and checks that the evidence does not name.
    """
    if record.request.disclosure is None:
        raise RecordError(
            f"the record {record.id} binds its evidence as a whole, so that no row can be withheld",
            cure="Audit with `disclosure: rows` in the audit file.",
        )
    secret = read_record_secret(folder, record)
    seen = [(one, unseal_observation(folder, one, secret)) for one in record.observations]
    strange = sorted(choice.rows.difference({name for _, items in seen for name in _named(items)}))
    if strange or not choice.rows:
        problem = f"the evidence names no row {strange[0]!r}" if strange else "no row is named"
        raise UsageError(problem, cure="Write one id a line, as the `id` column has it.")
    others = sorted(choice.also - {one.check for one in record.observations})
    if others:
        raise UsageError(
            f"the record has nothing of {others[0]!r}", cure="Name a check of the record."
        )
    files = folder.files({ROWS, OPENINGS, KEY})
    told: dict[str, tuple[int, int]] = {}
    for one, items in seen:
        for opening in _openings(find_observing_check(one, checks), items, secret, choice):
            name = Digest(opening.commitment).hex
            files[f"{OPENINGS}/{name}"] = opening.emit()
        hidden = _hidden(items, choice)
        if hidden is not None:
            told[f"{one.check} on {one.target}"] = (len(hidden), len(_ids(items)))
    return RedactedFolder(files, told)


def _openings(
    check: Check,
    items: Mapping[str, UnsealedItem],
    secret: DisclosureKey | None,
    choice: RedactionChoice,
) -> Iterator[CommitmentOpening]:
    """Yield what opens the items of one observation; without ids no row of them is shown."""
    hidden = _hidden(items, choice)
    told = check.by_row
    for name, one in items.items():
        if not one.shown:
            continue
        if one.one_leaf:
            if name in told.apart or check.id in choice.also:
                yield one.opened(secret)
        elif hidden is not None:
            yield one.opened(secret).withhold(hidden)


def _hidden(items: Mapping[str, UnsealedItem], choice: RedactionChoice) -> frozenset[int] | None:
    names = _ids(items)
    found = frozenset(at for at, name in enumerate(names) if choice.withholds(name))
    return found if names else None


def _ids(items: Mapping[str, UnsealedItem]) -> Sequence[str]:
    """Return the ids of the rows, with nothing in place of those that are withheld already."""
    found = items.get(IDS)
    if found is None or not found.shown or found.one_leaf:
        return ()
    named = found.item.tolist() if isinstance(found.item, np.ndarray) else found.item
    shown = iter(named if isinstance(named, Sequence) else ())
    count = found.commitment.header.leaves
    return ["" if at in found.withheld else str(next(shown)) for at in range(count)]


def _named(items: Mapping[str, UnsealedItem]) -> Iterator[str]:
    """Yield every id that evidence names, also where it goes by no row and is withheld whole."""
    for name, one in items.items():
        if one.shown and (name == IDS or name.endswith(f"_{IDS}")):
            listed = one.item.tolist() if isinstance(one.item, np.ndarray) else one.item
            yield from map(str, listed if isinstance(listed, Sequence) else ())
