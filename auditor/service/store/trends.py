"""What records measured and decided over time, in rows that are written once a record."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Subquery, and_, func, select

from auditor.domain.policies import Effect
from auditor.domain.records import AuditRecord
from auditor.domain.verdicts import Verdict
from auditor.store.record_scopes import Scopes
from auditor.store.service.adding import added
from auditor.store.service.tables import OutcomeRow, SubmissionRow
from auditor.store.service.trend_points import points_of
from auditor.store.service.trend_tables import TrendStandingRow, TrendVersionRow
from auditor.store.store import Store
from auditor.store.tables import RecordRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The verdict of one audit on one target, and of which version under which policy.

    ``artifact`` is empty where there was none.
    """

    submission: str
    target: str
    model: str
    version: str
    artifact: str
    policy: str
    record: str
    verdict: str
    finished: str


@dataclass(frozen=True, slots=True)
class KeptTrends:
    """What is kept of trends. Every method is a transaction of its own.

    Whatever belongs to a project is asked for with the project. Raises ``StoreError`` when the
    database refuses.
    """

    store: Store

    def note(self, submission: str, project: str, record: AuditRecord) -> None:
        """Keep what a record of a submission measured and decided, once."""
        with self.store.transaction() as session:
            for standing in standings_of(submission, record):
                columns = {name: getattr(standing, name) for name in Standing.__slots__}
                if not added(session, TrendStandingRow, project=project, **columns):
                    return
                named = {"model": standing.model, "artifact": standing.artifact}
                added(
                    session, TrendVersionRow, project=project, target=standing.target,
                    first=standing.finished, **named,
                )  # fmt: skip
            session.add_all(points_of(submission, project, record))

    def missing(self, after: str, limit: int) -> tuple[tuple[str, str, bytes], ...]:
        """Return submissions with their projects and records of which nothing is kept here yet.

        They come in the order of their ids, those above ``after``.
        """
        standing = TrendStandingRow
        asked = (
            select(SubmissionRow.id, SubmissionRow.project, RecordRow.body)
            .join(OutcomeRow, OutcomeRow.submission == SubmissionRow.id)
            .join(RecordRow, RecordRow.digest == OutcomeRow.record_digest)
            .where(SubmissionRow.id > after)
            .where(~select(standing.target).where(standing.submission == SubmissionRow.id).exists())
            .order_by(SubmissionRow.id)
            .limit(limit)
        )
        with self.store.reading() as session:
            return tuple((name, project, body) for name, project, body in session.execute(asked))

    def models(self, project: str, cursor: str | None, limit: int) -> tuple[tuple[str, ...], str]:
        """Return the names of a project's models in order, those after ``cursor``."""
        row, names = TrendStandingRow, list[str]()
        with self.store.transaction() as session:
            # One look into the index a name: to sort out all rows for theirs takes far longer.
            while len(names) <= limit:
                after = names[-1] if names else cursor or ""
                asked = select(func.min(row.model)).where(row.project == project, row.model > after)
                found = session.scalar(asked)
                if found is None:
                    return tuple(names), ""
                names.append(found)
        return tuple(names[:limit]), names[limit - 1]

    def knows(self, project: str, model: str) -> bool:
        """Whether a model of that name was audited in a project."""
        row = TrendStandingRow
        asked = select(row.model).where(row.project == project, row.model == model).limit(1)
        with self.store.reading() as session:
            return session.scalar(asked) is not None

    def versions(self, project: str, models: tuple[str, ...], most: int) -> tuple[Standing, ...]:
        """Return how the ``most`` newest versions of models stand on each target, newest first.

        A version is an artifact, under the name that its newest record calls it by; it is as new
        as the first audit of it.
        """
        row, ranked = TrendStandingRow, _ranked(project, models)
        last = (
            select(row.submission)
            .where(
                row.project == project,
                row.model == ranked.c.model,
                row.artifact == ranked.c.artifact,
                row.target == ranked.c.target,
            )
            .order_by(row.finished.desc(), row.submission.desc())
            .limit(1)
            .correlate(ranked)
            .scalar_subquery()
        )
        newest = select(ranked, last.label("last")).where(ranked.c.newness <= most).subquery()
        asked = (
            select(row)
            .join(newest, and_(row.submission == newest.c.last, row.target == newest.c.target))
            .order_by(row.model, newest.c.newness, row.target)
        )
        with self.store.reading() as session:
            return tuple(_standing(item) for item in session.scalars(asked))

    def scopes(self, standings: Sequence[Standing]) -> Mapping[str, Scopes]:
        """Return by record, and then by target, what standings speak for."""
        with self.store.reading() as session:
            return self.store.scopes.of(session, [it.record for it in standings])


def _ranked(project: str, models: tuple[str, ...]) -> Subquery:
    """Return the versions of models, each on its targets, with how new it is."""
    version = TrendVersionRow
    seen = (
        select(
            version,
            func.min(version.first)
            .over(partition_by=(version.model, version.artifact))
            .label("since"),
        )
        .where(version.project == project, version.model.in_(models))
        .subquery()
    )
    order = (seen.c.since.desc(), seen.c.artifact.desc())
    newness = func.dense_rank().over(partition_by=seen.c.model, order_by=order)
    return select(seen, newness.label("newness")).subquery()


def standings_of(submission: str, record: AuditRecord) -> Iterator[Standing]:
    """Return the verdict of a record on each of its targets."""
    request = record.request
    for target in request.targets:
        yield Standing(
            submission=submission,
            target=target.name,
            model=request.name,
            version=request.version,
            artifact="" if request.artifact is None else request.artifact.digest,
            policy=request.policy.digest,
            record=record.digest,
            verdict=verdict_on(record, target.name).value,
            finished=record.finished,
        )


def verdict_on(record: AuditRecord, target: str) -> Verdict:
    """Return the verdict of a record on one target; what is said of no target counts there too."""
    names = {it.name for it in record.request.targets}
    return Verdict.of(
        item.outcome
        for item in record.findings
        if item.effect is Effect.DENY and (item.target == target or item.target not in names)
    )


def _standing(row: TrendStandingRow) -> Standing:
    return Standing(**{name: getattr(row, name) for name in Standing.__slots__})
