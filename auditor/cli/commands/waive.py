"""Sign leave for one rule of one record, until a day: a waiver."""

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
from auditor.cli.key_options import open_own_ledger
from auditor.cli.main import ExitCode
from auditor.cli.terminal_text import make_printable
from auditor.domain.findings import Finding, Outcome, format_place
from auditor.domain.readings import Scalar
from auditor.domain.records import AuditRecord
from auditor.domain.waivers import Waiver, WaiverValidity, read_waiver
from auditor.errors import UsageError, WaiverError
from auditor.policy.evaluate.engine import WAIVABLE, covers_finding, find_waiver_subject
from auditor.reports.folder import SIGNER, RecordFolder
from auditor.service.domain.people import DecisionKind
from auditor.store.ledger_events import log_waiver
from auditor.trust.signatures.decisions import sign_waiver, verify_waiver
from auditor.trust.signatures.keys import Signer

WORDS = ("rule", "reason", "ticket", "owner", "approver", "expires")
MAY = WAIVABLE | {Outcome.WAIVED}
PATH = click.Path(path_type=Path)


@click.command("waive")
@click.argument("folder", type=PATH, required=False)
@click.option("--rule", help="The rule that may be broken.")
@click.option("--target", help="On this target alone; default: on all.")
@click.option("--slice", "place", help="At this place alone, as in group=black; default: at all.")
@click.option("--reason", help="Why that is borne, in words.")
@click.option("--ticket", help="Where it is written down who decided what.")
@click.option("--owner", help="Who answers for the risk.")
@click.option("--approver", help="Who agrees, and signs: another person.")
@click.option("--expires", help="When it ends: 90d, or a day; 180 days at most.")
@click.option("--compensating", multiple=True, help="What is done instead, or its digest; repeats.")
@click.option("--any-version", is_flag=True, help="For every artifact of that model.")
@click.option("--any-edition", is_flag=True, help="For every version of that policy.")
@click.option("--file", "draft", type=PATH, help="A waiver written by hand, instead of all these.")
@click.option("--key", help="The approver's private key; default: your decision.key.")
@click.option("--record-key", type=PATH, help="The record's public key; default: its signer.pub.")
@click.option("--out", type=PATH, required=True, help="The signed waiver.")
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
    """Sign a waiver: leave to break one rule that the record in FOLDER breaks or leaves open.

    Model, artifact and policy are the record's. The waiver counts in audits that are given it
    (--waiver, or waivers in the audit file), and in no record that is there already.
    """
    words = {name: said[name] for name in WORDS}
    if draft is not None:
        _refuse_beside([name for name, value in words.items() if value is not None])
        held_against = None if folder is None else RecordFolder(folder)
        signed = None if held_against is None else held_against.read(SIGNER)
        waiver, signer = _drafted(draft), open_decider_key(key, signed)
        _hold(waiver, held_against, record_key, draft)
    else:
        with open_decision_folder(_needed(folder, words), server) as found:
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


def _refuse_beside(names: list[str]) -> None:
    if names:
        raise UsageError(
            f"--{names[0]} stands beside --file, which says it all", cure="Give one of the two."
        )


def _needed(folder: Path | None, said: Mapping[str, str | None]) -> Path:
    missing = ["FOLDER"] if folder is None else []
    missing += [f"--{name}" for name, value in said.items() if not value]
    if folder is None or missing:
        raise UsageError(
            f"a waiver lacks {', '.join(missing)}",
            cure="Give them, or --file with a waiver that says it all.",
        )
    return folder


def _drafted(path: Path) -> Waiver:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise WaiverError(
            f"{path} cannot be read: {error.strerror}", cure="docs/waivers.md shows one."
        ) from None
    document = read_yaml_document(raw, path.name, WaiverError)
    return read_waiver(document.content, lambda name: document.where((name,)))


def _hold(
    waiver: Waiver, folder: RecordFolder | None, record_key: Path | None, draft: Path
) -> None:
    """Hold what somebody wrote by hand against the clock, and the record where there is one."""
    if waiver.life(utc_now()) is WaiverValidity.EXPIRED:
        raise WaiverError(
            f"{draft}: it expired on {waiver.expires}, and would waive nothing",
            cure="Give it a day to come, 180 days after `created` at most.",
        )
    if folder is None:
        click.echo("Held against no record: name its FOLDER to see what this waives there.")
        return
    record = open_verified_record(folder, record_key)
    foreign = waiver.foreign_to(find_waiver_subject(record))
    if foreign:
        raise UsageError(
            f"{draft} is for something else than the record in {folder.path}: {foreign}",
            cure="Name what was audited there, or leave FOLDER out.",
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
            cure=f"It has findings at: {'; '.join(known) or 'no place by itself'}.",
        )
    return found


def _show(record: AuditRecord, waiver: Waiver) -> None:
    """Show the findings that it would waive. Raises ``UsageError`` where there are none."""
    covered = [it for it in record.findings if covers_finding(waiver, it)]
    found = [item for item in covered if item.outcome in MAY]
    if not found:
        raise UsageError(
            f"the record has nothing to waive of {waiver.rule}: {_why(record, waiver, covered)}",
            cure=f"What is broken or open: {', '.join(_open(record)) or 'nothing'}.",
        )
    for item in found:
        click.echo(make_printable(f"{item.name} on {item.target} {item.outcome}: {item.message}"))
    if not waiver.slice and any(item.slice for item in found):
        click.echo(f"It is for EVERY place at which {waiver.rule} is asked, also those to come.")


def _why(record: AuditRecord, waiver: Waiver, covered: list[Finding]) -> str:
    if covered:
        return ", ".join(f"{item.name} {item.outcome} on {item.target}" for item in covered)
    there = any(item.rule == waiver.rule for item in record.findings)
    return f"no finding is on {waiver.target}" if there else "there is no such rule"


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
        click.echo(f"It is for EVERY version of {make_printable(waiver.model)}.")
    click.echo(make_printable(f"Signed {waiver} until {waiver.expires} into {out}"))
    click.echo(f"Put down in the ledger ({signed.ref.digest})")
    return bundle
