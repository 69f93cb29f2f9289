"""What a project's audits came to, many at once: each question is one query, however many rows."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Select, func, or_, select, tuple_
from sqlalchemy.orm import Session, aliased

from auditor.domain.budgets import Budget
from auditor.domain.canonical import parse
from auditor.domain.json_parts import Part
from auditor.domain.record_scopes import RecordScope
from auditor.domain.served import Failure
from auditor.domain.submissions import State
from auditor.errors import UsageError
from auditor.store.record_scopes import WHOLE
from auditor.store.service.histories import read_failure
from auditor.store.service.people_tables import RejudgementRow
from auditor.store.service.standing_tables import StandingRow
from auditor.store.service.store import ServiceStore
from auditor.store.service.tables import OutcomeRow, SubmissionRow
from auditor.store.tables import RecordRow

Rows: TypeAlias = "Select[*tuple[Any, ...]]"
"""A query of several columns; what they hold says the one function that reads them."""


@dataclass(frozen=True, slots=True)
class Line:
    """An audit as lists show it; ``version`` and verdicts are known once it has a record: that of
    ``record``, which it came to first, and the last one, should it have been judged again.

    ``scope`` is what that record speaks for, ``failure`` why there is none where the audit failed.
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
    state: State
    submitted: str
    ended: str | None
    record: str | None
    version: str | None
    first_verdict: str | None
    verdict: str | None
    failure: Failure | None
    scope: RecordScope | None = None

    @property
    def problem(self) -> str:
        """Why it failed, or nothing."""
        return "" if self.failure is None else self.failure.problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """Which audits to list; a cursor is the id of the last one that was seen."""

    project: str
    states: Collection[State] = ()
    verdict: str | None = None
    model: str | None = None
    cursor: str | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Overviews:
    """Looks over a project's audits; every method is one transaction."""

    kept: ServiceStore

    def audits(self, sought: Sought) -> tuple[tuple[Line, ...], str]:
        """Return audits, the newest first, and the cursor of what follows, empty at the end.

        Raises ``UsageError`` for a cursor that is none.
        """
        with self.kept.store.reading() as session:
            asked = _lines().where(*_conditions(sought))
            if sought.cursor:
                last = session.get(SubmissionRow, sought.cursor)
                if last is None or last.project != sought.project:
                    raise UsageError(
                        f"{sought.cursor[:80]!r} is no cursor of this list", cure="Begin anew."
                    )
                place = tuple_(StandingRow.submitted, StandingRow.submission)
                asked = asked.where(place < (last.submitted, last.id))
            rows = session.execute(_newest_first(asked).limit(sought.limit + 1)).all()
            found = self._scoped(session, rows[: sought.limit])
        return found, found[-1].id if len(rows) > sought.limit else ""

    def troubled(self, project: str, limit: int) -> tuple[Line, ...]:
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
            .where(SubmissionRow.project == project, _not_cancelled())
            .subquery()
        )
        newest = select(ended.c.id).where(ended.c.place == 1)
        bad = or_(_verdict().is_(None), _verdict() != "pass")
        asked = _lines().where(SubmissionRow.id.in_(newest), bad)
        with self.kept.store.reading() as session:
            return self._scoped(session, session.execute(_newest_first(asked).limit(limit)).all())

    def any_audit(self, project: str) -> bool:
        """Whether anything was ever handed in."""
        asked = select(StandingRow.submission).where(StandingRow.project == project).limit(1)
        with self.kept.store.reading() as session:
            return session.scalar(asked) is not None

    def models(self, project: str) -> tuple[str, ...]:
        """Return the names of all models of the project's audits, in order."""
        asked = select(StandingRow.model).where(StandingRow.project == project).distinct()
        with self.kept.store.reading() as session:
            return tuple(session.scalars(asked.order_by(StandingRow.model)))

    def before(self, line: Line, project: str) -> str | None:
        """Return the audit of the same model that last came to a record before this one."""
        row = StandingRow
        asked = (
            select(row.submission)
            .where(
                row.project == project,
                row.model == line.model,
                row.state == State.DONE.value,
                tuple_(row.submitted, row.submission) < (line.submitted, line.id),
            )
            .order_by(row.submitted.desc(), row.submission.desc())
            .limit(1)
        )
        with self.kept.store.reading() as session:
            return session.scalar(asked)

    def line(self, project: str, name: str) -> Line | None:
        """Return one audit of a project."""
        asked = _lines().where(SubmissionRow.project == project, SubmissionRow.id == name)
        with self.kept.store.reading() as session:
            found = self._scoped(session, session.execute(asked).all()[:1])
        return found[0] if found else None

    def _scoped(self, session: Session, rows: Sequence[Sequence[Any]]) -> tuple[Line, ...]:
        """Read rows, and look up at once what the records of all of them speak for."""
        lines = [_line(row) for row in rows]
        named = [it.record for it in lines if it.record is not None]
        scopes = self.kept.store.scopes.of(session, named)
        return tuple(
            it if it.record is None else replace(it, scope=scopes[it.record][WHOLE]) for it in lines
        )


