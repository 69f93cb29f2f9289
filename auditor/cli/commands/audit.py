"""Audit a model as an audit file says, and write the signed report."""

from dataclasses import replace
from pathlib import Path
from secrets import token_bytes
from typing import Any

import click
from rich.console import Console

from auditor.audits import perform
from auditor.checks.discovery import discover
from auditor.cli.ci import Ci, Told, ci_of, ci_option, speaking
from auditor.cli.comparing import baseline_options, is_asked, rests_unasked, taken_for
from auditor.cli.exits import Exit, exit_for
from auditor.cli.failing import FailOn, audit_exit, audit_words, fail_on_option
from auditor.cli.papers import Out, ready_to_print
from auditor.cli.places import own_workplace, policy_asked
from auditor.cli.replaced import write_record
from auditor.cli.served import audit_there
from auditor.cli.showing import show_bindings, show_made, show_record, show_report, show_words
from auditor.cli.target_options import target_code_option, unsandboxed_option
from auditor.cli.terminals import terminal
from auditor.cli.there import refuse_unasked, service_options, there_of
from auditor.cli.waiving import show_note, show_waivers, waived_unasked, waiver_options
from auditor.cli.watching import ConsoleWatch
from auditor.disclosing.commitments import KEY
from auditor.disclosing.sealing import Sealed
from auditor.disclosing.secrets import Secret
from auditor.domain.auditfiles import AuditFile
from auditor.domain.baselines import resting
from auditor.domain.budgets import Budget
from auditor.domain.policies import Policy
from auditor.domain.records import AuditRecord
from auditor.domain.verdicts import Verdict
from auditor.domain.waivers import SignedWaiver
from auditor.errors import AuditFileError
from auditor.folders import BUNDLE, RecordFolder, refuse_strangers
from auditor.keeping import entered
from auditor.pointing import setting
from auditor.preparing import Overrides, Prepared, Readers, concealed, prepare, read_asked
from auditor.publishing import Files, openers, publication
from auditor.rendering.annotations import annotations
from auditor.rendering.inputs import RenderedInputs
from auditor.targetfiles import OperatorTargets, operator_targets
from auditor.wiring import beside, read_audit_bytes, readers, written_at
from auditor.workplaces import Workplace


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
@service_options
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
    fail_on: FailOn | None,
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
    there = there_of(server, wait_for_target, attach, **drawn)
    folder, console = out or _beside(audit_file), terminal()
    named, effort = policy_asked(policy, audit_file), None if budget is None else Budget(budget)
    overrides = Overrides(policy=named, targets=targets, budget=effort, only=only, **leave)
    with speaking(ci_of(ci)) as tell:
        refuse_strangers(folder)
        if there is not None:
            refuse_unasked(there, overrides, pdf=pdf, allow_target_code=allow_target_code)
            record, judged = audit_there(console, there, audit_file, overrides, folder)
            asked = overrides.baseline is not None
            done: Done = record, judged, (), rests_unasked(record, asked=asked)
        else:
            operator = operator_targets(audit_file, allow_code=allow_target_code)
            done = _here(console, audit_file, overrides, folder, operator, pdf=pdf)
        if ci_of(ci) is Ci.NONE:
            done = *done[:3], ""
        code, told = _ended(console, *done, folder, fail_on)
        tell(told)
    return code


Done = tuple[AuditRecord, Policy, tuple[SignedWaiver, ...], str]
"""A record, its policy and waivers, and why in CI what it rests on does not count."""


def _here(  # noqa: PLR0913 -- what is audited, where, and with whose leave
    console: Console,
    audit_file: Path,
    overrides: Overrides,
    folder: Path,
    operator: OperatorTargets,
    *,
    pdf: bool,
) -> Done:
    """Audit on this machine."""
    paper = ready_to_print(console) if pdf else None
    with own_workplace() as place:
        show_made(console, place.made_keys)
        parts = readers(audit_file.parent, operator)
        record, prepared = _run(console, place, audit_file, overrides, parts, Out(folder, paper))
        own = place.signer.public_pem()
    asked = is_asked(prepared.file, beside(audit_file), overrides, own)
    unasked = waived_unasked(prepared, record.findings, overrides.waiver_keys)
    based = rests_unasked(record, asked=asked)
    return record, prepared.policy, prepared.waivers, f"{unasked} {based}".strip()


