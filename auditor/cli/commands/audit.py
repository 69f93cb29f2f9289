"""Audit a model as an audit file describes, and write the signed report."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from auditor.checks.registry import discover_checks
from auditor.cli.baseline_options import (
    baseline_options,
    explain_unrequested_baseline,
    is_baseline_requested,
)
from auditor.cli.budget_options import budget_options
from auditor.cli.ci import (
    CiOutput,
    FailureThreshold,
    choose_audit_exit,
    explain_audit_exit,
    fail_on_option,
    report_to_ci,
)
from auditor.cli.ci_system import CiSystem, ci_option, detect_ci
from auditor.cli.client_options import (
    client_options,
    parse_client_options,
    refuse_unsupported_options,
)
from auditor.cli.code_permission_options import target_code_option, unsandboxed_option
from auditor.cli.console import show_binding_conflicts, show_new_keys, show_notice
from auditor.cli.decision_options import (
    explain_unrequested_waivers,
    show_note,
    show_waivers,
    waiver_options,
)
from auditor.cli.format_options import JSON, create_message_console, format_option, print_json
from auditor.cli.input_paths import AUDIT_FILE, CheckName, PolicyName
from auditor.cli.main import ExitCode, exit_for_verdict
from auditor.cli.output_folder import prepare_printer, write_record_folder
from auditor.cli.record_output import show_closing, show_record, show_report
from auditor.cli.remote_audit import run_remote_audit
from auditor.cli.workspace import open_own_workspace, parse_policy_option
from auditor.domain.baselines import list_rules_kept_by_baseline
from auditor.domain.budgets import Budget
from auditor.domain.findings import Verdict
from auditor.domain.policies import Policy
from auditor.domain.records import AuditRecord
from auditor.domain.waivers import SignedWaiver
from auditor.reports.folder import RecordFolder, refuse_foreign_files
from auditor.reports.formats.github import build_annotations
from auditor.reports.rendering_inputs import ReportInputs
from auditor.workflows.command_documents import describe_record
from auditor.workflows.local_audit import open_audit_file, run_local_audit
from auditor.workflows.prepare import PreparedAudit
from auditor.workflows.progress import ConsoleProgress


@click.command("audit")
@click.argument("audit_file", type=AUDIT_FILE)
@click.option(
    "--policy",
    type=PolicyName(),
    help="Policy to use instead of the audit file's: name of a pack, or path of a "
    "policy file (from the working folder, then from the folder of the audit "
    "file).",
)
@click.option("--target", "targets", multiple=True, help="Only this target. Repeatable.")
@budget_options
@click.option(
    "--only", type=CheckName(), multiple=True, metavar="CHECK", help="Only this check. Repeatable."
)
@waiver_options
@baseline_options(newest=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Output folder; default: report beside AUDIT_FILE (report-NAME for NAME.yaml).",
)
@target_code_option
@unsandboxed_option
@click.option("--pdf", is_flag=True, help="Also write report.pdf. Needs an installed browser.")
@client_options
@fail_on_option
@ci_option
@format_option
def command(  # noqa: PLR0913, PLR0917 -- one argument an option
    audit_file: Path,
    policy: str | None,
    targets: tuple[str, ...],
    budget: str | None,
    only: tuple[str, ...],
    out: Path | None,
    allow_target_code: bool,  # noqa: FBT001 -- click's
    pdf: bool,  # noqa: FBT001 -- click's
    fail_on: FailureThreshold | None,
    ci: str,
    server: str | None,
    wait_for_target: str | None,
    attach: str | None,
    form: str,
    **leave: Any,  # noqa: ANN401 -- click's
) -> int:
    """Audit a model as AUDIT_FILE describes, and write the signed report.

    Exit code: 0 pass, 1 fail, 2 invalid input, 3 inconclusive. If the mode of the policy is observe
    or warn, it is 0 after every verdict. --fail-on makes the exit code stricter or laxer; the
    output reports if it is laxer. With --server, a service audits on its own targets and signs the
    record; exit code 4 then also means that the service is not reachable. Set AUDITOR_API_KEY to
    your API key.
    """
    drawn = {"sealed": leave.pop("sealed"), "sets": leave.pop("sealed_sets")}
    there = parse_client_options(server, wait_for_target, attach, **drawn)
    folder, console = out or _beside(audit_file), create_message_console(form)
    named, effort = (
        parse_policy_option(policy, audit_file),
        None if budget is None else Budget(budget),
    )
    overrides = {"policy": named, "targets": targets, "budget": effort, "only": only, **leave}
    with report_to_ci(detect_ci(ci), err=form == JSON) as tell:
        refuse_foreign_files(folder)
        if there is not None:
            refuse_unsupported_options(
                there, overrides, pdf=pdf, allow_target_code=allow_target_code
            )
            record, judged = run_remote_audit(console, there, audit_file, overrides, folder)
            asked = overrides["baseline"] is not None
            done: Done = record, judged, (), explain_unrequested_baseline(record, asked=asked)
        else:
            done = _here(
                console,
                audit_file,
                overrides,
                folder,
                allow_target_code=allow_target_code,
                pdf=pdf,
            )
        if detect_ci(ci) is CiSystem.NONE:
            done = *done[:3], ""
        code, told = _ended(console, *done, folder, fail_on, as_json=form == JSON)
        tell(told)
    return code


Done = tuple[AuditRecord, Policy, tuple[SignedWaiver, ...], str]
"""A record, its policy and waivers, and why in CI what it rests on does not count."""


def _here(  # noqa: PLR0913 -- what is audited, where, and with whose leave
    console: Console,
    audit_file: Path,
    overrides: Mapping[str, Any],
    folder: Path,
    *,
    allow_target_code: bool,
    pdf: bool,
) -> Done:
    """Audit on this machine."""
    paper = prepare_printer(console) if pdf else None
    asked = open_audit_file(audit_file, allow_target_code=allow_target_code, **overrides)

    def begin(prepared: PreparedAudit, odd: str) -> None:
        name = f"{prepared.file.model.name} {prepared.file.model.version}"
        console.print(f"Auditing {name}", highlight=False, markup=False)
        audited = prepared.request.artifact
        digest = None if audited is None else audited.digest
        show_binding_conflicts(console, prepared.materials.signature.bindings, digest)
        show_note(console, odd)

    with open_own_workspace() as place:
        show_new_keys(console, place.made_keys)
        done = run_local_audit(asked, place, ConsoleProgress(console), begin, paper)
        write_record_folder(console, folder, done.files, place.store)
        own = place.signer.public_pem()
    record, prepared = done.record, done.prepared
    named = overrides["baseline"] is not None
    requested = is_baseline_requested(prepared.file, asked.locate, own, named=named)
    unasked = explain_unrequested_waivers(prepared, record.findings)
    based = explain_unrequested_baseline(record, asked=requested)
    return record, prepared.policy, prepared.waivers, f"{unasked} {based}".strip()


def _ended(  # noqa: PLR0913, PLR0917 -- what was decided, by what, and what is made of it
    console: Console,
    record: AuditRecord,
    policy: Policy,
    waivers: tuple[SignedWaiver, ...],
    unasked: str,
    folder: Path,
    fail_on: FailureThreshold | None,
    *,
    as_json: bool,
) -> tuple[int, CiOutput]:
    read = RecordFolder(folder)
    inputs = ReportInputs(
        record=record, policy=policy, checks=discover_checks(), blob=read.evidence
    )
    if not as_json:
        show_record(console, inputs)
        show_waivers(console, record, waivers)
        show_report(console, folder)
    code = choose_audit_exit(fail_on, record, policy.mode)
    words = explain_audit_exit(fail_on, record, policy.mode, code)
    if unasked and code is ExitCode.DONE and fail_on is not FailureThreshold.NEVER:
        code = exit_for_verdict(Verdict.FAIL, policy.mode)
    words = f"{words} {unasked}".strip()
    if as_json:
        said = describe_record("audit", record, policy, folder, exit_code=code, note=words)
        print_json(said)
    else:
        show_notice(console, words)
        show_closing(console, "Audited", record)
    # What a CI system is told of an audit: its summary begins with an odd exit code. The baseline
    # that it rests on is told to later steps where whoever asked named it.
    outputs = {"verdict": record.verdict.value, "record": record.digest, "folder": str(folder)}
    outputs["report"] = str(folder / "report.html")
    if list_rules_kept_by_baseline(record.findings) and not unasked:
        outputs["baseline"] = str(record.request.baseline)
    page = read.read("summary.md").decode("utf-8", errors="replace")
    told = CiOutput(build_annotations(inputs), f"{words}\n\n{page}" if words else page, outputs)
    if unasked:
        told = replace(told, outputs={**told.outputs, "verdict": Verdict.FAIL.value})
    return code, told


def _beside(audit_file: Path) -> Path:
    """Return the folder of an audit file's report: no two files of one folder share it."""
    name = audit_file.stem.removeprefix("audit").strip("-_. ")
    return audit_file.parent / (f"report-{name}" if name else "report")
