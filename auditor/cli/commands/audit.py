"""Audit a model as an audit file says, and write the signed report."""

from dataclasses import replace
from pathlib import Path
from secrets import token_bytes
from typing import Any

import click
from rich.console import Console

from auditor.checks.registry import discover_checks
from auditor.cli.baseline_options import (
    baseline_options,
    explain_unrequested_baseline,
    is_baseline_requested,
    load_audit_baseline,
)
from auditor.cli.ci import (
    CiOutput,
    CiSystem,
    FailureThreshold,
    choose_audit_exit,
    ci_option,
    detect_ci,
    explain_audit_exit,
    fail_on_option,
    report_to_ci,
)
from auditor.cli.client_options import (
    client_options,
    parse_client_options,
    refuse_unsupported_options,
)
from auditor.cli.console import (
    ConsoleProgress,
    show_binding_conflicts,
    show_new_keys,
    show_notice,
    show_record,
    show_report,
)
from auditor.cli.decision_options import (
    explain_unrequested_waivers,
    show_note,
    show_waivers,
    waiver_options,
)
from auditor.cli.main import ExitCode, exit_for_verdict
from auditor.cli.output_folder import ReportOutput, prepare_printer, write_record_folder
from auditor.cli.remote_audit import run_remote_audit
from auditor.cli.target_options import target_code_option, unsandboxed_option
from auditor.cli.terminal import create_console
from auditor.cli.workspace import open_own_workspace, parse_policy_option
from auditor.domain.auditfiles import AuditFile
from auditor.domain.baselines import list_rules_kept_by_baseline
from auditor.domain.budgets import Budget
from auditor.domain.findings import Verdict
from auditor.domain.policies import Policy
from auditor.domain.records import AuditRecord
from auditor.domain.waivers import SignedWaiver
from auditor.errors import AuditFileError
from auditor.inputs.resolve import locate_setting
from auditor.reports.folder import BUNDLE, RecordFolder, refuse_foreign_files
from auditor.reports.formats.github import build_annotations
from auditor.reports.inputs import ReportInputs
from auditor.reports.publish import RecordFiles, build_opening_files, build_report_files
from auditor.targets.config import OperatorTargets, load_operator_targets
from auditor.trust.disclosure import KEY, CommittedBlob, DisclosureKey
from auditor.workflows.audit import run_audit
from auditor.workflows.ledger import append_record_with_proof
from auditor.workflows.prepare import (
    AuditOverrides,
    PreparedAudit,
    Resolvers,
    conceal_rows,
    prepare_audit,
    read_overridden_audit_file,
)
from auditor.workflows.wiring import (
    build_path_resolver,
    build_resolvers,
    locate_sources,
    read_audit_bytes,
)
from auditor.workflows.workspace import Workspace


