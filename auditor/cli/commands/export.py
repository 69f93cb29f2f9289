"""Pack a record into one ZIP that anyone can verify, offline and without auditor."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import click

from auditor.approving import approval_files
from auditor.cli.exits import Exit
from auditor.cli.places import own_workplace
from auditor.contested import challenge_files
from auditor.domain.policies import Assurance
from auditor.domain.records import AuditRecord
from auditor.errors import UsageError
from auditor.exporting import folder_files, stored_files
from auditor.folders import LEDGER, SIGNER, RecordFolder
from auditor.keeping import ledger_files, store_if_kept
from auditor.packing import pack
from auditor.publishing import publication
from auditor.rendering.guide import GUIDE
from auditor.settings import Settings
from auditor.signing.keys import PUBLIC, parse_public_key
from auditor.store.store import Store
from auditor.verifiers import verifier


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
    raw = pack(files)
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
    return Exit.DONE


def _in_folder(path: Path) -> Mapping[str, bytes]:
    folder = RecordFolder(path)
    key = parse_public_key(folder.read(SIGNER), str(path / SIGNER)).pem
    ledger = path / LEDGER if folder.has(LEDGER) else None
    files = folder_files(folder, verifier(key, ledger, highest=max(Assurance)))
    with store_if_kept(Settings.from_environment().place) as store:
        kept = {} if store is None else _told_here(folder.record, store)
    return {**kept, **files}


def _told_here(record: AuditRecord, store: Store) -> Mapping[str, bytes]:
    """Return what the store holds that others said of a record: without it a gate would open."""
    return {**challenge_files(record, store), **approval_files(record, store)}


def _in_store(record_id: str) -> Mapping[str, bytes]:
    with own_workplace() as place:
        with place.store.unit_of_work() as work:
            stored = work.find_record(record_id)
        if stored is None:
            raise UsageError(
                f"{record_id[:80]!r} is neither a folder nor the id of a record in the store",
                cure="`auditor ledger show` lists the ids of records.",
            )
        parts, blob = verifier(place.settings.home / PUBLIC), place.store.blobs.get
        found = stored.read()
        asked = found.request.policy
        policy = parts.load_policy(blob(asked.digest), f"the policy {asked.name}")
        publish = partial(publication, checks=parts.checks, blob=blob, signer=place.signer)
        return {
            **stored_files(stored, publish, policy),
            **ledger_files(place.store, record_id),
            **_told_here(found, place.store),
        }
