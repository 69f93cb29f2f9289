"""Run a record's request again, and compare what is measured."""

from functools import partial
from pathlib import Path

import click

from auditor._scratch import scratch_folder
from auditor.cli.console import ConsoleProgress, show_new_keys, show_steps
from auditor.cli.main import ExitCode
from auditor.cli.target_options import target_code_option
from auditor.cli.terminal import create_console
from auditor.cli.workspace import open_own_workspace
from auditor.domain.baselines import load_compared_record
from auditor.domain.evidence import Blob
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditRequest
from auditor.domain.verification_steps import StepResult, VerificationStep, all_hold
from auditor.errors import RecordError
from auditor.inputs.materialize import materialize_inputs
from auditor.reports.folder import RecordFolder
from auditor.targets.config import (
    OperatorTargets,
    load_operator_targets,
    require_operator_permission,
)
from auditor.targets.recipe import is_sandbox_available
from auditor.trust.disclosure import DisclosureKey, reveal_inputs
from auditor.workflows.audit import AuditEnvironment, run_audit
from auditor.workflows.decisions import read_record_waivers
from auditor.workflows.evidence import read_record_secret
from auditor.workflows.prepare import (
    PreparedAudit,
    conceal_rows,
    prepare_audit,
    read_overridden_audit_file,
)
from auditor.workflows.reproduce import (
    build_reproduction_overrides,
    check_reproduction,
    require_training_permission,
)
from auditor.workflows.trust_acceptance import restore_recorded_trust
from auditor.workflows.verify.folder import verify_folder
from auditor.workflows.verify.verifiers import build_own_verifier
from auditor.workflows.wiring import build_input_finder, build_record_resolvers
from auditor.workflows.workspace import Workspace


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
    console = create_console()
    old = RecordFolder(folder)
    record = old.record
    operator = load_operator_targets(folder, allow_code=allow_target_code)
    leave = partial(_require_leave, operator=operator, allow_recipe=allow_recipe)
    leave(record.request)
    secret = _key(old, record)
    sound = verify_folder(old, build_own_verifier(old))
    with open_own_workspace() as place, scratch_folder() as scratch:
        show_new_keys(console, place.made_keys)
        fetch = build_input_finder(place.store.blobs, inputs)
        laid = materialize_inputs(_inputs(record, secret).inputs, fetch, scratch)
        parts = build_record_resolvers(record, old)
        overrides = build_reproduction_overrides(record, read_record_waivers(old, record))
        asked = read_overridden_audit_file(
            fetch(record.request.audit_file), "audit file", overrides, parts
        )
        with prepare_audit(asked, laid.locate, overrides, parts) as given:
            leave(given.request)  # the file may name other targets and code than the record says
            recorded = restore_recorded_trust(given, record, old)
            prepared = recorded.against(load_compared_record(record.request, old.evidence))
            count = len(prepared.checks) * len(prepared.request.targets)
            with ConsoleProgress(console, count) as watch:
                fresh = run_audit(*_as_sealed(prepared, place, secret), watch)
    broken = [f"{step.name}: {step.detail}" for step in sound if step.result is StepResult.FAILED]
    steps = (
        VerificationStep.of("record", broken, "verifies under its own signer.pub"),
        *check_reproduction(record, fresh, prepared.checks),
    )
    show_steps(console, steps)
    return ExitCode.DONE if all_hold(steps) else ExitCode.FAILED


def _require_leave(request: AuditRequest, operator: OperatorTargets, *, allow_recipe: bool) -> None:
    """Refuse what would run code or send rows by a word of whoever made the record."""
    require_operator_permission(request, operator)
    require_training_permission(request, given=allow_recipe, sandboxed=is_sandbox_available())


def _key(folder: RecordFolder, record: AuditRecord) -> DisclosureKey | None:
    """Return the key of a record that has one. Raises ``RecordError`` where it is withheld."""
    if record.request.disclosure is None:
        return None
    secret = read_record_secret(folder, record)
    if secret is None:
        raise RecordError(
            f"{folder.path} withholds the key under which the record names its data, so that "
            "nobody can tell whether other data are the same",
            cure="Reproduce the folder that has `disclosure.key`.",
        )
    return secret


def _inputs(record: AuditRecord, secret: DisclosureKey | None) -> AuditRequest:
    """Return the record's request with the digests by which its inputs can be found."""
    return record.request if secret is None else reveal_inputs(record.request, secret)


def _as_sealed(
    prepared: PreparedAudit, place: Workspace, secret: DisclosureKey | None
) -> tuple[PreparedAudit, AuditEnvironment]:
    """Return the audit as it was sealed, and what it needs.

    Rows that may be erased one day are kept once, and not again by every repetition.
    """
    if secret is None:
        return prepared, place.surroundings()
    return conceal_rows(prepared, secret.key)[0], place.surroundings(_leave)


def _leave(_blob: Blob) -> None:
    """Keep nothing."""
