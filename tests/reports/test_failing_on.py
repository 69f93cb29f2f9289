"""When a command fails: by the contract, or by what the caller says."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rendering_records import FAILING, OPEN, PASSING

from auditor.cli.exits import Exit, exit_for
from auditor.cli.failing import FailOn, audit_exit, audit_words, gate_exit, gate_words
from auditor.domain.policies import Effect, Mode
from auditor.domain.records import AuditRecord
from auditor.domain.steps import Step, StepResult
from auditor.domain.verdicts import Outcome, Verdict

ADVISED = replace(
    PASSING,
    findings=(*PASSING.findings, replace(FAILING.findings[3], outcome=Outcome.FAILED)),
)
HOLDS = Step("signature", StepResult.HOLDS, "")
SHUT = Step("verdict", StepResult.FAILED, "")
STALE = Step("freshness", StepResult.FAILED, "")
WITHHELD = Step("figures", StepResult.WITHHELD, "")
records = st.builds(
    lambda outcomes: replace(
        FAILING,
        findings=tuple(
            replace(item, outcome=outcome, effect=effect)
            for item, (outcome, effect) in zip(FAILING.findings, outcomes, strict=False)
        ),
    ),
    st.lists(st.tuples(st.sampled_from(Outcome), st.sampled_from(Effect)), max_size=7),
)


@given(records, st.sampled_from(Mode))
def test_without_a_word_the_contract_holds(record: AuditRecord, mode: Mode) -> None:
    assert audit_exit(None, record, mode) == exit_for(record.verdict, mode)


@given(records, st.sampled_from(Mode))
def test_each_level_fails_for_all_that_the_laxer_ones_fail_for(
    record: AuditRecord, mode: Mode
) -> None:
    fails = [audit_exit(level, record, mode) != 0 for level in FailOn]
    assert fails == sorted(fails)


@given(records, st.sampled_from(Mode), st.sampled_from([None, *FailOn]))
def test_an_exit_code_that_is_not_the_verdict_is_explained(
    record: AuditRecord, mode: Mode, fail_on: FailOn | None
) -> None:
    code = audit_exit(fail_on, record, mode)
    odd = (code == 0) != (record.verdict is Verdict.PASS)
    assert bool(audit_words(fail_on, record, mode, code)) == odd


def test_advice_that_is_not_kept_fails_where_that_is_asked() -> None:
    assert audit_exit(FailOn.WARN, ADVISED, Mode.ENFORCE) == 1
    assert audit_exit(FailOn.UNKNOWN, ADVISED, Mode.ENFORCE) == 0
    assert gate_exit(FailOn.WARN, [HOLDS], ADVISED, None) == 1
    assert gate_exit(FailOn.WARN, [HOLDS], ADVISED, "another target") == 0


@pytest.mark.parametrize("fail_on", [None, FailOn.FAILED, FailOn.UNKNOWN, FailOn.WARN])
@pytest.mark.parametrize("steps", [[], [STALE], [HOLDS, STALE], [HOLDS, SHUT, STALE], [WITHHELD]])
def test_nothing_but_an_open_verdict_is_ever_excused(
    fail_on: FailOn | None, steps: list[Step]
) -> None:
    assert gate_exit(fail_on, steps, OPEN, None) == 1


def test_an_open_verdict_is_excused_on_leave_and_said() -> None:
    steps = [HOLDS, SHUT]
    assert gate_exit(FailOn.FAILED, steps, OPEN, None) == 0
    assert "0 all the same" in gate_words(FailOn.FAILED, steps, Exit.DONE)
    assert gate_exit(FailOn.UNKNOWN, steps, OPEN, None) == 1
    assert gate_exit(FailOn.FAILED, steps, FAILING, None) == 1


def test_a_verdict_of_a_record_that_did_not_verify_is_never_excused() -> None:
    assert gate_exit(FailOn.FAILED, [HOLDS, SHUT], None, None) == 1


def test_a_failure_on_another_target_is_not_asked_about() -> None:
    failed = replace(FAILING.findings[1], target="gpu")
    record = replace(OPEN, findings=(*OPEN.findings, failed))
    assert gate_exit(FailOn.FAILED, [HOLDS, SHUT], record, "cpu") == 0
    assert gate_exit(FailOn.FAILED, [HOLDS, SHUT], record, None) == 1
