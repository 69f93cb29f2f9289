"""What a service keeps of sealed sets; their bytes lie among the blobs."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Select, select

from auditor.domain.acts import Act, ActKind
from auditor.domain.artifacts import FileDigest
from auditor.domain.datasets import Role
from auditor.domain.sealed_sets import SealedSet
from auditor.store.service.act_tables import ActRow
from auditor.store.service.acts import note_act, noted
from auditor.store.service.adding import added
from auditor.store.service.sealed_tables import SealedSetRow
from auditor.store.service.tables import SubmissionRow
from auditor.store.store import Store


@dataclass(frozen=True, slots=True)
class SealedSets:
    """The sealed sets of every project, each project's apart. Every method is a transaction."""

    store: Store

    def add(self, item: SealedSet, act: Act | None = None) -> bool:
        """Keep a set, and say whether both its name and its bytes are new to the project."""
        with self.store.unit_of_work() as work:
            new = added(
                work.session,
                SealedSetRow,
                project=item.project,
                name=item.name,
                digest=item.digest,
                role=item.role.value,
                file=item.file.name,
                size=item.file.size,
                note=item.note,
                by=item.by,
                at=item.at,
            )
            return noted(work, act, changed=new)

    def release(self, act: Act) -> None:
        """Hold a set no more: the act alone says so, for rows are never changed or deleted."""
        with self.store.unit_of_work() as work:
            note_act(work, act)

    def was_named(self, project: str, digest: str) -> bool:
        """Whether an audit that the project asked for rests on these bytes, in the open or not."""
        row, digits = SubmissionRow, digest.removeprefix("sha256:")
        asked = select(row.id).where(row.project == project, row.body.contains(digits)).limit(1)
        with self.store.reading() as session:
            return session.scalar(asked) is not None

    def named(self, project: str, names: Collection[str]) -> dict[str, SealedSet]:
        """Return those of a project's sets that have one of the names."""
        asked = sets_of(project).where(SealedSetRow.name.in_(names))
        with self.store.reading() as session:
            return {it.name: _read(it) for it in session.scalars(asked)}

    def holding(self, project: str, digests: Collection[str]) -> dict[str, SealedSet]:
        """Return those of a project's sets whose bytes have one of the digests, by digest."""
        wanted, asked = set(digests), sets_of(project)
        with self.store.reading() as session:
            # A project has few sets, and an order may name a hundred thousand files.
            return {it.digest: _read(it) for it in session.scalars(asked) if it.digest in wanted}

    def of_project(
        self, project: str, cursor: str | None, limit: int
    ) -> tuple[tuple[SealedSet, ...], str]:
        """Return sets by their names, those after ``cursor``, and the cursor of what follows."""
        row = SealedSetRow
        asked = sets_of(project).where(row.name > (cursor or ""))
        with self.store.reading() as session:
            rows = session.scalars(asked.order_by(row.name).limit(limit + 1)).all()
            found = tuple(_read(it) for it in rows[:limit])
        return found, found[-1].name if len(rows) > limit else ""


def sets_of(project: str) -> Select[SealedSetRow]:
    """Ask for the sets of a project but for those that were released."""
    row, act = SealedSetRow, ActRow
    released = select(act.about).where(
        act.project == project, act.kind == ActKind.SEALED_SET_RELEASED.value
    )
    return select(row).where(row.project == project, row.name.not_in(released))


def _read(row: SealedSetRow) -> SealedSet:
    file = FileDigest(row.file, row.size, row.digest.removeprefix("sha256:"))
    return SealedSet(
        project=row.project,
        name=row.name,
        role=Role(row.role),
        file=file,
        note=row.note,
        by=row.by,
        at=row.at,
    )
