"""Rows of submissions, each stored once however often it is sent."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from auditor.domain.json import encode_canonical, parse_json
from auditor.errors import ConflictError, StoreError
from auditor.service.domain.submissions import Submission, SubmissionState
from auditor.service.store.projects import require_project
from auditor.service.store.tables import SubmissionRow
from auditor.store.sql import insert_if_absent

STATES = tuple(state.value for state in SubmissionState)


def keep_submission(
    session: Session, submission: Submission, idempotency_key: str | None, model: str
) -> tuple[Submission, bool]:
    """Keep a submission, or return the one that was made under the same key before.

    Raises ``ConflictError`` where that one, or the one of the same id, asked for something else.
    """
    require_project(session, submission.project)
    new = insert_if_absent(
        session,
        SubmissionRow,
        id=submission.id,
        project=submission.project,
        idempotency_key=idempotency_key,
        model=model,
        body_digest=submission.asked,
        body=encode_canonical(submission.to_json()).decode(),
        submitted=submission.submitted,
    )
    if idempotency_key is None:
        row = session.get(SubmissionRow, submission.id)
    else:
        row = find_submission_by_key(session, submission.project, idempotency_key)
    if row is None or row.body_digest != submission.asked:
        raise ConflictError(
            f"the idempotency key {(idempotency_key or submission.id)[:80]!r} was used for another "
            "submission before",
            cure="Use a new key for a new request, and the same key only to repeat a request.",
        )
    return (submission if new else read_submission(row)), new


def find_submission(session: Session, project: str | None, name: str) -> Submission | None:
    """Return a submission of a project, or, for ``None``, of any."""
    row = session.get(SubmissionRow, name)
    return None if row is None or project not in {None, row.project} else read_submission(row)


def find_submission_by_key(session: Session, project: str, key: str) -> SubmissionRow | None:
    """Return the submission that a project made under a key, if there is one."""
    row = SubmissionRow
    return session.scalar(select(row).where(row.project == project, row.idempotency_key == key))


def read_submission(row: SubmissionRow) -> Submission:
    """Return what a row says was submitted. Raises ``StoreError`` for a damaged one."""
    submission = Submission.from_json(parse_json(row.body.encode()))
    if submission.asked != row.body_digest or submission.id != row.id:
        raise StoreError(
            f"submission {row.id} is damaged: its body has another digest",
            cure="Restore the database from a copy.",
        )
    return submission
