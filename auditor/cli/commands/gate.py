"""Ask whether a valid, fresh, passing record exists for exactly these bytes."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from auditor.checks.registry import discover_checks
from auditor.cli.baseline_options import named_baseline_option, read_baseline_digest
from auditor.cli.ci import (
    CiOutput,
    FailureThreshold,
    choose_gate_exit,
    ci_option,
    detect_ci,
    explain_gate_exit,
    fail_on_option,
    report_to_ci,
)
from auditor.cli.console import show_notice, show_steps
from auditor.cli.decision_options import DecisionOptions, decision_options, require_decision_rights
from auditor.cli.gate_output import (
    GateInspection,
    check_record_counts,
    parse_gate_subject,
    query_service_gate,
    refuse_trust_options,
)
from auditor.cli.main import ExitCode
from auditor.cli.terminal import create_console
from auditor.cli.trust_options import (
    RecordTrustOptions,
    assurance_option,
    ledger_options,
    read_trust_policy_option,
)
from auditor.domain.artifacts import digest_files
from auditor.domain.policies import AssuranceLevel
from auditor.domain.source_locations import SourceFile
from auditor.domain.verification_steps import StepResult, VerificationStep, all_hold
from auditor.reports.folder import RecordFolder
from auditor.reports.formats.ci import build_gate_annotations, render_gate_page
from auditor.reports.formats.github import build_annotations
from auditor.reports.html.verdict import is_decided_by_silence
from auditor.reports.inputs import ReportInputs
from auditor.reports.locations import locate_policy, locate_verdict
from auditor.trust.artifacts.files import digest_artifact
from auditor.workflows.gate import (
    GateQuestion,
    check_evaluation_data,
    check_gate,
    parse_age,
    read_probe,
)
from auditor.workflows.wiring import build_resolvers, locate_policy_source

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@click.command("gate")
@click.option("--artifact", type=click.Path(path_type=Path), required=True)
@click.option("--policy", required=True, help="A pack's name or a policy file.")
@click.option("--record", type=click.Path(path_type=Path), help="Its folder.")
@click.option("--server", metavar="URL", help="A service that holds records, instead of a folder.")
@click.option("--key", type=click.Path(path_type=Path), help="The public key that you trust.")
@click.option("--trust", type=click.Path(path_type=Path), help="A trust policy instead of a key.")
@assurance_option
@ledger_options
@click.option("--target", help="The target it will run on; default: all that were audited.")
@click.option("--fingerprint", type=click.Path(path_type=Path), help="A probe of this target.")
@click.option(
    "--data", metavar="FILE|DIGEST", help="The evaluation data that must have been judged."
)
@named_baseline_option
@click.option("--max-age", help="How old the record may be: 12h, 30d, 4w.")
@click.option("--strict", is_flag=True, help="Shut at any challenge that holds.")
@decision_options
@fail_on_option
@ci_option
def command(  # noqa: PLR0913, PLR0917 -- one argument an option
    artifact: Path,
    policy: str,
    record: Path | None,
    server: str | None,
    key: Path | None,
    trust: Path | None,
    assurance: AssuranceLevel,
    ledger_key: Path | None,
    witness_keys: tuple[Path, ...],
    target: str | None,
    fingerprint: Path | None,
    data: str | None,
    baseline: str | None,
    max_age: str | None,
    fail_on: FailureThreshold | None,
    ci: str,
    *,
    strict: bool,
    **decisions: Any,  # noqa: ANN401 -- click's
) -> int:
    """Open only for exactly these bytes, on this target, under exactly this policy.

    A challenge in the folder or in the store here that refutes the verdict keeps it shut, and so do
    a waiver that has run out or that nobody named here may give, and anybody's no to the record. A
    policy may ask for approvals; with --trust its auditors may waive and approve by role. A policy
    that asks for a sealed audit needs --ledger-key: only the ledger's key shows that it drew the
    seed. What an endpoint or a cascade answered opens the gate for the artifact only where the
    policy required parity with the file there, and it was kept. --data keeps it shut for a record
    that judged other evaluation data. What rests on a baseline opens only where --baseline names
    that record, since whoever asked for the audit chose it. --server asks a service, and believes
    it, about the newest record that it holds. Exit code: 0 opens the gate, 1 keeps it
    shut, 2 for input that cannot be used, 4 where a service cannot be reached. --fail-on makes that
    stricter or laxer, and what is laxer says so.
    """
    with report_to_ci(detect_ci(ci)) as tell:
        asked = _question(artifact, policy, target, fingerprint, max_age)
        question = replace(asked, baseline=read_baseline_digest(baseline))
        believed = RecordTrustOptions(key, trust, assurance, ledger_key, witness_keys)
        options = DecisionOptions(**decisions)
        if isinstance(whose := parse_gate_subject(record, server), str):
            refuse_trust_options(believed, options, strict=strict)
            looked = query_service_gate(whose, question, max_age)
        else:
            looked = _look(RecordFolder(whose), question, believed, options, strict=strict)
        if data is not None:
            looked = _held_to(looked, _data_digest(data))
        code = choose_gate_exit(fail_on, looked.steps, looked.record, target)
        words = explain_gate_exit(fail_on, looked.steps, code)
        _show(looked.steps, words)
        tell(_told(looked, question, code, words, locate_policy_source(policy, Path.cwd())))
    return code


def _question(
    artifact: Path, policy: str, target: str | None, fingerprint: Path | None, max_age: str | None
) -> GateQuestion:
    limit = None if max_age is None else parse_age(max_age)
    identity = None if fingerprint is None else read_probe(fingerprint)
    chosen = build_resolvers(Path.cwd()).load_policy(policy)
    digest = digest_files(digest_artifact(artifact))
    return GateQuestion(digest, chosen, target, identity, limit, datetime.now(UTC))


def _data_digest(data: str) -> str:
    """Return the digest of evaluation data, given as such or as their file."""
    return data if DIGEST.fullmatch(data) else digest_files(digest_artifact(Path(data)))


def _held_to(looked: GateInspection, digest: str) -> GateInspection:
    """Hold the record that a gate looked at against the evaluation data that were named."""
    if looked.record is None:
        step = VerificationStep(
            "data", StepResult.FAILED, "no record verified, so nothing shows its data"
        )
    else:
        step = check_evaluation_data(looked.record, digest)
    return replace(looked, steps=(*looked.steps, step))


def _show(steps: Sequence[VerificationStep], words: str) -> None:
    """Show each step, in a line whether the gate is open, and else what shuts it, and ``words``."""
    console = create_console()
    show_steps(console, steps)
    failed = [step.name for step in steps if step.result is StepResult.FAILED]
    shut = f"Gate: shut ({', '.join(failed) or 'not everything could be checked'})"
    said = "Gate: open" if all_hold(steps) else shut
    console.print(said, highlight=False, markup=False, soft_wrap=True)
    show_notice(console, words)


def _look(
    folder: RecordFolder,
    question: GateQuestion,
    whose: RecordTrustOptions,
    options: DecisionOptions,
    *,
    strict: bool,
) -> GateInspection:
    believed = read_trust_policy_option(whose.trust)
    may = require_decision_rights(options, believed, question.policy)
    steps, report = whose.verify(folder), str(folder.path / "report.html")
    if not all_hold(steps):
        return GateInspection(steps, report)
    found = folder.record
    asked = check_gate(found, question, steps)
    more = check_record_counts(found, folder, believed, may, asked, strict=strict)
    return GateInspection((*steps, *more), report, found, folder.evidence)


def _told(
    looked: GateInspection,
    question: GateQuestion,
    code: ExitCode,
    words: str,
    asked: SourceFile | None,
) -> CiOutput:
    """Return what a CI system is told of a gate; of a record only where it verified.

    ``asked`` is where the policy stands that the gate asks for, where it is a file.
    """
    record, opens = looked.record, code is ExitCode.DONE and all_hold(looked.steps)
    outputs = {"verdict": "pass" if opens else "fail", "report": looked.report}
    if record is None:
        found = build_gate_annotations(looked.steps, None, opens=opens)
        return CiOutput(found, render_gate_page(looked.steps, words, opens=opens), outputs)
    mine = tuple(item for item in record.findings if question.target in {None, item.target})
    inputs = ReportInputs(
        record=replace(record, findings=mine),
        policy=question.policy,
        checks=discover_checks(),
        blob=looked.blob,
    )
    where, policy = locate_verdict(inputs), locate_policy(inputs, asked)
    found = build_gate_annotations(looked.steps, where, opens=opens, policy=policy)
    if record.request.policy.digest == question.policy.digest:
        found += [
            item for item in build_annotations(inputs) if not is_decided_by_silence(inputs.record)
        ]
    page = render_gate_page(looked.steps, words, opens=opens)
    return CiOutput(found, page, {**outputs, "record": record.digest})
