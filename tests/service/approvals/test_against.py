"""A record counts as another's baseline as long as nothing speaks against it."""

from dataclasses import replace
from typing import Any

import pytest
from decision_papers import AUDITOR, EVE, finding
from small_services import MINE, NOW, PASSED, START, THEIRS, Audit, SmallService

from auditor.domain.approvals import ApprovalAnswer
from auditor.domain.artifacts import Artifact, FileDigest
from auditor.domain.findings import Outcome
from auditor.domain.json import compute_digest
from auditor.domain.key_roles import KeyRole
from auditor.domain.records import AuditRecord
from auditor.domain.verification_steps import StepResult, VerificationStep
from auditor.errors import RecordError
from auditor.reports.folder import BUNDLE, RECORD, SIGNER
from auditor.service.approvals.status import CURE, check_baseline, find_baseline_record
from auditor.store.key_lifecycle import register_key_use
from auditor.trust.signatures.records import sign_record
from auditor.workflows.gate import GateQuestion

EARLIER = Artifact("model", "1", (FileDigest("model.onnx", 3, "cd" * 32),))
RELATIVE = replace(PASSED, limits="at least baseline - 0.01")


def released(service: SmallService, *findings: Any, **changes: Any) -> Audit:  # noqa: ANN401 -- findings, and fields
    """Audit the version before, by another caller."""
    return service.audits(
        service.policy(), *findings, **{"artifact": EARLIER, "by": "k0", **changes}
    )


def refused(service: SmallService, named: str, project: str = MINE) -> str:
    with pytest.raises(RecordError) as error:
        find_baseline_record(service.store, project, named, NOW)
    assert error.value.cure != ""
    return error.value.problem


def test_a_record_that_passes_is_a_baseline_in_its_own_project(service: SmallService) -> None:
    audit = released(service)
    named = audit.record.digest
    assert find_baseline_record(service.store, MINE, named, NOW) == audit.record
    assert (
        refused(service, named, THEIRS) == f"the project has no record {named} to use as a baseline"
    )
    assert "has no record sha256:0 to use as a baseline" in refused(service, "sha256:0")


def test_an_inconclusive_record_is_a_baseline_and_one_that_failed_is_none(
    service: SmallService,
) -> None:
    unknown = released(service, finding(outcome=Outcome.UNKNOWN))
    assert find_baseline_record(service.store, MINE, unknown.record.digest, NOW) == unknown.record
    failed = released(service, finding()).record.digest
    problem = f"the baseline {failed} failed its own policy"
    assert refused(service, failed) == problem
    with pytest.raises(RecordError) as error:
        find_baseline_record(service.store, MINE, failed, NOW)
    assert error.value.cure == CURE


def test_a_record_that_fell_behind_its_own_baseline_is_none(service: SmallService) -> None:
    behind = finding(outcome=Outcome.UNKNOWN, limits="at least baseline")
    named = released(service, behind, baseline=compute_digest(b"before")).record.digest
    assert refused(service, named) == (
        f"the baseline {named} failed accurate against its own baseline"
    )


def test_a_key_that_signs_no_records_here_makes_no_baseline(service: SmallService) -> None:
    named = released(service, signer=EVE).record.digest
    assert refused(service, named).startswith(
        f"the baseline {named} is not signed by a valid report key of this service: "
    )


def test_a_key_that_was_revoked_since_makes_no_baseline(service: SmallService) -> None:
    named = released(service).record.digest
    service.revokes(AUDITOR)
    assert refused(service, named).startswith(
        f"the baseline {named} is not signed by a valid report key of this service: the key "
    )


def test_an_agent_that_the_ledger_does_not_know_makes_no_baseline(service: SmallService) -> None:
    named = released(service, tool={"agents": {"cpu": ["key:sha256:0"]}}).record.digest
    assert refused(service, named) == (
        f"the baseline {named} depends on results that do not count: "
        "the ledger here knows no agent's key key:sha256:0"
    )


def test_an_agent_that_the_ledger_knows_speaks_against_no_baseline(service: SmallService) -> None:
    with service.store.unit_of_work() as work:
        register_key_use(work, KeyRole.AGENT, EVE.public_pem().decode(), START)
    audit = released(service, tool={"agents": {"cpu": [EVE.identity]}})
    assert find_baseline_record(service.store, MINE, audit.record.digest, NOW) == audit.record


def test_what_its_key_did_not_sign_is_no_baseline(service: SmallService) -> None:
    policy = service.policy()
    submission, record = service.submits(policy), service.record(policy)
    service.keep(record, EVE)
    files = service.files({
        RECORD: record.canonical(), BUNDLE: b"{}", SIGNER: AUDITOR.public_pem(),
    })  # fmt: skip
    service.ends(submission, record, files)
    assert "does not verify" in refused(service, record.digest)


