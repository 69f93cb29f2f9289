"""Say what is wrong with a record at a service, signed: a human finding."""

from pathlib import Path

import click

from auditor.cli.deciding import decider, sound_record
from auditor.cli.exits import Exit
from auditor.cli.handed_in import hand_in, held
from auditor.cli.texts import printable
from auditor.clock import now
from auditor.domain.human_findings import HumanFinding, mistakes_of
from auditor.domain.people import DecisionKind
from auditor.errors import UsageError
from auditor.folders import SIGNER
from auditor.signatures.decisions import sign_finding


@click.command("flag")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--by", required=True, help="Who found it: a person's name.")
@click.option("--role", required=True, help="As what: clinician, model risk, ….")
@click.option("--reason", required=True, help="What is wrong, in words.")
@click.option("--key", help="That person's private key; default: your decision.key.")
@click.option("--server", metavar="URL", required=True, help="The service that has the record.")
def command(folder: Path, by: str, role: str, reason: str, key: str | None, server: str) -> int:  # noqa: PLR0913, PLR0917 -- one argument an option
    """Say what is wrong with the record in FOLDER, or of that digest, by a signature over it.

    It shuts the gates of its audit for good, whatever is judged of it again; another audit opens
    them. There is no flag that says that a record is right: `auditor approve` says yes.
    """
    with held(folder, server) as found:
        record = sound_record(found.folder, None, found.key)
        signer = decider(key, found.folder.read(SIGNER))
    said = HumanFinding(
        record=record.digest,
        record_id=record.id,
        by=by.strip(),
        role=role.strip(),
        reason=reason.strip(),
        created=now(),
    )
    for problem, cure in mistakes_of(said):
        raise UsageError(f"this is no finding: {problem}", cure=cure)
    click.echo(printable(f"{record.id} ({record.verdict}): {said}"))
    hand_in(server, DecisionKind.FINDING, sign_finding(said, signer), signer.public_pem())
    return Exit.DONE
