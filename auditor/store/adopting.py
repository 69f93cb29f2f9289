"""Takes what was kept before there was a ledger into a ledger that begins."""

from collections.abc import Iterator

from sqlalchemy import select
from sqlalchemy.orm import Session

from auditor.domain.canonical import digest, parse
from auditor.domain.json_parts import Part
from auditor.domain.record_json import read_record
from auditor.domain.request_json import read_request
from auditor.errors import RecordError
from auditor.ledgers.events import Event, EventType
from auditor.ledgers.occasions import record_kept, registration_of
from auditor.store.ledger_reading import head_of
from auditor.store.ledger_writing import Pending
from auditor.store.tables import RecordRow, RegistrationRow, RequestRow


def adopted(session: Session) -> Iterator[Pending]:
    """Give an event for each registration and record that is there; none once a ledger is begun.

    So only an empty ledger adopts, and a row that was put in by hand later stays without a leaf.
    """
    if head_of(session.connection(), lock=True).size:
        return
    asked = (
        select(RequestRow.body, RegistrationRow.registered)
        .join(RequestRow, RequestRow.digest == RegistrationRow.request_digest)
        .order_by(RegistrationRow.id)
    )
    for body, registered in session.execute(asked):
        request = read_request(Part(parse(body.encode()), "request"))
        yield Pending(registration_of(request, registered))
    for row in session.scalars(select(RecordRow).order_by(RecordRow.finished, RecordRow.digest)):
        yield Pending(_kept(row))


def _kept(row: RecordRow) -> Event:
    """Return the event of a record; of one that this version cannot read, no more than its row."""
    try:
        return record_kept(read_record(row.body), row.bundle)
    except RecordError:
        subjects = {"record": row.digest}
        return Event(EventType.RECORD, digest(row.bundle), row.finished, subjects, row.id)
