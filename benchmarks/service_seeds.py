"""Fills a service's database with many audits, whose rows are those of a real one under new names.

Their leaves and openings are in the ledger's tables as well, under a tree that is not grown.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from service_places import PROJECT, Opened
from sqlalchemy import insert, select

from auditor._time import format_time
from auditor.domain.json import compute_digest, encode_canonical, parse_json
from auditor.service.domain.submissions import Submission
from auditor.service.store.tables import OutcomeRow, SubmissionEventRow, SubmissionRow
from auditor.store.tables import (
    LedgerLeafRow,
    LedgerOpeningRow,
    RecordRow,
    RecordTargetRow,
    TableBase,
)

BATCH = 2000
MODELS, ARTIFACTS = 50, 1000
RUNNING, FAILED, APPROVED = 5000, 100, 10
"""One of so many still runs, one of so many failed, and one of so many was approved."""
FAR, FARTHER = 10_000_000, 20_000_000
BEGAN = datetime(2025, 1, 1, tzinfo=UTC)
TABLES: tuple[type[TableBase], ...] = (
    SubmissionRow, SubmissionEventRow, RecordRow, RecordTargetRow, LedgerLeafRow, LedgerOpeningRow,
    OutcomeRow,
)  # fmt: skip
"""In the order in which rows name others."""
Rows = dict[type[TableBase], list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Seed:
    """A real audit: its submission, its record's row, and what the ledger has of that."""

    submission: Submission
    record: Mapping[str, Any]
    leaf: bytes
    opening: Mapping[str, Any]


def seed_of(there: Opened, name: str) -> Seed:
    """Read a real audit that is done."""
    with there.place.store.transaction() as session:
        submission = session.get_one(SubmissionRow, name)
        outcome = session.get_one(OutcomeRow, name)
        record = session.get_one(RecordRow, outcome.record_digest)
        opening = session.scalars(
            select(LedgerOpeningRow).where(LedgerOpeningRow.event_id == record.id)
        ).one()
        leaf = session.get_one(LedgerLeafRow, opening.idx).body
        columns = {it.name: getattr(record, it.name) for it in RecordRow.__table__.columns}
        of_opening = {
            it.name: getattr(opening, it.name) for it in LedgerOpeningRow.__table__.columns
        }
        body = Submission.from_json(parse_json(submission.body.encode()))
    return Seed(body, columns, leaf, of_opening)


def grow(there: Opened, seed: Seed, count: int) -> None:
    """Add so many audits, older than the real one."""
    for start in range(0, count, BATCH):
        rows: Rows = {table: [] for table in TABLES}
        for number in range(start, min(start + BATCH, count)):
            for table, found in _rows(seed, number):
                rows[table].extend(found)
        with there.place.store.transaction() as session:
            for table, found in rows.items():
                session.connection().execute(insert(table.__table__), found)


def _rows(seed: Seed, number: int) -> Iterator[tuple[type[TableBase], Sequence[dict[str, Any]]]]:
    at = format_time(BEGAN + timedelta(minutes=number))
    submission = _submission(seed, number, at)
    state = "running" if number % RUNNING == 0 else "failed" if number % FAILED == 1 else "done"
    said = ["queued", "running", "check_started", "check_ended"]
    said += [] if state == "running" else [state]
    events = [
        {"submission": submission["id"], "number": at_, "at": at, "kind": kind, "detail": "{}"}
        for at_, kind in enumerate(said, start=1)
    ]
    yield SubmissionRow, [submission]
    yield SubmissionEventRow, events
    record = None
    if state == "done":
        row = _record(seed, number, at)
        record = row["digest"]
        yield RecordRow, [row]
        yield RecordTargetRow, [{"record_digest": record, "target": "cpu", "identity": record}]
        leaf = {"idx": FAR + number, "body": seed.leaf}
        yield LedgerLeafRow, [leaf]
        yield LedgerOpeningRow, [{**seed.opening, "idx": FAR + number, "event_id": f"rec-{number}"}]
        if number % APPROVED == 0:
            yield LedgerLeafRow, [{"idx": FARTHER + number, "body": seed.leaf}]
            yield LedgerOpeningRow, [_approval(seed, number, record)]
    if state != "running":
        error = encode_canonical({"problem": "It broke.", "cure": "Mend it."}).decode()
        failed = error if state == "failed" else None
        yield OutcomeRow, [{
            "submission": submission["id"], "record_digest": record, "files": record,
            "error": failed, "ended": at,
        }]  # fmt: skip


def _submission(seed: Seed, number: int, at: str) -> dict[str, Any]:
    was = seed.submission
    name = f"sub-{number:024x}"
    body = encode_canonical(was.to_json()).decode().replace(was.id, name).replace(was.submitted, at)
    return {
        "id": name, "project": PROJECT, "idempotency_key": f"key {number}",
        "model": f"model-{number % MODELS}", "body_digest": was.asked, "body": body,
        "submitted": at,
    }  # fmt: skip


def _record(seed: Seed, number: int, at: str) -> dict[str, Any]:
    """Return a record's row: of the real artifact now and then, and else of one of many.

    Its bytes are those of the real one under an id of its own, and have the digest that it says.
    """
    which = number % ARTIFACTS
    artifact = seed.record["artifact_digest"] if which == 0 else _name(f"artifact {which}")
    was = seed.record["id"]
    name = hashlib.sha256(f"id {number}".encode()).hexdigest()[: len(was)]
    body = seed.record["body"].replace(was.encode(), name.encode())
    return {
        **seed.record, "digest": compute_digest(body), "id": name, "body": body,
        "artifact_digest": artifact, "registered": at, "finished": at,
    }  # fmt: skip


def _approval(seed: Seed, number: int, record: str) -> dict[str, Any]:
    """Return the ledger's row of somebody's yes to a record, as large as a real one."""
    return {
        **seed.opening, "idx": FARTHER + number, "event_id": f"approval-{_name(str(number))[7:39]}",
        "subjects": encode_canonical({"record": record}).decode(), "document": bytes(2000),
    }  # fmt: skip


def _name(text: str) -> str:
    return compute_digest(text.encode())
