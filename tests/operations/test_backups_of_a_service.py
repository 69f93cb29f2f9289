"""A service from its backup: audits that ran go on, gates answer as before, the ledger is whole."""

import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from fleets import Door, Fleet
from sqlalchemy import make_url

from auditor._time import utc_now
from auditor.checks.registry import discover_checks
from auditor.domain.artifacts import Artifact, FileDigest
from auditor.domain.json import compute_digest, encode_canonical
from auditor.domain.requests import InputFile
from auditor.service.auth.api_keys import create_api_key
from auditor.service.domain.access import AccessRole, ApiKey
from auditor.service.domain.submissions import AuditOrder, Submission
from auditor.service.gate import GateRequest
from auditor.service.jobs.executor import build_executor
from auditor.service.server.assemble import assemble_service
from auditor.service.server.options import ServiceOptions
from auditor.service.store.submission_history import ServiceStore
from auditor.store.database import migrate
from auditor.store.record_store import RecordStore
from auditor.targets.target_specs import NAMED
from auditor.workflows.settings import AuditorSettings
from auditor.workflows.wiring import load_named_policy
from auditor.workflows.workspace import Workspace, open_workspace

pytestmark = pytest.mark.slow
CHECKS = ("quality.accuracy", "quality.calibration", "quality.errors")


@dataclass(frozen=True)
class Idle:
    """An engine at the seam that carries nothing out."""

    def submit(self, submission: str) -> None: ...

    def cancel(self, submission: str) -> None: ...

    def live(self, targets: Sequence[str]) -> frozenset[str]:
        return frozenset(targets)


@dataclass(frozen=True)
class Kept:
    """What a service held when it was backed up."""

    key: str
    asked: Mapping[str, str]
    answer: Mapping[str, str]
    record: str
    running: str
    seen: Mapping[str, bytes]


def fill(place: Workspace, example: Path) -> Kept:
    """Finish one audit, carry another out up to its second check, and ask a gate."""
    service = assemble_service(
        place, Idle(), ServiceOptions(targets=NAMED), lambda _line: None, lambda: False
    )
    service.kept.add_project("default", utc_now())
    made = create_api_key("default", AccessRole.ADMIN, "admin", utc_now(), None)
    service.kept.add_key(made.key)
    done, running = (handed_in(place, made.key, example, name) for name in "de")
    work = build_executor(place, NAMED)
    for name, checks in ((done, CHECKS), (running, CHECKS[:1])):
        work.plan(name)
        for check in checks:
            work.observe(name, "cpu", check)
    work.conclude(done)
    work.close()
    raw = (example / "model.onnx").read_bytes()
    named = FileDigest("model.onnx", len(raw), compute_digest(raw).removeprefix("sha256:"))
    asked = {
        "artifact": Artifact("line", "1.0.0", (named,)).digest,
        "policy": load_named_policy("policy.yaml", example, discover_checks()).digest,
    }
    answer = service.gatekeeper.ask(GateRequest(project="default", **asked))
    assert answer.open
    return Kept(
        key=made.text,
        asked=asked,
        answer={step.name: step.result.value for step in answer.steps},
        record=str(answer.record),
        running=running,
        seen={key.check: raw for key, raw in service.kept.results(running).items()},
    )


def handed_in(place: Workspace, key: ApiKey, example: Path, name: str) -> str:
    blobs, policy = place.store.blobs, load_named_policy("policy.yaml", example, discover_checks())
    inputs = []
    for file in ("model.onnx", "test.csv"):
        raw = (example / file).read_bytes()
        sha = blobs.put(raw).removeprefix("sha256:")
        inputs.append(InputFile(file, FileDigest(file, len(raw), sha)))
    submission = Submission(
        id=f"sub-{name * 24}",
        project=key.project,
        submitter=key.id,
        submitted=utc_now(),
        order=AuditOrder(
            audit_file=blobs.put((example / "audit.yaml").read_bytes()),
            source="audit.yaml",
            inputs=tuple(inputs),
            policy=blobs.put(encode_canonical(policy.document)),
            targets=("cpu",),
            only=CHECKS,
        ),
    )
    kept, new = ServiceStore(place.store).submit(submission, None, model="line")
    assert new
    return kept.id


def goes_on(fleet: Fleet, world: Mapping[str, str], kept: Kept) -> None:
    """Assert that a service on what was restored answers as before and ends what had begun."""
    running = fleet.start("serve", "--port", "0", world=world)
    door = Door(running, f"http://127.0.0.1:{running.told('serving')['port']}", kept.key)
    gate = door.get("/v1/gate", **kept.asked)
    assert gate["open"]
    assert {step["name"]: step["result"] for step in gate["steps"]} == kept.answer
    assert gate["record"] == kept.record
    until = time.monotonic() + 120
    while (found := door.get(f"/v1/audits/{kept.running}"))["state"] != "done":
        assert found["state"] not in {"failed", "cancelled"}, found["failure"]
        assert time.monotonic() < until, found
        time.sleep(0.3)
    running.stop()
    settings = AuditorSettings.from_environment(world)
    store = RecordStore.open(settings.database, settings.blobs)
    seen = {key.check: raw for key, raw in ServiceStore(store).results(kept.running).items()}
    store.close()
    assert set(CHECKS) <= set(seen)
    assert kept.seen.items() <= seen.items()  # what was seen before is not seen again


def test_a_service_goes_on_from_its_backup_in_another_home(fleet: Fleet) -> None:
    old, new = fleet.world("old"), fleet.world("new")
    folder, outside = str(fleet.folder / "backup"), str(fleet.folder / "kept")
    with open_workspace(AuditorSettings.from_environment(old)) as place:
        kept = fill(place, fleet.example)
        fleet.call("ledger", "checkpoint", "--out", outside, world=old)
        fleet.call("backup", folder, world=old)
        place.store.blobs.put(b"what came after the backup")
    fleet.call("restore", folder, "--checkpoint", outside, world=new)
    goes_on(fleet, new, kept)
    fleet.call("ledger", "verify", "--checkpoint", outside, world=new)


@pytest.mark.long
def test_a_service_on_postgresql_goes_on_from_a_dump_and_a_backup(
    fleet: Fleet, own_database: str, other_database: str
) -> None:
    old = fleet.world("old", AUDITOR_DATABASE_URL=own_database)
    new = fleet.world("new", AUDITOR_DATABASE_URL=other_database)
    folder, outside = str(fleet.folder / "backup"), str(fleet.folder / "kept")
    dump = str(fleet.folder / "auditor.dump")
    migrate(own_database)
    with open_workspace(AuditorSettings.from_environment(old)) as place:
        kept = fill(place, fleet.example)
        fleet.call("ledger", "checkpoint", "--out", outside, world=old)
        subprocess.run(
            ["pg_dump", "--format=custom", "--exclude-schema=auditor_engine", f"--file={dump}",
             plain(own_database)],
            check=True,
        )  # fmt: skip
        fleet.call("backup", folder, "--no-database", world=old)
    restored = ["pg_restore", "--exit-on-error", f"--dbname={plain(other_database)}", dump]
    subprocess.run(restored, check=True)
    fleet.call("restore", folder, "--checkpoint", outside, world=new)
    goes_on(fleet, new, kept)
    fleet.call("ledger", "verify", "--checkpoint", outside, world=new)


def plain(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
