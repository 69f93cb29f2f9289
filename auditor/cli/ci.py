"""CI integration: annotations, job summaries, step outputs and exit codes by ``--fail-on``."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from secrets import token_hex
from types import MappingProxyType

import click

from auditor.cli.ci_system import CiSystem
from auditor.cli.main import BY_VERDICT, ExitCode, exit_for_verdict
from auditor.domain.findings import Finding, Outcome, Verdict
from auditor.domain.policies import EnforcementMode, RuleEffect
from auditor.domain.records import AuditRecord
from auditor.domain.verification_steps import StepResult, VerificationStep, all_hold
from auditor.errors import AuditorError, UsageError
from auditor.reports.formats.github import AnnotationLevel, CiAnnotation, format_workflow_commands
from auditor.reports.formats.markdown import escape_markdown
from auditor.reports.terminal_text import make_printable

MOST_SUMMARY = 1_000_000
"""Bytes; GitHub drops a step's summary that is larger than 1 MiB."""
CUT = "\n\nThe rest is in `summary.md` of the record's folder.\n"
DOTENV = "auditor.env"


@dataclass(frozen=True, slots=True)
class CiOutput:
    """What a CI system is told of one command, when it has ended."""

    annotations: Sequence[CiAnnotation]
    summary: str
    outputs: Mapping[str, str] = field(default_factory=dict)


Tell = Callable[[CiOutput], None]


@contextmanager
def report_to_ci(ci: CiSystem, *, err: bool = False) -> Iterator[Tell]:
    """Tell a CI system what the block gives to ``tell``, or why it ended without.

    Until then a runner obeys nothing that is printed: names and messages come from others.
    ``err`` prints what it is told on standard error, which a runner reads too.
    """
    told: list[CiOutput] = []
    token = token_hex(16)
    if ci is CiSystem.GITHUB:
        click.echo(f"::stop-commands::{token}", err=err)
    try:
        yield told.append
    except AuditorError as error:
        told.append(_broken(str(error)))
        raise
    finally:
        if ci is CiSystem.GITHUB:
            click.echo(f"::{token}::", err=err)
        for item in told or [_broken("The command ended without a verdict.")]:
            if ci is CiSystem.GITHUB:
                for line in format_workflow_commands(item.annotations):
                    click.echo(line, err=err)
            TELLERS[ci](item)


def _broken(reason: str) -> CiOutput:
    said = make_printable(reason)
    page = f"# Nothing was decided\n\n{escape_markdown(said)}\n"
    return CiOutput(
        [CiAnnotation(AnnotationLevel.ERROR, "auditor", said)], page, {"verdict": "error"}
    )


def _nobody(_told: CiOutput) -> None:
    """Say nothing more than the terminal shows."""


def _github(told: CiOutput) -> None:
    _append("GITHUB_STEP_SUMMARY", shorten_summary(told.summary))
    _append("GITHUB_OUTPUT", "".join(_output(*item) for item in told.outputs.items()))


def _gitlab(told: CiOutput) -> None:
    """Write variables for later jobs, as ``artifacts:reports:dotenv`` takes them."""
    place = Path(os.environ.get("CI_PROJECT_DIR", ".")) / DOTENV
    lines = (f"AUDITOR_{name.upper()}={_line(value)}\n" for name, value in told.outputs.items())
    _written(place, "".join(lines), "w")


TELLERS: Mapping[CiSystem, Callable[[CiOutput], None]] = MappingProxyType(
    {CiSystem.NONE: _nobody, CiSystem.GITHUB: _github, CiSystem.GITLAB: _gitlab}
)


def shorten_summary(page: str) -> str:
    """Return a page that is small enough to be shown, and says so where it was cut."""
    if len(page.encode()) <= MOST_SUMMARY:
        return page
    room = MOST_SUMMARY - len(CUT)
    kept = page.encode()[:room].decode(errors="ignore")
    return kept.rpartition("\n")[0] + CUT


def _append(variable: str, text: str) -> None:
    if place := os.environ.get(variable):
        _written(Path(place), text, "a")


def _written(place: Path, text: str, mode: str) -> None:
    try:
        with place.open(mode, encoding="utf-8", errors="replace") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(
            f"{place} cannot be written: {error.strerror}", cure="Fix it, or use --ci none."
        ) from None


def _output(name: str, value: str) -> str:
    # Whatever is in a value, it ends where a word ends that nobody knows beforehand.
    end = f"end_{token_hex(16)}"
    return f"{name}<<{end}\n{value}\n{end}\n"