def _ended(  # noqa: PLR0913, PLR0917 -- what was decided, by what, and what is made of it
    console: Console,
    record: AuditRecord,
    policy: Policy,
    waivers: tuple[SignedWaiver, ...],
    unasked: str,
    folder: Path,
    fail_on: FailOn | None,
) -> tuple[int, Told]:
    show_record(console, record, policy, discover())
    show_waivers(console, record, waivers)
    show_report(console, folder)
    code = audit_exit(fail_on, record, policy.mode)
    words = audit_words(fail_on, record, policy.mode, code)
    if unasked and code is Exit.DONE and fail_on is not FailOn.NEVER:
        code = exit_for(Verdict.FAIL, policy.mode)
    words = f"{words} {unasked}".strip()
    show_words(console, words)
    told = _told(record, policy, folder, words, unasked)
    if unasked:
        told = replace(told, outputs={**told.outputs, "verdict": Verdict.FAIL.value})
    return code, told


def _told(record: AuditRecord, policy: Policy, folder: Path, words: str, unasked: str) -> Told:
    """Return what a CI system is told of an audit: its summary begins with an odd exit code.

    The baseline that it rests on is told to later steps where whoever asked named it.
    """
    read = RecordFolder(folder)
    inputs = RenderedInputs(record=record, policy=policy, checks=discover(), blob=read.evidence)
    outputs = {"verdict": record.verdict.value, "record": record.digest, "folder": str(folder)}
    outputs["report"] = str(folder / "report.html")
    if resting(record.findings) and not unasked:
        outputs["baseline"] = str(record.request.baseline)
    page = read.read("summary.md").decode("utf-8", errors="replace")
    return Told(annotations(inputs), f"{words}\n\n{page}" if words else page, outputs)


def _beside(audit_file: Path) -> Path:
    """Return the folder of an audit file's report: no two files of one folder share it."""
    name = audit_file.stem.removeprefix("audit").strip("-_. ")
    return audit_file.parent / (f"report-{name}" if name else "report")


def _run(  # noqa: PLR0913, PLR0917 -- what is audited, by what, and where it goes
    console: Console,
    place: Workplace,
    audit_file: Path,
    overrides: Overrides,
    parts: Readers,
    out: Out,
) -> tuple[AuditRecord, Prepared]:
    locate = beside(audit_file)
    asked = read_asked(read_audit_bytes(audit_file), audit_file.name, overrides, parts)
    _refuse_unsandboxed(asked, overrides)
    compared = taken_for(console, place, asked, locate, overrides)
    with prepare(asked, locate, overrides, parts) as given:
        informed = place.informed(given).against(compared)
        prepared = replace(informed, places=written_at(audit_file, asked))
        place.keep_inputs(prepared, locate)
        ready, secret = _ready(prepared)
        _begin(console, place, prepared)
        count = len(prepared.checks) * len(prepared.request.targets)
        with place.unfinished(prepared.request) as memory:
            noted: list[Sealed] = []
            around = place.surroundings(note=noted.append)
            with ConsoleWatch(console, count) as watch:
                record = perform(ready, around, watch, memory)
            blob = place.store.blobs.get
            if secret is not None:
                # Kept before anything else can go wrong: it alone knows what is to be erased.
                named = {item.commitment.digest: item.plain for item in noted}
                secret = replace(secret, blobs=named)
                place.settings.secrets.put(record.digest, secret)
            whole = record, prepared.policy, parts.checks, blob
            files = publication(*whole, place.signer, out.printed(*whole))
            if secret is not None:
                files |= openers(secret, blob)
            _write(console, place, record, files, out.folder)
    return record, prepared


def _refuse_unsandboxed(asked: AuditFile, overrides: Overrides) -> None:
    """Refuse a recipe that may leave the sandbox by the word of the audit file alone."""
    if asked.recipe is not None and asked.recipe.unsandboxed and not overrides.unsandboxed:
        raise AuditFileError(
            f"{setting(asked, 'recipe', 'allow')} lets code run outside of bubblewrap, and an "
            "audit file cannot give that leave alone",
            cure="Read the code and add --allow-unsandboxed, or write `allow: true`.",
        )


def _begin(console: Console, place: Workplace, prepared: Prepared) -> None:
    """Put down what is judged by, and say what is audited, and what is odd about it."""
    odd = place.note(prepared.policy, prepared.waivers)
    name = f"{prepared.file.model.name} {prepared.file.model.version}"
    console.print(f"Auditing {name}", highlight=False, markup=False)
    show_bindings(console, prepared.materials.signature.bindings)
    show_note(console, odd)


def _ready(prepared: Prepared) -> tuple[Prepared, Secret | None]:
    """Give the record a key of its own, where rows of its evidence are to be withheld."""
    if prepared.file.disclosure is None:
        return prepared, None
    return concealed(prepared, token_bytes(KEY))


def _write(
    console: Console,
    place: Workplace,
    record: AuditRecord,
    files: Files,
    folder: Path,
) -> None:
    # Kept and entered first: nothing is published that the store or the ledger could forget.
    kept = entered(place.store, record, files[BUNDLE])
    write_record(console, folder, files | kept, place.store)