def _lines() -> Rows:
    asked: Rows = (
        select(
            SubmissionRow.id,
            SubmissionRow.project,
            SubmissionRow.model,
            SubmissionRow.body,
            StandingRow.state,
            SubmissionRow.submitted,
            OutcomeRow.ended,
            OutcomeRow.record_digest,
            RecordRow.model_version,
            RecordRow.verdict,
            _verdict(),
            OutcomeRow.error,
        )
        .join(StandingRow, StandingRow.submission == SubmissionRow.id)
        .outerjoin(OutcomeRow, OutcomeRow.submission == SubmissionRow.id)
        .outerjoin(RecordRow, RecordRow.digest == OutcomeRow.record_digest)
    )
    return asked


def _verdict() -> ColumnElement[str | None]:
    """Return the verdict of an audit's last record: it may have been judged again with waivers."""
    again, record = RejudgementRow, aliased(RecordRow)
    last = (
        select(record.verdict)
        .join(again, again.record_digest == record.digest)
        .where(again.submission == SubmissionRow.id)
        .order_by(again.number.desc())
        .limit(1)
        .correlate(SubmissionRow)
        .scalar_subquery()
    )
    return func.coalesce(last, RecordRow.verdict)


def _newest_first(asked: Rows) -> Rows:
    return asked.order_by(StandingRow.submitted.desc(), StandingRow.submission.desc())


def _conditions(sought: Sought) -> list[ColumnElement[bool]]:
    row = StandingRow
    return [
        row.project == sought.project,
        *([] if sought.model is None else [row.model == sought.model]),
        *([] if sought.verdict is None else [_verdict() == sought.verdict]),
        *([row.state.in_([it.value for it in sought.states])] if sought.states else []),
    ]


def _not_cancelled() -> ColumnElement[bool]:
    return or_(OutcomeRow.record_digest.is_not(None), OutcomeRow.error.is_not(None))


def _line(row: Sequence[Any]) -> Line:
    (name, project, model, body, state, submitted, ended, record, version, first, verdict,
     error) = row  # fmt: skip
    part = Part(parse(body.encode()), "submission")
    return Line(
        id=name,
        project=project,
        model=model,
        submitter=part.get("submitter", str),
        source=part.get("source", str),
        audit_file=part.get("audit_file", str),
        policy=part.get("policy", str),
        targets=part.texts("targets"),
        budget=None if part.value.get("budget") is None else part.choice("budget", Budget),
        only=part.texts("only") if "only" in part.value else (),
        sealed=part.maybe("sealed", bool) or False,
        state=State(state),
        submitted=submitted,
        ended=ended,
        record=record,
        version=version,
        first_verdict=first,
        verdict=verdict,
        failure=read_failure(error),
    )