def _line(value: str) -> str:
    return " ".join(value.split())


SHUTS = frozenset({StepResult.FAILED, StepResult.WITHHELD})
OPEN = {Outcome.FAILED: ExitCode.FAILED, Outcome.UNKNOWN: ExitCode.INCONCLUSIVE}


class FailureThreshold(StrEnum):
    """From what on a command fails, the laxest first; each fails for all that stands before it."""

    NEVER = "never"
    FAILED = "failed"
    UNKNOWN = "unknown"
    WARN = "warn"


def _chosen(
    _ctx: click.Context, _option: click.Parameter, value: str | None
) -> FailureThreshold | None:
    return None if value is None else FailureThreshold(value)


fail_on_option = click.option(
    "--fail-on",
    type=click.Choice([item.value for item in FailureThreshold]),
    callback=_chosen,
    help=(
        "Least severe result that fails the command: a failed rule, an undecided rule "
        "(unknown), or an advisory rule that did not pass (warn)."
    ),
)


def choose_audit_exit(
    fail_on: FailureThreshold | None, record: AuditRecord, mode: EnforcementMode
) -> ExitCode:
    """Return the exit code of an audit; without ``fail_on`` the one of the contract.

    Where it is given, it decides also for a policy that only observes or warns.
    """
    verdict = record.verdict
    match fail_on:
        case None:
            return exit_for_verdict(verdict, mode)
        case FailureThreshold.NEVER:
            return ExitCode.DONE
        case FailureThreshold.FAILED:
            return ExitCode.FAILED if verdict is Verdict.FAIL else ExitCode.DONE
        case FailureThreshold.UNKNOWN:
            return BY_VERDICT[verdict]
        case FailureThreshold.WARN:
            return BY_VERDICT[verdict] or _advised(record.findings)


def explain_audit_exit(
    fail_on: FailureThreshold | None, record: AuditRecord, mode: EnforcementMode, code: ExitCode
) -> str:
    """Say where an exit code is not what the verdict says, and why; nothing where it is."""
    verdict = record.verdict
    why = f"the policy's mode is {mode}" if fail_on is None else f"--fail-on {fail_on}"
    if code is ExitCode.DONE and verdict is not Verdict.PASS:
        return f"The verdict is {verdict.upper()}, but the exit code is 0: {why}."
    if code is not ExitCode.DONE and verdict is Verdict.PASS:
        return f"The verdict is PASS, but advisory rules that did not pass fail the command: {why}."
    return ""


def choose_gate_exit(
    fail_on: FailureThreshold | None,
    steps: Iterable[VerificationStep],
    record: AuditRecord | None,
    target: str | None,
) -> ExitCode:
    """Return the exit code of a gate: 0 opens it.

    Only a verdict is ever excused, and that of a ``record`` that verified. One that does not, that
    is stale, of other bytes or under another policy keeps it shut, unless nothing is to fail.
    """
    looked = tuple(steps)
    if fail_on is FailureThreshold.NEVER:
        return ExitCode.DONE
    if record is None:
        return ExitCode.FAILED
    mine = [item for item in record.findings if target is None or item.target == target]
    if all_hold(looked):
        advised = fail_on is FailureThreshold.WARN and _advised(mine)
        return ExitCode.FAILED if advised else ExitCode.DONE
    shut = {step.name for step in looked if step.result in SHUTS}
    broken = any(item.effect is RuleEffect.DENY and item.outcome is Outcome.FAILED for item in mine)
    excused = fail_on is FailureThreshold.FAILED and shut == {"verdict"} and not broken
    return ExitCode.DONE if excused else ExitCode.FAILED


def explain_gate_exit(
    fail_on: FailureThreshold | None, steps: Iterable[VerificationStep], code: ExitCode
) -> str:
    """Say where a gate does not do what its steps say, and why; nothing where it does."""
    holds = all_hold(steps)
    if code is ExitCode.DONE and not holds:
        return f"Some steps failed, but the exit code is 0: --fail-on {fail_on}."
    if code is not ExitCode.DONE and holds:
        return f"Advisory rules that did not pass keep the gate closed: --fail-on {fail_on}."
    return ""


def _advised(findings: Iterable[Finding]) -> ExitCode:
    """Return the exit code of the advisory rules alone, the worst of them."""
    found = {item.outcome for item in findings if item.effect is RuleEffect.WARN}
    return next((code for outcome, code in OPEN.items() if outcome in found), ExitCode.DONE)
