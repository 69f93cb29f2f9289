"""Write a record's verdict as a comment for a pull request."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from auditor.checks.registry import discover_checks
from auditor.cli.baseline_options import named_baseline_option
from auditor.cli.decision_options import decision_options
from auditor.cli.input_paths import KEY_FILE, RECORD_FOLDER, TRUST_POLICY
from auditor.cli.main import ExitCode
from auditor.cli.trust_options import assurance_option, ledger_options
from auditor.domain.policies import AssuranceLevel
from auditor.domain.verification_steps import StepResult, VerificationStep, all_hold
from auditor.errors import RecordError
from auditor.reports.folder import RecordFolder
from auditor.reports.formats.ci import (
    CommentContext,
    render_comment,
    render_unverified_comment,
)
from auditor.reports.rendering_inputs import ReportInputs
from auditor.workflows.decision_rights import DecisionOptions, build_decision_rights
from auditor.workflows.gate import GateQuestion, check_audit_conditions, parse_age
from auditor.workflows.record_gate import check_record_counts, read_baseline_digest
from auditor.workflows.verify.trusted_record import RecordTrustOptions, read_trust_policy_option
from auditor.workflows.wiring import build_record_resolvers

Verify = Callable[[RecordFolder], tuple[VerificationStep, ...]]
SHUTS = frozenset({StepResult.FAILED, StepResult.WITHHELD})


@click.command("comment")
@click.argument("folder", type=RECORD_FOLDER)
@click.option("--base", type=click.Path(path_type=Path), help="Record folder to compare with.")
@click.option("--key", type=KEY_FILE, help="Public key that you trust.")
@click.option("--trust", type=TRUST_POLICY, help="Trust policy, instead of a key.")
@assurance_option
@ledger_options
@click.option("--max-age", help="Maximum age of the record: 12h, 30d, 4w.")
@named_baseline_option
@click.option("--out", type=click.Path(path_type=Path), help="File to write; default: print it.")
@decision_options
def command(  # noqa: PLR0913, PLR0917 -- one argument an option
    folder: Path,
    base: Path | None,
    key: Path | None,
    trust: Path | None,
    assurance: AssuranceLevel,
    ledger_key: Path | None,
    witness_keys: tuple[Path, ...],
    max_age: str | None,
    baseline: str | None,
    out: Path | None,
    **decisions: Any,  # noqa: ANN401 -- click's
) -> int:
    """Write the verdict of the record in FOLDER as Markdown, for a comment on a pull request.

    The first line is hidden, so that a bot can find its own comment. The comment never shows a pass
    for a record that does not verify, is too old, is challenged, was rejected or lacks approvals;
    that depends on waivers that a gate would not accept, or on a baseline that --baseline does not
    name; or that is not sealed although its policy requires it (checked with --ledger-key). Exit
    code: 1 if the record does not verify; the comment is still written and reports this.
    """
    read, believed = RecordFolder(folder), read_trust_policy_option(trust)
    record = read.record
    limit = None if max_age is None else parse_age(max_age)
    verify = RecordTrustOptions(key, trust, assurance, ledger_key, witness_keys).verify
    steps, mistakes = _verified(read, verify)
    if mistakes:
        written = render_unverified_comment(record, mistakes)
    else:
        policy = build_record_resolvers(record, read).load_policy(record.request.policy.name)
        may = build_decision_rights(DecisionOptions(**decisions), believed, policy)
        named = read_baseline_digest(baseline)
        question = GateQuestion("", policy, None, None, limit, datetime.now(UTC), named)
        asked = check_audit_conditions(record, question, steps)
        steps = check_record_counts(record, read, believed, may, asked, strict=False)
        inputs = ReportInputs(
            record=record, policy=policy, checks=discover_checks(), blob=read.evidence
        )
        written = render_comment(inputs, _standing(_said(steps), base, verify))
    if out is None:
        click.echo(written, nl=False)
    else:
        out.write_text(written, encoding="utf-8")
    return ExitCode.FAILED if mistakes else ExitCode.DONE


def _verified(
    folder: RecordFolder, verify: Verify
) -> tuple[tuple[VerificationStep, ...], tuple[str, ...]]:
    """Return the steps of a folder's verification, and what keeps it from being believed."""
    try:
        steps = verify(folder)
    except RecordError as error:
        return (), (f"record: {error.problem}",)
    silent = () if all_hold(steps) else ("record: could not be checked",)
    return steps, _said(steps) or silent


def _said(steps: Iterable[VerificationStep]) -> tuple[str, ...]:
    return tuple(f"{step.name}: {step.detail}" for step in steps if step.result in SHUTS)


def _standing(mistakes: tuple[str, ...], base: Path | None, verify: Verify) -> CommentContext:
    if base is None:
        return CommentContext(mistakes)
    folder = RecordFolder(base)
    _, unverified = _verified(folder, verify)
    if unverified:
        return CommentContext(mistakes, because=f"the base does not verify ({unverified[0]})")
    return CommentContext(mistakes, folder.record)
