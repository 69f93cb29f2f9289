"""A cache of which records pass by exception, so that lists need not read a record twice."""

import threading
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from auditor.domain.findings import Verdict
from auditor.domain.record_json import read_record
from auditor.errors import AuditorError
from auditor.reports.waiver_text import list_exceptions
from auditor.store.tables import RecordRow, RequestRow

MOST = 20_000
"""So many records are remembered, which takes a few megabytes."""
NAMED = '"waivers":'
"""Stands in a request that names waivers, and in no other."""


@dataclass(slots=True)
class ExceptionCache:
    """Tells which records are a pass that rests on waivers.

    Only passing records whose request names waivers are read, each of them once. One that cannot
    be read is none without an exception.
    """

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _known: OrderedDict[str, bool] = field(default_factory=OrderedDict)

    def of(self, session: Session, records: Collection[str]) -> frozenset[str]:
        """Return those of some records, by digest, that pass by exception."""
        with self._lock:
            found = {it: self._known[it] for it in records if it in self._known}
        missing = [it for it in dict.fromkeys(records) if it not in found]
        if missing:
            asked = (
                select(RecordRow.digest, RecordRow.body)
                .join(RequestRow, RequestRow.digest == RecordRow.request_digest)
                .where(RecordRow.digest.in_(missing), RecordRow.verdict == Verdict.PASS.value)
                .where(RequestRow.body.contains(NAMED, autoescape=True))
            )
            fresh = dict.fromkeys(missing, False) | {
                digest: _rests_on_waivers(body) for digest, body in session.execute(asked).all()
            }
            with self._lock:
                self._known |= fresh
                while len(self._known) > MOST:
                    self._known.popitem(last=False)
            found |= fresh
        return frozenset(it for it, by_exception in found.items() if by_exception)


def _rests_on_waivers(body: bytes) -> bool:
    try:
        return bool(list_exceptions(read_record(body)))
    except AuditorError:
        return True
