"""Ask whether a valid, fresh, passing record exists for exactly these bytes."""

from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console

from auditor.cli.believing import read_trust, signer_by, verify_by
from auditor.cli.exits import Exit
from auditor.cli.showing import show_steps
from auditor.contested import challenges_against, uncontested
from auditor.domain.artifacts import digest_files
from auditor.domain.record_json import read_record
from auditor.domain.records import AuditRecord
from auditor.domain.steps import Step, all_hold
from auditor.folders import RECORD, SIGNER, RecordFolder
from auditor.gates import Question, ask, parse_age, read_probe
from auditor.keeping import store_if_kept
from auditor.keyaudits import signer_here
from auditor.settings import Settings
from auditor.signing.artifacts import digest_artifact
from auditor.wiring import readers


@click.command("gate")
@click.option("--artifact", type=click.Path(path_type=Path), required=True)
@click.option("--policy", required=True, help="A pack's name or a policy file.")
@click.option("--record", type=click.Path(path_type=Path), required=True, help="Its folder.")
@click.option("--key", type=click.Path(path_type=Path), help="The public key that you trust.")
@click.option("--trust", type=click.Path(path_type=Path), help="A trust policy instead of a key.")
@click.option("--target", help="The target it will run on; default: all that were audited.")
@click.option("--fingerprint", type=click.Path(path_type=Path), help="A probe of this target.")
@click.option("--max-age", help="How old the record may be: 12h, 30d, 4w.")
@click.option("--strict", is_flag=True, help="Shut at any challenge that holds.")
def command(  # noqa: PLR0913, PLR0917 -- one argument an option
    artifact: Path,
    policy: str,
    record: Path,
    key: Path | None,
    trust: Path | None,
    target: str | None,
    fingerprint: Path | None,
    max_age: str | None,
    *,
    strict: bool,
) -> int:
    """Open only for exactly these bytes, on this target, under exactly this policy.

    A challenge in the folder or in the store here that refutes the verdict keeps it shut. Exit
    code: 0 opens the gate, 1 keeps it shut, 2 for input that cannot be used.
    """
    limit = None if max_age is None else parse_age(max_age)
    identity = None if fingerprint is None else read_probe(fingerprint)
    chosen = readers(Path.cwd()).load_policy(policy)
    digest = digest_files(digest_artifact(artifact))
    folder = RecordFolder(record)
    believed = read_trust(trust)
    steps = verify_by(folder, key, believed)
    if all_hold(steps):
        question = Question(digest, chosen, target, identity, limit, datetime.now(UTC))
        found = read_record(folder.read(RECORD))
        against = challenges_against(found, folder, Settings.from_environment().place)
        contested = uncontested(found, against, folder.read(SIGNER), strict=strict)
        steps = (*steps, *signer_by(folder, believed), *_signer(found, folder))
        steps = (*steps, *ask(found, question), contested)
    show_steps(Console(), steps)
    return Exit.DONE if all_hold(steps) else Exit.FAILED


def _signer(record: AuditRecord, folder: RecordFolder) -> tuple[Step, ...]:
    """Ask the ledger here, if there is one, what became of the key that the record verified by."""
    with store_if_kept(Settings.from_environment().place) as store:
        return () if store is None else (signer_here(store, record, folder.read(SIGNER)),)
