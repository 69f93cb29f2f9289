"""A service and its worker as two processes that share a database and blobs, and no home."""

from pathlib import Path

import pytest
from fleets import Fleet

from auditor.checks.registry import discover_checks
from auditor.domain.records import AuditRecord
from auditor.service.domain.agents import select_identity_facts
from auditor.service.store.agents import SightingStore
from auditor.store.blobs import FolderBlobStore
from auditor.store.database import migrate
from auditor.store.record_store import RecordStore
from auditor.workflows.reproduced_readings import check_reproduction

pytestmark = pytest.mark.slow
ONLY = ("--only", "quality.accuracy", "--only", "quality.calibration")


def same(here: AuditRecord, there: AuditRecord) -> None:
    """Assert that two records have the same readings and findings."""
    assert [it.to_json() for it in here.findings] == [it.to_json() for it in there.findings]
    found = check_reproduction(here, there, discover_checks().values())
    steps = {step.name: step for step in found.steps}
    assert steps["request"].result.value == "holds"
    readings = {name: step for name, step in steps.items() if name.endswith("on cpu")}
    assert len(readings) == 2
    assert all("equal" in step.detail for step in readings.values()), readings


def test_a_worker_with_neither_keys_nor_home_of_the_service_makes_the_record_that_is_made_here(
    fleet: Fleet, own_database: str
) -> None:
    shared = {
        "AUDITOR_DATABASE_URL": own_database,
        "AUDITOR_BLOBS_URL": (fleet.folder / "blobs").as_uri(),
    }
    there, works = fleet.world("service", **shared), fleet.world("worker", **shared)
    migrate(own_database)
    door = fleet.serve("--no-work", world=there)
    here = fleet.world("here")
    caller = {**here, **door.caller}
    worker = fleet.start("worker", "--target", "cpu", world=works)
    worker.told("working")
    made = fleet.audit("served", *ONLY, *door.there, world=caller)
    same(fleet.audit("local", *ONLY, world=here), made)
    asked = {"artifact": str(made.request.artifact and made.request.artifact.digest)}
    asked |= {"policy": made.request.policy.digest, "target": "cpu"}
    assert door.get("/v1/gate", **asked)["open"]
    worker.stop()
    door.running.stop()
    assert not list(Path(works["AUDITOR_HOME"]).rglob("*.key"))
    fleet.call("ledger", "verify", world=there)
    # What the worker's target is was written down as it began.
    store = RecordStore.open(own_database, FolderBlobStore(fleet.folder / "blobs"))
    seen = SightingStore(store).since("default", "2020-01-01T00:00:00Z")
    store.close()
    assert [it.target for it in seen] == ["cpu"]
    facts = made.fingerprints["cpu"].identity_facts
    assert seen[0].facts == select_identity_facts(facts)
