"""Run a record's request again, and compare what was measured."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from auditor._resources import scratch_folder
from auditor.domain.auditfiles import AuditFile
from auditor.domain.baselines import load_compared_record
from auditor.domain.evidence import Blob
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditRequest
from auditor.domain.verification_steps import StepResult, VerificationStep
from auditor.domain.waivers import SignedWaiver
from auditor.errors import RecordError
from auditor.inputs.materialize import materialize_inputs
from auditor.reports.folder import RecordFolder
from auditor.targets.config import (
    OperatorTargets,
    require_operator_permission,
)
from auditor.targets.training_recipe import is_sandbox_available
from auditor.trust.disclosure import DisclosureKey, reveal_inputs
from auditor.workflows.audit import run_audit
from auditor.workflows.evidence import read_record_secret, read_recorded_rows
from auditor.workflows.human_decisions import read_record_waivers
from auditor.workflows.prepare import (
    Resolvers,
    conceal_rows,
    prepare_audit,
    read_overridden_audit_file,
)
from auditor.workflows.progress import AuditProgress
from auditor.workflows.remaining_time import estimate_check_seconds
from auditor.workflows.reproduced_readings import Reproduction, check_reproduction
from auditor.workflows.trust_acceptance import restore_recorded_trust
from auditor.workflows.verify.folder import verify_folder
from auditor.workflows.verify.verifiers import build_own_verifier
from auditor.workflows.wiring import build_input_finder, build_record_resolvers
from auditor.workflows.workspace import Workspace


def require_training_permission(request: AuditRequest, *, given: bool, sandboxed: bool) -> None:
    """Refuse to run the code of a record's recipe unless the person who reproduces it allows it.

    The permission in the audit file was its author's, also to run code without a sandbox: here it
    is run ``sandboxed`` or not at all. Raises ``RecordError``.
    """
    recipe = request.recipe
    if recipe is None or not recipe.allowed or (given and sandboxed):
        return
    if given:
        raise RecordError(
            "the record's request trains by code, and without bubblewrap, which does not work "
            "here, that code could read every file that you can",
            cure="Install bubblewrap, or reproduce the record on a machine that has it.",
        )
    paths = [item.path for item in request.inputs if item.file.digest == recipe.digest]
    raise RecordError(
        f"the record's request trains by the code {', '.join(paths)} ({recipe.digest}), which "
        "would run on this machine",
        cure="Read it, and say --allow-recipe to run it in a sandbox of bubblewrap.",
    )


def read_recorded_audit_file(
    raw: bytes, request: AuditRequest, readers: Resolvers, waivers: tuple[SignedWaiver, ...] = ()
) -> AuditFile:
    """Return the audit file of a record's request, as it and ``waivers`` give that again."""
    return read_overridden_audit_file(
        raw,
        "audit file",
        readers,
        policy=request.policy.name,
        targets=tuple(target.name for target in request.targets),
        budget=request.budget,
        max_minutes=request.max_minutes,
        only=request.only,
        granted=waivers,
        turn=request.turn,
    )


def reproduce_record_folder(  # noqa: PLR0913 -- what is repeated, where, and with whose leave
    old: RecordFolder,
    place: Workspace,
    progress: AuditProgress,
    operator: OperatorTargets,
    *,
    inputs: Path | None = None,
    allow_recipe: bool = False,
) -> Reproduction:
    """Run a record's request again, and compare the figures step by step.

    Inputs are found by digest in the folder ``inputs``, else in the workspace's store. Raises
    ``RecordError`` where one is missing, ``TargetError`` and ``UsageError`` where the record names
    code or an endpoint without leave.
    """
    record = old.record
    leave = partial(_require_leave, operator=operator, allow_recipe=allow_recipe)
    leave(record.request)
    secret = _key(old, record)
    sound = verify_folder(old, build_own_verifier(old))
    with scratch_folder() as scratch:
        fetch = build_input_finder(place.store.blobs, inputs)
        laid = materialize_inputs(
            (record.request if secret is None else reveal_inputs(record.request, secret)).inputs,
            fetch,
            scratch,
        )
        parts = build_record_resolvers(record, old)
        waivers = read_record_waivers(old, record)
        raw = fetch(record.request.audit_file)
        asked = read_recorded_audit_file(raw, record.request, parts, waivers)
        with prepare_audit(asked, laid.locate, parts) as given:
            leave(given.request)  # the file may name other targets and code than the record says
            recorded = restore_recorded_trust(given, record, old)
            against = recorded.against(load_compared_record(record.request, old.evidence))
            prepared = replace(against, repeats=read_recorded_rows(old, record))
            progress.expects(estimate_check_seconds(prepared))
            with progress:
                # The audit as it was sealed, and what it needs. Rows that may be erased one day are
                # kept once, and not again by every repetition.
                if secret is None:
                    as_sealed = prepared, place.surroundings()
                else:
                    as_sealed = conceal_rows(prepared, secret.key)[0], place.surroundings(_leave)
                fresh = run_audit(*as_sealed, progress)
    broken = [f"{step.name}: {step.detail}" for step in sound if step.result is StepResult.FAILED]
    compared = check_reproduction(record, fresh, prepared.checks)
    verified = VerificationStep.of("record", broken, "verifies under its own signer.pub")
    return replace(compared, steps=(verified, *compared.steps))


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


def _leave(_blob: Blob) -> None:
    """Keep nothing."""
