"""Approve or reject a record with your signature."""

from dataclasses import replace
from pathlib import Path

import click

from auditor._time import utc_now
from auditor.cli.decision_options import (
    decision_server_option,
    open_decider_key,
    open_decision_folder,
    open_verified_record,
    parse_expiry,
    submit_decision,
)
from auditor.cli.input_paths import DECIDED_FOLDER, KEY_FILE, KeyName
from auditor.cli.key_options import open_own_ledger
from auditor.cli.main import ExitCode
from auditor.domain.approvals import Approval, ApprovalAnswer, find_approval_mistakes
from auditor.errors import UsageError
from auditor.reports.folder import SIGNER, add_approval
from auditor.reports.terminal_text import make_printable
from auditor.service.domain.people import DecisionKind
from auditor.store.ledger_events import log_approval
from auditor.trust.signatures.decisions import sign_approval


@click.command("approve")
@click.argument("folder", type=DECIDED_FOLDER)
@click.option("--by", required=True, help="Name of the person who decides.")
@click.option(
    "--role",
    required=True,
    help=("Role of this person, for example model risk or release manager."),
)
@click.option("--yes/--no", "yes", default=None, required=True, help="Approve, or reject.")
@click.option("--reason", required=True, help="Reason for the decision.")
@click.option(
    "--key", type=KeyName(), help="Private key of this person; default: your decision.key."
)
@click.option(
    "--expires",
    help=("Expiry of the approval: an age such as 90d, or a date; default: expiry of the record."),
)
@click.option(
    "--record-key", type=KEY_FILE, help="Public key of the record; default: its signer.pub."
)
@decision_server_option
def command(  # noqa: PLR0913, PLR0917 -- one argument an option
    folder: Path,
    by: str,
    role: str,
    reason: str,
    key: str | None,
    expires: str | None,
    record_key: Path | None,
    server: str | None,
    *,
    yes: bool,
) -> int:
    """Approve or reject the record in FOLDER. You sign its digest.

    The decision is added to FOLDER and to the ledger permanently; the record and its report do not
    change. A rejection closes every gate for this record until the same key approves it.
    """
    with open_decision_folder(folder, server) as found:
        record = open_verified_record(found.folder, record_key, found.key)
        signer = open_decider_key(key, found.folder.read(SIGNER))
    at = utc_now()
    words = (by, role, reason)
    said_by, said_role, said_reason = (text.strip() for text in words)
    approval = Approval(
        record=record.digest,
        record_id=record.id,
        by=said_by,
        role=said_role,
        answer=ApprovalAnswer.YES if yes else ApprovalAnswer.NO,
        reason=said_reason,
        created=at,
    )
    if expires is not None:
        approval = replace(approval, expires=parse_expiry(expires, at))
    for problem, cure in find_approval_mistakes(approval):
        raise UsageError(f"invalid approval: {problem}", cure=cure)
    bundle, public = sign_approval(approval, signer), signer.public_pem()
    with open_own_ledger() as store, store.unit_of_work() as work:
        log_approval(work, approval, bundle, public, at)
    where = "" if found.fetched else f"{add_approval(folder, bundle, public)}, and "
    click.echo(make_printable(f"{record.id} ({record.verdict}) is {approval}"))
    click.echo(f"Kept: {where}in the ledger")
    if server is not None:
        submit_decision(server, DecisionKind.APPROVAL, bundle, public)
    return ExitCode.DONE
