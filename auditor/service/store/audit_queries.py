"""Read queries for lists of audits: summaries, newest records, attempts, and progress events.

Each function makes one database query for any number of rows, so that pages need no query per row.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import ColumnElement, Select, func, or_, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from auditor.domain.budgets import Budget
from auditor.domain.digests import Digest
from auditor.domain.json import JsonPart, parse_json
from auditor.domain.record_scope import RecordScope
from auditor.errors import UsageError
from auditor.service.domain.submissions import (
    Submission,
    SubmissionEvent,
    SubmissionEventKind,
    SubmissionFailure,
    SubmissionState,
)
from auditor.service.store.submission_history import ServiceStore, read_event_row, read_failure
from auditor.service.store.submission_rows import read_submission
from auditor.service.store.tables import (
    ATTEMPT,
    AttemptRow,
    OutcomeRow,
    RejudgementRow,
    SubmissionEventRow,
    SubmissionRow,
    SubmissionStateRow,
    TrendVerdictRow,
)
from auditor.store.record_scope_cache import WHOLE
from auditor.store.record_store import RecordStore
from auditor.store.tables import RecordRow, RecordTargetRow, RequestRow

Rows: TypeAlias = "Select[*tuple[Any, ...]]"
"""A query of several columns; what they hold says the one function that reads them."""


@dataclass(frozen=True, slots=True)
class AuditSummary:
    """An audit as lists show it; ``version`` and verdicts are known once it has a record: that of
    ``record``, which it came to first, and the last one, should it have been judged again.

    ``scope`` is what that record speaks for, ``last`` the last one and ``by_exception`` whether
    that one passes by waivers, ``failure`` why there is none where the audit failed.
    Of what was asked no more is read than this, and it is not held against its digest, as a
    submission is that somebody works on.
    """

    id: str
    project: str
    model: str
    submitter: str
    source: str
    audit_file: str
    policy: str
    targets: tuple[str, ...]
    budget: Budget | None
    only: tuple[str, ...]
    sealed: bool
    state: SubmissionState
    submitted: str
    ended: str | None
    record: str | None
    version: str | None
    first_verdict: str | None
    verdict: str | None
    failure: SubmissionFailure | None
    scope: RecordScope | None = None
    last: str | None = None
    by_exception: bool = False

    @property
    def problem(self) -> str:
        """Why it failed, or nothing."""
        return "" if self.failure is None else self.failure.problem


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuery:
    """Which audits to list; a cursor is the id of the last one that was seen."""

    project: str
    states: Collection[SubmissionState] = ()
    verdict: str | None = None
    model: str | None = None
    cursor: str | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class AuditListQueries:
    """Looks over a project's audits; every method is one transaction."""

    kept: ServiceStore

    def audits(self, sought: AuditQuery) -> tuple[tuple[AuditSummary, ...], str]:
        """Return audits, the newest first, and the cursor of what follows, empty at the end.

        Raises ``UsageError`` for a cursor that is none.
        """
        with self.kept.store.reading() as session:
            row = SubmissionStateRow
            asked = _lines().where(
                *[
                    row.project == sought.project,
                    *([] if sought.model is None else [row.model == sought.model]),
                    *([] if sought.verdict is None else [_verdict() == sought.verdict]),
                    *([row.state.in_([it.value for it in sought.states])] if sought.states else []),
                ]
            )
            if sought.cursor:
                last = session.get(SubmissionRow, sought.cursor)
                if last is None or last.project != sought.project:
                    raise UsageError(
                        f"{sought.cursor[:80]!r} is not a cursor of this list", cure="Begin anew."
                    )
                place = tuple_(SubmissionStateRow.submitted, SubmissionStateRow.submission)
                asked = asked.where(place < (last.submitted, last.id))
            rows = session.execute(_newest_first(asked).limit(sought.limit + 1)).all()
            found = self._scoped(session, rows[: sought.limit])
        return found, found[-1].id if len(rows) > sought.limit else ""

    def troubled(self, project: str, limit: int) -> tuple[AuditSummary, ...]:
        """Return each model's last audit to end, cancelled ones apart, if it did not pass."""
        place = (
            func.row_number()
            .over(
                partition_by=SubmissionRow.model,
                order_by=(OutcomeRow.ended.desc(), SubmissionRow.id.desc()),
            )
            .label("place")
        )
        ended = (
            select(SubmissionRow.id, place)
            .join(OutcomeRow, OutcomeRow.submission == SubmissionRow.id)
            .where(
                SubmissionRow.project == project,
                or_(OutcomeRow.record_digest.is_not(None), OutcomeRow.error.is_not(None)),
            )
            .subquery()
        )
        newest = select(ended.c.id).where(ended.c.place == 1)
        bad = or_(_verdict().is_(None), _verdict() != "pass")
        asked = _lines().where(SubmissionRow.id.in_(newest), bad)
        with self.kept.store.reading() as session:
            return self._scoped(session, session.execute(_newest_first(asked).limit(limit)).all())

    def any_audit(self, project: str) -> bool:
        """Whether anything was ever handed in."""
        asked = (
            select(SubmissionStateRow.submission)
            .where(SubmissionStateRow.project == project)
            .limit(1)
        )
        with self.kept.store.reading() as session:
            return session.scalar(asked) is not None

    def models(self, project: str) -> tuple[str, ...]:
        """Return the names of all models of the project's audits, in order."""
        asked = (
            select(SubmissionStateRow.model).where(SubmissionStateRow.project == project).distinct()
        )
        with self.kept.store.reading() as session:
            return tuple(session.scalars(asked.order_by(SubmissionStateRow.model)))

    def before(self, line: AuditSummary, project: str) -> str | None:
        """Return the audit of the same model that last came to a record before this one."""
        row = SubmissionStateRow
        asked = (
            select(row.submission)
            .where(
                row.project == project,
                row.model == line.model,
                row.state == SubmissionState.DONE.value,
                tuple_(row.submitted, row.submission) < (line.submitted, line.id),
            )
            .order_by(row.submitted.desc(), row.submission.desc())
            .limit(1)
        )
        with self.kept.store.reading() as session:
            return session.scalar(asked)

    def line(self, project: str, name: str) -> AuditSummary | None:
        """Return one audit of a project."""
        asked = _lines().where(SubmissionRow.project == project, SubmissionRow.id == name)
        with self.kept.store.reading() as session:
            found = self._scoped(session, session.execute(asked).all()[:1])
        return found[0] if found else None

    def _scoped(self, session: Session, rows: Sequence[Sequence[Any]]) -> tuple[AuditSummary, ...]:
        """Read rows, and look up at once what the records of all of them speak for."""
        lines = [_line(row) for row in rows]
        named = [it.record for it in lines if it.record is not None]
        scopes = self.kept.store.scopes.of(session, named)
        waived = self.kept.exceptions.of(session, [it.last for it in lines if it.last is not None])
        return tuple(
            it
            if it.record is None
            else replace(it, scope=scopes[it.record][WHOLE], by_exception=it.last in waived)
            for it in lines
        )


