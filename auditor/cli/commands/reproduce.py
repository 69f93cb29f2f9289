"""Run a record's request again, and compare what is measured."""

from functools import partial
from pathlib import Path

import click

from auditor.accepting import as_recorded
from auditor.audits import Surroundings, perform
from auditor.cli.exits import Exit
from auditor.cli.places import own_workplace
from auditor.cli.showing import show_made, show_steps
from auditor.cli.target_options import target_code_option
from auditor.cli.terminals import terminal
from auditor.cli.watching import ConsoleWatch
from auditor.deciding import waivers_of
from auditor.disclosing.secrets import Secret, reveal
from auditor.domain.baselines import compared_of
from auditor.domain.evidence import Blob
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditRequest
from auditor.domain.steps import Step, StepResult, all_hold
from auditor.errors import RecordError
from auditor.folders import RecordFolder
from auditor.laying import lay_out
from auditor.preparing import Prepared, concealed, prepare, read_asked
from auditor.reproducing import compare, overrides_of, require_leave_to_train
from auditor.scratch import scratch_folder
from auditor.targetfiles import OperatorTargets, operator_targets, require_leave
from auditor.targets.recipes import sandboxed
from auditor.unsealing import secret_of
from auditor.verifiers import own_verifier
from auditor.verifying import verify_folder
from auditor.wiring import fetch_from, readers_of
from auditor.workplaces import Workplace


@click.command("reproduce")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--inputs",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A folder in which the inputs lie, found by digest; default: AUDITOR_HOME.",
)
@click.option(
    "--allow-recipe",
    is_flag=True,
    help="Run the code that the record's audit file trains by; that needs bubblewrap.",
)
@target_code_option
def command(
    folder: Path, inputs: Path | None, *, allow_recipe: bool, allow_target_code: bool
) -> int:
    """Run the request of the record in FOLDER again, and compare the readings.

    What hangs on the machine (times, memory) is listed, and not compared. Rows go to an endpoint
    only where ./targets.yaml declares one with the same address. Exit code: 0 when all that can be
    compared agrees, 1 when something does not, or nothing can be compared.
    """
    console = terminal()
    old = RecordFolder(folder)
    record = old.record
    operator = operator_targets(folder, allow_code=allow_target_code)
    leave = partial(_require_leave, operator=operator, allow_recipe=allow_recipe)
    leave(record.request)
    secret = _key(old, record)
    sound = verify_folder(old, own_verifier(old))
    with own_workplace() as place, scratch_folder() as scratch:
        show_made(console, place.made_keys)
        fetch = fetch_from(place.store.blobs, inputs)
        laid = lay_out(_inputs(record, secret).inputs, fetch, scratch)
        parts = readers_of(record, old)
        overrides = overrides_of(record, waivers_of(old, record))
        asked = read_asked(fetch(record.request.audit_file), "audit file", overrides, parts)
        with prepare(asked, laid.locate, overrides, parts) as given:
            leave(given.request)  # the file may name other targets and code than the record says
            recorded = as_recorded(given, record, old)
            prepared = recorded.against(compared_of(record.request, old.evidence))
            count = len(prepared.checks) * len(prepared.request.targets)
            with ConsoleWatch(console, count) as watch:
                fresh = perform(*_as_sealed(prepared, place, secret), watch)
    broken = [f"{step.name}: {step.detail}" for step in sound if step.result is StepResult.FAILED]
    steps = (
        Step.of("record", broken, "verifies under its own signer.pub"),
        *compare(record, fresh, prepared.checks),
    )
    show_steps(console, steps)
    return Exit.DONE if all_hold(steps) else Exit.FAILED


def _require_leave(request: AuditRequest, operator: OperatorTargets, *, allow_recipe: bool) -> None:
    """Refuse what would run code or send rows by a word of whoever made the record."""
    require_leave(request, operator)
    require_leave_to_train(request, given=allow_recipe, sandboxed=sandboxed())


def _key(folder: RecordFolder, record: AuditRecord) -> Secret | None:
    """Return the key of a record that has one. Raises ``RecordError`` where it is withheld."""
    if record.request.disclosure is None:
        return None
    secret = secret_of(folder, record)
    if secret is None:
        raise RecordError(
            f"{folder.path} withholds the key under which the record names its data, so that "
            "nobody can tell whether other data are the same",
            cure="Reproduce the folder that has `disclosure.key`.",
        )
    return secret


def _inputs(record: AuditRecord, secret: Secret | None) -> AuditRequest:
    """Return the record's request with the digests by which its inputs can be found."""
    return record.request if secret is None else reveal(record.request, secret)


def _as_sealed(
    prepared: Prepared, place: Workplace, secret: Secret | None
) -> tuple[Prepared, Surroundings]:
    """Return the audit as it was sealed, and what it needs.

    Rows that may be erased one day are kept once, and not again by every repetition.
    """
    if secret is None:
        return prepared, place.surroundings()
    return concealed(prepared, secret.key)[0], place.surroundings(_leave)


def _leave(_blob: Blob) -> None:
    """Keep nothing."""
