"""Say yes or no to a record, signed: an approval."""

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
from auditor.cli.key_options import open_own_ledger
from auditor.cli.main import ExitCode
from auditor.cli.terminal_text import make_printable
from auditor.domain.approvals import Approval, ApprovalAnswer, find_approval_mistakes
from auditor.domain.records import AuditRecord
from auditor.errors import UsageError
from auditor.reports.folder import SIGNER, add_approval
from auditor.service.domain.people import DecisionKind
from auditor.store.ledger_events import log_approval
from auditor.trust.signatures.decisions import sign_approval

PATH = click.Path(path_type=Path)


@click.command("approve")
@click.argument("folder", type=PATH)
@click.option("--by", required=True, help="Who decides: a person's name.")
@click.option("--role", required=True, help="As what: model risk, release manager, ….")
@click.option("--yes/--no", "yes", default=None, required=True, help="Approve, or reject.")
@click.option("--reason", required=True, help="Why, in words.")
@click.option("--key", help="That person's private key; default: your decision.key.")
@click.option("--expires", help="When a yes ends: 90d, or a day; default: with the record.")
@click.option("--record-key", type=PATH, help="The record's public key; default: its signer.pub.")
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
    """Approve or reject the very record in FOLDER, by a signature over its digest.

    It is put into FOLDER and into the ledger for good; the record and its report stay as they are.
    A no shuts every gate for this record, until the same key says yes.
    """
    with open_decision_folder(folder, server) as found:
        record = open_verified_record(found.folder, record_key, found.key)
        signer = open_decider_key(key, found.folder.read(SIGNER))
    at = utc_now()
    approval = _said(
        record, ApprovalAnswer.YES if yes else ApprovalAnswer.NO, (by, role, reason), at
    )
    if expires is not None:
        approval = replace(approval, expires=parse_expiry(expires, at))
    _refuse(approval)
    bundle, public = sign_approval(approval, signer), signer.public_pem()
    with open_own_ledger() as store, store.unit_of_work() as work:
        log_approval(work, approval, bundle, public, at)
    where = "" if found.fetched else f"{add_approval(folder, bundle, public)}, and "
    click.echo(make_printable(f"{record.id} ({record.verdict}) is {approval}"))
    click.echo(f"Kept: {where}in the ledger")
    if server is not None:
        submit_decision(server, DecisionKind.APPROVAL, bundle, public)
    return ExitCode.DONE


def _said(
    record: AuditRecord, answer: ApprovalAnswer, words: tuple[str, str, str], at: str
) -> Approval:
    by, role, reason = (text.strip() for text in words)
    return Approval(
        record=record.digest,
        record_id=record.id,
        by=by,
        role=role,
        answer=answer,
        reason=reason,
        created=at,
    )


def _refuse(approval: Approval) -> None:
    for problem, cure in find_approval_mistakes(approval):
        raise UsageError(f"this is no approval: {problem}", cure=cure)
