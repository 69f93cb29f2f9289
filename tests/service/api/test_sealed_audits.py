"""Audits whose seed the service draws: counted, carried out by that seed, and asked by gates."""

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from served_worlds import World, problem
from visited_pages import Pages

from auditor.domain.json import Json, encode_canonical, parse_json
from auditor.domain.record_json import read_record
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditRequest
from auditor.domain.verification_steps import StepResult
from auditor.reports.folder import RECORD, SIGNER, RecordFolder, write_folder
from auditor.reports.html.verdict import describe_attempt
from auditor.service.domain.submissions import SubmissionState
from auditor.service.jobs.executor import build_executor
from auditor.workflows.verify.folder import verify_folder
from auditor.workflows.verify.verifiers import build_service_verifier

pytestmark = pytest.mark.slow


def handed_in(world: World, **changes: Any) -> str:  # noqa: ANN401 -- JSON
    answer = world.call("POST", "/v1/audits", json=world.body(sealed=True, **changes))
    assert answer.status_code == 201, answer.text
    assert answer.json()["sealed"] is True
    return str(answer.json()["id"])


def carried_out(world: World, name: str) -> AuditRecord:
    """Carry an audit out as an engine does, and return its record."""
    work = build_executor(world.place, {})
    for target, checks in work.plan(name):
        for check in checks:
            work.observe(name, target, check)
    work.conclude(name)
    assert world.service.kept.state(name) is SubmissionState.DONE
    return read_record(world.call("GET", f"/v1/audits/{name}/record").content)


def folder_of(world: World, name: str, root: Path) -> RecordFolder:
    listed = world.call("GET", f"/v1/audits/{name}/files").json()
    names = [item["name"] for item in listed["files"]]
    files = {it: world.call("GET", f"/v1/audits/{name}/files/{it}").content for it in names}
    write_folder(root, files)
    return RecordFolder(root)


def test_sealed_audits_of_one_model_have_seeds_and_numbers_of_their_own(
    apart: World, tmp_path: Path
) -> None:
    first, second = (carried_out(apart, handed_in(apart)) for _ in range(2))
    plain = apart.service.kept.registered(apart.done).request.attempt
    numbers = [it.request.attempt.number for it in (first, second) if it.request.attempt]
    assert (plain and plain.number, numbers) == (1, [2, 3])
    assert len({3, first.request.seed, second.request.seed}) == 3
    assert {it.seed for it in first.observations} != {it.seed for it in second.observations}
    name = apart.call("GET", "/v1/audits").json()["audits"][0]["id"]
    told = apart.call("GET", f"/v1/audits/{name}").json()
    assert (told["sealed"], told["attempt"]) == (True, 3)
    assert apart.call("GET", f"/v1/audits/{apart.done}").json()["sealed"] is False
    folder = folder_of(apart, name, tmp_path / "out")
    signer = apart.place.store.signer
    assert signer is not None
    verifier = replace(build_service_verifier(folder.read(SIGNER)), ledger=signer.key)
    steps = {step.name: step for step in verify_folder(folder, verifier)}
    assert {step.result for step in steps.values()} <= {
        StepResult.HOLDS, StepResult.NOT_PRESENT, StepResult.NOT_CHECKED,
    }  # fmt: skip
    assert steps["sealed seed"].detail.endswith("attempt 3")
    assert b"number 3 of line under tiny; seed sealed" in folder.read("summary.md")
    assert b"number 3 of line under tiny; seed sealed" in folder.read("report.html")
    predicate = verdict_of(folder)
    assert predicate["urn:auditor:ext:attempt"] == 3
    assert predicate["urn:auditor:ext:sealed"] is False
    assert predicate["urn:auditor:ext:seed-sealed"] is True
    edited = shopped(folder, second.request.seed + 1)
    broken = {step.name: step for step in verify_folder(edited, verifier)}
    assert broken["sealed seed"].detail.startswith("SEED_NOT_DRAWN")
    assert broken["signature"].result is StepResult.FAILED


def verdict_of(folder: RecordFolder) -> dict[str, Any]:
    envelope = json.loads(folder.read("verdict.vsa.json"))
    payload = envelope.get("dsseEnvelope", envelope)["payload"]
    predicate: dict[str, Any] = json.loads(base64.b64decode(payload))["predicate"]
    return predicate


def shopped(folder: RecordFolder, seed: int) -> RecordFolder:
    """Return a folder whose record says that it had another seed."""
    body: Json = parse_json(folder.read(RECORD))
    assert isinstance(body, dict)
    request = body["request"]
    assert isinstance(request, dict)
    (folder.path / RECORD).write_bytes(
        encode_canonical({**body, "request": {**request, "seed": seed}})
    )
    return RecordFolder(folder.path)


def asked_of_the_gate(world: World, record: AuditRecord) -> dict[str, str]:
    """Ask the gate, and return the detail of every step that shuts it."""
    artifact = record.request.artifact
    assert artifact is not None
    asked = {"artifact": artifact.digest, "policy": record.request.policy.digest, "target": "cpu"}
    answer = world.call("GET", "/v1/gate", "viewer", params=asked)
    assert answer.status_code == 200, answer.text
    steps = answer.json()["steps"]
    assert {"drawn here", "sealed", "attempts"} <= {it["name"] for it in steps}
    return {it["name"]: it["detail"] for it in steps if it["result"] == "failed"}