@click.command("audit")
@click.argument("audit_file", type=click.Path(path_type=Path))
@click.option(
    "--policy",
    help="Instead of the audit file's: a pack's name, or a policy file, from the working folder or "
    "else from the audit file's.",
)
@click.option("--target", "targets", multiple=True, help="Only this target; repeats.")
@click.option("--budget", type=click.Choice([item.value for item in Budget]))
@click.option("--only", multiple=True, metavar="CHECK", help="Only this check; repeats.")
@waiver_options
@baseline_options(newest=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder to write; default: report (of NAME.yaml: report-NAME) beside AUDIT_FILE.",
)
@target_code_option
@unsandboxed_option
@click.option("--pdf", is_flag=True, help="Also write report.pdf, by a browser installed here.")
@client_options
@fail_on_option
@ci_option
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
    **leave: Any,  # noqa: ANN401 -- click's
) -> int:
    """Audit a model as AUDIT_FILE says, and write the signed report.

    Exit code: 0 pass, 1 fail, 3 inconclusive, 2 for input that cannot be used; always 0 after a
    verdict when the policy's mode is observe or warn. --fail-on makes that stricter or laxer, and
    what is laxer says so. With --server a service audits on its own targets and signs, everything
    else is the same, and 4 also says that it cannot be reached; AUDITOR_API_KEY holds the key.
    """
    drawn = {"sealed": leave.pop("sealed"), "sets": leave.pop("sealed_sets")}
    there = parse_client_options(server, wait_for_target, attach, **drawn)
    folder, console = out or _beside(audit_file), create_console()
    named, effort = (
        parse_policy_option(policy, audit_file),
        None if budget is None else Budget(budget),
    )
    overrides = AuditOverrides(policy=named, targets=targets, budget=effort, only=only, **leave)
    with report_to_ci(detect_ci(ci)) as tell:
        refuse_foreign_files(folder)
        if there is not None:
            refuse_unsupported_options(
                there, overrides, pdf=pdf, allow_target_code=allow_target_code
            )
            record, judged = run_remote_audit(console, there, audit_file, overrides, folder)
            asked = overrides.baseline is not None
            done: Done = record, judged, (), explain_unrequested_baseline(record, asked=asked)
        else:
            operator = load_operator_targets(audit_file, allow_code=allow_target_code)
            done = _here(console, audit_file, overrides, folder, operator, pdf=pdf)
        if detect_ci(ci) is CiSystem.NONE:
            done = *done[:3], ""
        code, told = _ended(console, *done, folder, fail_on)
        tell(told)
    return code


Done = tuple[AuditRecord, Policy, tuple[SignedWaiver, ...], str]
"""A record, its policy and waivers, and why in CI what it rests on does not count."""


def _here(  # noqa: PLR0913 -- what is audited, where, and with whose leave
    console: Console,
    audit_file: Path,
    overrides: AuditOverrides,
    folder: Path,
    operator: OperatorTargets,
    *,
    pdf: bool,
) -> Done:
    """Audit on this machine."""
    paper = prepare_printer(console) if pdf else None
    with open_own_workspace() as place:
        show_new_keys(console, place.made_keys)
        parts = build_resolvers(audit_file.parent, operator)
        record, prepared = _run(
            console, place, audit_file, overrides, parts, ReportOutput(folder, paper)
        )
        own = place.signer.public_pem()
    asked = is_baseline_requested(prepared.file, build_path_resolver(audit_file), overrides, own)
    unasked = explain_unrequested_waivers(prepared, record.findings, overrides.waiver_keys)
    based = explain_unrequested_baseline(record, asked=asked)
    return record, prepared.policy, prepared.waivers, f"{unasked} {based}".strip()


def _ended(  # noqa: PLR0913, PLR0917 -- what was decided, by what, and what is made of it
    console: Console,
    record: AuditRecord,
    policy: Policy,
    waivers: tuple[SignedWaiver, ...],
    unasked: str,
    folder: Path,
    fail_on: FailureThreshold | None,
) -> tuple[int, CiOutput]:
    show_record(console, record, policy, discover_checks())
    show_waivers(console, record, waivers)
    show_report(console, folder)
    code = choose_audit_exit(fail_on, record, policy.mode)
    words = explain_audit_exit(fail_on, record, policy.mode, code)
    if unasked and code is ExitCode.DONE and fail_on is not FailureThreshold.NEVER:
        code = exit_for_verdict(Verdict.FAIL, policy.mode)
    words = f"{words} {unasked}".strip()
    show_notice(console, words)
    told = _told(record, policy, folder, words, unasked)
    if unasked:
        told = replace(told, outputs={**told.outputs, "verdict": Verdict.FAIL.value})
    return code, told


def _told(record: AuditRecord, policy: Policy, folder: Path, words: str, unasked: str) -> CiOutput:
    """Return what a CI system is told of an audit: its summary begins with an odd exit code.

    The baseline that it rests on is told to later steps where whoever asked named it.
    """
    read = RecordFolder(folder)
    inputs = ReportInputs(
        record=record, policy=policy, checks=discover_checks(), blob=read.evidence
    )
    outputs = {"verdict": record.verdict.value, "record": record.digest, "folder": str(folder)}
    outputs["report"] = str(folder / "report.html")
    if list_rules_kept_by_baseline(record.findings) and not unasked:
        outputs["baseline"] = str(record.request.baseline)
    page = read.read("summary.md").decode("utf-8", errors="replace")
    return CiOutput(build_annotations(inputs), f"{words}\n\n{page}" if words else page, outputs)


