"""One record of a project is asked all that a gate asks, by what the service knows of it."""

import os
from dataclasses import replace

import pytest
from decision_papers import AUDITOR, EVE, finding
from small_services import MINE, NOW, PASSED, Audit, SmallService

from auditor.domain.approvals import ApprovalAnswer
from auditor.domain.policies import Policy
from auditor.domain.requests import AuditAttempt
from auditor.domain.verification_steps import StepResult, VerificationStep, all_hold
from auditor.errors import StoreError
from auditor.reports.folder import BUNDLE, RECORD, SIGNER
from auditor.reports.manifest import open_stored_folder
from auditor.service.approvals.status import RecordGate, RecordGateResult
from auditor.service.store.audit_queries import RecordReference
from auditor.workflows.gate import GateQuestion
from auditor.workflows.verify.cache import VerificationCache, read_file_marks

STEPS = (
    "found", "signer", "signer's key", "artifact", "policy", "target", "verdict", "assurance",
    "freshness", "challenges", "waivers", "approvals", "human findings",
)  # fmt: skip


def look(
    service: SmallService,
    audit: Audit,
    policy: Policy,
    question: GateQuestion | None = None,
    looker: RecordGate | None = None,
) -> RecordGateResult:
    asked, looker = question or service.question(policy), looker or service.looker
    (stands,) = service.panel.rejudged.stand([audit.id])
    return looker.look(looker.case(MINE, audit.id), stands, asked, NOW)


def failed(looked: RecordGateResult) -> set[str]:
    return {it.name for it in looked.steps if it.result is StepResult.FAILED}


def test_a_record_that_passes_shows_every_step_of_the_gate(service: SmallService) -> None:
    policy = service.policy()
    audit = service.audits(policy)
    looked = look(service, audit, policy)
    assert tuple(it.name for it in looked.steps) == STEPS
    assert all_hold(looked.steps)
    assert (looked.record, looked.lacks) == (audit.record, False)
    assert looked.steps[0].detail == f"{audit.record.digest}, of {audit.id}"
    assert looked.chosen.record == audit.record.digest


def test_many_audits_are_read_at_once_and_asked_as_each_alone(service: SmallService) -> None:
    policy = service.policy()
    audits = [service.audits(policy) for _ in range(2)]
    stands = service.panel.rejudged.stand([it.id for it in audits])
    case = service.looker.case_of(MINE, stands)
    assert case.places is not None
    assert set(case.places) == {it.record.id for it in audits}
    for audit, one in zip(audits, stands, strict=True):
        together = service.looker.look(case, one, service.question(policy), NOW)
        assert together == look(service, audit, policy)


def test_a_key_that_signs_no_records_here_ends_the_question(service: SmallService) -> None:
    policy = service.policy()
    looked = look(service, service.audits(policy, signer=EVE), policy)
    assert [(it.name, it.result) for it in looked.steps] == [
        ("found", StepResult.HOLDS), ("signer", StepResult.FAILED),
    ]  # fmt: skip
    assert (looked.record, looked.lacks) == (None, False)


def test_keys_that_do_not_count_any_more_shut_the_gate(service: SmallService) -> None:
    policy = service.policy()
    strange = service.audits(policy, tool={"agents": {"cpu": ["key:sha256:0"]}})
    assert failed(look(service, strange, policy)) == {"agents' keys"}
    audit = service.audits(policy)
    service.revokes(AUDITOR)
    assert failed(look(service, audit, policy)) == {"signer's key"}


def test_files_of_another_record_open_no_gate(service: SmallService) -> None:
    policy = service.policy()
    submission, record = service.submits(policy), service.record(policy)
    other = service.record(policy)
    service.keep(record)
    audit = service.ends(submission, record, service.keep(other))
    looked = look(service, audit, policy)
    assert failed(looked) == {"found"}
    assert looked.steps[0].detail == f"the stored files are not those of {record.digest}"
    assert not looked.lacks


def test_a_whole_folder_is_verified_before_its_record_is_read(service: SmallService) -> None:
    policy = service.policy()
    audit = service.audits(policy)
    looked = look(service, audit, policy, looker=RecordGate(service.panel, service.verifier))
    assert len(looked.steps) > 2
    assert failed(looked)
    assert not failed(looked) & set(STEPS)
    assert looked.record is None
    assert "verdict" not in {it.name for it in looked.steps}