def asking(world: World, name: str) -> str:
    """Upload a policy that asks for sealed audits, and for few, and return its digest."""
    asks = {**world.policy.document}
    metadata = asks["metadata"]
    assert isinstance(metadata, dict)
    asks["metadata"] = {**metadata, "name": name, "require_sealed": True, "most_attempts": 2}
    return world.upload(encode_canonical(asks))


def hold(world: World, name: str) -> Mapping[str, Any]:
    """Hold rows of the auditor's own, and return what an order says of them."""
    more = f"{name},0.9,0.9,0.1,north,yes\n".encode()
    digest = world.upload((world.example / "test.csv").read_bytes() + more, key="approver")
    kept = {"name": name, "role": "evaluation", "digest": digest, "file": "rows.csv"}
    assert world.call("POST", "/v1/sealed-sets", "approver", json=kept).status_code == 201
    inputs = [item for item in world.body()["inputs"] if item["path"] != "test.csv"]
    return {"sealed_sets": [name], "inputs": inputs}


def test_rows_of_ones_own_are_not_sealed_whoever_drew_the_seed(apart: World) -> None:
    policy = asking(apart, "sealing")
    own = carried_out(apart, handed_in(apart, policy=policy))
    shut = asked_of_the_gate(apart, own)
    assert set(shut) == {"sealed"}
    assert "the requester chose the evaluation rows" in shut["sealed"]


def test_a_cancelled_audit_counts_and_a_gate_shuts_after_as_many_as_its_policy_lets(
    apart: World,
) -> None:
    policy, held = asking(apart, "few"), hold(apart, "rows-of-few")
    once = handed_in(apart, policy=policy, **held)
    assert build_executor(apart.place, {}).plan(once)
    assert apart.call("POST", f"/v1/audits/{once}/cancel").status_code == 200
    second = carried_out(apart, handed_in(apart, policy=policy, **held))
    assert second.request.sealed
    assert asked_of_the_gate(apart, second) == {}
    third = carried_out(apart, handed_in(apart, policy=policy, **held))
    assert asked_of_the_gate(apart, third) == {
        "attempts": "it is attempt 3; the policy allows at most 2"
    }


def disguised(world: World, name: str, scale: float = 1.0, **held: Any) -> AuditRequest:  # noqa: ANN401 -- JSON
    """Hand in the example's network as another model, and return what is registered."""
    model = onnx.load(world.example / "model.onnx")
    model.doc_string = model.producer_name = name
    node, tensor = model.graph.node[1], model.graph.initializer[0]
    node.input[0] = model.graph.node[0].output[0] = f"z of {name}"
    weights = numpy_helper.to_array(tensor) * np.float32(scale)
    typed = helper.make_tensor("w", tensor.data_type, tensor.dims, weights.ravel())
    model.graph.initializer[0].CopyFrom(typed)
    raw = model.SerializeToString()
    audit = (world.example / "audit.yaml").read_text().replace("name: line", f"name: {name}")
    digest = world.upload(raw, "artifacts")
    file = {"path": "model.onnx", "name": "model.onnx", "size": len(raw), "sha256": digest[7:]}
    others = [item for item in held.pop("inputs") if item["path"] != "model.onnx"]
    asked = {"audit_file": world.upload(audit.encode()), "inputs": [file, *others], **held}
    handed = handed_in(world, **asked)
    assert build_executor(world.place, {}).plan(handed)
    return world.service.kept.registered(handed).request


def test_a_network_under_other_names_is_the_same_attempted_again(apart: World) -> None:
    policy = asking(apart, "disguises")
    found = [
        disguised(apart, f"fresh{at}", policy=policy, **hold(apart, f"rows-{at}")) for at in (1, 2)
    ]
    assert len({it.name for it in found}) == len({it.artifact for it in found}) == 2
    assert [it.attempt and (it.attempt.number, it.attempt.by_data) for it in found] == [
        (1, False),
        (2, False),
    ]
    own = [item for item in apart.body()["inputs"] if item["path"] == "test.csv"]
    third = disguised(apart, "fresh3", policy=policy, inputs=own)
    assert third.attempt is not None
    assert third.attempt.number == 3


def test_other_networks_on_the_same_rows_are_counted_by_the_rows(apart: World) -> None:
    policy, held = asking(apart, "scaling"), hold(apart, "rows-to-scale")
    first = disguised(apart, "scaled1", 1.01, policy=policy, **held)
    second = disguised(apart, "scaled2", 1.02, policy=policy, **held)
    assert (first.attempt and first.attempt.number, first.sealed) == (1, True)
    assert second.attempt is not None
    assert (second.attempt.number, second.attempt.by_data) == (2, True)
    assert "number 2 on the data of scaled2 under scaling" in describe_attempt(second)


def test_only_yes_and_no_say_whether_an_audit_is_sealed(apart: World) -> None:
    refused = apart.call("POST", "/v1/audits", json=apart.body(sealed="by me"))
    assert problem(refused)["status"] == 422


def test_the_page_of_an_audit_says_which_attempt_it_is(apart: World) -> None:
    pages = Pages.of(apart)
    page = pages.visit("viewer").get(f"/audits/{apart.done}").text
    assert "number 1 of line under tiny; not sealed: the requester chose the seed" in page
