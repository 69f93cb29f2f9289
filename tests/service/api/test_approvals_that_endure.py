"""A yes counts on while every later audit of the same bytes passes, and no longer."""

from dataclasses import replace
from itertools import count

import pytest
from deciding_people import (
    Someone,
    artifact,
    handed_in,
    later,
    look,
    observed,
    policy_of,
    record_id,
    somebody,
)
from scheduled_worlds import Scheduled
from served_worlds import World, counted

from auditor._time import utc_now
from auditor.domain.approvals import Approval, ApprovalAnswer
from auditor.domain.policies import Policy
from auditor.domain.record_json import read_record
from auditor.service.approvals.rejudge import rejudge_record
from auditor.service.approvals.status import ran_on_same_machines
from auditor.service.gate import GateRequest
from auditor.trust.ledger.events import build_approval_event
from auditor.trust.signatures.decisions import sign_approval

pytestmark = pytest.mark.slow
NUMBERS = count()


class Approved:
    """An audit that passes under a policy of its own, which one person approved."""

    def __init__(self, world: World, expires: str | None = None) -> None:
        self.world = world
        self.policy: Policy = policy_of(f"enduring{next(NUMBERS)}", 0.6, approvals=1)
        self.anna: Someone = somebody(world, "Anna Smith", "approval", "finding")
        self.seconds = 0
        self.first = self.audits()
        said = self.anna.answer(self.record(self.first), expires=expires)
        assert said.status_code == 201, said.text

    def audits(self, *, bad: bool = False) -> str:
        """Audit the same once more, which ends a second later than the last one."""
        self.seconds += 1
        audit = self.asks_with_wrong_labels() if bad else handed_in(self.world, self.policy)
        work = observed(self.world, audit)
        kept = self.world.service.kept
        kept.finish(audit, later(utc_now(), self.seconds / 86400))
        work.conclude(audit)
        return audit

    def asks_with_wrong_labels(self) -> str:
        raw = Scheduled(self.world, f"wrong{next(NUMBERS)}").bad_batch()
        file = {"size": len(raw), "sha256": self.world.upload(raw).removeprefix("sha256:")}
        given, data = self.world.body()["inputs"]
        body = self.world.body(policy=self.policy.digest, inputs=[given, data | file])
        return str(self.world.call("POST", "/v1/audits", json=body).json()["id"])

    def record(self, audit: str) -> str:
        return str(look(self.world, audit)["record"])

    def judges_again(self, audit: str) -> str:
        """Judge an audit's evidence into a new record of the same audit, and return its digest."""
        panel = self.world.service.gatekeeper.people
        kept = panel.rejudged.record("default", self.record(audit))
        assert kept is not None
        fresh, files = rejudge_record(panel, kept, self.policy)
        panel.rejudged.add(audit, fresh.digest, files, utc_now())
        return fresh.digest

    def asked_late(self, days: float) -> dict[str, str]:
        """Ask the gate so many days from now, and return the details of the steps that fail."""
        keeper = replace(self.world.service.gatekeeper, clock=lambda: later(utc_now(), days))
        asking = GateRequest(
            project="default", artifact=artifact(self.world), policy=self.policy.digest
        )
        answer = keeper.ask(asking)
        return {it.name: it.detail for it in answer.steps if it.result == "failed"}


@pytest.fixture
def approved(apart: World) -> Approved:
    return Approved(apart)


def soon(approved: Approved) -> dict[str, str]:
    return approved.asked_late(1 / 24)


def test_an_audit_again_that_passes_leaves_the_gate_open_by_the_record_that_was_approved(
    approved: Approved,
) -> None:
    second = approved.audits()
    assert soon(approved) == {}
    keeper = replace(approved.world.service.gatekeeper, clock=lambda: later(utc_now(), 1))
    answer = keeper.ask(
        GateRequest(
            project="default", artifact=artifact(approved.world), policy=approved.policy.digest
        )
    )
    assert answer.submission == approved.first
    (step,) = [it for it in answer.steps if it.name == "approved before"]
    assert second in step.detail
    assert look(approved.world, second)["standing"] == "awaiting approval"


def test_whoever_says_no_to_the_newer_record_shuts_the_gate(approved: Approved) -> None:
    second = approved.audits()
    hour_ago = later(utc_now(), -1 / 24)
    said = approved.anna.answer(approved.record(second), ApprovalAnswer.NO, created=hour_ago)
    assert said.status_code == 201, said.text
    assert "approvals" in soon(approved)
    # A yes takes it back as long as it is in force, and no longer.
    said = approved.anna.answer(approved.record(second), expires=later(utc_now(), 2))
    assert said.status_code == 201, said.text
    assert soon(approved) == {}
    assert "approvals" in approved.asked_late(3)


