"""A record of the project is what an audit at the service is held against: bound, and refused."""

from dataclasses import replace
from typing import Any

import pytest
from deciding_people import audited, gate, look, observed, policy_of, somebody
from served_toys import sha
from served_worlds import World, problem
from small_audits import linear_model

from auditor._time import utc_now
from auditor.checks.registry import discover_checks
from auditor.domain.approvals import ApprovalAnswer
from auditor.domain.json import Json, compute_digest, encode_canonical
from auditor.domain.policies import Policy
from auditor.domain.record_json import read_record
from auditor.domain.records import AuditRecord
from auditor.domain.verification_steps import StepResult
from auditor.errors import RecordError
from auditor.policy.load import load_policy
from auditor.reports.manifest import materialize_folder
from auditor.service.jobs.executor import build_executor
from auditor.service.schedules.manage import read_kept_order
from auditor.trust.ledger.events import LedgerEvent, LedgerEventType
from auditor.workflows.verify.folder import verify_folder
from auditor.workflows.verify.sealed_seed import NAME, check_sealed_seed
from auditor.workflows.verify.verifiers import build_service_verifier

FREE = policy_of("free", 0.6)


def relative(by: str = " - 20 %") -> Policy:
    """Return a policy that asks that the model be no worse than its baseline."""
    document: dict[str, Json] = {**FREE.document, "rules": [{
        "id": "not-worse", "title": "It is no worse", "severity": "high", "effect": "deny",
        "measure": "quality.accuracy/accuracy", "at_least": f"baseline{by}",
    }]}  # fmt: skip
    return load_policy(encode_canonical(document), "relative", discover_checks(), {})


@pytest.fixture(scope="module")
def before(apart: World) -> str:
    """The record of an audit of an earlier version."""
    return earlier(apart, 4.5)


def version(world: World, weight: float) -> dict[str, Any]:
    """Return what is posted for a version whose bytes differ by a weight from all others."""
    folder = world.example.parent / f"with-{weight}"
    folder.mkdir(exist_ok=True)
    linear_model(folder / "model.onnx", [6.0, weight, 0.0], -5.0)
    raw = (folder / "model.onnx").read_bytes()
    world.upload(raw, "artifacts")
    given = {"path": "model.onnx", "name": "model.onnx", "size": len(raw), "sha256": sha(raw)[7:]}
    text = (world.example / "audit.yaml").read_text().replace("1.0.0", f"0.{weight}")
    rows = [it for it in world.body()["inputs"] if it["path"] != "model.onnx"]
    return {"inputs": [given, *rows], "audit_file": world.upload(text.encode())}


def earlier(world: World, weight: float, policy: Policy = FREE, **changes: Any) -> str:  # noqa: ANN401 -- JSON
    """Audit an earlier version, and return its record's digest."""
    world.upload_example()
    named = world.upload(encode_canonical(policy.document))
    asked = world.body(**{**version(world, weight), "policy": named, **changes})
    answer = world.call("POST", "/v1/audits", json=asked)
    assert answer.status_code == 201, answer.text
    name = str(answer.json()["id"])
    observed(world, name).conclude(name)
    return str(look(world, name)["record"])


def posted(
    world: World,
    key: str = "submitter",
    once: str | None = None,
    **changes: Any,  # noqa: ANN401 -- JSON
) -> Any:  # noqa: ANN401 -- JSON
    world.upload_example(key)
    policy = world.upload(encode_canonical(relative().document), "datasets", key)
    asked, headers = world.body(**{"policy": policy, **changes}), {"Idempotency-Key": once}
    return world.call(
        "POST", "/v1/audits", key, json=asked, headers=headers if once is not None else {}
    )


def refused(answer: Any) -> str:  # noqa: ANN401 -- httpx's
    """Return why what was posted is refused."""
    assert answer.status_code == 422, answer.text
    return str(problem(answer)["detail"])


def challenge(world: World, record: str) -> None:
    told = f"what cannot be read was put there for a reason: {record}".encode()
    with world.place.store.unit_of_work() as work:
        work.append(
            LedgerEvent(
                LedgerEventType.CHALLENGE, compute_digest(told), utc_now(), {"record": record}
            ),
            told,
        )