@cache  # to build it takes as long as to ask it
def _lines() -> Rows:
    asked: Rows = (
        select(
            SubmissionRow.id,
            SubmissionRow.project,
            SubmissionRow.model,
            SubmissionRow.body,
            SubmissionStateRow.state,
            SubmissionRow.submitted,
            OutcomeRow.ended,
            OutcomeRow.record_digest,
            RecordRow.model_version,
            RecordRow.verdict,
            _verdict(),
            _last(RecordRow.digest),
            OutcomeRow.error,
        )
        .join(SubmissionStateRow, SubmissionStateRow.submission == SubmissionRow.id)
        .outerjoin(OutcomeRow, OutcomeRow.submission == SubmissionRow.id)
        .outerjoin(RecordRow, RecordRow.digest == OutcomeRow.record_digest)
    )
    return asked


@cache
def _verdict() -> ColumnElement[str | None]:
    """Return the verdict of an audit's last record: it may have been judged again with waivers."""
    return _last(RecordRow.verdict)


def _last(column: InstrumentedAttribute[str]) -> ColumnElement[str | None]:
    """Return a column of an audit's last record."""
    again, record = RejudgementRow, aliased(RecordRow)
    last = (
        select(getattr(record, column.key))
        .join(again, again.record_digest == record.digest)
        .where(again.submission == SubmissionRow.id)
        .order_by(again.number.desc())
        .limit(1)
        .correlate(SubmissionRow)
        .scalar_subquery()
    )
    return func.coalesce(last, column)


def _newest_first(asked: Rows) -> Rows:
    return asked.order_by(SubmissionStateRow.submitted.desc(), SubmissionStateRow.submission.desc())


