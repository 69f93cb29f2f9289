"""What an audit came to is handed out as it was kept, and a gate asks it."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from served_toys import sha
from served_worlds import World, problem

from auditor.domain.artifacts import digest_files
from auditor.domain.policies import AssuranceLevel
from auditor.domain.verification_steps import all_hold
from auditor.reports.folder import RecordFolder
from auditor.service.domain.access import AccessRole
from auditor.service.gate import GateRequest, GateService
from auditor.trust.artifacts.files import digest_artifact
from auditor.workflows.verify.cache import VerificationCache
from auditor.workflows.verify.folder import RecordVerifier, verify_folder
from auditor.workflows.verify.verifiers import build_verifier


def fetch(world: World, part: str, **headers: str) -> bytes:
    answer = world.call("GET", f"/v1/audits/{world.done}/{part}", "viewer", headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.content


def artifact(world: World) -> str:
    return digest_files(digest_artifact(world.example / "model.onnx"))


def test_a_folder_that_was_fetched_verifies(world: World, tmp_path: Path) -> None:
    listed = json.loads(fetch(world, "files"))["files"]
    for item in listed:
        raw = fetch(world, f"files/{item['name']}")
        assert (sha(raw), len(raw)) == (item["digest"], item["size"])
        place = tmp_path / item["name"]
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(raw)
    keys = world.client.get("/.well-known/auditor-keys").json()
    check = replace(build_verifier(keys["report"].encode()), highest=AssuranceLevel.A1)
    assert all_hold(verify_folder(RecordFolder(tmp_path), check))


def test_short_ways_lead_to_the_same_files(world: World) -> None:
    for short, name in (
        ("record", "record.json"),
        ("envelope", "record.sigstore.json"),
        ("report", "report.html"),
        ("verdict", "verdict.vsa.json"),
    ):
        assert fetch(world, short) == fetch(world, f"files/{name}")
    record = json.loads(fetch(world, "record"))
    blob = record["readings"][0]["evidence"][0]
    assert sha(fetch(world, f"evidence/{blob}")) == blob
    assert world.call("GET", f"/v1/audits/{world.done}/evidence/{sha(b'x')}").status_code == 404


@pytest.mark.parametrize("name", ["..%2frecord.json", "%2fetc/passwd", "evidence", "%00"])
def test_a_file_is_fetched_by_a_name_of_the_list_alone(world: World, name: str) -> None:
    answer = world.call("GET", f"/v1/audits/{world.done}/files/{name}")
    assert answer.status_code == 404


def test_what_a_caller_has_is_not_sent_again(world: World) -> None:
    path = f"/v1/audits/{world.done}/record"
    first = world.call("GET", path)
    tag = first.headers["etag"]
    assert tag == f'"{sha(first.content)}"'
    for said in (tag, f'"other", W/{tag}', "*"):
        same = world.call("GET", path, headers={"If-None-Match": said})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    assert world.call("GET", path, headers={"If-None-Match": '"other"'}).status_code == 200
    assert world.call("GET", path, "stranger", headers={"If-None-Match": tag}).status_code == 404


def test_the_report_can_run_nothing_and_all_else_is_saved(world: World) -> None:
    report = world.call("GET", f"/v1/audits/{world.done}/report")
    assert report.headers["content-type"] == "text/html; charset=utf-8"
    rules = report.headers["content-security-policy"]
    assert "default-src 'none'" in rules
    assert "script-src" not in rules
    assert "allow-scripts" not in rules
    assert "sandbox" in rules
    record = world.call("GET", f"/v1/audits/{world.done}/record")
    assert record.headers["content-disposition"] == 'attachment; filename="record.json"'
    for answer in (report, record):
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_an_audit_without_a_record_has_no_files(world: World) -> None:
    name = world.call("POST", "/v1/audits", json=world.body()).json()["id"]
    answer = world.call("GET", f"/v1/audits/{name}/files")
    assert answer.status_code == 404
    assert "is queued and has no files" in problem(answer)["detail"]


def test_a_gate_opens_for_exactly_what_was_audited(world: World) -> None:
    asked = {"artifact": artifact(world), "policy": world.body()["policy"], "target": "cpu"}

    def ask(key: str = "viewer", **changes: str) -> dict[str, object]:
        answer = world.call("GET", "/v1/gate", key, params={**asked, **changes})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    said = ask(max_age="1d")
    assert said["open"] is True, said
    assert said["audit"] == world.done
    names = [step["name"] for step in said["steps"]]  # type: ignore[index, attr-defined]  # JSON
    assert names[:4] == ["found", "signer", "record", "signature"]
    assert {"artifact", "policy", "verdict", "freshness", "challenges", "approvals"} <= set(names)
    for changes in (
        {"artifact": sha(b"other bytes")},
        {"policy": "baseline"},
        {"target": "phone"},
        {"fingerprint": sha(b"another place")},
    ):
        assert ask(**changes)["open"] is False
    assert ask("stranger")["open"] is False


def test_a_gate_that_is_asked_by_a_files_digest_is_shut_and_names_the_artifacts(
    world: World,
) -> None:
    file = sha((world.example / "model.onnx").read_bytes())
    asked = {"artifact": file, "policy": world.body()["policy"]}
    told = world.call("GET", "/v1/gate", "viewer", params=asked).json()
    (step,) = told["steps"]
    assert (told["open"], told["artifact"], told["record"]) == (False, file, None)
    assert f"the artifact's, over the list of its files, is {artifact(world)}" in step["detail"]
    assert world.call(
        "GET", "/v1/gate", "viewer", params={**asked, "artifact": artifact(world)}
    ).json()["open"]


def test_a_gate_tells_nobody_of_a_file_that_another_project_audited(world: World) -> None:
    raw = (world.example / "model.onnx").read_bytes()
    asked, key = {"policy": world.body()["policy"]}, world.key("beside", AccessRole.SUBMITTER)

    def said(digest: str) -> str:
        answer = world.call("GET", "/v1/gate", key, params={**asked, "artifact": digest})
        return str(answer.json()["steps"][0]["detail"]).replace(digest, "")

    nothing = said(sha(b"no file of anybody"))
    assert said(sha(raw)) == nothing
    world.upload(raw, "artifacts", key)
    assert said(sha(raw)) == nothing
    assert "GET /v1/models names" in nothing


def test_what_a_gate_asks_by_is_where_its_documents_say(world: World) -> None:
    models = world.call("GET", "/v1/models", "viewer").json()["models"]
    named = {
        (version["artifact"], stands["policy"])
        for model in models
        for version in model["versions"]
        for stands in version["targets"]
    }
    assert artifact(world) in {digest for digest, _ in named}
    for digest, policy in named:
        asked = {"artifact": digest, "policy": policy}
        assert world.call("GET", "/v1/gate", "viewer", params=asked).json()["record"] is not None
    request = json.loads(fetch(world, "record"))["request"]
    assert request["artifact"]["digest"] == artifact(world)
    assert request["policy"]["digest"] == world.body()["policy"]
    gate = world.client.get("/openapi.json").json()["paths"]["/v1/gate"]["get"]
    told = {it["name"]: it.get("description", "") for it in gate["parameters"]}
    for name, word in (("artifact", "request.artifact.digest"), ("policy", "GET /v1/models"),
                       ("target", "GET /v1/targets")):  # fmt: skip
        assert word in told[name]
    assert all(told.values())


def test_a_policy_that_is_no_pack_is_said_to_go_by_its_digest(world: World) -> None:
    asked = {"artifact": artifact(world), "policy": "policy.yaml"}
    answer = world.call("GET", "/v1/gate", "viewer", params=asked)
    assert answer.status_code == 404
    assert "by digest; GET /v1/models shows the digest" in problem(answer)["cure"]


def test_a_gate_stays_shut_for_a_record_that_is_too_old(world: World) -> None:
    keeper = replace(world.service.gatekeeper, clock=lambda: "2999-01-01T00:00:00Z")
    asking = GateRequest(
        project="default",
        artifact=artifact(world),
        policy=world.body()["policy"],
        max_age=timedelta(days=30),
    )
    assert isinstance(keeper, GateService)
    assert not keeper.ask(asking).open
    assert world.service.gatekeeper.ask(asking).open


def test_a_record_that_was_verified_is_verified_again_once_a_file_of_it_changes(
    world: World,
) -> None:
    keeper = world.service.gatekeeper
    asking = GateRequest(project="default", artifact=artifact(world), policy=world.body()["policy"])
    verified: list[bytes] = []

    def noting(key: bytes) -> RecordVerifier:
        verified.append(key)
        return keeper.verifier(key)

    fresh = replace(keeper, verifier=noting, verified=VerificationCache())
    assert [fresh.ask(asking).open for _ in range(2)] == [True, True]
    assert len(verified) == 1
    blob = json.loads(fetch(world, "files"))["files"][0]["digest"]
    place = world.service.store.blobs.path(blob)
    place.touch()
    assert fresh.ask(asking).open
    assert len(verified) == 2
    raw = place.read_bytes()
    place.chmod(0o600)
    place.write_bytes(raw[:-1] + b"?")
    try:
        assert not fresh.ask(asking).open
    finally:
        place.write_bytes(raw)


@pytest.mark.parametrize("bad", [{"max_age": "soon"}, {"policy": "a/b"}, {"artifact": "m.onnx"}])
def test_a_question_without_meaning_is_refused(world: World, bad: dict[str, str]) -> None:
    asked = {"artifact": artifact(world), "policy": "baseline", **bad}
    assert world.call("GET", "/v1/gate", "viewer", params=asked).status_code == 422
