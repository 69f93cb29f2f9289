"""A cache of the scopes of records on each target; records never change."""

import threading
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from auditor.domain.record_json import read_record
from auditor.domain.record_scope import RecordScope, find_record_scope
from auditor.domain.targets import SERVED
from auditor.errors import AuditorError
from auditor.store.tables import RecordRow, RequestRow

MOST = 20_000
"""So many records are remembered, which takes a few megabytes."""
WHOLE = ""
"""The name under which stands what a record speaks for on all its targets together."""
Scopes = Mapping[str, RecordScope]


class UniformScope(dict[str, RecordScope]):
    """One scope on every target."""

    def __init__(self, scope: RecordScope) -> None:
        """Say it of whatever is asked."""
        super().__init__()
        self._scope = scope

    def __missing__(self, _target: str) -> RecordScope:
        """Return the one scope."""
        return self._scope


@dataclass(slots=True)
class RecordScopeCache:
    """Tells what records of a store speak for.

    Only records whose request names a server, a cascade or no file are read, each of them once.
    One that cannot be read speaks for no file.
    """

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _known: OrderedDict[str, Scopes] = field(default_factory=OrderedDict)

    def of(self, session: Session, records: Collection[str]) -> dict[str, Scopes]:
        """Return by digest what records speak for, by target and as a ``WHOLE``."""
        with self._lock:
            found = {it: self._known[it] for it in records if it in self._known}
        missing = [it for it in dict.fromkeys(records) if it not in found]
        if missing:
            ran: dict[str, Scopes] = dict.fromkeys(missing, UniformScope(RecordScope.ARTIFACT))
            settings = [f'"{name}":' for name in sorted(SERVED)]
            runtimes = [f'"runtime":"{name}"' for name in sorted(SERVED)]
            served = or_(
                *[RequestRow.body.contains(it, autoescape=True) for it in (*settings, *runtimes)]
            )
            asked = (
                select(RecordRow.digest, served)
                .join(RequestRow, RequestRow.digest == RecordRow.request_digest)
                .where(RecordRow.digest.in_(missing))
                .where(or_(RecordRow.artifact_digest.is_(None), served))
            )
            fresh = ran | {
                record: _read(session, record) if asks else UniformScope(RecordScope.PREDICTIONS)
                for record, asks in session.execute(asked).all()
            }
            with self._lock:
                self._known |= fresh
                while len(self._known) > MOST:
                    self._known.popitem(last=False)
            found |= fresh
        return found


def _read(session: Session, digest: str) -> Scopes:
    body = session.scalar(select(RecordRow.body).where(RecordRow.digest == digest))
    try:
        record = read_record(body or b"")
    except AuditorError:
        return UniformScope(RecordScope.ENDPOINT)
    names = [spec.name for spec in record.request.targets]
    return {
        **{name: find_record_scope(record, name) for name in names},
        WHOLE: find_record_scope(record),
    }
