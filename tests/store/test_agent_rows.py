"""What is kept of agents is only ever added to."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import column, create_engine, delete, table, update
from sqlalchemy.exc import DBAPIError

from auditor.domain.json import compute_digest
from auditor.service.domain.access import AccessRole, ApiKey
from auditor.service.domain.agents import Agent, AgentHello, ShardLease, ShardOffer
from auditor.service.domain.submissions import AuditOrder, ShardKey, Submission, SubmissionFailure
from auditor.service.store.agents import AgentStore, LeaseStore, keep_agent
from auditor.service.store.submission_history import ServiceStore
from auditor.store.database import migrate
from auditor.store.record_store import RecordStore

NOW, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"
KEY = ApiKey(
    id="a1", project="mine", role=AccessRole.AGENT, name="x", secret_hash="ab" * 32, created=NOW
)  # fmt: skip
AGENT = Agent(id="a1", project="mine", name="x", targets=("npu",), public_key="…", enrolled=NOW)
SUB = Submission(
    id="sub-" + "0" * 24,
    project="mine",
    submitter="k",
    submitted=NOW,
    order=AuditOrder(
        audit_file=compute_digest(b"a"),
        source="a.yaml",
        inputs=(),
        policy=compute_digest(b"p"),
        targets=("npu",),
    ),
)
SHARD = ShardKey(submission=SUB.id, target="npu", check="quality.accuracy")
TABLES = (
    "agents", "agent_hellos", "agent_signs", "agent_offers", "agent_leases", "agent_renewals",
    "agent_failures", "agent_results", "agent_evidence",
)  # fmt: skip


def offer(number: int) -> ShardOffer:
    return ShardOffer(id=f"lea-{number:024x}", key=SHARD, number=number, at=NOW, until=LATER)


@pytest.fixture
def store(sqlite_url: str, home: Path) -> Iterator[RecordStore]:
    """Open a store with one agent, who gave a lease back and ended another."""
    migrate(sqlite_url)
    opened = RecordStore.open(sqlite_url, home / "blobs")
    kept, agents, leases = ServiceStore(opened), AgentStore(opened), LeaseStore(opened)
    kept.add_project("mine", NOW)
    kept.submit(SUB, None)
    with opened.transaction() as session:
        assert keep_agent(session, AGENT, KEY)
    agents.greet("a1", AgentHello(code="c", targets=("npu",), probes={}), NOW)
    agents.sign("a1", NOW)
    agents.note_evidence("a1", compute_digest(b"e"), 1, NOW)
    for number in (1, 2):
        lease = ShardLease(offer=offer(number), agent="a1", until=LATER)
        assert leases.offer(lease.offer, "mine")
        assert leases.take(lease, NOW, {})
        leases.renew(lease.offer.id, LATER)
    leases.give_back(offer(1).id, SubmissionFailure(problem="p", cure="c"), NOW)
    assert leases.keep(lease, b"{}", (compute_digest(b"{}"), b"signed"), NOW, {})
    yield opened
    opened.close()


@pytest.mark.parametrize("name", TABLES)
def test_no_row_of_an_agent_is_changed_or_deleted(
    store: RecordStore, sqlite_url: str, name: str
) -> None:
    engine = create_engine(sqlite_url)
    some = {"agents": "name", "agent_renewals": "until"}.get(name, "at")
    rows = table(name, column(some))
    with engine.connect() as connection:
        for change in (delete(rows), update(rows).values({some: "x"})):
            with pytest.raises(DBAPIError, match="never changed"):
                connection.execute(change)
    engine.dispose()


def test_an_offer_is_made_and_taken_once(store: RecordStore) -> None:
    leases = LeaseStore(store)
    again = ShardLease(offer=offer(2), agent="a1", until=LATER)
    assert not leases.offer(replace(offer(2), id="lea-" + "f" * 24), "mine")
    assert not leases.take(again, NOW, {})
    assert leases.free("mine", ["npu"], NOW) == ()
    assert leases.failures(SHARD) == ("a1",)
    assert leases.saw(SUB.id) == {"npu": ("…",)}
