"""Sign a waiver of one rule of one record, until a day."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from auditor._time import utc_now
from auditor._yaml import read_yaml_document
from auditor.cli.decision_options import (
    decision_server_option,
    open_decider_key,
    open_decision_folder,
    open_verified_record,
    parse_expiry,
    submit_decision,
)
from auditor.cli.input_paths import DECIDED_FOLDER, KEY_FILE, WAIVER, KeyName
from auditor.cli.key_options import open_own_ledger
from auditor.cli.main import ExitCode
from auditor.domain.findings import Outcome, format_place
from auditor.domain.readings import Scalar
from auditor.domain.records import AuditRecord
from auditor.domain.waivers import Waiver, WaiverValidity, read_waiver
from auditor.errors import UsageError, WaiverError
from auditor.policy.evaluate.engine import WAIVABLE, covers_finding, find_waiver_subject
from auditor.reports.folder import SIGNER, RecordFolder
from auditor.reports.terminal_text import make_printable
from auditor.reports.wording import OUTCOMES
from auditor.service.domain.people import DecisionKind
from auditor.store.ledger_events import log_waiver
from auditor.trust.signatures.decisions import sign_waiver, verify_waiver
from auditor.trust.signatures.keys import Signer

WORDS = ("rule", "reason", "ticket", "owner", "approver", "expires")
MAY = WAIVABLE | {Outcome.WAIVED}
PATH = click.Path(path_type=Path)


@click.command("waive")
@click.argument("folder", type=DECIDED_FOLDER, required=False)
@click.option("--rule", help="Rule to waive.")
@click.option("--target", help="Only on this target; default: all targets.")
@click.option(
    "--slice", "place", help="Only for this slice, for example group=black; default: all slices."
)
@click.option("--reason", help="Reason to accept the risk.")
@click.option("--ticket", help="Ticket of the decision.")
@click.option("--owner", help="Owner of the risk.")
@click.option("--approver", help="Approver, who signs; not the owner.")
@click.option("--expires", help="Expiry: an age such as 90d, or a date; at most 180 days.")
@click.option(
    "--compensating", multiple=True, help="Compensating measure, or its digest. Repeatable."
)
@click.option("--any-version", is_flag=True, help="Applies to all artifacts of the model.")
@click.option("--any-edition", is_flag=True, help="Applies to all versions of the policy.")
@click.option(
    "--file", "draft", type=WAIVER, help="Waiver file that you wrote, instead of the options above."
)
@click.option(
    "--key", type=KeyName(), help="Private key of the approver; default: your decision.key."
)
@click.option(
    "--record-key", type=KEY_FILE, help="Public key of the record; default: its signer.pub."
)
@click.option("--out", type=PATH, required=True, help="File for the signed waiver.")
@decision_server_option
def command(  # noqa: PLR0913, PLR0917 -- one argument an option
    folder: Path | None,
    draft: Path | None,
    key: str | None,
    record_key: Path | None,
    out: Path,
    server: str | None,
    **said: Any,  # noqa: ANN401 -- click's
) -> int:
    """Sign a waiver for one rule that is failed or undecided in the record in FOLDER.

    Model, artifact and policy come from the record. The waiver counts in new audits that include it
    (--waiver, or `waivers` in the audit file). It does not change existing records.
    """
    words = {name: said[name] for name in WORDS}
    if draft is not None:
        names = [name for name, value in words.items() if value is not None]
        if names:
            raise UsageError(f"--{names[0]} conflicts with --file", cure="Use one of the two.")
        held_against = None if folder is None else RecordFolder(folder)
        signed = None if held_against is None else held_against.read(SIGNER)
        try:
            raw = draft.read_bytes()
        except OSError as error:
            raise WaiverError(
                f"{draft} cannot be read: {error.strerror}",
                cure="See docs/waivers.md for an example.",
            ) from None
        document = read_yaml_document(raw, draft.name, WaiverError)
        waiver = read_waiver(document.content, lambda name: document.where((name,)))
        signer = open_decider_key(key, signed)
        _hold(waiver, held_against, record_key, draft)
    else:
        missing = ["FOLDER"] if folder is None else []
        missing += [f"--{name}" for name, value in words.items() if not value]
        if folder is None or missing:
            raise UsageError(
                f"the waiver lacks {', '.join(missing)}",
                cure="Add them, or name a complete waiver with --file.",
            )
        with open_decision_folder(folder, server) as found:
            record = open_verified_record(found.folder, record_key, found.key)
            signer = open_decider_key(key, found.folder.read(SIGNER))
        waiver = _narrowed(_of(record, words, utc_now()), record, said)
        _show(record, waiver)
    bundle = _keep(waiver, signer, out)
    if server is not None:
        submit_decision(server, DecisionKind.WAIVER, bundle, signer.public_pem())
    return ExitCode.DONE


def _narrowed(waiver: Waiver, record: AuditRecord, said: Mapping[str, Any]) -> Waiver:
    """Return a waiver with what the options say beside the words."""
    return replace(
        waiver,
        target=said["target"],
        slice=_place(record, waiver.rule, said["place"]),
        compensating=said["compensating"],
        artifact=None if said["any_version"] else waiver.artifact,
        policy_digest=None if said["any_edition"] else waiver.policy_digest,
    )


def _hold(
    waiver: Waiver, folder: RecordFolder | None, record_key: Path | None, draft: Path
) -> None:
    """Hold what somebody wrote by hand against the clock, and the record where there is one."""
    if waiver.life(utc_now()) is WaiverValidity.EXPIRED:
        raise WaiverError(
            f"{draft}: the waiver expired on {waiver.expires}",
            cure="Set a future date, at most 180 days after `created`.",
        )
    if folder is None:
        click.echo(
            "Not checked against a record. Name its FOLDER to see the findings that this waives."
        )
        return
    record = open_verified_record(folder, record_key)
    foreign = waiver.foreign_to(find_waiver_subject(record))
    if foreign:
        raise UsageError(
            f"{draft} does not apply to the record in {folder.path}: {foreign}",
            cure="Correct the waiver, or remove FOLDER.",
        )
    _show(record, waiver)


def _of(record: AuditRecord, words: Mapping[str, str], begins: str) -> Waiver:
    request = record.request
    artifact = request.artifact
    return Waiver(
        rule=words["rule"],
        owner=words["owner"],
        approver=words["approver"],
        reason=words["reason"],
        ticket=words["ticket"],
        expires=parse_expiry(words["expires"], begins),
        model=request.name,
        artifact=None if artifact is None else artifact.digest,
        policy=request.policy.name,
        policy_digest=request.policy.digest,
        created=begins,
    )


def _place(record: AuditRecord, rule: str, named: str | None) -> Mapping[str, Scalar]:
    """Return the place of a rule's findings that is written so, with or without quotation marks.

    Raises ``UsageError`` where there is none.
    """
    if named is None:
        return {}
    places = [item.slice for item in record.findings if item.rule == rule and item.slice]
    known = {format_place(place)[1:-1]: place for place in places}
    bare = {text.replace('"', ""): place for text, place in known.items()}
    found = known.get(named, bare.get(named))
    if found is None:
        raise UsageError(
            f"{rule} has no finding at {named}",
            cure=f"It has findings at: {'; '.join(known) or 'no slice'}.",
        )
    return found


def _show(record: AuditRecord, waiver: Waiver) -> None:
    """Show the findings that it would waive. Raises ``UsageError`` where there are none."""
    covered = [it for it in record.findings if covers_finding(waiver, it)]
    found = [item for item in covered if item.outcome in MAY]
    if not found:
        if covered:
            why = ", ".join(
                f"{item.name} {OUTCOMES[item.outcome].lower()} on {item.target}" for item in covered
            )
        else:
            there = any(item.rule == waiver.rule for item in record.findings)
            why = f"no finding is on {waiver.target}" if there else "the rule does not exist"
        raise UsageError(
            f"the record has no finding of {waiver.rule} to waive: {why}",
            cure=f"Failed or undecided rules: {', '.join(_open(record)) or 'none'}.",
        )
    for item in found:
        was = OUTCOMES[item.outcome].lower()
        click.echo(make_printable(f"{item.name} on {item.target} {was}: {item.message}"))
    if not waiver.slice and any(item.slice for item in found):
        click.echo(f"The waiver applies to EVERY slice of {waiver.rule}, including new ones.")


def _open(record: AuditRecord) -> list[str]:
    return list(dict.fromkeys(item.rule for item in record.findings if item.outcome in WAIVABLE))


def _keep(waiver: Waiver, signer: Signer, out: Path) -> bytes:
    """Sign, hold against what no waiver may be, write, put down, and return the bundle."""
    bundle = sign_waiver(waiver, signer)
    signed = verify_waiver(bundle, signer.public_pem(), out.name)
    with open_own_ledger() as store, store.unit_of_work() as work:
        log_waiver(work, signed, utc_now())
    try:
        out.write_bytes(bundle)
    except OSError as error:
        raise UsageError(
            f"{out} cannot be written: {error.strerror}", cure="Name another file with --out."
        ) from None
    if waiver.artifact is None:
        click.echo(f"The waiver applies to EVERY version of {make_printable(waiver.model)}.")
    click.echo(make_printable(f"Signed {waiver} until {waiver.expires} into {out}"))
    click.echo(f"Recorded in the ledger ({signed.ref.digest})")
    return bundle
