"""Stored trends: verdicts of model versions and whole-sample measurements over time.

The rows of a record are written once.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import and_, func, or_, select

from auditor.domain.findings import Finding, Verdict
from auditor.domain.json import encode_canonical
from auditor.domain.policies import RuleEffect
from auditor.domain.readings import Measurement
from auditor.domain.records import AuditRecord
from auditor.errors import UsageError
from auditor.service.store.tables import (
    OutcomeRow,
    SubmissionRow,
    TrendPointRow,
    TrendVerdictRow,
    TrendVersionRow,
)
from auditor.store.record_scope_cache import Scopes
from auditor.store.record_store import RecordStore
from auditor.store.sql import insert_if_absent
from auditor.store.tables import RecordRow


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendQuery:
    """Which points are asked for: of a model's metric, by which check, on which target."""

    project: str
    model: str
    metric: str
    check: str | None = None
    target: str | None = None
    cursor: str | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class TrendPointStore:
    """What is kept of measurements. Raises ``StoreError`` when the database refuses."""

    store: RecordStore

    def points(self, sought: TrendQuery) -> tuple[tuple[TrendPointRow, ...], str]:
        """Return points, the newest first, and the cursor of what follows.

        Raises ``UsageError`` for a cursor that is none.
        """
        row = TrendPointRow
        asked = select(row).where(
            row.project == sought.project,
            row.model == sought.model,
            row.metric == sought.metric,
            *([] if sought.check is None else [row.check_id == sought.check]),
            *([] if sought.target is None else [row.target == sought.target]),
        )
        with self.store.reading() as session:
            if sought.cursor:
                submission, _, number = str(sought.cursor).partition(".")
                last = session.get(row, (submission, int(number))) if number.isdecimal() else None
                if last is None or last.project != sought.project or last.model != sought.model:
                    raise UsageError(
                        f"{str(sought.cursor)[:80]!r} is not a cursor of this list",
                        cure=(
                            "Use the `next` value of the last page, or no cursor for "
                            "the first page."
                        ),
                    )
                same_time = and_(row.finished == last.finished, row.submission == last.submission)
                asked = asked.where(
                    or_(
                        row.finished < last.finished,
                        and_(row.finished == last.finished, row.submission < last.submission),
                        and_(same_time, row.number < last.number),
                    )
                )
            ordered = asked.order_by(row.finished.desc(), row.submission.desc(), row.number.desc())
            found = tuple(session.scalars(ordered.limit(sought.limit + 1)))
            session.expunge_all()
        page = found[: sought.limit]
        return page, f"{page[-1].submission}.{page[-1].number}" if len(found) > len(page) else ""


def build_point_rows(submission: str, project: str, record: AuditRecord) -> Iterator[TrendPointRow]:
    """Return the rows of what a record measured of the whole sample."""
    for number, item in enumerate(record.readings):
        if not isinstance(item, Measurement) or item.slice or isinstance(item.value, str | None):
            continue
        yield TrendPointRow(
            submission=submission,
            number=number,
            project=project,
            model=record.request.name,
            version=record.request.version,
            target=item.target,
            check_id=item.check,
            check_version=item.version,
            metric=item.metric,
            params=encode_canonical(dict(item.params)).decode(),
            value=float(item.value),
            low=item.low,
            high=item.high,
            confidence=item.confidence,
            bound=item.bound.value,
            n=item.n,
            unit=item.unit.value,
            doubted=item.doubted,
            record=record.digest,
            finished=record.finished,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionStatus:
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
class TrendStore:
    """What is kept of trends. Every method is a transaction of its own.

    Whatever belongs to a project is asked for with the project. Raises ``StoreError`` when the
    database refuses.
    """

    store: RecordStore

    def note(self, submission: str, project: str, record: AuditRecord) -> None:
        """Keep what a record of a submission measured and decided, once."""
        with self.store.transaction() as session:
            for standing in list_version_statuses(submission, record):
                columns = {name: getattr(standing, name) for name in VersionStatus.__slots__}
                if not insert_if_absent(session, TrendVerdictRow, project=project, **columns):
                    return
                named = {"model": standing.model, "artifact": standing.artifact}
                insert_if_absent(
                    session, TrendVersionRow, project=project, target=standing.target,
                    first=standing.finished, **named,
                )  # fmt: skip
            session.add_all(build_point_rows(submission, project, record))

    def missing(self, after: str, limit: int) -> tuple[tuple[str, str, bytes], ...]:
        """Return submissions with their projects and records of which nothing is kept here yet.

        They come in the order of their ids, those above ``after``.
        """
        standing = TrendVerdictRow
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
        row, names = TrendVerdictRow, list[str]()
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
        row = TrendVerdictRow
        asked = select(row.model).where(row.project == project, row.model == model).limit(1)
        with self.store.reading() as session:
            return session.scalar(asked) is not None

    def versions(
        self, project: str, models: tuple[str, ...], most: int
    ) -> tuple[VersionStatus, ...]:
        """Return how the ``most`` newest versions of models stand on each target, newest first.

        A version is an artifact, under the name that its newest record calls it by; it is as new
        as the first audit of it.
        """
        # The versions of models, each on its targets, with how new it is
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
        row, ranked = TrendVerdictRow, select(seen, newness.label("newness")).subquery()
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
            return tuple(
                VersionStatus(**{name: getattr(item, name) for name in VersionStatus.__slots__})
                for item in session.scalars(asked)
            )

    def scopes(self, standings: Sequence[VersionStatus]) -> Mapping[str, Scopes]:
        """Return by record, and then by target, what standings speak for."""
        with self.store.reading() as session:
            return self.store.scopes.of(session, [it.record for it in standings])


def list_version_statuses(submission: str, record: AuditRecord) -> Iterator[VersionStatus]:
    """Return the verdict of a record on each of its targets."""
    request = record.request
    for target in request.targets:
        yield VersionStatus(
            submission=submission,
            target=target.name,
            model=request.name,
            version=request.version,
            artifact="" if request.artifact is None else request.artifact.digest,
            policy=request.policy.digest,
            record=record.digest,
            verdict=find_target_verdict(record, target.name).value,
            finished=record.finished,
        )


def find_target_verdict(record: AuditRecord, target: str) -> Verdict:
    """Return the verdict of a record on one target; what is said of no target counts there too."""
    return Verdict.of(
        item.outcome
        for item in record.findings
        if item.effect is RuleEffect.DENY and concerns_target(record, item, target)
    )


def concerns_target(record: AuditRecord, finding: Finding, target: str) -> bool:
    """Whether a finding counts on a target: it is of that one, or of no target at all."""
    names = (it.name for it in record.request.targets)
    return finding.target == target or finding.target not in names
