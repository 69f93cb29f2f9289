"""How an audit stands: what its verdict says, what people said of it, and what cannot be told."""

from dataclasses import replace

import pytest
from decision_papers import BOB, approval, finding, lay_out, signed, waiver
from small_services import MINE, NOW, PASSED, THEIRS, Audit, SmallService, hours

from auditor.domain.approvals import ApprovalAnswer
from auditor.domain.findings import Outcome
from auditor.domain.verification_steps import StepResult
from auditor.errors import AuditorError
from auditor.service.approvals.status import (
    ApprovalStatus,
    RecordReview,
    check_people_decisions,
    find_approval_status,
    find_approval_statuses,
    list_record_digests,
    list_required_decisions,
    load_record_decisions,
)
from auditor.service.domain.people import BlindLabels


def stands(service: SmallService, audit: Audit) -> ApprovalStatus:
    """How an audit stands, which a list of it says too, and the list of all."""
    found = find_approval_status(service.panel, audit.submission)
    assert found is not None
    assert find_approval_statuses(service.panel, MINE, [audit.submission]) == {audit.id: found}
    return found.standing


@pytest.mark.parametrize(
    ("outcomes", "came_to"),
    [
        ([Outcome.PASSED], ApprovalStatus.PASSED),
        ([Outcome.PASSED, Outcome.FAILED], ApprovalStatus.FAILED),
        ([Outcome.PASSED, Outcome.UNKNOWN], ApprovalStatus.INCONCLUSIVE),
    ],
)
@pytest.mark.parametrize("approvals", [0, 1])
def test_by_itself_an_audit_stands_as_its_verdict_says(
    service: SmallService, outcomes: list[Outcome], came_to: ApprovalStatus, approvals: int
) -> None:
    policy = service.policy(approvals=approvals)
    audit = service.audits(policy, *(finding(f"r{it}", outcome=it) for it in outcomes))
    awaited = approvals and came_to is ApprovalStatus.PASSED
    assert stands(service, audit) is (ApprovalStatus.AWAITING if awaited else came_to)


def test_an_audit_that_has_no_record_stands_nowhere(service: SmallService) -> None:
    waiting = service.submits(service.policy())
    assert find_approval_status(service.panel, waiting) is None
    assert find_approval_statuses(service.panel, MINE, [waiting]) == {}
    assert list_record_digests(service.panel, waiting) == ()


def test_approvals_are_counted_up_to_as_many_as_the_policy_asks(service: SmallService) -> None:
    audit = service.audits(service.policy(approvals=2))
    for name, came_to in (("Anna", ApprovalStatus.AWAITING), ("Bob", ApprovalStatus.APPROVED)):
        service.answers(service.names(name), audit.record)
        assert stands(service, audit) is came_to


def test_where_nobody_asks_a_yes_is_told_all_the_same_and_a_no_refuses(
    service: SmallService,
) -> None:
    audit, anna = service.audits(service.policy()), service.names("Anna")
    assert stands(service, audit) is ApprovalStatus.PASSED
    service.answers(anna, audit.record)
    assert stands(service, audit) is ApprovalStatus.APPROVED
    service.answers(service.names("Bob"), audit.record, ApprovalAnswer.NO)
    assert stands(service, audit) is ApprovalStatus.REFUSED


@pytest.mark.parametrize("asked", [0, 1])
def test_a_no_refuses_until_the_same_person_says_yes(service: SmallService, asked: int) -> None:
    audit, anna = service.audits(service.policy(approvals=asked)), service.names("Anna")
    service.answers(anna, audit.record, ApprovalAnswer.NO)
    found = find_approval_status(service.panel, audit.submission)
    assert found is not None
    assert "rejected by Anna" in found.steps[0].detail
    assert "before it was judged again" not in found.steps[0].detail
    assert stands(service, audit) is ApprovalStatus.REFUSED
    service.answers(anna, audit.record, created=hours(2, audit.record.finished))
    assert stands(service, audit) is ApprovalStatus.APPROVED