def ended(world: World, **changes: Any) -> tuple[str, AuditRecord]:  # noqa: ANN401 -- JSON
    answer = posted(world, **changes)
    assert answer.status_code == 201, answer.text
    name = str(answer.json()["id"])
    observed(world, name).conclude(name)
    return name, read_record(world.call("GET", f"/v1/audits/{name}/record").content)


def test_a_record_is_bound_like_a_local_one_and_decides_the_rule(apart: World, before: str) -> None:
    name, record = ended(apart, baseline=before)
    assert record.request.baseline == before
    (finding,) = record.findings
    assert (finding.outcome.value, finding.limits) == ("passed", "at least baseline - 0.2")
    kept = apart.service.kept.outcome(name)
    assert kept is not None
    with materialize_folder(apart.service.store.blobs, kept.files) as folder:
        verifier = build_service_verifier(apart.service.report_key)
        steps = {step.name: step.result for step in verify_folder(folder, verifier)}
        assert compute_digest(folder.evidence(before)) == before
    assert StepResult.FAILED not in steps.values()
    assert steps["judgement"] is StepResult.HOLDS
    _, without = ended(apart)
    assert [item.outcome.value for item in without.findings] == ["unknown"]


def test_a_sealed_audit_takes_one_and_its_seed_follows_as_ever(apart: World, before: str) -> None:
    _, record = ended(apart, baseline=before, sealed=True)
    signer = apart.place.store.signer
    assert signer is not None
    (step,) = check_sealed_seed(record, signer.key)
    assert (step.name, step.result) == (NAME, StepResult.HOLDS), step.detail
    assert record.request.baseline == before


def test_what_is_asked_again_is_held_against_the_same_record(apart: World, before: str) -> None:
    name = posted(apart, baseline=before).json()["id"]
    submission = apart.service.kept.submission("default", name)
    assert submission is not None
    assert before in submission.blobs
    again = read_kept_order(replace(submission.order, wait_for_target=600).to_json())
    assert again.baseline == before
    plan = {"name": "held", "same_as": name, "on": ["batch"], "batch_role": "evaluation"}
    assert apart.call("POST", "/v1/schedules", json=plan).status_code == 201


def test_a_record_that_the_project_has_not_is_refused(apart: World, before: str) -> None:
    unknown = posted(apart, baseline=f"sha256:{'0' * 64}")
    foreign = posted(apart, "stranger", baseline=before)
    for refused, named in ((unknown, "0" * 64), (foreign, before)):
        assert refused.status_code == 422
        assert "the project has no record" in problem(refused)["detail"]
        assert named in problem(refused)["detail"]
    assert posted(apart, baseline="a folder").status_code == 422


def test_a_record_of_another_model_is_refused(apart: World, before: str) -> None:
    raw = (apart.example / "audit.yaml").read_text().replace("name: line", "name: circle")
    other = apart.upload(raw.encode())
    refused = posted(apart, audit_file=other, baseline=before)
    assert refused.status_code == 422
    assert "is a record of line, but the audited model is circle" in problem(refused)["detail"]


def test_a_record_that_was_challenged_is_refused_but_for_what_was_handed_in_before(
    apart: World,
) -> None:
    record = earlier(apart, 4.25)
    first = posted(apart, once="before it was challenged", baseline=record)
    assert first.status_code == 201
    challenge(apart, record)
    assert "was challenged" in refused(posted(apart, baseline=record))
    again = posted(apart, once="before it was challenged", baseline=record)
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])


def test_no_model_is_held_against_a_record_of_itself(apart: World) -> None:
    own = str(look(apart, audited(apart, policy_of("itself", 0.6)))["record"])
    assert "of the same artifact" in refused(posted(apart, baseline=own))
    plan = asked_again(apart, own)
    assert "of the same artifact" in refused(apart.call("POST", "/v1/schedules", json=plan))
    # Under another name it is the same model.
    named = [{**it, "name": it["name"].replace("model", "other")} for it in apart.body()["inputs"]]
    text = (apart.example / "audit.yaml").read_text().replace("model.onnx", "other.onnx")
    for item in named:
        item["path"] = item["path"].replace("model", "other")
    renamed = {"inputs": named, "audit_file": apart.upload(text.encode())}
    assert "of the same artifact" in refused(posted(apart, baseline=own, **renamed))
    # What the model's file does not name is no part of it, which shows once it is laid out.
    raw = b"nothing of the model"
    apart.upload(raw, "artifacts")
    more = {"path": "model.onnx", "name": "more", "size": len(raw), "sha256": sha(raw)[7:]}
    padded = posted(apart, baseline=own, inputs=[*apart.body()["inputs"], more])
    assert padded.status_code == 201
    with pytest.raises(RecordError, match="of the same artifact"):
        build_executor(apart.place, {}).plan(padded.json()["id"])


