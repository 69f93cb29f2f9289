"""The newest records of a project by what they are of, so that no page asks for each apart."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from auditor.domain.record_scopes import RecordScope
from auditor.store.service.store import ServiceStore
from auditor.store.service.tables import OutcomeRow, SubmissionRow
from auditor.store.tables import RecordRow, RecordTargetRow


@dataclass(frozen=True, slots=True)
class Told:
    """A record that an audit of the project came to: what it is of, and on which target.

    ``scope`` is what it speaks for there.
    """

    submission: str
    record: str
    model: str
    version: str
    target: str
    identity: str | None
    verdict: str
    finished: str
    artifact: str | None = None
    scope: RecordScope = RecordScope.ARTIFACT


@dataclass(frozen=True, slots=True)
class Latest:
    """Looks for a project's newest records; every method is one query."""

    kept: ServiceStore

    def last_of_each(self, project: str, models: Collection[str], most: int) -> tuple[Told, ...]:
        """Return the newest record of each of the last ``most`` versions of models by target."""
        row = RecordRow
        cell = (row.model_name, row.model_version, RecordTargetRow.target)
        newest = (row.finished.desc(), row.digest)
        ranked = _told(func.row_number().over(partition_by=cell, order_by=newest).label("place"))
        inner = ranked.where(
            SubmissionRow.project == project, row.model_name.in_(models)
        ).subquery()
        version = func.row_number().over(
            partition_by=(inner.c.model_name, inner.c.target), order_by=inner.c.finished.desc()
        )
        cells = select(inner, version.label("version")).where(inner.c.place == 1).subquery()
        asked = select(cells).where(cells.c.version <= most).order_by(cells.c.finished.desc())
        with self.kept.store.reading() as session:
            return self._scoped(session, [it[:-2] for it in session.execute(asked)])

    def last_of_targets(self, project: str) -> tuple[Told, ...]:
        """Return the newest record of each target, whatever model it is of."""
        place = func.row_number().over(
            partition_by=RecordTargetRow.target,
            order_by=(RecordRow.finished.desc(), RecordRow.digest),
        )
        inner = _told(place.label("place")).where(SubmissionRow.project == project).subquery()
        asked = select(inner).where(inner.c.place == 1).order_by(inner.c.finished.desc())
        with self.kept.store.reading() as session:
            return self._scoped(session, [it[:-1] for it in session.execute(asked)])

    def bodies(self, records: Collection[str]) -> dict[str, bytes]:
        """Return the bytes of records by their digests; whose they are was asked before."""
        asked = select(RecordRow.digest, RecordRow.body).where(RecordRow.digest.in_(records))
        with self.kept.store.reading() as session:
            return {row.digest: row.body for row in session.execute(asked)}

    def of_model(self, project: str, model: str, limit: int) -> tuple[Told, ...]:
        """Return a model's records on each target, the newest first."""
        asked = _told(RecordRow.digest.label("same")).where(
            SubmissionRow.project == project, RecordRow.model_name == model
        )
        ordered = asked.order_by(
            RecordRow.finished.desc(), RecordRow.digest, RecordTargetRow.target
        )
        with self.kept.store.reading() as session:
            rows = session.execute(ordered.limit(limit))
            return self._scoped(session, [it[:-1] for it in rows])

    def _scoped(self, session: Session, rows: Sequence[Sequence[Any]]) -> tuple[Told, ...]:
        found = [Told(*row) for row in rows]
        scopes = self.kept.store.scopes.of(session, [it.record for it in found])
        return tuple(replace(it, scope=scopes[it.record][it.target]) for it in found)


def _told(place: ColumnElement[Any]) -> Select[Any]:
    return (
        select(
            SubmissionRow.id,
            RecordRow.digest,
            RecordRow.model_name,
            RecordRow.model_version,
            RecordTargetRow.target,
            RecordTargetRow.identity,
            RecordRow.verdict,
            RecordRow.finished,
            RecordRow.artifact_digest,
            place,
        )
        .join(OutcomeRow, OutcomeRow.submission == SubmissionRow.id)
        .join(RecordRow, RecordRow.digest == OutcomeRow.record_digest)
        .join(RecordTargetRow, RecordTargetRow.record_digest == RecordRow.digest)
    )
