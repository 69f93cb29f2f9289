"""Report a problem with a record to a service, with your signature: a human finding."""

from pathlib import Path

import click

from auditor._time import utc_now
from auditor.cli.decision_options import (
    open_decider_key,
    open_decision_folder,
    open_verified_record,
    submit_decision,
)
from auditor.cli.input_paths import DECIDED_FOLDER, KeyName
from auditor.cli.main import ExitCode
from auditor.domain.approvals import HumanFinding, find_human_finding_mistakes
from auditor.errors import UsageError
from auditor.reports.folder import SIGNER
from auditor.reports.terminal_text import make_printable
from auditor.service.domain.people import DecisionKind
from auditor.trust.signatures.decisions import sign_finding


@click.command("flag")
@click.argument("folder", type=DECIDED_FOLDER)
@click.option("--by", required=True, help="Name of the person who reports it.")
@click.option(
    "--role", required=True, help=("Role of this person, for example clinician or model risk.")
)
@click.option("--reason", required=True, help="Description of the problem.")
@click.option(
    "--key", type=KeyName(), help="Private key of this person; default: your decision.key."
)
@click.option("--server", metavar="URL", required=True, help="Service that has the record.")
def command(folder: Path, by: str, role: str, reason: str, key: str | None, server: str) -> int:  # noqa: PLR0913, PLR0917 -- one argument an option
    """Report a problem with the record in FOLDER (or with that digest). You sign its digest.

    The finding closes the gates of this audit permanently, also after a new judgement. Only another
    audit opens them. To confirm that a record is right, use `auditor approve`.
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
        raise UsageError(f"invalid finding: {problem}", cure=cure)
    click.echo(make_printable(f"{record.id} ({record.verdict}): {said}"))
    submit_decision(server, DecisionKind.FINDING, sign_finding(said, signer), signer.public_pem())
    return ExitCode.DONE