def test_a_challenged_record_is_no_baseline(service: SmallService) -> None:
    policy = service.policy()
    submission, record = service.submits(policy), service.record(policy)
    service.keep(record)
    raw = record.canonical()
    files = service.files({
        RECORD: raw, SIGNER: AUDITOR.public_pem(),
        BUNDLE: sign_record(raw, None, "model", AUDITOR),
        f"challenges/{'a' * 64}.sigstore.json": b"torn",
    })  # fmt: skip
    service.ends(submission, record, files)
    assert "was challenged" in refused(service, record.digest)


def test_what_a_person_objects_to_is_no_baseline_though_it_was_judged_again(
    service: SmallService,
) -> None:
    anna = service.names("Anna")
    wrong, denied = released(service), released(service)
    service.finds(anna, wrong.record)
    service.answers(anna, denied.record, ApprovalAnswer.NO)
    policy = service.policy()
    for audit, why in (
        (wrong, "has a human finding against it: "),
        (denied, "was rejected by a person"),
    ):
        fresh = service.judges_again(audit, policy, PASSED)
        for record in (audit.record, fresh):
            said = refused(service, record.digest)
            assert said.startswith(f"the baseline {record.digest} {why}")
    # A yes takes the no back, unless whoever said it decides no more.
    service.answers(anna, denied.record, created="2026-03-01T20:00:00Z")
    named = denied.record.digest
    assert find_baseline_record(service.store, MINE, named, NOW) == denied.record
    service.panel.people.end(anna.person.id, NOW, "left us", "admin")
    assert refused(service, named) == f"the baseline {named} was rejected by a person"


def held(
    service: SmallService,
    audit: Audit,
    named: str | None = None,
    **asked: Any,  # noqa: ANN401 -- any field
) -> list[VerificationStep]:
    question: GateQuestion = service.question(service.policy(), baseline=named, **asked)
    return list(check_baseline(service.store, audit.submission, audit.record, question, NOW))


def test_what_has_no_baseline_is_held_against_none_unless_one_is_named(
    service: SmallService,
) -> None:
    audit, before = service.audits(service.policy()), released(service).record
    assert held(service, audit) == []
    said = f"it was compared with no baseline, but {before.digest} is named here"
    assert held(service, audit, before.digest) == [
        VerificationStep("baseline", StepResult.FAILED, said)
    ]


def against(service: SmallService, before: AuditRecord, **changes: Any) -> Audit:  # noqa: ANN401 -- any field
    return service.audits(service.policy(), RELATIVE, baseline=before.digest, **changes)


def test_a_baseline_counts_that_the_gate_names_or_that_another_caller_made(
    service: SmallService,
) -> None:
    before = released(service).record
    holds = [
        VerificationStep("baseline", StepResult.HOLDS, f"compared with model 1 ({before.digest})")
    ]
    audit = against(service, before)
    assert held(service, audit) == holds
    assert held(service, audit, before.digest) == holds
    other = "sha256:" + "e" * 64
    said = f"it was compared with the baseline {before.digest}, but {other} is named here"
    assert held(service, audit, other) == [VerificationStep("baseline", StepResult.FAILED, said)]


def test_a_baseline_of_the_same_caller_counts_where_the_gate_names_it_or_nothing_rests_on_it(
    service: SmallService,
) -> None:
    before = released(service, by="k1").record
    audit = against(service, before)
    said = (
        f"accurate depends on the baseline {before.digest}, of the same requester. Review that "
        "record, and name it if you accept its limits (baseline=DIGEST, --baseline)"
    )
    assert held(service, audit) == [VerificationStep("baseline", StepResult.FAILED, said)]
    (named,) = held(service, audit, before.digest)
    assert named.result is StepResult.HOLDS
    (elsewhere,) = held(service, audit, target="edge")
    assert elsewhere.result is StepResult.HOLDS, "nothing on that target rests on it"
    absolute = service.audits(service.policy(), PASSED, baseline=before.digest)
    (step,) = held(service, absolute)
    assert step.result is StepResult.HOLDS


def test_a_model_is_not_held_against_itself_nor_against_what_counts_no_more(
    service: SmallService,
) -> None:
    same = service.audits(service.policy(), by="k0").record
    (step,) = held(service, against(service, same), same.digest)
    assert step.result is StepResult.FAILED
    assert "nothing is held against a record of itself" in step.detail
    failed = released(service, finding()).record
    (step,) = held(service, against(service, failed), failed.digest)
    assert step == VerificationStep(
        "baseline",
        StepResult.FAILED,
        f"the baseline {failed.digest} failed its own policy",
    )
