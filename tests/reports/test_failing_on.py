"""When a command fails: by the contract, or by what the caller says."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rendering_records import FAILING, OPEN, PASSING

from auditor.cli.ci import (
    FailureThreshold,
    choose_audit_exit,
    choose_gate_exit,
    explain_audit_exit,
    explain_gate_exit,
)
from auditor.cli.main import ExitCode, exit_for_verdict
from auditor.domain.findings import Outcome, Verdict
from auditor.domain.policies import EnforcementMode, RuleEffect
from auditor.domain.records import AuditRecord
from auditor.domain.verification_steps import StepResult, VerificationStep

ADVISED = replace(
    PASSING,
    findings=(*PASSING.findings, replace(FAILING.findings[3], outcome=Outcome.FAILED)),
)
HOLDS = VerificationStep("signature", StepResult.HOLDS, "")
SHUT = VerificationStep("verdict", StepResult.FAILED, "")
STALE = VerificationStep("freshness", StepResult.FAILED, "")
WITHHELD = VerificationStep("figures", StepResult.WITHHELD, "")
records = st.builds(
    lambda outcomes: replace(
        FAILING,
        findings=tuple(
            replace(item, outcome=outcome, effect=effect)
            for item, (outcome, effect) in zip(FAILING.findings, outcomes, strict=False)
        ),
    ),
    st.lists(st.tuples(st.sampled_from(Outcome), st.sampled_from(RuleEffect)), max_size=7),
)


@given(records, st.sampled_from(EnforcementMode))
def test_without_a_word_the_contract_holds(record: AuditRecord, mode: EnforcementMode) -> None:
    assert choose_audit_exit(None, record, mode) == exit_for_verdict(record.verdict, mode)


@given(records, st.sampled_from(EnforcementMode))
def test_each_level_fails_for_all_that_the_laxer_ones_fail_for(
    record: AuditRecord, mode: EnforcementMode
) -> None:
    fails = [choose_audit_exit(level, record, mode) != 0 for level in FailureThreshold]
    assert fails == sorted(fails)


@given(records, st.sampled_from(EnforcementMode), st.sampled_from([None, *FailureThreshold]))
def test_an_exit_code_that_is_not_the_verdict_is_explained(
    record: AuditRecord, mode: EnforcementMode, fail_on: FailureThreshold | None
) -> None:
    code = choose_audit_exit(fail_on, record, mode)
    odd = (code == 0) != (record.verdict is Verdict.PASS)
    assert bool(explain_audit_exit(fail_on, record, mode, code)) == odd


def test_advice_that_is_not_kept_fails_where_that_is_asked() -> None:
    assert choose_audit_exit(FailureThreshold.WARN, ADVISED, EnforcementMode.ENFORCE) == 1
    assert choose_audit_exit(FailureThreshold.UNKNOWN, ADVISED, EnforcementMode.ENFORCE) == 0
    assert choose_gate_exit(FailureThreshold.WARN, [HOLDS], ADVISED, None) == 1
    assert choose_gate_exit(FailureThreshold.WARN, [HOLDS], ADVISED, "another target") == 0


@pytest.mark.parametrize(
    "fail_on", [None, FailureThreshold.FAILED, FailureThreshold.UNKNOWN, FailureThreshold.WARN]
)
@pytest.mark.parametrize("steps", [[], [STALE], [HOLDS, STALE], [HOLDS, SHUT, STALE], [WITHHELD]])
def test_nothing_but_an_open_verdict_is_ever_excused(
    fail_on: FailureThreshold | None, steps: list[VerificationStep]
) -> None:
    assert choose_gate_exit(fail_on, steps, OPEN, None) == 1


def test_an_open_verdict_is_excused_on_leave_and_said() -> None:
    steps = [HOLDS, SHUT]
    assert choose_gate_exit(FailureThreshold.FAILED, steps, OPEN, None) == 0
    assert "but the exit code is 0" in explain_gate_exit(
        FailureThreshold.FAILED, steps, ExitCode.DONE
    )
    assert choose_gate_exit(FailureThreshold.UNKNOWN, steps, OPEN, None) == 1
    assert choose_gate_exit(FailureThreshold.FAILED, steps, FAILING, None) == 1


def test_a_verdict_of_a_record_that_did_not_verify_is_never_excused() -> None:
    assert choose_gate_exit(FailureThreshold.FAILED, [HOLDS, SHUT], None, None) == 1


def test_a_failure_on_another_target_is_not_asked_about() -> None:
    failed = replace(FAILING.findings[1], target="gpu")
    record = replace(OPEN, findings=(*OPEN.findings, failed))
    assert choose_gate_exit(FailureThreshold.FAILED, [HOLDS, SHUT], record, "cpu") == 0
    assert choose_gate_exit(FailureThreshold.FAILED, [HOLDS, SHUT], record, None) == 1
