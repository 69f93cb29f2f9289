"""Pack a record into one ZIP that anyone can verify, offline and without auditor."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import click

from auditor.cli.input_paths import StoredRecordName
from auditor.cli.main import ExitCode
from auditor.cli.workspace import open_own_workspace
from auditor.domain.number_text import format_counted
from auditor.domain.policies import AssuranceLevel, Policy
from auditor.domain.records import AuditRecord
from auditor.errors import UsageError
from auditor.reports.folder import LEDGER, SIGNER, RecordFolder
from auditor.reports.format_names import list_format_names
from auditor.reports.formats.bundle_zip import pack_bundle
from auditor.reports.formats.verification_guide import GUIDE
from auditor.reports.publish import build_rendering_inputs, build_report_files
from auditor.reports.report_formats import discover_formats
from auditor.store.record_store import RecordStore
from auditor.store.unit_of_work import StoredRecord
from auditor.trust.keys.files import PUBLIC, parse_public_key
from auditor.workflows.approvals import build_approval_files
from auditor.workflows.challenge_status import load_challenge_files
from auditor.workflows.evidence import load_record_policy
from auditor.workflows.export import load_stored_files, read_folder_files
from auditor.workflows.ledger import build_ledger_files, open_existing_store
from auditor.workflows.settings import AuditorSettings
from auditor.workflows.verify.folder import RecordVerifier
from auditor.workflows.verify.verifiers import build_own_verifier, build_verifier
from auditor.workflows.workspace import Workspace

ZIP = "zip"
"""The format that is all files of a record."""


@click.command("export")
@click.argument("record", type=StoredRecordName())
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Output file. It must not exist."
)
@click.option(
    "--format",
    "form",
    type=click.Choice([ZIP, *list_format_names()]),
    default=ZIP,
    show_default=True,
    help="zip packs all files of the record; the other formats render it.",
)
def command(record: str, out: Path, form: str) -> int:
    """Pack RECORD (a folder, or an ID in your store) into the ZIP file --out.

    The same files give the same bytes. Only a record that verifies under its own key is packed;
    readers decide whether they trust that key. VERIFY.md in the ZIP explains how to verify it.

    With --format, the record is rendered in that format instead. Such a file is not signed.
    """
    if form != ZIP:
        # A record in one format
        render_form = discover_formats()[form]
        if Path(record).is_dir():
            folder = RecordFolder(Path(record))
            parts = build_own_verifier(folder)
            policy = load_record_policy(folder, folder.record, parts.load_policy)
            inputs = build_rendering_inputs(folder.record, policy, parts.checks, folder.evidence)
            raw = render_form.render(inputs)
        else:
            with open_own_workspace() as place:
                stored, parts, policy = _find(place, record)
                blob = place.store.blobs.get
                raw = render_form.render(
                    build_rendering_inputs(stored.read(), policy, parts.checks, blob)
                )
        if raw is None:
            raise UsageError(
                f"format {render_form.name} does not apply to this record",
                cure="Choose another format with --format.",
            )
        told = f"Wrote the record as {form} into {out}"
    else:
        files = _in_folder(Path(record)) if Path(record).is_dir() else _in_store(record)
        raw = pack_bundle(files)
        said = f"; {GUIDE} inside explains how to verify it" if GUIDE in files else ""
        told = f"Packed {format_counted(len(files), 'file')} into {out}{said}"
    try:
        with out.open("xb") as file:
            file.write(raw)
    except FileExistsError:
        raise UsageError(f"{out} exists already", cure="Name a new file with --out.") from None
    except OSError as error:
        raise UsageError(
            f"{out} cannot be written: {error.strerror}", cure="Name another file with --out."
        ) from None
    click.echo(told)
    return ExitCode.DONE


def _in_folder(path: Path) -> Mapping[str, bytes]:
    folder = RecordFolder(path)
    key = parse_public_key(folder.read(SIGNER), str(path / SIGNER)).pem
    ledger = path / LEDGER if folder.has(LEDGER) else None
    files = read_folder_files(folder, build_verifier(key, ledger, highest=max(AssuranceLevel)))
    with open_existing_store(AuditorSettings.from_environment().place) as store:
        kept = {} if store is None else _told_here(folder.record, store)
    return {**kept, **files}


def _told_here(record: AuditRecord, store: RecordStore) -> Mapping[str, bytes]:
    """Return what the store holds that others said of a record: without it a gate would open."""
    return {**load_challenge_files(record, store), **build_approval_files(record, store)}


def _in_store(record_id: str) -> Mapping[str, bytes]:
    with open_own_workspace() as place:
        stored, parts, policy = _find(place, record_id)
        blob = place.store.blobs.get
        publish = partial(build_report_files, checks=parts.checks, blob=blob, signer=place.signer)
        return {
            **load_stored_files(stored, publish, policy),
            **build_ledger_files(place.store, record_id),
            **_told_here(stored.read(), place.store),
        }


def _find(place: Workspace, record_id: str) -> tuple[StoredRecord, RecordVerifier, Policy]:
    """Return a record of the store, what verifies it, and its policy. Raises ``UsageError``."""
    with place.store.unit_of_work() as work:
        stored = work.find_record(record_id)
    if stored is None:
        raise UsageError(
            f"{record_id[:80]!r} is neither a folder nor the ID of a record in the store",
            cure="List the IDs of records with `auditor ledger show`.",
        )
    parts = build_verifier(place.settings.home / PUBLIC)
    asked = stored.read().request.policy
    raw = place.store.blobs.get(asked.digest)
    return stored, parts, parts.load_policy(raw, f"the policy {asked.name}")
