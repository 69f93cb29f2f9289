"""A gate asks the newest whole record on each target, and those that people approved before."""

from dataclasses import replace
from typing import Any

import pytest
from decision_papers import EVE, MODEL, finding
from small_services import MINE, NOW, PASSED, THEIRS, Audit, SmallService

from auditor.domain.approvals import ApprovalAnswer
from auditor.domain.budgets import Budget
from auditor.domain.policies import Policy
from auditor.domain.targets import Fingerprint, TargetSpec
from auditor.domain.verification_steps import StepResult, VerificationStep
from auditor.service.domain.submissions import UploadedFile, UploadKind
from auditor.service.gate import AT_ONCE, GateDecision, GateRequest, GateService


def keeper_of(service: SmallService) -> GateService:
    panel, packs = service.panel, {it.name: it for it in service.policies.values()}
    return GateService(
        kept=panel.kept, people=panel, pack=packs.__getitem__, policy=panel.policy,
        verifier=service.verifier, clock=panel.clock,
    )  # fmt: skip


def ask(service: SmallService, policy: Policy | str, **changes: Any) -> GateDecision:  # noqa: ANN401 -- any field
    named = policy if isinstance(policy, str) else policy.digest
    usual: dict[str, Any] = {"project": MINE, "artifact": MODEL.digest, "policy": named}
    # The small service's folders have four files, and are not verified as wholes.
    keeper = replace(keeper_of(service), whole=False)
    return keeper.ask(GateRequest(**{**usual, **changes}))


def shut(answer: GateDecision) -> set[str]:
    """The steps that keep the gate shut, which is open where there are none."""
    failed = {it.name for it in answer.steps if it.result is StepResult.FAILED}
    assert answer.open is not bool(failed)
    return failed


def test_a_gate_opens_by_the_newest_record_and_says_which_it_asked(service: SmallService) -> None:
    policy = service.policy()
    service.audits(policy, finding())
    audit = service.audits(policy)
    answer = ask(service, policy)
    assert shut(answer) == set()
    assert (answer.policy, answer.asked) == (policy.digest, NOW)
    assert (answer.record, answer.submission) == (audit.record.digest, audit.id)
    assert answer.read == audit.record
    # A pack is asked by its name.
    assert ask(service, "tests") == answer
    bad = service.audits(policy, finding())
    answer = ask(service, policy)
    assert (shut(answer), answer.submission) == ({"verdict"}, bad.id)


def test_a_gate_verifies_the_whole_folder_unless_it_is_told_not_to(service: SmallService) -> None:
    policy = service.policy()
    service.audits(policy)
    assert ask(service, policy).open
    assert not replace(ask(service, policy), record=None).open
    asking = GateRequest(project=MINE, artifact=MODEL.digest, policy=policy.digest)
    answer = keeper_of(service).ask(asking)
    assert (answer.open, answer.read) == (False, None)


def test_what_the_caller_asks_is_asked(service: SmallService) -> None:
    policy = service.policy()
    service.audits(policy)
    for asked, step in (
        ({"identity": "sha256:" + "0" * 64}, "target"),
        ({"baseline": "sha256:" + "0" * 64}, "baseline"),
    ):
        assert step in shut(ask(service, policy, **asked))
        assert step in shut(ask(service, policy, target="cpu", **asked))


def test_of_a_record_that_was_judged_again_the_last_is_asked(service: SmallService) -> None:
    policy = service.policy()
    audit = service.audits(policy)
    fresh = service.judges_again(audit, policy, finding())
    answer = ask(service, policy)
    assert (shut(answer), answer.record, answer.submission) == (
        {"verdict"}, fresh.digest, audit.id,
    )  # fmt: skip


def none(of: str, under: str, where: str = "", more: str = "") -> tuple[VerificationStep, ...]:
    more = more or "GET /v1/models names the artifacts and policies of those that have"
    said = f"no audit of {of} under {under}{where} has ended with a record here; {more}"
    return (VerificationStep("found", StepResult.FAILED, said),)


def test_where_no_record_is_the_gate_is_shut_and_says_so(service: SmallService) -> None:
    policy, unknown = service.policy(), "sha256:" + "0" * 64
    for asked in (policy.digest, unknown):
        answer = ask(service, asked)
        assert answer == GateDecision(none(MODEL.digest, asked), asked, NOW)
        assert not answer.open
    service.audits(policy)
    on = ask(service, policy, target="phone")
    assert on.steps == none(MODEL.digest, policy.digest, " on phone")
    assert ask(service, policy, project=THEIRS).steps == none(MODEL.digest, policy.digest)


def test_who_asks_with_the_digest_of_a_file_is_told_the_artifacts(service: SmallService) -> None:
    policy = service.policy()
    service.audits(policy)
    file = f"sha256:{MODEL.files[0].sha256}"
    assert ask(service, policy, artifact=file).steps == none(file, policy.digest)
    service.panel.kept.note_upload(UploadedFile(
        project=MINE, digest=file, kind=UploadKind.ARTIFACT, name="model.onnx", size=3, at=NOW,
    ))  # fmt: skip
    told = (
        "that is the digest of a file, and the artifact's, over the list of its files, is "
        f"{MODEL.digest}"
    )
    assert ask(service, policy, artifact=file).steps == none(file, policy.digest, "", told)


# On several targets.


