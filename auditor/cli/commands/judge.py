"""Judge a record's stored evidence by another policy, or with waivers; runs no model."""

from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console

from auditor.cli.believing import read_trust, standing_here
from auditor.cli.comparing import baseline_options, taken
from auditor.cli.exits import exit_for
from auditor.cli.places import own_workplace
from auditor.cli.replaced import write_record
from auditor.cli.showing import show_made, show_record, show_report
from auditor.cli.terminals import terminal
from auditor.cli.timing import right_now
from auditor.cli.waiving import show_note, show_waivers, waiver_options
from auditor.contested import challenges_against, refuse_contested
from auditor.disclosing.secrets import Secret
from auditor.domain.canonical import canonical
from auditor.domain.policies import Assurance, Policy
from auditor.domain.records import AuditRecord
from auditor.domain.waivers import SignedWaiver
from auditor.errors import UsageError
from auditor.folders import BUNDLE, KEY, RecordFolder, refuse_strangers
from auditor.granting import Waiving, granted, refuse_untrusted, waiver_keys_of
from auditor.keeping import entered
from auditor.publishing import publication
from auditor.recalling import policy_of
from auditor.rejudging import rejudge
from auditor.signing.keys import load_public_key
from auditor.trusting.asking import When
from auditor.unsealing import carried, secret_of
from auditor.verifiers import verifier
from auditor.verifying import Verifier
from auditor.wiring import policy_written_at, readers
from auditor.workplaces import Workplace


@click.command("judge")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--policy",
    help="A pack's name or a policy file; default, with --waiver or --baseline: its own.",
)
@click.option(
    "--key",
    type=click.Path(path_type=Path),
    help="The public key that the record must be signed with; default: your own.",
)
@waiver_options
@baseline_options(newest=False)
@click.option("--trust", type=click.Path(path_type=Path), help="A trust policy: who may waive.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write.")
def command(  # noqa: PLR0913, PLR0917 -- one argument an option
    folder: Path,
    policy: str | None,
    key: Path | None,
    waivers: tuple[Path, ...],
    waiver_keys: tuple[Path, ...],
    trust: Path | None,
    out: Path | None,
    baseline: str | None,
    baseline_key: Path | None,
) -> int:
    """Judge the record in FOLDER by another policy, or with waivers, into a new, signed record.

    The record must verify under --key first. Only the waivers given here count; its baseline stays
    unless one is given. Default folder: FOLDER-judged beside it. Exit codes are those of an audit.
    """
    console = terminal()
    target = _target(out, folder)
    old = RecordFolder(folder)
    record = old.record
    leave = _leave(waivers, waiver_keys, trust)
    with own_workplace() as place:
        show_made(console, place.made_keys)
        checker = verifier(key or place.signer.public_pem(), highest=max(Assurance))
        refuse_contested(record, challenges_against(record, old, place.settings.place))
        compared = taken(place, baseline, baseline_key)
        chosen = _policy(policy, old, record, checker, more=bool(leave or compared))
        show_note(console, place.note(chosen, leave))
        placed = None if policy is None else policy_written_at(policy, Path.cwd())
        fresh = rejudge(old, record, chosen, checker, place.surroundings(), leave, placed, compared)
        _publish(console, place, old, record, fresh, chosen, target, compared)
    show_record(console, fresh, chosen, checker.checks)
    show_waivers(console, fresh, leave)
    show_report(console, target)
    return exit_for(fresh.verdict, chosen.mode)


def _target(out: Path | None, folder: Path) -> Path:
    target = out or folder.with_name(f"{folder.resolve().name}-judged")
    refuse_strangers(target)
    return target


def _leave(
    files: Sequence[Path], keys: Sequence[Path], trust: Path | None
) -> tuple[SignedWaiver, ...]:
    """Return the waivers that are given, each signed by somebody who may waive by now."""
    if trust is not None and keys:
        raise UsageError(
            "--trust and --waiver-key both say who may waive", cure="Give one of the two."
        )
    believed = read_trust(trust)
    may = [load_public_key(path).pem for path in keys]
    if believed is not None:
        may += waiver_keys_of(believed)
    found = granted(Waiving(tuple(files), tuple(may)))
    if believed is not None:
        refuse_untrusted(found, believed, When(right_now().at), standing_here(believed))
    return found


def _policy(
    name: str | None, old: RecordFolder, record: AuditRecord, checker: Verifier, *, more: bool
) -> Policy:
    if name is not None:
        return readers(Path.cwd()).load_policy(name)
    if not more:
        raise UsageError(
            "there is nothing to judge by that the record was not judged by",
            cure="Give --policy, --waiver or --baseline.",
        )
    return policy_of(old, record, checker.load_policy)


def _publish(  # noqa: PLR0913, PLR0917 -- two records, and where the new one goes
    console: Console,
    place: Workplace,
    old: RecordFolder,
    record: AuditRecord,
    fresh: AuditRecord,
    chosen: Policy,
    target: Path,
    compared: AuditRecord | None,
) -> None:
    place.store.blobs.put(canonical(chosen.document))
    fresh_blobs = set(fresh.request.leave)
    if compared is not None:
        fresh_blobs.add(place.store.blobs.put(compared.canonical()))

    def blob(digest: str) -> bytes:
        return place.store.blobs.get(digest) if digest in fresh_blobs else old.evidence(digest)

    files = publication(fresh, chosen, readers(Path.cwd()).checks, blob, place.signer)
    secret = secret_of(old, record)
    if secret is not None:
        opened = carried(old, fresh, secret)
        place.settings.secrets.put(fresh.digest, Secret.parse(opened[KEY]))
        files |= opened
    kept = entered(place.store, fresh, files[BUNDLE])
    write_record(console, target, files | kept, place.store)