def test_a_no_to_an_earlier_record_of_the_same_audit_stands(service: SmallService) -> None:
    policy, anna = service.policy(approvals=1), service.names("Anna")
    audit = service.audits(policy, finding())
    service.answers(anna, audit.record, ApprovalAnswer.NO)
    assert stands(service, audit) is ApprovalStatus.FAILED
    fresh = service.judges_again(audit, policy, PASSED)
    assert list_record_digests(service.panel, audit.submission) == (
        audit.record.digest,
        fresh.digest,
    )
    # Nobody answered the last one, and still it is not merely waiting for somebody.
    assert stands(service, audit) is ApprovalStatus.REFUSED
    service.answers(service.names("Bob"), fresh)
    assert stands(service, audit) is ApprovalStatus.REFUSED
    service.answers(anna, audit.record, created=hours(5))
    assert stands(service, audit) is ApprovalStatus.APPROVED


def test_of_a_record_that_was_judged_again_the_last_counts(service: SmallService) -> None:
    policy = service.policy()
    audit = service.audits(policy)
    service.judges_again(audit, policy, finding())
    assert stands(service, audit) is ApprovalStatus.FAILED


def test_a_yes_to_an_earlier_record_approves_no_later_one(service: SmallService) -> None:
    for approvals, came_to in ((0, ApprovalStatus.PASSED), (1, ApprovalStatus.AWAITING)):
        policy = service.policy(f"asks-{approvals}", approvals=approvals)
        audit = service.audits(policy)
        service.answers(service.names("Anna"), audit.record)
        assert stands(service, audit) is ApprovalStatus.APPROVED
        service.judges_again(audit, policy, PASSED)
        assert stands(service, audit) is came_to


def test_what_somebody_found_fails_an_audit_that_passes_and_is_approved(
    service: SmallService,
) -> None:
    policy, anna = service.policy(approvals=1), service.names("Anna")
    audit = service.audits(policy)
    service.answers(anna, audit.record)
    service.finds(anna, audit.record)
    found = find_approval_status(service.panel, audit.submission)
    assert found is not None
    assert (found.standing, len(found.steps)) == (ApprovalStatus.FAILED, 1)
    assert "Row r17 is a scar." in found.steps[0].detail
    service.judges_again(audit, policy, PASSED)
    assert stands(service, audit) is ApprovalStatus.FAILED
    unknown = service.audits(policy, finding(outcome=Outcome.UNKNOWN))
    service.finds(anna, unknown.record)
    assert stands(service, unknown) is ApprovalStatus.FAILED


def test_a_standing_names_the_records_and_the_steps_that_it_rests_on(
    service: SmallService,
) -> None:
    plain = find_approval_status(service.panel, service.audits(service.policy()).submission)
    assert plain is not None
    (only,) = plain.steps
    assert (only.name, only.result) == ("human findings", StepResult.NOT_PRESENT)
    audit = service.audits(service.policy("strict", approvals=1))
    found = find_approval_status(service.panel, audit.submission)
    assert found is not None
    assert [(it.name, it.result) for it in found.steps] == [
        ("approvals", StepResult.FAILED), ("human findings", StepResult.NOT_PRESENT),
    ]  # fmt: skip
    assert [it.record for it in found.records] == [audit.record.digest]


def test_people_of_other_projects_say_nothing_here(service: SmallService) -> None:
    audit = service.audits(service.policy(approvals=1))
    service.answers(service.names("Eve", project=THEIRS), audit.record)
    assert stands(service, audit) is ApprovalStatus.AWAITING


def test_a_yes_counts_only_of_whoever_may_approve_by_now(service: SmallService) -> None:
    audit = service.audits(service.policy(approvals=1))
    service.answers(service.names("Wanda", "waiver"), audit.record)
    assert stands(service, audit) is ApprovalStatus.AWAITING
    anna = service.names("Anna")
    service.answers(anna, audit.record)
    assert stands(service, audit) is ApprovalStatus.APPROVED
    service.panel.people.end(anna.person.id, NOW, "left us", "admin")
    assert stands(service, audit) is ApprovalStatus.AWAITING


def test_who_handed_the_audit_in_is_not_the_other_pair_of_eyes(service: SmallService) -> None:
    policy = service.policy(approvals=1)
    own = service.audits(policy, by="k7")
    dora = service.names("Dora", caller="k7")
    service.answers(dora, own.record)
    assert stands(service, own) is ApprovalStatus.AWAITING
    other = service.audits(policy, by="k8")
    service.answers(dora, other.record)
    assert stands(service, other) is ApprovalStatus.APPROVED


def label(service: SmallService, audit: Audit, person: str) -> None:
    told = BlindLabels(
        record=audit.record.digest, person=person, labels={"r1": "yes"}, at=NOW, by="k"
    )
    service.panel.people.label(MINE, told)


