"""What is kept of agents is only ever added to."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import column, create_engine, delete, table, update
from sqlalchemy.exc import DBAPIError

from auditor.domain.agents import Agent, Hello, Lease, Offer
from auditor.domain.api_keys import ApiKey, Role
from auditor.domain.canonical import digest
from auditor.domain.served import Failure
from auditor.domain.submissions import ShardKey, Submission
from auditor.store.database import migrate
from auditor.store.service.agents import Agents, keep_agent
from auditor.store.service.leases import Leases
from auditor.store.service.store import ServiceStore
from auditor.store.store import Store

NOW, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"
KEY = ApiKey(
    id="a1", project="mine", role=Role.AGENT, name="x", secret_hash="ab" * 32, created=NOW
)  # fmt: skip
AGENT = Agent(id="a1", project="mine", name="x", targets=("npu",), public_key="…", enrolled=NOW)
SUB = Submission(
    id="sub-" + "0" * 24, project="mine", submitter="k", audit_file=digest(b"a"), source="a.yaml",
    inputs=(), policy=digest(b"p"), targets=("npu",), submitted=NOW,
)  # fmt: skip
SHARD = ShardKey(submission=SUB.id, target="npu", check="quality.accuracy")
TABLES = (
    "agents", "agent_hellos", "agent_signs", "agent_offers", "agent_leases", "agent_renewals",
    "agent_failures", "agent_results", "agent_evidence",
)  # fmt: skip


def offer(number: int) -> Offer:
    return Offer(id=f"lea-{number:024x}", key=SHARD, number=number, at=NOW, until=LATER)


@pytest.fixture
def store(sqlite_url: str, home: Path) -> Iterator[Store]:
    """Open a store with one agent, who gave a lease back and ended another."""
    migrate(sqlite_url)
    opened = Store.open(sqlite_url, home / "blobs")
    kept, agents, leases = ServiceStore(opened), Agents(opened), Leases(opened)
    kept.add_project("mine", NOW)
    kept.submit(SUB, None)
    with opened.transaction() as session:
        assert keep_agent(session, AGENT, KEY)
    agents.greet("a1", Hello(code="c", targets=("npu",), probes={}), NOW)
    agents.sign("a1", NOW)
    agents.note_evidence("a1", digest(b"e"), 1, NOW)
    for number in (1, 2):
        lease = Lease(offer=offer(number), agent="a1", until=LATER)
        assert leases.offer(lease.offer, "mine")
        assert leases.take(lease, NOW, {})
        leases.renew(lease.offer.id, LATER)
    leases.give_back(offer(1).id, Failure(problem="p", cure="c"), NOW)
    assert leases.keep(lease, b"{}", (digest(b"{}"), b"signed"), NOW, {})
    yield opened
    opened.close()


@pytest.mark.parametrize("name", TABLES)
def test_no_row_of_an_agent_is_changed_or_deleted(store: Store, sqlite_url: str, name: str) -> None:
    engine = create_engine(sqlite_url)
    some = {"agents": "name", "agent_renewals": "until"}.get(name, "at")
    rows = table(name, column(some))
    with engine.connect() as connection:
        for change in (delete(rows), update(rows).values({some: "x"})):
            with pytest.raises(DBAPIError, match="never changed"):
                connection.execute(change)
    engine.dispose()


def test_an_offer_is_made_and_taken_once(store: Store) -> None:
    leases = Leases(store)
    again = Lease(offer=offer(2), agent="a1", until=LATER)
    assert not leases.offer(replace(offer(2), id="lea-" + "f" * 24), "mine")
    assert not leases.take(again, NOW, {})
    assert leases.free("mine", ["npu"], NOW) == ()
    assert leases.failures(SHARD) == ("a1",)
    assert leases.saw(SUB.id) == {"npu": ("…",)}
