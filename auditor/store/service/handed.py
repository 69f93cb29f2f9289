"""What was handed in, and which attempt it is, of many submissions by one question."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from sqlalchemy import select

from auditor.domain.submissions import Submission
from auditor.store.service.attempt_tables import ATTEMPT, AttemptRow
from auditor.store.service.submitted import read_submission
from auditor.store.service.tables import SubmissionRow
from auditor.store.store import Store


class Handed(NamedTuple):
    """What was handed in, and the number of its attempt, once it was registered."""

    submission: Submission
    attempt: int | None


def handed_in(store: Store, project: str, names: Collection[str]) -> Mapping[str, Handed]:
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
        return {row.id: Handed(read_submission(row), number) for row, number in found}