def asked_again(world: World, baseline: str) -> dict[str, Any]:
    """Return a schedule that audits the example again, held against a record."""
    world.upload_example()
    asked = world.body(
        policy=world.upload(encode_canonical(relative().document)), baseline=baseline
    )
    return {"name": "held", "audit": asked, "cron": "0 3 * * *"}


def test_a_record_that_failed_or_fell_behind_is_refused(apart: World, before: str) -> None:
    failed = earlier(apart, 4.1, policy_of("strict", 0.9999))
    assert "failed its own policy" in refused(posted(apart, baseline=failed))
    # Nearly the same accuracy leaves it open whether that is at least as high.
    behind = earlier(apart, 4.2, relative(""), baseline=before)
    assert "failed not-worse against its own baseline" in refused(posted(apart, baseline=behind))


def test_a_record_that_a_person_objects_to_is_refused(apart: World) -> None:
    clinician = somebody(apart, "Chris", "finding", "approval")
    found, said_no = earlier(apart, 4.3), earlier(apart, 4.35)
    assert clinician.find(found).status_code == 201
    assert "a human finding" in refused(posted(apart, baseline=found))
    assert clinician.answer(said_no, ApprovalAnswer.NO).status_code == 201
    assert "was rejected by a person" in refused(posted(apart, baseline=said_no))


def test_a_gate_asks_the_baseline_at_the_time_of_asking(apart: World) -> None:
    record = earlier(apart, 4.4)
    ended(apart, key="admin", baseline=record)
    said = gate(apart, relative())
    assert said["open"], said
    assert said["by"]["baseline"] == f"compared with line 0.4.4 ({record})"
    challenge(apart, record)
    said = gate(apart, relative())
    assert not said["open"]
    assert "was challenged" in said["by"]["baseline"]
    assert [it["name"] for it in said["steps"] if it["result"] == "failed"] == ["baseline"]


def test_who_is_judged_names_no_baseline_of_his_own_making(apart: World) -> None:
    """He could audit wrong labels first, or a model that knows nothing, and name that record."""
    mine, other = earlier(apart, 4.6), earlier(apart, 4.7)
    ended(apart, baseline=mine)
    said = gate(apart, relative())
    assert [it["name"] for it in said["steps"] if it["result"] == "failed"] == ["baseline"]
    assert (
        f"not-worse depends on the baseline {mine}, of the same requester" in said["by"]["baseline"]
    )
    assert "baseline=" in said["by"]["baseline"]
    assert gate(apart, relative(), baseline=mine)["open"]
    for named in (other, f"sha256:{'0' * 64}"):
        said = gate(apart, relative(), baseline=named)
        assert not said["open"]
        assert f"it was compared with the baseline {mine}" in said["by"]["baseline"]


def test_a_baseline_of_anothers_making_counts_or_one_that_nothing_rests_on(apart: World) -> None:
    mine = earlier(apart, 4.8)
    ended(apart, key="admin", baseline=mine)
    assert gate(apart, relative())["open"]
    free = apart.upload(encode_canonical(FREE.document))
    ended(apart, policy=free, baseline=mine)
    assert gate(apart, FREE)["open"]
    said = gate(apart, FREE, baseline=f"sha256:{'0' * 64}")
    assert not said["open"]


def test_a_gate_that_asks_a_record_without_a_baseline_asks_for_none(apart: World) -> None:
    audited(apart, FREE)
    said = gate(apart, FREE)
    assert said["open"], said
    assert "baseline" not in said["by"]


def test_an_audit_file_that_names_a_folder_takes_the_record_that_is_named_beside_it(
    apart: World, before: str
) -> None:
    raw = (apart.example / "audit.yaml").read_text() + "\nbaseline: earlier\n"
    named = apart.upload(raw.encode())
    assert posted(apart, audit_file=named, baseline=before).status_code == 201
    refused = posted(apart, audit_file=named)
    assert refused.status_code == 422
    assert "baseline does not work at a service" in problem(refused)["detail"]
