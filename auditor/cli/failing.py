"""What fails a command: the contract, or less or more where the caller says so."""

from collections.abc import Iterable
from enum import StrEnum

import click

from auditor.cli.exits import BY_VERDICT, Exit, exit_for
from auditor.domain.findings import Finding
from auditor.domain.policies import Effect, Mode
from auditor.domain.records import AuditRecord
from auditor.domain.steps import Step, StepResult, all_hold
from auditor.domain.verdicts import Outcome, Verdict

SHUTS = frozenset({StepResult.FAILED, StepResult.WITHHELD})
OPEN = {Outcome.FAILED: Exit.FAILED, Outcome.UNKNOWN: Exit.INCONCLUSIVE}


class FailOn(StrEnum):
    """From what on a command fails, the laxest first; each fails for all that stands before it."""

    NEVER = "never"
    FAILED = "failed"
    UNKNOWN = "unknown"
    WARN = "warn"


def _chosen(_ctx: click.Context, _option: click.Parameter, value: str | None) -> FailOn | None:
    return None if value is None else FailOn(value)


fail_on_option = click.option(
    "--fail-on",
    type=click.Choice([item.value for item in FailOn]),
    callback=_chosen,
    help="Fail from this on: a rule that failed, one that is unknown, or an advisory one (warn).",
)


def audit_exit(fail_on: FailOn | None, record: AuditRecord, mode: Mode) -> Exit:
    """Return the exit code of an audit; without ``fail_on`` the one of the contract.

    Where it is given, it decides also for a policy that only observes or warns.
    """
    verdict = record.verdict
    match fail_on:
        case None:
            return exit_for(verdict, mode)
        case FailOn.NEVER:
            return Exit.DONE
        case FailOn.FAILED:
            return Exit.FAILED if verdict is Verdict.FAIL else Exit.DONE
        case FailOn.UNKNOWN:
            return BY_VERDICT[verdict]
        case FailOn.WARN:
            return BY_VERDICT[verdict] or _advised(record.findings)


def audit_words(fail_on: FailOn | None, record: AuditRecord, mode: Mode, code: Exit) -> str:
    """Say where an exit code is not what the verdict says, and why; nothing where it is."""
    verdict = record.verdict
    why = f"the policy's mode is {mode}" if fail_on is None else f"--fail-on {fail_on}"
    if code is Exit.DONE and verdict is not Verdict.PASS:
        return f"The verdict is {verdict.upper()}, and the exit code is 0 all the same: {why}."
    if code is not Exit.DONE and verdict is Verdict.PASS:
        return f"The verdict is PASS, and advisory rules that are not kept fail the command: {why}."
    return ""


def gate_exit(
    fail_on: FailOn | None, steps: Iterable[Step], record: AuditRecord | None, target: str | None
) -> Exit:
    """Return the exit code of a gate: 0 opens it.

    Only a verdict is ever excused, and that of a ``record`` that verified. One that does not, that
    is stale, of other bytes or under another policy keeps it shut, unless nothing is to fail.
    """
    looked = tuple(steps)
    if fail_on is FailOn.NEVER:
        return Exit.DONE
    if record is None:
        return Exit.FAILED
    mine = [item for item in record.findings if target is None or item.target == target]
    if all_hold(looked):
        advised = fail_on is FailOn.WARN and _advised(mine)
        return Exit.FAILED if advised else Exit.DONE
    shut = {step.name for step in looked if step.result in SHUTS}
    broken = any(item.effect is Effect.DENY and item.outcome is Outcome.FAILED for item in mine)
    excused = fail_on is FailOn.FAILED and shut == {"verdict"} and not broken
    return Exit.DONE if excused else Exit.FAILED


def gate_words(fail_on: FailOn | None, steps: Iterable[Step], code: Exit) -> str:
    """Say where a gate does not do what its steps say, and why; nothing where it does."""
    holds = all_hold(steps)
    if code is Exit.DONE and not holds:
        return f"Not every step holds, and the exit code is 0 all the same: --fail-on {fail_on}."
    if code is not Exit.DONE and holds:
        return f"Advisory rules that are not kept keep the gate shut: --fail-on {fail_on}."
    return ""


def _advised(findings: Iterable[Finding]) -> Exit:
    """Return the exit code of the advisory rules alone, the worst of them."""
    found = {item.outcome for item in findings if item.effect is Effect.WARN}
    return next((code for outcome, code in OPEN.items() if outcome in found), Exit.DONE)
