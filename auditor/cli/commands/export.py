"""Pack a record into one ZIP that anyone can verify, offline and without auditor."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import click

from auditor.cli.main import ExitCode
from auditor.cli.workspace import open_own_workspace
from auditor.domain.policies import AssuranceLevel
from auditor.domain.records import AuditRecord
from auditor.errors import UsageError
from auditor.reports.folder import LEDGER, SIGNER, RecordFolder
from auditor.reports.formats.bundle_zip import pack_bundle
from auditor.reports.formats.verification_guide import GUIDE
from auditor.reports.publish import build_report_files
from auditor.store.record_store import RecordStore
from auditor.trust.keys.files import PUBLIC, parse_public_key
from auditor.workflows.approvals import build_approval_files
from auditor.workflows.challenge_status import load_challenge_files
from auditor.workflows.export import load_stored_files, read_folder_files
from auditor.workflows.ledger import build_ledger_files, open_existing_store
from auditor.workflows.settings import AuditorSettings
from auditor.workflows.verify.verifiers import build_verifier


@click.command("export")
@click.argument("record")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="The ZIP to write; new."
)
def command(record: str, out: Path) -> int:
    """Pack RECORD, a folder or the id of one in your store, into the ZIP --out.

    The same files give the same bytes. Only a record that verifies under its own key is packed;
    whether that key is to be trusted is for the reader to say. In the ZIP, VERIFY.md says how.
    """
    files = _in_folder(Path(record)) if Path(record).is_dir() else _in_store(record)
    raw = pack_bundle(files)
    try:
        with out.open("xb") as file:
            file.write(raw)
    except FileExistsError:
        raise UsageError(f"{out} exists already", cure="Name a new file with --out.") from None
    except OSError as error:
        raise UsageError(
            f"{out} cannot be written: {error.strerror}", cure="Name another file with --out."
        ) from None
    told = f"; {GUIDE} in it says how anyone can verify it" if GUIDE in files else ""
    click.echo(f"Packed {len(files)} files into {out}{told}")
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
        with place.store.unit_of_work() as work:
            stored = work.find_record(record_id)
        if stored is None:
            raise UsageError(
                f"{record_id[:80]!r} is neither a folder nor the id of a record in the store",
                cure="`auditor ledger show` lists the ids of records.",
            )
        parts, blob = build_verifier(place.settings.home / PUBLIC), place.store.blobs.get
        found = stored.read()
        asked = found.request.policy
        policy = parts.load_policy(blob(asked.digest), f"the policy {asked.name}")
        publish = partial(build_report_files, checks=parts.checks, blob=blob, signer=place.signer)
        return {
            **load_stored_files(stored, publish, policy),
            **build_ledger_files(place.store, record_id),
            **_told_here(found, place.store),
        }
