"""Judge a record's stored evidence by another policy; runs no model."""

from pathlib import Path

import click
from rich.console import Console

from auditor.cli.exits import exit_for
from auditor.cli.places import own_workplace
from auditor.cli.showing import show_made, show_record, show_report
from auditor.contested import challenges_against, refuse_contested
from auditor.disclosing.secrets import Secret
from auditor.domain.canonical import canonical
from auditor.domain.record_json import read_record
from auditor.folders import BUNDLE, KEY, RECORD, RecordFolder, refuse_strangers, write_folder
from auditor.keeping import entered
from auditor.publishing import publication
from auditor.rejudging import rejudge
from auditor.unsealing import carried, secret_of
from auditor.wiring import readers, verifier


@click.command("judge")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--policy", required=True, help="A pack's name or a policy file.")
@click.option(
    "--key",
    type=click.Path(path_type=Path),
    help="The public key that the record must be signed with; default: your own.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write.")
def command(folder: Path, policy: str, key: Path | None, out: Path | None) -> int:
    """Judge the record in FOLDER by another policy into a new, signed record.

    The record must verify under --key first. The default folder is FOLDER-judged beside the old
    one. Exit codes are those of an audit.
    """
    console = Console()
    target = out or folder.with_name(f"{folder.resolve().name}-judged")
    refuse_strangers(target)
    old = RecordFolder(folder)
    record = read_record(old.read(RECORD))
    parts = readers(Path.cwd())
    chosen = parts.load_policy(policy)
    with own_workplace() as place:
        show_made(console, place.made_keys)
        checker = verifier(key or place.signer.public_pem())
        refuse_contested(record, challenges_against(record, old, place.settings.place))
        fresh = rejudge(old, record, chosen, checker, place.surroundings())
        place.store.blobs.put(canonical(chosen.document))
        files = publication(fresh, chosen, parts.checks, old.evidence, place.signer)
        secret = secret_of(old, record)
        if secret is not None:
            opened = carried(old, fresh, secret)
            place.settings.secrets.put(fresh.digest, Secret.parse(opened[KEY]))
            files |= opened
        kept = entered(place.store, fresh, files[BUNDLE])
        write_folder(target, {**files, **kept})
    show_record(console, fresh, chosen, parts.checks)
    show_report(console, target)
    return exit_for(fresh.verdict, chosen.mode)
