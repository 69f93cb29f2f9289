"""Say yes or no to a record, signed: an approval."""

from dataclasses import replace
from pathlib import Path

import click

from auditor.cli.deciding import decider, sound_record, until
from auditor.cli.exits import Exit
from auditor.cli.handed_in import hand_in, held, server_option
from auditor.cli.own_ledger import own_ledger
from auditor.cli.texts import printable
from auditor.clock import now
from auditor.domain.approvals import Answer, Approval, mistakes_of
from auditor.domain.people import DecisionKind
from auditor.domain.records import AuditRecord
from auditor.errors import UsageError
from auditor.folders import SIGNER, add_approval
from auditor.noting import note_approval
from auditor.signatures.decisions import sign_approval

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
@server_option
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
    with held(folder, server) as found:
        record = sound_record(found.folder, record_key, found.key)
        signer = decider(key, found.folder.read(SIGNER))
    at = now()
    approval = _said(record, Answer.YES if yes else Answer.NO, (by, role, reason), at)
    if expires is not None:
        approval = replace(approval, expires=until(expires, at))
    _refuse(approval)
    bundle, public = sign_approval(approval, signer), signer.public_pem()
    with own_ledger() as store, store.unit_of_work() as work:
        note_approval(work, approval, bundle, public, at)
    where = "" if found.fetched else f"{add_approval(folder, bundle, public)}, and "
    click.echo(printable(f"{record.id} ({record.verdict}) is {approval}"))
    click.echo(f"Kept: {where}in the ledger")
    if server is not None:
        hand_in(server, DecisionKind.APPROVAL, bundle, public)
    return Exit.DONE


def _said(record: AuditRecord, answer: Answer, words: tuple[str, str, str], at: str) -> Approval:
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
    for problem, cure in mistakes_of(approval):
        raise UsageError(f"this is no approval: {problem}", cure=cure)
