"""Check that a valid, recent, passing record exists for exactly these bytes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from auditor.checks.registry import discover_checks
from auditor.cli.baseline_options import named_baseline_option
from auditor.cli.ci import (
    CiOutput,
    FailureThreshold,
    choose_gate_exit,
    explain_gate_exit,
    fail_on_option,
    report_to_ci,
)
from auditor.cli.ci_system import ci_option, detect_ci
from auditor.cli.console import print_plain, show_notice, show_steps
from auditor.cli.decision_options import decision_options
from auditor.cli.format_options import JSON, format_option, print_json
from auditor.cli.gate_output import (
    describe_gate_answer,
    parse_gate_subject,
    query_service_gate,
    refuse_trust_options,
)
from auditor.cli.input_paths import (
    KEY_FILE,
    MODEL_FILES,
    PROBE,
    RECORD_FOLDER,
    TRUST_POLICY,
    PolicyName,
)
from auditor.cli.main import ExitCode
from auditor.cli.trust_options import assurance_option, describe_key_beside, ledger_options
from auditor.domain.policies import AssuranceLevel
from auditor.domain.source_locations import SourceFile
from auditor.domain.verification_steps import all_hold
from auditor.reports.finding_locations import locate_policy, locate_verdict
from auditor.reports.folder import RecordFolder
from auditor.reports.formats.ci import build_gate_annotations, render_gate_page
from auditor.reports.formats.github import build_annotations
from auditor.reports.html.verdict import is_decided_by_silence
from auditor.reports.rendering_inputs import ReportInputs
from auditor.reports.terminal import create_console
from auditor.workflows.command_documents import describe_gate
from auditor.workflows.decision_rights import DecisionOptions
from auditor.workflows.gate import (
    GateQuestion,
)
from auditor.workflows.record_gate import (
    GateInspection,
    build_gate_question,
    digest_evaluation_data,
    inspect_record_folder,
    read_baseline_digest,
)
from auditor.workflows.verify.trusted_record import RecordTrustOptions
from auditor.workflows.wiring import locate_policy_source


@click.command("gate")
@click.option("--artifact", type=MODEL_FILES, required=True)
@click.option(
    "--policy", type=PolicyName(), required=True, help="Name of a policy pack, or a policy file."
)
@click.option("--record", type=RECORD_FOLDER, help="Folder of the record.")
@click.option("--server", metavar="URL", help="Service to ask, instead of a record folder.")
@click.option("--key", type=KEY_FILE, help="Public key that you trust.")
@click.option("--trust", type=TRUST_POLICY, help="Trust policy, instead of a key.")
@assurance_option
@ledger_options
@click.option("--target", help="Target of the deployment; default: all audited targets.")
@click.option(
    "--fingerprint",
    type=PROBE,
    help="Fingerprint file of this target (`auditor targets probe`).",
)
@click.option("--data", metavar="FILE|DIGEST", help="Evaluation data that the record must cover.")
@named_baseline_option
@click.option("--max-age", help="Maximum age of the record: 12h, 30d, 4w.")
@click.option("--strict", is_flag=True, help="Keep the gate closed if any challenge holds.")
@decision_options
@fail_on_option
@ci_option
@format_option
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
    form: str,
    *,
    strict: bool,
    **decisions: Any,  # noqa: ANN401 -- click's
) -> int:
    """Check that a record allows exactly these bytes, on this target, under exactly this policy.

    The gate stays closed if a challenge in the folder or the local store refutes the verdict, if a
    waiver has expired or its signer is not named here, or if any person rejected the record. A
    policy can require approvals; with --trust, the auditors of the trust policy can waive and
    approve by role. A policy that requires a sealed audit needs --ledger-key: only the key of the
    ledger proves that the ledger drew the seed. A record of an endpoint or a cascade opens the gate
    for the artifact only if the policy required parity with the file, and the parity rule passed.
    With --data, the gate stays closed for a record of other evaluation data. A verdict that depends
    on a baseline opens the gate only if --baseline names that record, because the requester of the
    audit chose it. --server asks a service about its newest record and trusts the answer. Exit
    code: 0 gate open, 1 gate closed, 2 invalid input, 4 service not reachable. --fail-on makes the
    exit code stricter or laxer; the output reports if it is laxer.
    """
    with report_to_ci(detect_ci(ci), err=form == JSON) as tell:
        question = build_gate_question(
            artifact,
            policy,
            target=target,
            fingerprint=fingerprint,
            max_age=max_age,
            baseline=read_baseline_digest(baseline),
        )
        believed = RecordTrustOptions(key, trust, assurance, ledger_key, witness_keys)
        options = DecisionOptions(**decisions)
        if isinstance(whose := parse_gate_subject(record, server), str):
            refuse_trust_options(believed, options, strict=strict)
            looked = query_service_gate(whose, question, max_age)
        else:
            looked = inspect_record_folder(
                RecordFolder(whose), question, believed, options, strict=strict
            )
        if data is not None:
            looked = looked.held_to(digest_evaluation_data(data))
        code = choose_gate_exit(fail_on, looked.steps, looked.record, target)
        words = explain_gate_exit(fail_on, looked.steps, code) or _warn(looked, key, record)
        if form == JSON:
            print_json(describe_gate(question, looked, exit_code=code, note=words))
        else:
            _show(looked, question, words)
        tell(_told(looked, question, code, words, locate_policy_source(policy, Path.cwd())))
    return code


def _warn(looked: GateInspection, key: Path | None, record: Path | None) -> str:
    """Return what an open gate leaves in doubt: whose the key is."""
    return describe_key_beside(key, record) if record and all_hold(looked.steps) else ""


def _show(looked: GateInspection, question: GateQuestion, words: str) -> None:
    """Show each step, whether the gate is open, ``words``, and what shuts it with its cure."""
    console = create_console()
    show_steps(console, looked.steps)
    show_notice(console, words)
    for line in describe_gate_answer(looked, question):
        print_plain(console, line)


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
