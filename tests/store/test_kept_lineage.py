"""Lineage in the store: stated by records, walked both ways, on SQLite and on PostgreSQL."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.command import upgrade
from alembic.config import Config
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_toys import LOG, failures, hands
from sqlalchemy import create_engine, event, inspect, text

from auditor._resources import find_shipped_folder
from auditor.domain.challenges import Challenge, ChallengeOutcome
from auditor.domain.json import compute_digest
from auditor.domain.lineage import (
    LineageActivity,
    LineageEdge,
    LineageEntity,
    ProvenanceGraph,
    build_entity_id,
)
from auditor.domain.provenance import build_provenance
from auditor.domain.records import AuditRecord
from auditor.errors import RecordError
from auditor.reports.folder import SIGNED
from auditor.store.database import migrate
from auditor.store.lineage_graph import keep_lineage
from auditor.store.record_store import RecordStore
from auditor.trust.ledger.events import LINEAGE, LedgerEvent, LedgerEventType
from auditor.trust.signatures.decisions import open_challenge, sign_challenge
from auditor.trust.signatures.keys import KeySigner
from auditor.trust.signatures.sigstore_bundle import parse_bundle, sign_bundle
from auditor.workflows.approvals import build_approval_files
from auditor.workflows.challenge_status import list_stored_challenges, load_challenge_files

Make = Callable[..., AuditRecord]
SIGNER = KeySigner(ec.derive_private_key(83, ec.SECP256R1()))
NOW = "2026-01-01T00:00:00Z"
DATA = build_entity_id("dataset", compute_digest(b"data"))


def keep(store: RecordStore, *records: AuditRecord) -> None:
    for record in records:
        with store.unit_of_work() as unit:
            unit.register(record.request, NOW)
        with store.unit_of_work() as unit:
            unit.save(record, b"bundle of " + record.id.encode())


def state(store: RecordStore, name: str, *edges: LineageEdge) -> None:
    with store.engine.begin() as connection:
        keep_lineage(connection, name, ProvenanceGraph((), (), edges))


def test_a_record_rests_on_data_and_everything_that_rests_on_data_is_found(
    store: RecordStore, make_record: Make
) -> None:
    first = make_record()
    second = make_record(
        id="r-2", derived_from=first.digest, finished="2026-01-02T00:00:00Z",
        lineage=(LineageEdge("r-2", "wasDerivedFrom", first.digest, "record"),),
    )  # fmt: skip
    keep(store, first, second)
    with store.unit_of_work() as unit:
        up = {edge.destination for edge in unit.ancestors(build_entity_id("record", second.digest))}
        down = {edge.source for edge in unit.descendants(DATA)}
    assert {DATA, "audit:r-1", build_entity_id("record", first.digest), "judging:r-2"} <= up
    both = {build_entity_id("record", item.digest) for item in (first, second)}
    assert down == {"audit:r-1", *both}


def test_a_thing_that_two_records_state_stands_as_the_first_stated_it(
    store: RecordStore, make_record: Make
) -> None:
    keep(store, make_record(), make_record(id="r-2"))
    with store.unit_of_work() as unit:
        entities, activities = unit.described([DATA, "audit:r-1", "audit:r-2", "none:x"])
        assert unit.entities_like(compute_digest(b"data")[:20]) == entities
    assert [(item.id, item.attrs) for item in entities] == [(DATA, {"rows": 450})]
    assert sorted(item.id for item in activities) == ["audit:r-1", "audit:r-2"]


def walk(edges: set[tuple[int, int]], start: int) -> set[tuple[int, int]]:
    reached, fresh = {start}, {start}
    while fresh:
        fresh = {far for near, far in edges if near in fresh} - reached
        reached |= fresh
    return {edge for edge in edges if edge[0] in reached}


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edges=st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12))
def test_lineage_is_all_that_can_be_reached_and_cycles_end(
    store: RecordStore, edges: set[tuple[int, int]]
) -> None:
    # Other examples share the store, so each one's nodes carry a name of their own.
    name = f"x-{len(rows(store, 'prov_edges'))}"
    graph = {
        (near, far): LineageEdge(f"{name}/{near}", "used", f"{name}/{far}", "x")
        for near, far in edges
    }
    state(store, name, *graph.values())
    mirrored = {(far, near) for near, far in edges}
    with store.unit_of_work() as unit:
        assert set(unit.ancestors(f"{name}/0")) == {graph[edge] for edge in walk(edges, 0)}
        assert set(unit.descendants(f"{name}/0")) == {
            graph[near, far] for far, near in walk(mirrored, 0)
        }


def rows(store: RecordStore, table: str) -> list[dict[str, object]]:
    with store.engine.connect() as connection:
        found = connection.execute(text(f"SELECT * FROM {table} ORDER BY id"))  # noqa: S608 -- our own names
        return [dict(row) for row in found.mappings()]


def test_an_edge_that_another_version_told_otherwise_is_held_to_the_leaf_alone(
    store: RecordStore, make_record: Make
) -> None:
    """What follows from a record may grow: the leaf binds what followed when it was kept."""
    record = make_record()
    signed = RecordStore(store.engine, store.blobs, LOG)
    keep(signed, record)
    with signed.ledger() as ledger:
        (entry,) = ledger.find("r-1")
    told = build_provenance(record, compute_digest(b"bundle of r-1"))
    assert entry.event.subjects[LINEAGE] == told.digest
    assert failures(signed) == ""
    with hands(store.engine) as connection:
        connection.execute(text("DELETE FROM prov_edges WHERE role = 'signature'"))
    assert "lineage: prov_edges of record r-1: missing or changed: record:" in failures(signed)


@pytest.fixture
def before_lineage(empty_url: str, home: Path) -> str:
    home.mkdir()
    engine = create_engine(empty_url)
    config = Config()
    config.set_main_option("script_location", str(find_shipped_folder("alembic")))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        upgrade(config, "0002")
    engine.dispose()
    return empty_url


def test_records_from_before_state_their_lineage_when_the_store_is_migrated(
    before_lineage: str, home: Path, make_record: Make
) -> None:
    record = make_record()
    request = record.request
    columns = {
        "digest": record.digest, "id": record.id, "request": request.digest,
        "policy": request.policy.digest, "now": NOW, "body": record.canonical(),
        "bundle": b"bundle",
    }  # fmt: skip
    unreadable = {**columns, "digest": "sha256:old", "id": "r-0", "body": b"{}"}
    engine = create_engine(before_lineage)
    with engine.begin() as old:
        old.execute(text("INSERT INTO requests VALUES (:request, '{}')"), columns)
        kept = text(
            "INSERT INTO records VALUES (:digest, :id, :request, NULL, 'fail', 'A0', 'm', '1', "
            "'sha256:x', :policy, :now, :now, :body, :bundle)"
        )
        old.execute(kept, [columns, unreadable])
        edge = "INSERT INTO lineage VALUES (1, 'r-0', 'used', 'sha256:d', 'training', 'sha256:old')"
        old.execute(text(edge))
    engine.dispose()
    migrate(before_lineage)
    store = RecordStore.open(before_lineage, home / "blobs")
    told = build_provenance(record, compute_digest(b"bundle"))
    found = rows(store, "prov_edges")
    assert [item["destination"] for item in found if item["stated_by"] == record.digest] == [
        edge.destination for edge in told.edges
    ]
    assert [item["source"] for item in found if item["stated_by"] == "sha256:old"] == ["r-0"]
    with store.engine.connect() as connection:
        assert "lineage" not in inspect(connection).get_table_names()
    store.close()


@pytest.mark.slow
@pytest.mark.parametrize("size", [100_000])
def test_a_hundred_thousand_edges_are_walked_in_a_moment(store: RecordStore, size: int) -> None:
    """A thousand records of a hundred edges each: one data set under a tenth of them."""
    edges = []
    for record in range(size // 100):
        run, made = f"audit:{record}", f"record:{record}"
        edges.append(LineageEdge(made, "wasGeneratedBy", run, "record"))
        edges.append(LineageEdge(run, "used", f"dataset:{record % 10}", "evaluation"))
        edges += [
            LineageEdge(made, "wasDerivedFrom", f"evidence:{record}.{at}", "e") for at in range(98)
        ]
    with store.engine.begin() as connection:
        keep_lineage(connection, "x", ProvenanceGraph((), (), tuple(edges)))
    with store.unit_of_work() as unit:
        assert len(unit.ancestors("record:7")) == 100
        assert len(unit.descendants("dataset:7")) == size // 500


def test_an_entity_has_its_own_place_in_each_kind() -> None:
    named = compute_digest(b"x")
    assert LineageEntity("file", named).id != LineageEntity("document", named).id
    assert LineageEntity("key", "key:ab").id == "key:ab"
    assert LineageActivity("audit", "aud-1", NOW, NOW).id == "audit:aud-1"


CHALLENGE = Challenge(
    record="", record_id="r-1", artifact=None, target="cpu", identity=compute_digest(b"cpu"),
    examples=compute_digest(b"examples"), trials=(), disproved=(), moved=(),
    outcome=ChallengeOutcome.REFUTED, signer="key:sha256:" + "ab" * 32, tried=NOW,
)  # fmt: skip


def judged_from(make_record: Make, name: str, of: AuditRecord) -> AuditRecord:
    edge = LineageEdge(name, "wasDerivedFrom", of.digest, "record")
    return make_record(id=name, derived_from=of.digest, lineage=(edge,))


@pytest.fixture
def challenged(store: RecordStore, make_record: Make) -> RecordStore:
    record = make_record()
    signed = RecordStore(store.engine, store.blobs, LOG)
    keep(signed, record)
    told = replace(CHALLENGE, record=record.digest)
    with signed.unit_of_work() as work:
        work.challenge(told, sign_challenge(told, SIGNER))
    return signed


def test_a_challenge_is_found_by_its_record_and_in_its_lineage(
    challenged: RecordStore, make_record: Make
) -> None:
    record = make_record()
    with challenged.unit_of_work() as work:
        ((named, raw),) = work.challenges()
        assert named == record.digest
        up = {edge.relation for edge in work.ancestors(build_entity_id("record", record.digest))}
    assert open_challenge(raw).record == record.digest
    assert "wasInvalidatedBy" in up
    assert failures(challenged) == ""


def test_what_others_said_of_a_record_is_written_out_without_a_writers_turn(
    challenged: RecordStore, make_record: Make
) -> None:
    asked: list[str] = []
    event.listen(challenged.engine, "before_cursor_execute", lambda *it: asked.append(str(it[2])))
    (name,) = load_challenge_files(make_record(), challenged)
    assert name.endswith(SIGNED)
    assert build_approval_files(make_record(), challenged) == {}
    assert asked
    assert "BEGIN IMMEDIATE" not in asked


def test_a_challenge_whose_examples_are_no_digest_is_not_left_out(
    challenged: RecordStore, make_record: Make
) -> None:
    record = make_record()
    honest = sign_challenge(replace(CHALLENGE, record=record.digest), SIGNER)
    said = parse_bundle(honest).envelope.payload
    raw = sign_bundle(said.replace(CHALLENGE.examples.encode(), b"../../x"), SIGNER)
    with challenged.unit_of_work() as work:
        told = {"record": record.digest}
        work.append(LedgerEvent(LedgerEventType.CHALLENGE, compute_digest(raw), NOW, told), raw)
    with pytest.raises(RecordError, match="is not a digest"):
        load_challenge_files(record, challenged)


def test_one_that_names_no_evidence_counts_for_all_that_was_judged_alike(
    store: RecordStore, make_record: Make
) -> None:
    signed = RecordStore(store.engine, store.blobs, LOG)
    root = make_record()
    first = judged_from(make_record, "r-1a", root)
    second = judged_from(make_record, "r-2", first)
    sibling = judged_from(make_record, "r-1b", root)
    stranger = make_record(id="s-1")
    keep(signed, root, first, second, sibling, stranger)
    told = replace(CHALLENGE, record=second.digest)
    bundle = sign_challenge(told, SIGNER)
    with signed.unit_of_work() as work:
        work.challenge(told, bundle)
    with signed.unit_of_work() as work:
        for record in (root, first, second, sibling):
            assert list_stored_challenges(record, work) == (bundle,)
        assert list_stored_challenges(stranger, work) == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            "DELETE FROM prov_edges WHERE relation = 'wasInvalidatedBy'",
            "prov_edges of the challenge of leaf 2: missing or changed: record:",
        ),
        ("UPDATE prov_edges SET role = 'x' WHERE role = 'trial'", "put in or changed by hand"),
        ("DELETE FROM prov_entities WHERE kind = 'challenge'", "is missing"),
        ("UPDATE ledger_openings SET document = 'x' WHERE idx = 2", "its document was changed"),
        ("DELETE FROM ledger_openings WHERE idx = 2", "the opening of leaf 2"),
    ],
    ids=["edge", "role", "entity", "document", "opening"],
)
def test_a_challenge_cannot_be_taken_out_unseen(
    challenged: RecordStore, change: str, words: str
) -> None:
    with hands(challenged.engine) as connection:
        connection.execute(text(change))
    assert words in failures(challenged)
