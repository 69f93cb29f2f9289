"""Whose yes and whose waiver counts, up to when, and what shuts a gate whoever says it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from decision_papers import (
    ANNA,
    AUDITOR,
    BOB,
    EVE,
    approval,
    finding,
    lay_out,
    record,
    said,
    signed,
    waiver,
)
from trust_papers import policy
from waiver_papers import NOW, new_signer

from auditor.domain.approvals import ApprovalAnswer
from auditor.domain.findings import Outcome
from auditor.domain.json import compute_digest
from auditor.domain.records import AuditRecord
from auditor.domain.trust_context import TrustPolicyStatus
from auditor.domain.verification_steps import StepResult, VerificationStep
from auditor.domain.waivers import SignedWaiver
from auditor.reports.folder import APPROVALS, PUBLIC, SIGNED, RecordFolder, add_approval
from auditor.store.blob_urls import StoreLocation
from auditor.store.database import migrate
from auditor.store.ledger_events import log_approval
from auditor.store.record_store import RecordStore
from auditor.trust.policies.query import QueryTime
from auditor.trust.policies.trust_policy import AuditorRole, TrustPolicy
from auditor.trust.signatures.decisions import sign_approval
from auditor.trust.signatures.keys import KeySigner
from auditor.workflows.approvals import (
    ApprovalRequirement,
    AuthorizedSigners,
    RecordApprovals,
    build_approval_files,
    check_approvals,
    check_waiver_keys,
    check_waivers_in_force,
    collect_approvals,
)

PLAIN = record(finding(outcome=Outcome.PASSED))
LEAVE = signed(waiver())
WAIVED = record(finding(), waivers=[LEAVE])
ENDS = "2026-05-01T00:00:00Z"
BEFORE_IT_ENDS = "2026-04-30T23:59:59Z"
LATER = "2026-02-02T00:00:00Z"
LATEST = "2026-02-03T00:00:00Z"


def deciders(*keys: KeySigner, **more: object) -> AuthorizedSigners:
    found = AuthorizedSigners(tuple(key.public_pem() for key in keys))
    return replace(found, **more)  # type: ignore[arg-type]  # each test names real fields


def pem(key: KeySigner) -> str:
    return key.public_pem().decode()


def trusting(*roles: str, key: KeySigner = BOB) -> TrustPolicy:
    """Return a trust policy that gives a key some roles."""
    entry = {"key": "bob", "roles": list(roles), "highest": "A0"}
    return policy(
        lambda found: found["keys"].update(bob={"pem": pem(key)}),
        lambda found: found.update(auditors=[entry]),
    )


WHEN = QueryTime(datetime(2026, 3, 1, tzinfo=UTC))
YES = said(approval(PLAIN))
NOBODY = f"signed by {BOB.identity}, not trusted for decisions here"
BY_TRUST = {"trust": trusting("approval"), "when": WHEN, "standing": TrustPolicyStatus.ACCEPTED}


@pytest.mark.parametrize(
    ("who", "objection"),
    [
        (deciders(), NOBODY),
        (deciders(EVE), NOBODY),
        (deciders(BOB), ""),
        (AuthorizedSigners((b"\n" + BOB.public_pem().strip(),)), ""),
        (deciders(BOB, barred={pem(BOB): "who labelled nothing"}), "who labelled nothing"),
        (deciders(BOB, barred={pem(EVE): "who labelled nothing"}), ""),
        (deciders(barred={pem(BOB): "no"}), NOBODY),
        (deciders(BOB, ended={pem(BOB): "gone"}), f"signed by {BOB.identity}, gone"),
        (deciders(BOB, ended={pem(EVE): "gone"}), ""),
        (deciders(**BY_TRUST), ""),
        (deciders(EVE, **BY_TRUST), ""),
        (deciders(ended={pem(BOB): "gone"}, **BY_TRUST), f"signed by {BOB.identity}, gone"),
        (deciders(**{**BY_TRUST, "when": None}), NOBODY),
        (deciders(when=WHEN), NOBODY),
        (
            deciders(**{**BY_TRUST, "trust": trusting("waiver")}),
            "AUDITOR: signed by bob, who does not have the role approval in the trust policy",
        ),
    ],
)  # fmt: skip
def test_who_may_approve_is_a_key_that_is_named_or_that_the_trust_policy_gives_the_role(
    who: AuthorizedSigners, objection: str
) -> None:
    assert who.objection(YES.bundle, YES.key, AuditorRole.APPROVAL) == objection


def test_somebody_is_named_by_a_key_or_by_a_trust_policy() -> None:
    assert not deciders().named
    assert deciders(BOB).named
    assert deciders(trust=trusting("approval")).named


def test_a_trust_policy_that_was_replaced_lets_nobody_approve() -> None:
    old = deciders(**{**BY_TRUST, "standing": TrustPolicyStatus.OLDER})
    assert old.objection(YES.bundle, YES.key, AuditorRole.APPROVAL) != ""


@pytest.fixture
def folder(tmp_path: Path) -> RecordFolder:
    return lay_out(tmp_path / "out", [LEAVE])


def asks(least: int = 1, *keys: KeySigner, now: str = NOW, **more: object) -> ApprovalRequirement:
    return ApprovalRequirement(least, deciders(*(keys or (BOB,)), **more), now)


def test_where_nobody_asks_and_nobody_speaks_nothing_is_there(folder: RecordFolder) -> None:
    assert check_approvals(PLAIN, folder, RecordApprovals(()), asks(0)) == VerificationStep(
        "approvals", StepResult.NOT_PRESENT, "none is known here, and none is asked for"
    )
    assert check_approvals(PLAIN, folder, RecordApprovals(()), asks(1)) == VerificationStep(
        "approvals", StepResult.FAILED, "0 of 1 approvals of this record are there"
    )


def test_so_many_people_have_to_say_yes_as_are_asked_for(folder: RecordFolder) -> None:
    both = RecordApprovals((YES, said(approval(PLAIN, by="Eve"), EVE)))
    assert check_approvals(PLAIN, folder, both, asks(2, BOB, EVE)) == VerificationStep(
        "approvals", StepResult.HOLDS, "Bob, Eve approved this record"
    )
    assert check_approvals(PLAIN, folder, both, asks(1)).detail == "Bob approved this record"
    assert check_approvals(PLAIN, folder, both, asks(2)) == VerificationStep(
        "approvals",
        StepResult.FAILED,
        "1 of 2 approvals of this record are there; "
        f"Eve: signed by {EVE.identity}, not trusted for decisions here",
    )
    # One person with two keys is one person.
    twice = RecordApprovals((YES, said(approval(PLAIN, by="BOB "), EVE)))
    assert check_approvals(PLAIN, folder, twice, asks(2, BOB, EVE)).detail == (
        "1 of 2 approvals of this record are there"
    )


def test_a_yes_that_nobody_asks_for_is_told_whoever_says_it(folder: RecordFolder) -> None:
    known = RecordApprovals((YES, said(approval(PLAIN, by="Eve"), EVE)))
    told = "Bob, Eve said yes, and nobody is asked to"
    assert check_approvals(
        PLAIN, folder, known, ApprovalRequirement(0, AuthorizedSigners(), NOW)
    ) == VerificationStep("approvals", StepResult.HOLDS, told)


@pytest.mark.parametrize(
    ("who", "key", "changes", "doubt"),
    [
        ("Bob", BOB, {"expires": ENDS}, ""),
        (
            "Bob", BOB, {"created": "2026-03-01T00:00:01Z"},
            "signed at 2026-03-01T00:00:01Z, which is still to come",
        ),
        ("Bob", BOB, {"expires": NOW}, f"it expired on {NOW}"),
        ("Bob", AUDITOR, {}, "signed by the record's own signer"),
        (
            "OLGA@example.org", BOB, {},
            "who answers for a waiver's risk may not approve it too",
        ),
    ],
)  # fmt: skip
def test_a_yes_does_not_count_out_of_its_time_or_of_whoever_has_a_stake_in_it(
    folder: RecordFolder, who: str, key: KeySigner, changes: dict[str, str], doubt: str
) -> None:
    known = RecordApprovals((said(approval(WAIVED, by=who, **changes), key),))
    step = check_approvals(WAIVED, folder, known, asks(1, BOB, AUDITOR))
    if doubt:
        assert step == VerificationStep(
            "approvals",
            StepResult.FAILED,
            f"0 of 1 approvals of this record are there; {who}: {doubt}",
        )
    else:
        assert step == VerificationStep(
            "approvals", StepResult.HOLDS, f"{who} approved this record"
        )


def test_the_owner_of_a_waiver_that_was_not_used_may_approve(tmp_path: Path) -> None:
    unused = signed(waiver(rule="robust"))
    folder = lay_out(tmp_path / "unused", [unused])
    told = record(finding(outcome=Outcome.PASSED), waivers=[unused])
    known = RecordApprovals((said(approval(told, by="olga@example.org")),))
    assert check_approvals(told, folder, known, asks()).result is StepResult.HOLDS


def test_a_yes_that_has_to_be_blind_counts_only_where_that_can_be_seen(
    folder: RecordFolder,
) -> None:
    step = check_approvals(PLAIN, folder, RecordApprovals((YES,)), replace(asks(), labelled=5))
    assert step.detail == (
        "0 of 1 approvals of this record are there; Bob: a folder does not show that Bob labelled "
        "the 5 cases that the policy asks for; ask the service (--server)"
    )


NO = said(approval(PLAIN, answer=ApprovalAnswer.NO))
REJECTED = "rejected by Bob (model risk) at 2026-02-01T00:00:00Z: All findings are known. (a.json)"


@pytest.mark.parametrize("least", [0, 1])
def test_a_no_shuts_the_gate_whoever_says_it_and_however_many_say_yes(
    folder: RecordFolder, least: int
) -> None:
    yes = said(approval(PLAIN, by="Eve"), EVE)
    assert check_approvals(
        PLAIN, folder, RecordApprovals((NO, yes)), asks(least, EVE)
    ) == VerificationStep("approvals", StepResult.FAILED, REJECTED)
    alone = check_approvals(PLAIN, folder, RecordApprovals((NO,)), asks(least, EVE))
    lacking = "; 0 of 1 approvals of this record are there" if least else ""
    assert alone == VerificationStep("approvals", StepResult.FAILED, f"{REJECTED}{lacking}")


@pytest.mark.parametrize(
    ("second", "ended", "opens"),
    [
        ({}, False, True),
        ({"expires": "2026-03-01T00:00:01Z"}, False, True),
        ({"expires": NOW}, False, False),
        ({"created": "2026-03-02T00:00:00Z"}, False, False),
        ({}, True, False),
    ],
)
def test_a_no_is_taken_back_by_a_later_yes_of_the_same_key_that_is_in_force(
    folder: RecordFolder, second: dict[str, str], *, ended: bool, opens: bool
) -> None:
    yes = said(approval(PLAIN, **{"created": LATER, **second}))
    over = {"ended": {pem(BOB): "gone"}} if ended else {}
    step = check_approvals(PLAIN, folder, RecordApprovals((NO, yes)), asks(0, BOB, **over))
    assert (step.result is StepResult.HOLDS) is opens
    assert (step.detail == REJECTED) is not opens
    again = said(approval(PLAIN, answer=ApprovalAnswer.NO, created=LATEST))
    assert (
        check_approvals(PLAIN, folder, RecordApprovals((NO, yes, again)), asks(0)).result
        is StepResult.FAILED
    )


def test_a_no_counts_though_its_key_is_over_and_though_a_yes_came_before(
    folder: RecordFolder,
) -> None:
    later = said(approval(PLAIN, answer=ApprovalAnswer.NO, created=LATER))
    over = asks(0, BOB, ended={pem(BOB): "gone"})
    assert (
        check_approvals(PLAIN, folder, RecordApprovals((YES, later)), over).result
        is StepResult.FAILED
    )


def test_of_what_one_key_says_the_last_counts(folder: RecordFolder) -> None:
    ended = said(approval(PLAIN, created=LATER, expires=NOW))
    assert (
        check_approvals(PLAIN, folder, RecordApprovals((ended, YES)), asks()).result
        is StepResult.HOLDS
    )
    step = check_approvals(PLAIN, folder, RecordApprovals((YES, ended)), asks())
    assert step.detail.endswith(f"Bob: it expired on {NOW}")


def test_what_cannot_be_read_and_what_was_said_before_shut_the_gate(folder: RecordFolder) -> None:
    known = RecordApprovals((YES,), unreadable=("b.json is torn",), before=("rejected by Eve",))
    assert check_approvals(PLAIN, folder, known, asks()) == VerificationStep(
        "approvals",
        StepResult.FAILED,
        "b.json is torn; before it was judged again: rejected by Eve",
    )
    torn = RecordApprovals((), unreadable=("b.json is torn",))
    assert check_approvals(PLAIN, folder, torn, asks(0)) == VerificationStep(
        "approvals", StepResult.FAILED, "b.json is torn"
    )


# Which approvals are known.


NOWHERE = StoreLocation("sqlite:////nowhere/auditor.db", Path("/nowhere"), Path("/nowhere"), "here")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RecordStore]:
    url = f"sqlite:///{tmp_path / 'auditor.db'}"
    migrate(url)
    opened = RecordStore.open(url, tmp_path / "blobs")
    yield opened
    opened.close()


def put(folder: RecordFolder, of: AuditRecord, by: KeySigner = BOB, **changes: object) -> bytes:
    bundle = sign_approval(approval(of, **changes), by)
    add_approval(folder.path, bundle, by.public_pem())
    return bundle


def note(store: RecordStore, of: AuditRecord, by: KeySigner = BOB, **changes: object) -> bytes:
    told = approval(of, **changes)
    bundle = sign_approval(told, by)
    with store.unit_of_work() as work:
        log_approval(work, told, bundle, by.public_pem(), NOW)
    return bundle


def test_approvals_are_known_from_the_folder_and_from_the_ledger_the_oldest_first(
    tmp_path: Path, store: RecordStore
) -> None:
    folder = lay_out(tmp_path / "out")
    put(folder, PLAIN, created=LATEST, by=EVE)
    file = put(folder, PLAIN, created=LATER)
    here = note(store, PLAIN, by=ANNA)
    # A stray key and a stray file say nothing.
    (folder.path / APPROVALS / f"{'0' * 64}{PUBLIC}").write_bytes(b"a key")
    known = collect_approvals(PLAIN, folder, store)
    assert [(it.identity, it.where) for it in known.said] == [
        (ANNA.identity, "the ledger here (1)"),
        (BOB.identity, f"{APPROVALS}/{compute_digest(file).removeprefix('sha256:')}{SIGNED}"),
        (EVE.identity, known.said[2].where),
    ]
    assert (known.unreadable, known.before) == ((), ())
    assert known.said[0].bundle == here
    alone = collect_approvals(PLAIN, RecordFolder(folder.path), NOWHERE)
    assert [it.identity for it in alone.said] == [BOB.identity, EVE.identity]


def test_one_that_lies_in_the_folder_and_in_the_ledger_is_known_once(
    tmp_path: Path, store: RecordStore
) -> None:
    folder = lay_out(tmp_path / "out")
    told = approval(PLAIN)
    bundle = note(store, PLAIN)
    add_approval(folder.path, bundle, BOB.public_pem())
    (only,) = collect_approvals(PLAIN, folder, store).said
    assert (only.approval, only.where.startswith(APPROVALS)) == (told, True)


def test_of_two_in_one_second_the_no_is_the_last(tmp_path: Path, store: RecordStore) -> None:
    folder = lay_out(tmp_path / "out")
    note(store, PLAIN, answer=ApprovalAnswer.NO)
    note(store, PLAIN)
    note(store, PLAIN, reason="They are really all known.")
    known = collect_approvals(PLAIN, folder, store)
    assert [(it.approval.answer, it.where) for it in known.said] == [
        (ApprovalAnswer.YES, "the ledger here (2)"),
        (ApprovalAnswer.YES, "the ledger here (3)"),
        (ApprovalAnswer.NO, "the ledger here (1)"),
    ]


def test_one_that_is_torn_or_of_another_record_is_told_and_hides_no_other(tmp_path: Path) -> None:
    folder = lay_out(tmp_path / "out")
    other = put(folder, replace(PLAIN, id="aud-2"), reason="This is of another one.")
    torn = put(folder, PLAIN, reason="Somebody changed this one.")
    named = {
        it: f"{APPROVALS}/{compute_digest(it).removeprefix('sha256:')}{SIGNED}"
        for it in (other, torn)
    }
    (folder.path / named[torn]).write_bytes(b"{}")
    put(folder, PLAIN)
    known = collect_approvals(PLAIN, folder, NOWHERE)
    assert [it.approval.reason for it in known.said] == ["All findings are known."]
    assert set(known.unreadable) == {
        f"{named[other]} is of another record, aud-2",
        f"{named[torn]} is not signed",
    }


def test_approvals_of_the_ledger_are_laid_into_a_folder_with_their_keys(
    tmp_path: Path, store: RecordStore
) -> None:
    folder = lay_out(tmp_path / "out")
    assert build_approval_files(PLAIN, store) == {}
    bundle = note(store, PLAIN)
    put(folder, PLAIN)
    name = f"{APPROVALS}/{compute_digest(bundle).removeprefix('sha256:')}"
    assert build_approval_files(PLAIN, store) == {
        f"{name}{SIGNED}": bundle,
        f"{name}{PUBLIC}": BOB.public_pem(),
    }


# Whose waivers count.


def test_a_gate_asks_of_each_waiver_whether_its_key_may_waive(folder: RecordFolder) -> None:
    assert list(check_waiver_keys(PLAIN, folder, deciders(ANNA))) == []
    (step,) = check_waiver_keys(WAIVED, folder, deciders(ANNA))
    assert step == VerificationStep("waivers", StepResult.HOLDS, "1 are of people who may waive")
    (step,) = check_waiver_keys(WAIVED, folder, deciders(BOB))
    assert step == VerificationStep(
        "waivers",
        StepResult.FAILED,
        "the waiver RISK-12 of accurate (approved by anna@example.org): "
        f"signed by {ANNA.identity}, not trusted for decisions here",
    )


@pytest.mark.parametrize(("role", "result"), [("waiver", "holds"), ("approval", "failed")])
def test_who_may_approve_may_not_waive_by_that(
    folder: RecordFolder, role: str, result: str
) -> None:
    by_trust = deciders(
        trust=trusting(role, key=ANNA), when=WHEN, standing=TrustPolicyStatus.ACCEPTED
    )
    (step,) = check_waiver_keys(WAIVED, folder, by_trust)
    assert step.result == result
    assert check_waivers_in_force(WAIVED, folder, by_trust, NOW).result == result


def test_where_nothing_is_waived_nobody_has_to_be_named(tmp_path: Path) -> None:
    unused = signed(waiver(rule="robust"), by=new_signer())
    folder = lay_out(tmp_path / "unused", [unused])
    for told in (PLAIN, record(finding(outcome=Outcome.PASSED), waivers=[unused])):
        assert check_waivers_in_force(told, folder, deciders(), ENDS) == VerificationStep(
            "waivers", StepResult.HOLDS, "nothing is waived"
        )


def test_a_waiver_counts_up_to_its_end_and_of_whoever_may_waive(folder: RecordFolder) -> None:
    name = "the waiver RISK-12 of accurate (approved by anna@example.org)"
    assert check_waivers_in_force(
        WAIVED, folder, deciders(ANNA), BEFORE_IT_ENDS
    ) == VerificationStep("waivers", StepResult.HOLDS, f"accurate until {ENDS} (RISK-12)")
    over = f"{name} expired on {ENDS}, and accurate is waived on cpu"
    assert check_waivers_in_force(WAIVED, folder, deciders(ANNA), ENDS) == VerificationStep(
        "waivers", StepResult.FAILED, over
    )
    strange = f"{name} does not count: signed by {ANNA.identity}, not trusted for decisions here"
    assert check_waivers_in_force(WAIVED, folder, deciders(BOB), NOW) == VerificationStep(
        "waivers", StepResult.FAILED, strange
    )
    assert (
        check_waivers_in_force(WAIVED, folder, deciders(BOB), ENDS).detail == f"{over}; {strange}"
    )
    nobody = "accurate waived: say whose waivers count with --waiver-key or --trust"
    assert check_waivers_in_force(WAIVED, folder, deciders(), NOW) == VerificationStep(
        "waivers", StepResult.FAILED, nobody
    )


def of_two() -> tuple[AuditRecord, tuple[SignedWaiver, SignedWaiver]]:
    robust = signed(waiver(rule="robust", ticket="RISK-13"), file="second.json")
    both = (LEAVE, robust)
    return record(finding(), finding("robust"), finding("robust", "edge"), waivers=both), both


def test_every_waiver_that_was_used_is_told(tmp_path: Path) -> None:
    told, both = of_two()
    folder = lay_out(tmp_path / "two", both)
    assert check_waivers_in_force(told, folder, deciders(ANNA), NOW).detail == (
        f"accurate until {ENDS} (RISK-12); robust until {ENDS} (RISK-13)"
    )
    assert check_waivers_in_force(told, folder, deciders(), NOW).detail == (
        "accurate, robust waived: say whose waivers count with --waiver-key or --trust"
    )


def test_what_is_waived_by_nothing_that_the_record_has_is_told(folder: RecordFolder) -> None:
    forged = finding("robust", "edge", outcome=Outcome.WAIVED, waiver=compute_digest(b"none"))
    told = replace(WAIVED, findings=(*WAIVED.findings, forged))
    assert check_waivers_in_force(told, folder, deciders(ANNA), NOW) == VerificationStep(
        "waivers",
        StepResult.FAILED,
        "robust on edge is waived by nothing that the record has",
    )
    # What only names a waiver and is not waived by it needs none.
    passed = replace(forged, outcome=Outcome.PASSED)
    told = replace(WAIVED, findings=(*WAIVED.findings, passed))
    assert check_waivers_in_force(told, folder, deciders(ANNA), NOW).result is StepResult.HOLDS