def test_a_blind_yes_counts_once_its_person_labelled_cases_of_that_very_record(
    service: SmallService,
) -> None:
    blind = service.policy("blind", approvals=1, blind_labels=3)
    audit, other = service.audits(blind), service.audits(blind)
    anna, bob = service.names("Anna"), service.names("Bob")
    service.answers(anna, audit.record)
    label(service, other, anna.person.id)
    label(service, audit, bob.person.id)
    assert stands(service, audit) is ApprovalStatus.AWAITING
    label(service, audit, anna.person.id)
    assert stands(service, audit) is ApprovalStatus.APPROVED
    # The same among audits under policies that ask for no labels.
    plain = service.audits(service.policy("plain", approvals=1))
    service.answers(anna, plain.record)
    both = find_approval_statuses(service.panel, MINE, [audit.submission, plain.submission])
    assert {it.standing for it in both.values()} == {ApprovalStatus.APPROVED}


def test_a_list_tells_of_many_audits_and_leaves_out_what_is_damaged(
    service: SmallService,
) -> None:
    strict = service.policy("strict", approvals=1)
    good, bad = service.audits(strict), service.audits(service.policy("plain"), finding())
    submission = service.submits(strict)
    record = service.record(strict)
    files = service.keep(record)
    damaged = service.ends(submission, record, files)
    waiting = service.submits(strict)
    service.loses(files)
    found = find_approval_statuses(
        service.panel, MINE, [it.submission for it in (good, bad, damaged)] + [waiting]
    )
    assert {name: it.standing for name, it in found.items()} == {
        good.id: ApprovalStatus.AWAITING, bad.id: ApprovalStatus.FAILED,
    }  # fmt: skip
    with pytest.raises(AuditorError):
        find_approval_status(service.panel, damaged.submission)


def test_an_audit_whose_policy_is_lost_is_left_out_of_lists_and_an_error_alone(
    service: SmallService,
) -> None:
    lost = service.audits(service.policy("lost", kept=False))
    good = service.audits(service.policy())
    found = find_approval_statuses(service.panel, MINE, [lost.submission, good.submission])
    assert set(found) == {good.id}
    with pytest.raises(AuditorError):
        find_approval_status(service.panel, lost.submission)
    # What failed needs no policy to stand so.
    failed = service.audits(service.policy("gone", kept=False), finding())
    assert stands(service, failed) is ApprovalStatus.FAILED


def test_the_steps_of_people_are_those_of_waivers_approvals_and_findings(
    service: SmallService, tmp_path_factory: pytest.TempPathFactory
) -> None:
    policy, anna = service.policy(approvals=1), service.names("Anna")
    given = signed(waiver(), by=anna.signer)
    audit = service.audits(policy)
    service.answers(anna, audit.record)
    told = load_record_decisions(service.panel, MINE, (audit.id,))
    folder = lay_out(tmp_path_factory.mktemp("kept") / "out", [given])
    judged = RecordReview(audit.submission, audit.record, policy, NOW)
    steps = tuple(check_people_decisions(told, judged, folder))
    assert [(it.name, it.result) for it in steps] == [
        ("waivers", StepResult.HOLDS), ("approvals", StepResult.HOLDS),
        ("human findings", StepResult.NOT_PRESENT),
    ]  # fmt: skip
    assert list_required_decisions(told, judged).least == 1
    # Those who may not waive here waive nothing.
    waived = replace(
        audit.record,
        request=replace(audit.record.request, waivers=(given.ref,)),
        findings=(replace(PASSED, outcome=Outcome.WAIVED, waiver=given.ref.waiver),),
    )
    for who, result in ((anna, StepResult.HOLDS), (None, StepResult.FAILED)):
        if who is None:
            service.panel.people.end(anna.person.id, NOW, "left us", "admin")
            told = load_record_decisions(service.panel, MINE, (audit.id,))
        first = next(iter(check_people_decisions(told, replace(judged, record=waived), folder)))
        assert (first.name, first.result) == ("waivers", result)


def test_a_no_that_lies_in_the_ledger_alone_refuses(service: SmallService) -> None:
    """Somebody rejected it on this very machine, by the command line."""
    audit = service.audits(service.policy())
    service.notes(approval(audit.record, answer=ApprovalAnswer.NO), BOB)
    assert stands(service, audit) is ApprovalStatus.REFUSED