def _line(row: Sequence[Any]) -> AuditSummary:
    (name, project, model, body, state, submitted, ended, record, version, first, verdict,
     last, error) = row  # fmt: skip
    part = JsonPart(parse_json(body.encode()), "submission")
    return AuditSummary(
        id=name,
        project=project,
        model=model,
        submitter=part.get("submitter", str),
        source=part.get("source", str),
        audit_file=part.get("audit_file", str),
        policy=part.get("policy", str),
        targets=part.texts("targets"),
        budget=part.maybe("budget", Budget),
        only=part.texts("only") if "only" in part.value else (),
        sealed=part.maybe("sealed", bool) or False,
        state=SubmissionState(state),
        submitted=submitted,
        ended=ended,
        record=record,
        version=version,
        first_verdict=first,
        verdict=verdict,
        failure=read_failure(error),
        last=last,
    )


FEW = 10
"""So many requests are looked at first."""
MOST = 200
"""So many records are looked through for one that was asked for as much as a policy asks."""

NEWEST = (
    RecordRow.finished.desc(), RecordRow.verdict, SubmissionRow.id.desc(), RecordRow.digest,
)  # fmt: skip
"""The newest record first; of those of one second a failing one, which stands before a passing,
and of equal ones that of the audit which was asked for last."""


@dataclass(frozen=True, slots=True)
class RecordReference:
    """A record's digest, the submission that it came of, and its folder's manifest."""

    submission: str
    record: str
    files: str | None


@dataclass(frozen=True, slots=True)
class RecordQuery:
    """Whose records are sought: of which artifact under which policy, both by digest, and where."""

    project: str
    artifact: str
    policy: str
    target: str | None = None


@dataclass(frozen=True, slots=True)
class NewestRecords:
    """The newest ``MOST`` records that are sought, and the request that each of them answers.

    A whole one is of all checks, within a budget that covers ``least``.
    """

    store: RecordStore
    least: Budget
    found: tuple[tuple[RecordReference, str], ...]

    def first(self) -> RecordReference | None:
        """Return the newest whole record; where none is, the newest, which then says so."""
        whole = next(self._whole(), None)
        return next((it for it, request in self.found if whole in {None, request}), None)

    def any_whole(self) -> bool:
        """Whether a record is whole, or may be, as not all of them are here."""
        return len(self.found) == MOST or next(self._whole(), None) is not None

    def ones(self) -> tuple[RecordReference, ...]:
        """Return, in order, the records of which ``first`` is one: whole ones, or else all."""
        whole = frozenset(self._whole())
        return tuple(it for it, request in self.found if not whole or request in whole)

    def _whole(self) -> Iterator[str]:
        """Yield the requests of whole records, the newest first: most often the first is one."""
        requests = tuple(dict.fromkeys(request for _, request in self.found))
        for some in (requests[:FEW], requests[FEW:]):
            if some:
                with self.store.reading() as session:
                    known = self.store.extents.of(session, some)
                yield from (it for it in some if known[it].covers(self.least))


def find_newest_records(kept: ServiceStore, sought: RecordQuery, least: Budget) -> NewestRecords:
    """Return the newest records that are sought."""
    with kept.store.reading() as session:
        rows = session.execute(_asked(sought).limit(MOST)).all()
    found = tuple((RecordReference(*row[:3]), row[3]) for row in rows)
    return NewestRecords(kept.store, least, found)


def list_audited_targets(kept: ServiceStore, sought: RecordQuery) -> tuple[str, ...]:
    """Return the targets, by name, that any record which is sought audited, however old."""
    row = RecordTargetRow
    asked = _asked(sought).join(row, row.record_digest == RecordRow.digest)
    with kept.store.reading() as session:
        named = asked.order_by(None).with_only_columns(row.target).distinct()
        return tuple(sorted(session.scalars(named)))


def list_audited_policies(
    kept: ServiceStore, artifacts: Collection[str]
) -> Mapping[str, tuple[str, ...]]:
    """Return the policies, by digest, under which any project has records of artifacts.

    One look into an index: whoever asks a gate by them is told of records of one project alone.
    """
    row, found = RecordRow, dict[str, list[str]]()
    pair = (row.artifact_digest, row.policy_digest)
    asked = select(*pair).where(row.artifact_digest.in_(artifacts)).distinct().order_by(*pair)
    with kept.store.reading() as session:
        for artifact, policy in session.execute(asked):
            found.setdefault(str(artifact), []).append(policy)
    return {artifact: tuple(policies) for artifact, policies in found.items()}