def _beside(audit_file: Path) -> Path:
    """Return the folder of an audit file's report: no two files of one folder share it."""
    name = audit_file.stem.removeprefix("audit").strip("-_. ")
    return audit_file.parent / (f"report-{name}" if name else "report")


def _run(  # noqa: PLR0913, PLR0917 -- what is audited, by what, and where it goes
    console: Console,
    place: Workspace,
    audit_file: Path,
    overrides: AuditOverrides,
    parts: Resolvers,
    out: ReportOutput,
) -> tuple[AuditRecord, PreparedAudit]:
    locate = build_path_resolver(audit_file)
    asked = read_overridden_audit_file(
        read_audit_bytes(audit_file), audit_file.name, overrides, parts
    )
    _refuse_unsandboxed(asked, overrides)
    compared = load_audit_baseline(console, place, asked, locate, overrides)
    with prepare_audit(asked, locate, overrides, parts) as given:
        informed = place.informed(given).against(compared)
        prepared = replace(informed, places=locate_sources(audit_file, asked))
        place.keep_inputs(prepared, locate)
        ready, secret = _ready(prepared)
        _begin(console, place, prepared)
        count = len(prepared.checks) * len(prepared.request.targets)
        with place.unfinished(prepared.request) as memory:
            noted: list[CommittedBlob] = []
            around = place.surroundings(note=noted.append)
            with ConsoleProgress(console, count) as watch:
                record = run_audit(ready, around, watch, memory)
            blob = place.store.blobs.get
            if secret is not None:
                # Kept before anything else can go wrong: it alone knows what is to be erased.
                named = {item.commitment.digest: item.plain for item in noted}
                secret = replace(secret, blobs=named)
                place.settings.secrets.put(record.digest, secret)
            whole = record, prepared.policy, parts.checks, blob
            files = build_report_files(*whole, place.signer, out.printed(*whole))
            if secret is not None:
                files |= build_opening_files(secret, blob)
            _write(console, place, record, files, out.folder)
    return record, prepared


def _refuse_unsandboxed(asked: AuditFile, overrides: AuditOverrides) -> None:
    """Refuse a recipe that may leave the sandbox by the word of the audit file alone."""
    if asked.recipe is not None and asked.recipe.unsandboxed and not overrides.unsandboxed:
        raise AuditFileError(
            f"{locate_setting(asked, 'recipe', 'allow')} lets code run outside of bubblewrap, and "
            "an audit file cannot give that leave alone",
            cure="Read the code and add --allow-unsandboxed, or write `allow: true`.",
        )


def _begin(console: Console, place: Workspace, prepared: PreparedAudit) -> None:
    """Put down what is judged by, and say what is audited, and what is odd about it."""
    odd = place.note(prepared.policy, prepared.waivers)
    name = f"{prepared.file.model.name} {prepared.file.model.version}"
    console.print(f"Auditing {name}", highlight=False, markup=False)
    show_binding_conflicts(console, prepared.materials.signature.bindings)
    show_note(console, odd)


def _ready(prepared: PreparedAudit) -> tuple[PreparedAudit, DisclosureKey | None]:
    """Give the record a key of its own, where rows of its evidence are to be withheld."""
    if prepared.file.disclosure is None:
        return prepared, None
    return conceal_rows(prepared, token_bytes(KEY))


def _write(
    console: Console,
    place: Workspace,
    record: AuditRecord,
    files: RecordFiles,
    folder: Path,
) -> None:
    # Kept and entered first: nothing is published that the store or the ledger could forget.
    kept = append_record_with_proof(place.store, record, files[BUNDLE])
    write_record_folder(console, folder, files | kept, place.store)
