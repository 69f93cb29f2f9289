"""Say what is wrong with a record at a service, signed: a human finding."""

from pathlib import Path

import click

from auditor._time import utc_now
from auditor.cli.decision_options import (
    open_decider_key,
    open_decision_folder,
    open_verified_record,
    submit_decision,
)
from auditor.cli.main import ExitCode
from auditor.cli.terminal_text import make_printable
from auditor.domain.approvals import HumanFinding, find_human_finding_mistakes
from auditor.errors import UsageError
from auditor.reports.folder import SIGNER
from auditor.service.domain.people import DecisionKind
from auditor.trust.signatures.decisions import sign_finding


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
    with open_decision_folder(folder, server) as found:
        record = open_verified_record(found.folder, None, found.key)
        signer = open_decider_key(key, found.folder.read(SIGNER))
    said = HumanFinding(
        record=record.digest,
        record_id=record.id,
        by=by.strip(),
        role=role.strip(),
        reason=reason.strip(),
        created=utc_now(),
    )
    for problem, cure in find_human_finding_mistakes(said):
        raise UsageError(f"this is no finding: {problem}", cure=cure)
    click.echo(make_printable(f"{record.id} ({record.verdict}): {said}"))
    submit_decision(server, DecisionKind.FINDING, sign_finding(said, signer), signer.public_pem())
    return ExitCode.DONE