def test_what_somebody_found_in_a_later_audit_ends_what_was_approved_before(
    approved: Approved,
) -> None:
    second = approved.audits()
    said = approved.anna.find(approved.record(second))
    assert said.status_code == 201, said.text
    assert "human findings" in soon(approved)
    approved.audits()
    assert set(soon(approved)) == {"approvals"}


def test_an_audit_again_that_does_not_pass_ends_what_was_approved_before(
    approved: Approved,
) -> None:
    approved.audits(bad=True)
    assert "verdict" in soon(approved)
    approved.audits()
    assert set(soon(approved)) == {"approvals"}


def test_a_no_is_not_shaken_off_by_judging_the_refused_record_again(approved: Approved) -> None:
    second = approved.audits()
    said = approved.anna.answer(approved.record(second), ApprovalAnswer.NO)
    assert said.status_code == 201, said.text
    fresh = approved.judges_again(second)
    assert fresh != approved.record(second)
    assert set(soon(approved)) == {"approvals"}
    # Neither by another audit.
    approved.audits()
    assert set(soon(approved)) == {"approvals"}


def test_a_finding_is_not_shaken_off_by_judging_the_record_between_again(
    approved: Approved,
) -> None:
    second = approved.audits()
    said = approved.anna.find(approved.record(second))
    assert said.status_code == 201, said.text
    approved.judges_again(second)
    approved.audits()
    assert set(soon(approved)) == {"approvals"}


def test_a_record_between_that_holds_no_more_ends_what_was_approved_before(
    approved: Approved,
) -> None:
    between = approved.record(approved.audits())
    approved.audits()
    place = approved.world.service.store.blobs.path(between)
    raw = place.read_bytes()
    place.chmod(0o600)
    place.write_bytes(raw[:-1] + b"?")
    try:
        assert set(soon(approved)) == {"approvals"}
    finally:
        place.write_bytes(raw)
    assert soon(approved) == {}


def test_what_was_said_of_the_newer_record_and_cannot_be_read_counts_as_a_no(
    approved: Approved,
) -> None:
    second, mallory = (
        approved.record(approved.audits()),
        somebody(approved.world, "Mallory", "waiver"),
    )
    said = Approval(
        record=second, record_id=record_id(approved.world, second), by="Anna Smith",
        role="model risk", answer=ApprovalAnswer.YES, reason="It is fine.", created=utc_now(),
    )  # fmt: skip
    bundle = sign_approval(said, approved.anna.signer)
    with approved.world.service.store.unit_of_work() as work:
        work.append(*build_approval_event(said, bundle, mallory.signer.public_pem(), utc_now()))
    assert set(soon(approved)) == {"approvals"}


def test_a_yes_that_ran_out_keeps_no_gate_open(apart: World) -> None:
    approved = Approved(apart, expires=later(utc_now(), 2))
    approved.audits()
    assert soon(approved) == {}
    assert set(approved.asked_late(3)) == {"approvals"}


def test_a_yes_counts_on_over_many_audits_that_pass(approved: Approved) -> None:
    for _ in range(3):
        approved.audits()
    assert soon(approved) == {}
    assert approved.anna.answer(approved.record(approved.audits())).status_code == 201
    assert soon(approved) == {}


def test_places_are_compared_by_what_they_are_whatever_is_open_there(approved: Approved) -> None:
    record = read_record(
        approved.world.call("GET", f"/v1/audits/{approved.first}/record", "viewer").content
    )
    there = record.fingerprints["cpu"]
    opened = replace(there, identity_facts={**there.identity_facts, "placement": {"cpu": 7}})
    moved = replace(there, identity_facts={**there.identity_facts, "machine": {"os": "else"}})
    for other, same in ((opened, True), (moved, False)):
        against = replace(record, fingerprints={"cpu": other})
        assert ran_on_same_machines(record, against, "cpu") is same
        assert ran_on_same_machines(record, against, None) is same
    assert not ran_on_same_machines(replace(record, fingerprints={}), record, "cpu")


def test_as_many_questions_are_asked_over_many_later_audits_as_over_few(
    approved: Approved,
) -> None:
    def questions() -> int:
        assert soon(approved) == {}
        with counted(approved.world) as asked:
            assert soon(approved) == {}
        return len([it for it in asked if it.startswith("SELECT")])

    approved.audits()
    few = questions()
    for _ in range(3):
        approved.audits()
    assert questions() == few
