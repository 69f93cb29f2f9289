"""Audit a model as an audit file says, and write the signed report."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from secrets import token_bytes

import click
from rich.console import Console

from auditor.audits import perform
from auditor.checks.discovery import discover
from auditor.cli.exits import exit_for
from auditor.cli.places import own_workplace
from auditor.cli.showing import show_bindings, show_made, show_record, show_report
from auditor.cli.watching import ConsoleWatch
from auditor.disclosing.commitments import KEY
from auditor.disclosing.sealing import Sealed
from auditor.disclosing.secrets import Secret
from auditor.domain.budgets import Budget
from auditor.domain.policies import Policy
from auditor.domain.records import AuditRecord
from auditor.folders import BUNDLE, RECORD, refuse_strangers, write_folder
from auditor.keeping import entered
from auditor.preparing import Overrides, Prepared, concealed, prepare, read_asked
from auditor.publishing import openers, publication
from auditor.wiring import beside, read_audit_bytes, readers
from auditor.workplaces import Workplace


@click.command("audit")
@click.argument("audit_file", type=click.Path(path_type=Path))
@click.option("--policy", help="A pack's name or a policy file, instead of the audit file's.")
@click.option("--target", "targets", multiple=True, help="Only this target; repeats.")
@click.option("--budget", type=click.Choice([item.value for item in Budget]))
@click.option("--only", multiple=True, metavar="CHECK", help="Only this check; repeats.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder to write; default: report (of NAME.yaml: report-NAME) beside AUDIT_FILE.",
)
def command(  # noqa: PLR0913, PLR0917 -- one argument an option
    audit_file: Path,
    policy: str | None,
    targets: tuple[str, ...],
    budget: str | None,
    only: tuple[str, ...],
    out: Path | None,
) -> int:
    """Audit a model as AUDIT_FILE says, and write the signed report.

    Exit code: 0 pass, 1 fail, 3 inconclusive, 2 for input that cannot be used; always 0 after a
    verdict when the policy's mode is observe or warn.
    """
    refuse_strangers(folder := out or _beside(audit_file))
    asked_budget = None if budget is None else Budget(budget)
    overrides = Overrides(policy=policy, targets=targets, budget=asked_budget, only=only)
    console = Console()
    with own_workplace() as place:
        show_made(console, place.made_keys)
        record, chosen = _run(console, place, audit_file, overrides, folder)
    show_record(console, record, chosen, discover())
    show_report(console, folder)
    return exit_for(record.verdict, chosen.mode)


def _beside(audit_file: Path) -> Path:
    """Return the folder of an audit file's report: no two files of one folder share it."""
    name = audit_file.stem.removeprefix("audit").strip("-_. ")
    return audit_file.parent / (f"report-{name}" if name else "report")


def _run(
    console: Console, place: Workplace, audit_file: Path, overrides: Overrides, folder: Path
) -> tuple[AuditRecord, Policy]:
    parts = readers(audit_file.parent)
    locate = beside(audit_file)
    asked = read_asked(read_audit_bytes(audit_file), audit_file.name, overrides, parts)
    with prepare(asked, locate, overrides, parts) as given:
        prepared = place.informed(given)
        place.keep_inputs(prepared, locate)
        ready, secret = _ready(prepared)
        name = f"{asked.model.name} {asked.model.version}"
        console.print(f"Auditing {name}", highlight=False, markup=False)
        show_bindings(console, prepared.materials.signature.bindings)
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
            files = publication(record, prepared.policy, parts.checks, blob, place.signer)
            if secret is not None:
                files |= openers(secret, blob)
            _write(console, place, record, files, folder)
    return record, prepared.policy


def _ready(prepared: Prepared) -> tuple[Prepared, Secret | None]:
    """Give the record a key of its own, where rows of its evidence are to be withheld."""
    if prepared.file.disclosure is None:
        return prepared, None
    return concealed(prepared, token_bytes(KEY))


def _write(
    console: Console,
    place: Workplace,
    record: AuditRecord,
    files: Mapping[str, bytes],
    folder: Path,
) -> None:
    if (folder / RECORD).exists():
        console.print(f"Replacing the earlier record in {folder}", highlight=False, markup=False)
    # Kept and entered first: nothing is published that the store or the ledger could forget.
    kept = entered(place.store, record, files[BUNDLE])
    write_folder(folder, {**files, **kept})
