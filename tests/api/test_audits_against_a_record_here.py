"""A record of the project is what an audit at the service is held against: bound, and refused."""

from typing import Any

import pytest
from deciding_people import audited, look, observed, policy_of
from served_worlds import World, problem

from auditor.checks.discovery import discover
from auditor.clock import now
from auditor.domain.canonical import Json, canonical, digest
from auditor.domain.policies import Policy
from auditor.domain.record_json import read_record
from auditor.domain.records import AuditRecord
from auditor.domain.steps import StepResult
from auditor.ledgers.events import Event, EventType
from auditor.manifests import laid_out
from auditor.packs.loading import load_policy
from auditor.schedules.templates import asked_json, read_asked_json, same_as
from auditor.seeds import NAME, sealed_seed
from auditor.verifiers import served_verifier
from auditor.verifying import verify_folder

FREE = policy_of("free", 0.6)


def relative() -> Policy:
    """Return a policy that asks that the model be no worse than its baseline."""
    document: dict[str, Json] = {**FREE.document, "rules": [{
        "id": "not-worse", "title": "It is no worse", "severity": "high", "effect": "deny",
        "measure": "quality.accuracy/accuracy", "at_least": "baseline - 20 %",
    }]}  # fmt: skip
    return load_policy(canonical(document), "relative", discover(), {})


@pytest.fixture(scope="module")
def before(apart: World) -> str:
    """The record of an earlier audit."""
    return str(look(apart, audited(apart, FREE))["record"])


def posted(world: World, key: str = "submitter", **changes: Any) -> Any:  # noqa: ANN401 -- JSON
    world.upload_example(key)
    policy = world.upload(canonical(relative().document), "datasets", key)
    return world.call("POST", "/v1/audits", key, json=world.body(policy=policy, **changes))


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
    with laid_out(apart.service.store.blobs, kept.files) as folder:
        verifier = served_verifier(apart.service.report_key)
        steps = {step.name: step.result for step in verify_folder(folder, verifier)}
        assert digest(folder.evidence(before)) == before
    assert StepResult.FAILED not in steps.values()
    assert steps["judgement"] is StepResult.HOLDS
    _, without = ended(apart)
    assert [item.outcome.value for item in without.findings] == ["unknown"]


def test_a_sealed_audit_takes_one_and_its_seed_follows_as_ever(apart: World, before: str) -> None:
    _, record = ended(apart, baseline=before, sealed=True)
    signer = apart.place.store.signer
    assert signer is not None
    (step,) = sealed_seed(record, signer.key)
    assert (step.name, step.result) == (NAME, StepResult.HOLDS), step.detail
    assert record.request.baseline == before


def test_what_is_asked_again_is_held_against_the_same_record(apart: World, before: str) -> None:
    name = posted(apart, baseline=before).json()["id"]
    submission = apart.service.kept.submission("default", name)
    assert submission is not None
    assert before in submission.blobs
    again = read_asked_json(asked_json(same_as(submission)))
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
    assert "is a record of line, and what is audited is circle" in problem(refused)["detail"]


def test_a_record_that_was_challenged_is_refused(apart: World) -> None:
    record = str(look(apart, audited(apart, policy_of("challenged", 0.6)))["record"])
    assert posted(apart, baseline=record).status_code == 201
    told = b"what cannot be read was put there for a reason"
    with apart.place.store.unit_of_work() as work:
        work.append(Event(EventType.CHALLENGE, digest(told), now(), {"record": record}), told)
    refused = posted(apart, baseline=record)
    assert refused.status_code == 422
    assert "was challenged" in problem(refused)["detail"]


def test_an_audit_file_that_names_a_folder_takes_the_record_that_is_named_beside_it(
    apart: World, before: str
) -> None:
    raw = (apart.example / "audit.yaml").read_text() + "\nbaseline: earlier\n"
    named = apart.upload(raw.encode())
    assert posted(apart, audit_file=named, baseline=before).status_code == 201
    refused = posted(apart, audit_file=named)
    assert refused.status_code == 422
    assert "baseline is not for a service" in problem(refused)["detail"]