def has_measurements_since(kept: ServiceStore, sought: RecordQuery, registered: str) -> bool:
    """Whether anything that a record rests on was asked for after a time."""
    later = _asked(sought).where(RecordRow.registered > registered).limit(1)
    with kept.store.reading() as session:
        return session.execute(later).first() is not None


def find_artifacts_with_file(kept: ServiceStore, project: str, file: str) -> tuple[str, ...]:
    """Return the artifacts, by digest, that have a file of a digest, the newest audited first.

    Those alone of which the project has a record, among the ``FEW`` newest that name the file.
    """
    if not kept.has_upload(project, file):
        return ()
    bare = Digest(file).hex
    asked = (
        select(RequestRow.body)
        .join(RecordRow, RecordRow.request_digest == RequestRow.digest)
        .join(OutcomeRow, OutcomeRow.record_digest == RecordRow.digest)
        .join(SubmissionRow, SubmissionRow.id == OutcomeRow.submission)
        .where(SubmissionRow.project == project, RecordRow.artifact_digest.is_not(None))
        .where(RequestRow.body.contains(bare, autoescape=True))
        .order_by(*NEWEST)
        .limit(FEW)
    )
    with kept.store.reading() as session:
        bodies = session.scalars(asked).all()
    told = [JsonPart(parse_json(body.encode()), "request").part("artifact") for body in bodies]
    return tuple(dict.fromkeys(
        it.get("digest", str) for it in told
        if bare in it.list_of("files", lambda one: one.get("sha256", str))
    ))  # fmt: skip


def _asked(sought: RecordQuery) -> "Select[str, str, str | None, str]":
    asked = (
        select(SubmissionRow.id, RecordRow.digest, OutcomeRow.files, RecordRow.request_digest)
        .join(OutcomeRow, OutcomeRow.submission == SubmissionRow.id)
        .join(RecordRow, RecordRow.digest == OutcomeRow.record_digest)
        .where(
            # Not by an index: most of what is kept may be of one project, and a gate wants few.
            SubmissionRow.project.concat("") == sought.project,
            RecordRow.artifact_digest == sought.artifact,
            RecordRow.policy_digest == sought.policy,
        )
        .order_by(*NEWEST)
    )
    if sought.target is None:
        return asked
    row = RecordTargetRow
    on = select(row.target).where(
        row.record_digest == RecordRow.digest, row.target == sought.target
    )
    return asked.where(on.exists())


@dataclass(frozen=True, slots=True)
class LatestRecord:
    """A record that an audit of the project came to: what it is of, and on which target.

    ``scope`` is what it speaks for there, ``by_exception`` whether it passes by waivers.
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
    by_exception: bool = False


@dataclass(frozen=True, slots=True)
class LatestRecordQueries:
    """Looks for a project's newest records; every method is one query."""

    kept: ServiceStore

    def last_of_each(
        self, project: str, models: Collection[str], most: int
    ) -> tuple[LatestRecord, ...]:
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

    def last_of_targets(self, project: str) -> tuple[LatestRecord, ...]:
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

    def exceptions(self, records: Collection[str]) -> frozenset[str]:
        """Return those of some records, by digest, that pass by exception."""
        with self.kept.store.reading() as session:
            return self.kept.exceptions.of(session, records)

    def of_model(self, project: str, model: str, limit: int) -> tuple[LatestRecord, ...]:
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

    def _scoped(self, session: Session, rows: Sequence[Sequence[Any]]) -> tuple[LatestRecord, ...]:
        found = [LatestRecord(*row) for row in rows]
        digests = [it.record for it in found]
        scopes = self.kept.store.scopes.of(session, digests)
        waived = self.kept.exceptions.of(session, digests)
        return tuple(
            replace(it, scope=scopes[it.record][it.target], by_exception=it.record in waived)
            for it in found
        )


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


def find_newest_record(store: RecordStore, project: str, model: str) -> str | None:
    """Return the digest of the record at which the newest audit of a model stands, if any does."""
    standing, later = TrendVerdictRow, RejudgementRow
    last = (
        select(standing.submission, standing.record)
        .where(standing.project == project, standing.model == model)
        .order_by(standing.finished.desc(), standing.submission.desc())
        .limit(1)
    )
    with store.reading() as session:
        found = session.execute(last).first()
        if found is None:
            return None
        again = select(later.record_digest).where(later.submission == found.submission)
        return session.scalar(again.order_by(later.number.desc()).limit(1)) or str(found.record)