def on(service: SmallService, policy: Policy, *targets: str, **changes: Any) -> Audit:  # noqa: ANN401 -- any field
    """Audit on targets, which passes unless ``bad``."""
    outcome = {} if changes.pop("bad", False) else {"outcome": PASSED.outcome}
    return service.audits(
        policy,
        *(finding(target=name, **outcome) for name in targets),
        **{
            "targets": tuple(map(TargetSpec, targets)),
            "fingerprints": {name: Fingerprint({"cpu": name}, {}) for name in targets},
            **changes,
        },
    )


def test_a_gate_of_no_target_asks_the_newest_record_on_each(service: SmallService) -> None:
    policy = service.policy()
    bad = on(service, policy, "cpu", bad=True)
    good = on(service, policy, "npu")
    answer = ask(service, policy)
    assert shut(answer) == {"verdict on cpu"}
    assert (answer.submission, answer.read) == (bad.id, bad.record)
    assert {f"{it} on npu" for it in ("found", "verdict")} <= {it.name for it in answer.steps}
    assert shut(ask(service, policy, target="npu")) == set()
    on(service, policy, "cpu")
    answer = ask(service, policy)
    assert shut(answer) == set()
    assert answer.submission != good.id, "the first target's"
    bad = on(service, policy, "npu", bad=True)
    answer = ask(service, policy)
    assert (shut(answer), answer.submission) == ({"verdict on npu"}, bad.id)


def test_a_gate_of_targets_that_one_record_audited_asks_it_of_each(service: SmallService) -> None:
    policy = service.policy()
    both = on(service, policy, "cpu", "npu")
    answer = ask(service, policy)
    assert (shut(answer), answer.submission) == (set(), both.id)
    assert "verdict on cpu" in {it.name for it in answer.steps}
    one = service.policy("one")
    on(service, one, "cpu")
    assert "verdict" in {it.name for it in ask(service, one).steps}


def test_records_of_less_than_the_policy_asks_count_only_where_no_whole_one_is(
    service: SmallService,
) -> None:
    policy = service.policy(least_budget=Budget.CI)
    less = {"budget": Budget.SMOKE}
    whole = on(service, policy, "cpu")
    on(service, policy, "cpu", bad=True, **less)
    answer = ask(service, policy)
    assert (shut(answer), answer.submission) == (set(), whole.id)
    # A target of which there is no whole record at all is not asked beside one that has some.
    on(service, policy, "npu", **less)
    answer = ask(service, policy)
    assert (shut(answer), answer.submission) == (set(), whole.id)
    assert "verdict" in {it.name for it in answer.steps}
    # Where no target has a whole one, each says so.
    smoked = service.policy("smoked", least_budget=Budget.CI)
    for name in ("cpu", "npu"):
        on(service, smoked, name, **less)
    assert shut(ask(service, smoked)) == {"assurance on cpu", "assurance on npu"}


# Approved before.


@pytest.fixture
def policy(service: SmallService) -> Policy:
    return service.policy(approvals=1)


@pytest.fixture
def approved(service: SmallService, policy: Policy) -> Audit:
    """An audit that passes and that Anna approved."""
    audit = service.audits(policy)
    service.answers(service.names("Anna"), audit.record)
    return audit


def test_a_record_that_was_approved_opens_the_gate_after_later_ones_that_pass(
    service: SmallService, policy: Policy, approved: Audit
) -> None:
    assert "approved before" not in {it.name for it in ask(service, policy).steps}
    service.audits(policy)
    last = service.audits(policy)
    answer = ask(service, policy)
    assert shut(answer) == set()
    assert (answer.submission, answer.record) == (approved.id, approved.record.digest)
    assert answer.steps[-1] == VerificationStep(
        "approved before",
        StepResult.HOLDS,
        f"{last.record.digest}, of {last.id}, is newer, also passes and was not rejected",
    )


def test_a_later_one_that_fails_by_now_or_was_refused_ends_it(
    service: SmallService, policy: Policy, approved: Audit
) -> None:
    between = service.audits(policy)
    service.audits(policy)
    assert shut(ask(service, policy)) == set()
    service.answers(service.names("Bob"), between.record, ApprovalAnswer.NO)
    assert shut(ask(service, policy)) == {"approvals"}


def test_a_later_one_that_does_not_pass_ends_it(
    service: SmallService, policy: Policy, approved: Audit
) -> None:
    service.audits(policy, finding())
    assert shut(ask(service, policy)) == {"approvals", "verdict"}
    service.audits(policy)
    assert shut(ask(service, policy)) == {"approvals"}


def test_what_was_approved_on_another_machine_opens_no_gate_here(
    service: SmallService, policy: Policy, approved: Audit
) -> None:
    service.audits(policy, fingerprints={"cpu": Fingerprint({"cpu": "another"}, {})})
    assert shut(ask(service, policy)) == {"approvals"}


def test_an_earlier_one_of_a_key_that_signs_no_records_opens_no_gate(
    service: SmallService, policy: Policy
) -> None:
    foreign = service.audits(policy, signer=EVE)
    service.answers(service.names("Anna"), foreign.record)
    service.audits(policy)
    assert shut(ask(service, policy)) == {"approvals"}


def test_it_is_looked_for_in_more_records_than_are_read_at_once(
    service: SmallService, policy: Policy, approved: Audit
) -> None:
    for number in range(AT_ONCE + 1):
        later = f"2026-03-01T12:00:{number:02d}Z"
        service.audits(policy, registered=later, finished=later)
    answer = ask(service, policy)
    assert (shut(answer), answer.submission) == (set(), approved.id)
    assert answer.read == approved.record
