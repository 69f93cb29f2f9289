"""How much a project has: bytes of uploads, and audits that have not ended."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from auditor.refusals import QuotaError
from auditor.store.service.tables import OutcomeRow, SubmissionRow, UploadRow

FRESH = 10.0
"""Seconds after which what a project has is counted again, whatever was let in."""


def stored(session: Session, project: str) -> int:
    """Return the bytes of a project's uploads; those brought as two kinds count once."""
    row = UploadRow
    once = select(func.max(row.size).label("size")).where(row.project == project)
    each = once.group_by(row.digest).subquery()
    return int(session.scalar(select(func.coalesce(func.sum(each.c.size), 0))) or 0)


def refuse_more_waiting(session: Session, project: str, most: int) -> None:
    """Raise ``QuotaError`` where more than ``most`` audits of a project have not ended.

    The one that is being handed in is among them.
    """
    if not most:
        return
    row, end = SubmissionRow, OutcomeRow
    ended = select(end.submission).where(end.submission == row.id).exists()
    asked = select(row.id).where(row.project == project, ~ended).limit(most + 1)
    if len(session.scalars(asked).all()) > most:
        raise QuotaError(
            f"{most} audits of the project {project} have not ended yet, and no more may wait",
            cure="Wait until some have ended, or cancel those that nobody needs.",
        )


@dataclass(frozen=True, slots=True)
class Tally:
    """Knows how much projects have without counting it for every file that comes.

    It adds up what this process let in since it counted last, and counts again where that would be
    too much, and now and then for what others let in.
    """

    _known: dict[str, tuple[int, float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def over(self, project: str, length: int, quota: int, count: Callable[[], int]) -> int | None:
        """Return how much a project has where ``length`` more is over ``quota``, else ``None``."""
        with self._lock:
            there, counted = self._known.get(project, (0, 0.0))
            now = time.monotonic()
            if there + length > quota or not counted or now - counted > FRESH:
                there, counted = count(), now
            fits = there + length <= quota
            self._known[project] = (there + length if fits else there, counted)
        return None if fits else there