@dataclass(frozen=True, slots=True)
class TargetRecord:
    """An audit of a model that ended with a record on a target, and the record it stands at."""

    submission: str
    target: str
    record: str
    finished: str


def list_records_since(
    store: RecordStore, project: str, model: str, since: str, limit: int
) -> tuple[TargetRecord, ...]:
    """Return how the newest audits of a model stand that ended since a time, the newest first.

    An audit of several targets is there once for each, and counts once.
    """
    standing = TrendVerdictRow
    newest = (
        select(standing.submission)
        .where(standing.project == project, standing.model == model, standing.finished >= since)
        .group_by(standing.submission)
        .order_by(func.max(standing.finished).desc(), standing.submission.desc())
        .limit(limit)
    )
    return _stood(store, standing.submission.in_(newest))


def find_newest_on_target(
    store: RecordStore, project: str, model: str, target: str
) -> TargetRecord | None:
    """Return how the newest audit of a model on a target stands, if there is one."""
    standing = TrendVerdictRow
    last = (
        select(standing.submission)
        .where(
            standing.project == project, standing.model == model, standing.target == target
        )
        .order_by(standing.finished.desc(), standing.submission.desc())
        .limit(1)
    )  # fmt: skip
    found = _stood(store, standing.submission.in_(last))
    return next((item for item in found if item.target == target), None)


def _stood(store: RecordStore, which: ColumnElement[bool]) -> tuple[TargetRecord, ...]:
    standing, later = TrendVerdictRow, RejudgementRow
    again = (
        select(later.record_digest)
        .where(later.submission == standing.submission)
        .order_by(later.number.desc())
        .limit(1)
        .correlate(standing)
        .scalar_subquery()
    )
    asked = (
        select(
            standing.submission, standing.target, func.coalesce(again, standing.record),
            standing.finished,
        )
        .where(which)
        .order_by(standing.finished.desc(), standing.submission.desc(), standing.target)
    )  # fmt: skip
    with store.reading() as session:
        return tuple(TargetRecord(*row) for row in session.execute(asked))


class SubmissionAttempt(NamedTuple):
    """What was handed in, and the number of its attempt, once it was registered."""

    submission: Submission
    attempt: int | None


def find_submission_attempts(
    store: RecordStore, project: str, names: Collection[str]
) -> Mapping[str, SubmissionAttempt]:
    """Return those of some submissions that a project has, by their ids.

    Raises ``StoreError`` for one that is damaged.
    """
    asked = (
        select(SubmissionRow, ATTEMPT)
        .outerjoin(AttemptRow, AttemptRow.submission == SubmissionRow.id)
        .where(SubmissionRow.id.in_(names), SubmissionRow.project == project)
    )
    with store.reading() as session:
        found = session.execute(asked).all()
        return {row.id: SubmissionAttempt(read_submission(row), number) for row, number in found}


MOST_EVENTS, MOST_PROGRESS_EVENTS = 5000, 100
"""So many events are read that count, and so many of progress; a check tells of that for hours."""


def read_progress_events(kept: ServiceStore, submission: str) -> tuple[SubmissionEvent, ...]:
    """Return a submission's events in order, of those that tell progress the last alone."""
    row = SubmissionEventRow
    mine = select(row).where(row.submission == submission)
    telling = (
        mine.where(row.kind == SubmissionEventKind.PROGRESS.value)
        .order_by(row.number.desc())
        .limit(MOST_PROGRESS_EVENTS)
    )
    others = (
        mine.where(row.kind != SubmissionEventKind.PROGRESS.value)
        .order_by(row.number.desc())
        .limit(MOST_EVENTS)
    )
    with kept.store.reading() as session:
        found = [*session.scalars(telling), *session.scalars(others)]
        return tuple(read_event_row(item) for item in sorted(found, key=lambda item: item.number))


def find_last_event_number(kept: ServiceStore, submission: str) -> int:
    """Return the number of a history's last event."""
    row = SubmissionEventRow
    asked = select(func.max(row.number)).where(row.submission == submission)
    with kept.store.reading() as session:
        return int(session.scalar(asked) or 0)
