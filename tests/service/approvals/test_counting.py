"""What a record says of its attempt is held against what was counted here."""

from dataclasses import replace

import pytest
from small_services import LOG, MINE, PASSED, SmallService

from auditor.domain.requests import AuditAttempt
from auditor.domain.verification_steps import StepResult, VerificationStep
from auditor.service.approvals.status import check_attempt_count
from auditor.service.store.audit_attempts import AttemptStore


def counted(
    service: SmallService, number: int | None, said: AuditAttempt | None
) -> list[VerificationStep]:
    record = service.record(service.policy(), attempt=said)
    return list(check_attempt_count(service.panel, MINE, number, record))


@pytest.mark.parametrize(
    ("number", "said", "mistake"),
    [
        (2, None, ""),
        (None, None, ""),
        (2, 2, ""),
        (2, 1, "the record claims attempt 1, but the service counted 2"),
        (None, 1, "the record claims attempt 1, but the service counted none"),
    ],
)
def test_an_attempt_that_a_record_says_is_the_one_that_was_counted(
    service: SmallService, number: int | None, said: int | None, mistake: str
) -> None:
    steps = counted(service, number, None if said is None else AuditAttempt(number=said))
    assert steps == ([VerificationStep("counted", StepResult.FAILED, mistake)] if mistake else [])


def test_what_was_judged_again_is_the_attempt_of_the_audit_that_it_came_of(
    service: SmallService,
) -> None:
    policy = service.policy()
    audit = service.audits(policy)
    AttemptStore(service.store).register(
        audit.submission, audit.record.request, audit.record.finished
    )
    fresh = service.judges_again(audit, policy, PASSED)
    again = service.record(
        policy, PASSED, attempt=AuditAttempt(number=1), derived_from=audit.record.digest
    )
    assert list(check_attempt_count(service.panel, MINE, None, again)) == []
    twice = replace(again, derived_from=fresh.digest)
    assert list(check_attempt_count(service.panel, MINE, None, twice)) == []
    # Its own number, where it has one, comes first.
    (other,) = check_attempt_count(service.panel, MINE, 2, again)
    assert other.detail == "the record claims attempt 1, but the service counted 2"
    for project, derived in (("theirs", audit.record.digest), (MINE, "sha256:" + "0" * 64)):
        elsewhere = replace(again, derived_from=derived)
        (step,) = check_attempt_count(service.panel, project, None, elsewhere)
        assert step.detail == "the record claims attempt 1, but the service counted none"


def test_a_sealed_seed_is_asked_of_the_ledger_of_this_service(service: SmallService) -> None:
    policy = service.policy()
    submission = service.submits(policy, sealed=True)
    asked = service.record(policy).request
    AttemptStore(service.store).register(submission, asked, submission.submitted)
    request = service.panel.kept.registered(submission.id).request
    record = replace(service.record(policy), request=request)
    (step,) = check_attempt_count(service.panel, MINE, 1, record)
    assert (step.name, step.result) == ("drawn here", StepResult.HOLDS)
    assert LOG.name in step.detail
    shopped = replace(record, request=replace(request, seed=request.seed + 1))
    (step,) = check_attempt_count(service.panel, MINE, 1, shopped)
    assert (step.name, step.result) == ("drawn here", StepResult.FAILED)
    # A ledger that signs nothing shows nothing.
    kept = replace(service.panel.kept, store=replace(service.store, signer=None))
    (step,) = check_attempt_count(replace(service.panel, kept=kept), MINE, 1, record)
    assert step.result is StepResult.NOT_CHECKED
