"""Which earlier records people spoke of, which refusals stand, and what is one place."""

from dataclasses import replace

import pytest
from decision_papers import BOB, approval, finding
from small_services import MINE, NOW, PASSED, THEIRS, SmallService, hours

from auditor.domain.approvals import ApprovalAnswer
from auditor.domain.targets import Fingerprint, TargetSpec
from auditor.reports.folder import RECORD, SIGNER
from auditor.service.approvals.status import (
    is_submission_rejected,
    list_decided_submissions,
    list_rejections,
    load_record_decisions,
    ran_on_same_machines,
)
from auditor.service.store.people import list_statements


def spoken(service: SmallService, *audits: str) -> list[str]:
    return [it.submission for it in list_decided_submissions(service.panel, MINE, audits)]


def test_earlier_audits_are_looked_at_down_to_the_last_that_people_spoke_of(
    service: SmallService,
) -> None:
    policy, anna = service.policy(approvals=1), service.names("Anna")
    audits = [service.audits(policy) for _ in range(5)][::-1]
    names = [it.id for it in audits]
    assert spoken(service, *names) == []
    # The newest itself is not looked at.
    service.answers(anna, audits[0].record)
    assert spoken(service, *names) == []
    service.answers(anna, audits[1].record, ApprovalAnswer.NO)
    assert spoken(service, *names) == names[1:2]
    service.answers(anna, audits[3].record)
    assert spoken(service, *names) == names[1:4]
    assert spoken(service, names[0]) == spoken(service) == []


def test_an_earlier_audit_that_does_not_pass_ends_it(service: SmallService) -> None:
    policy, anna = service.policy(approvals=1), service.names("Anna")
    oldest = service.audits(policy)
    service.answers(anna, oldest.record)
    bad = service.audits(policy, finding())
    newer, newest = service.audits(policy), service.audits(policy)
    assert spoken(service, newest.id, newer.id, oldest.id) == [newer.id, oldest.id]
    assert spoken(service, newest.id, newer.id, bad.id, oldest.id) == []


def test_an_answer_at_the_service_and_one_on_this_machine_are_both_speaking(
    service: SmallService,
) -> None:
    policy = service.policy(approvals=1)
    first, second, newest = (service.audits(policy) for _ in range(3))
    service.notes(approval(first.record), BOB)
    assert spoken(service, newest.id, first.id) == [first.id]
    service.finds(service.names("Anna"), second.record)
    assert spoken(service, newest.id, second.id) == []
    service.decides_alone(service.names("Eve"), second.record)
    assert spoken(service, newest.id, second.id) == [second.id]


def test_people_of_another_project_do_not_speak_of_it_at_the_service(
    service: SmallService,
) -> None:
    policy = service.policy(approvals=1)
    first, newest = service.audits(policy), service.audits(policy)
    service.decides_alone(service.names("Eve", project=THEIRS), first.record)
    assert spoken(service, newest.id, first.id) == []


NO = "rejected by Anna (model risk) at 2026-03-01T02:00:00Z: All findings are known."


@pytest.mark.parametrize(
    ("answers", "stand"),
    [
        ([], []),
        ([{}], []),
        ([{"answer": ApprovalAnswer.NO, "created": hours(2)}], [NO]),
        ([{"answer": ApprovalAnswer.NO, "created": hours(2)}, {"created": hours(3)}], []),
        ([{"answer": ApprovalAnswer.NO, "created": hours(2)},
          {"created": hours(3), "expires": NOW}], [NO]),
        ([{"answer": ApprovalAnswer.NO, "created": hours(2)}, {"created": hours(25)}], [NO]),
        ([{"created": hours(1)}, {"answer": ApprovalAnswer.NO, "created": hours(2)}], [NO]),
    ],
)  # fmt: skip
def test_a_no_stands_until_a_later_yes_of_the_same_key_that_is_in_force(
    service: SmallService, answers: list[dict[str, object]], stand: list[str]
) -> None:
    policy, anna = service.policy(), service.names("Anna")
    audit = service.audits(policy)
    for changes in answers:
        service.answers(anna, audit.record, **changes)
    # A yes of somebody else takes nothing back.
    service.answers(service.names("Bob"), audit.record)
    told = load_record_decisions(service.panel, MINE, (audit.id,))
    said = list_statements(service.store, MINE, (audit.record.digest,))
    found = list(list_rejections(service.store, said, told.records[audit.id], {}, NOW))
    assert found == stand
    assert is_submission_rejected(told, audit.id, NOW) is bool(stand)


def test_the_yes_of_a_key_that_is_over_takes_no_no_back(service: SmallService) -> None:
    anna = service.names("Anna")
    audit = service.audits(service.policy())
    service.answers(anna, audit.record, ApprovalAnswer.NO)
    service.answers(anna, audit.record, created=hours(5))
    assert not is_submission_rejected(
        load_record_decisions(service.panel, MINE, (audit.id,)), audit.id, NOW
    )
    service.panel.people.end(anna.person.id, NOW, "left us", "admin")
    assert is_submission_rejected(
        load_record_decisions(service.panel, MINE, (audit.id,)), audit.id, NOW
    )


def test_a_no_to_any_record_of_an_audit_refuses_it(service: SmallService) -> None:
    policy, anna = service.policy(), service.names("Anna")
    audit, other = service.audits(policy), service.audits(policy)
    fresh = service.judges_again(audit, policy, PASSED)
    service.answers(anna, fresh, ApprovalAnswer.NO)
    both = load_record_decisions(service.panel, MINE, (audit.id, other.id))
    assert is_submission_rejected(both, audit.id, NOW)
    assert not is_submission_rejected(both, other.id, NOW)


def test_what_may_be_a_no_and_cannot_be_read_counts_as_one(service: SmallService) -> None:
    policy = service.policy()
    submission, record = service.submits(policy), service.record(policy)
    service.keep(record)
    name = f"approvals/{'a' * 64}"
    files = service.files({
        RECORD: record.canonical(), SIGNER: b"", f"{name}.pub": BOB.public_pem(),
        f"{name}.sigstore.json": b"torn",
    })  # fmt: skip
    audit = service.ends(submission, record, files)
    told = load_record_decisions(service.panel, MINE, (audit.id,))
    found = list(list_rejections(service.store, told.said, told.records[audit.id], {}, NOW))
    assert found == [f"{name}.sigstore.json is not signed"]
    assert is_submission_rejected(told, audit.id, NOW)


def test_one_place_is_the_same_machine_on_the_target_or_on_each(service: SmallService) -> None:
    here, there = Fingerprint({"cpu": "here"}, {}), Fingerprint({"cpu": "there"}, {})
    targets = (TargetSpec("cpu"), TargetSpec("edge"))
    one = service.record(
        service.policy(), targets=targets, fingerprints={"cpu": here, "edge": here}
    )
    assert ran_on_same_machines(one, one, None)
    opened = replace(here, identity_facts={"cpu": "here", "opsets": [17]})
    model = replace(one, fingerprints={"cpu": opened, "edge": opened})
    assert ran_on_same_machines(one, model, None)
    moved = replace(one, fingerprints={"cpu": here, "edge": there})
    assert not ran_on_same_machines(one, moved, None)
    assert ran_on_same_machines(one, moved, "cpu")
    assert not ran_on_same_machines(one, moved, "edge")
    unopened = replace(one, fingerprints={"cpu": here})
    for other in (one, unopened):
        assert not ran_on_same_machines(other, unopened, "edge")
        assert not ran_on_same_machines(unopened, other, None)
    assert ran_on_same_machines(one, unopened, "cpu")