def test_a_folder_that_was_verified_is_verified_again_once_a_file_of_it_is_another(
    service: SmallService,
) -> None:
    policy = service.policy()
    audit = service.audits(policy)
    verified = VerificationCache()
    looker = RecordGate(service.panel, service.verifier, verified)
    files = service.panel.rejudged.of(audit.id)[0].files
    folder = open_stored_folder(service.store.blobs, files)
    names = sorted(folder.places or ())
    there = read_file_marks(folder.place(name) for name in names)
    holds = (VerificationStep("signature", StepResult.HOLDS, ""),)
    verified.steps(str(files), AUDITOR.public_pem(), there, lambda: holds)
    known = look(service, audit, policy, looker=looker)
    assert (failed(known), known.record) == (set(), audit.record)
    assert holds[0] in known.steps
    place = folder.place(BUNDLE)
    os.utime(place, (1, 1))
    anew = look(service, audit, policy, looker=looker)
    assert holds[0] not in anew.steps
    assert anew.record is None


def test_only_what_lacks_approvals_alone_may_have_been_approved_before(
    service: SmallService,
) -> None:
    policy = service.policy(approvals=1)
    audit = service.audits(policy)
    looked = look(service, audit, policy)
    assert (failed(looked), looked.lacks) == ({"approvals"}, True)
    bad = service.audits(policy, finding())
    looked = look(service, bad, policy)
    assert (failed(looked), looked.lacks) == ({"approvals", "verdict"}, False)
    plain = service.policy("plain")
    looked = look(service, service.audits(plain, finding()), plain)
    assert (failed(looked), looked.lacks) == ({"verdict"}, False)


def test_what_somebody_refused_does_not_merely_lack_approvals(service: SmallService) -> None:
    policy, anna = service.policy(approvals=1), service.names("Anna")
    audit = service.audits(policy)
    service.answers(anna, audit.record, ApprovalAnswer.NO)
    assert not look(service, audit, policy).lacks
    fresh = service.judges_again(audit, policy, PASSED)
    looked = look(service, audit, policy)
    assert (looked.chosen.record, looked.lacks) == (fresh.digest, False)


def test_what_a_person_found_and_what_was_counted_otherwise_shut_the_gate(
    service: SmallService,
) -> None:
    policy = service.policy()
    wrong = service.audits(policy)
    service.finds(service.names("Anna"), wrong.record)
    assert failed(look(service, wrong, policy)) == {"human findings"}
    claims = service.audits(policy, attempt=AuditAttempt(number=3))
    assert failed(look(service, claims, policy)) == {"counted"}


def test_a_seed_that_was_not_drawn_here_shows_no_sealed_audit(service: SmallService) -> None:
    """What the service counted is shown to the gate's own question."""
    policy = service.policy(require_sealed=True)
    audit = service.audits(
        policy, attempt=AuditAttempt(number=1, sealed=True, held=("evaluation",))
    )
    assert failed(look(service, audit, policy)) == {"counted", "sealed", "drawn here"}


def test_a_baseline_that_does_not_count_shuts_the_gate_once(service: SmallService) -> None:
    policy = service.policy()
    audit = service.audits(policy, baseline="sha256:" + "b" * 64)
    looked = look(service, audit, policy)
    assert failed(looked) == {"baseline"}
    assert [it.name for it in looked.steps].count("baseline") == 1


def test_a_submission_that_is_lost_is_an_error(service: SmallService) -> None:
    policy = service.policy()
    audit = service.audits(policy)
    case = replace(service.looker.case(MINE, audit.id), handed={})
    chosen = RecordReference(
        audit.id, audit.record.digest, service.panel.rejudged.of(audit.id)[0].files
    )
    with pytest.raises(StoreError) as lost:
        service.looker.look(case, chosen, service.question(policy), NOW)
    assert lost.value.problem == f"{audit.id} is lost"


def test_a_record_of_another_project_is_not_handed_in_here(service: SmallService) -> None:
    audit = service.audits(service.policy())
    assert set(service.looker.case(MINE, audit.id).handed) == {audit.id}
    assert set(service.looker.case("theirs", audit.id).handed) == set()


def test_the_key_of_a_challenge_is_held_against_the_records_own(service: SmallService) -> None:
    """A torn challenge beside a record shuts its gate: it was put there for a reason."""
    policy = service.policy()
    submission, record = service.submits(policy), service.record(policy)
    service.keep(record)
    files = service.files({
        RECORD: record.canonical(), BUNDLE: b"{}", SIGNER: AUDITOR.public_pem(),
        f"challenges/{'a' * 64}.sigstore.json": b"torn",
    })  # fmt: skip
    audit = service.ends(submission, record, files)
    assert failed(look(service, audit, policy)) == {"challenges"}
