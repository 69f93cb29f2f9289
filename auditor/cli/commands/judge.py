"""Judge a record's stored evidence by another policy, or with waivers; runs no model."""

from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console

from auditor.cli.baseline_options import baseline_options, load_baseline
from auditor.cli.console import show_new_keys, show_record, show_report
from auditor.cli.decision_options import show_note, show_waivers, waiver_options
from auditor.cli.main import exit_for_verdict
from auditor.cli.output_folder import write_record_folder
from auditor.cli.terminal import create_console
from auditor.cli.timestamp_options import current_moment
from auditor.cli.trust_options import find_policy_acceptance, read_trust_policy_option
from auditor.cli.workspace import open_own_workspace
from auditor.domain.json import encode_canonical
from auditor.domain.policies import AssuranceLevel, Policy
from auditor.domain.records import AuditRecord
from auditor.domain.waivers import SignedWaiver
from auditor.errors import UsageError
from auditor.reports.folder import BUNDLE, KEY, RecordFolder, refuse_foreign_files
from auditor.reports.publish import build_report_files
from auditor.trust.disclosure import DisclosureKey
from auditor.trust.keys.files import load_public_key
from auditor.trust.policies.query import QueryTime
from auditor.workflows.challenge_status import list_challenges, refuse_challenged_record
from auditor.workflows.evidence import load_record_policy, read_record_secret, select_opening_files
from auditor.workflows.ledger import append_record_with_proof
from auditor.workflows.rejudge import rejudge_folder
from auditor.workflows.verify.folder import RecordVerifier
from auditor.workflows.verify.verifiers import build_verifier
from auditor.workflows.waivers import (
    WaiverSources,
    list_waiver_keys,
    refuse_untrusted_waivers,
    verify_waivers,
)
from auditor.workflows.wiring import build_resolvers, locate_policy_source
from auditor.workflows.workspace import Workspace


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
    console = create_console()
    target = _target(out, folder)
    old = RecordFolder(folder)
    record = old.record
    leave = _leave(waivers, waiver_keys, trust)
    with open_own_workspace() as place:
        show_new_keys(console, place.made_keys)
        checker = build_verifier(key or place.signer.public_pem(), highest=max(AssuranceLevel))
        refuse_challenged_record(record, list_challenges(record, old, place.settings.place))
        compared = load_baseline(place, baseline, baseline_key)
        chosen = _policy(policy, old, record, checker, more=bool(leave or compared))
        show_note(console, place.note(chosen, leave))
        placed = None if policy is None else locate_policy_source(policy, Path.cwd())
        fresh = rejudge_folder(
            old, record, chosen, checker, place.surroundings(), leave, placed, compared
        )
        _publish(console, place, old, record, fresh, chosen, target, compared)
    show_record(console, fresh, chosen, checker.checks)
    show_waivers(console, fresh, leave)
    show_report(console, target)
    return exit_for_verdict(fresh.verdict, chosen.mode)


def _target(out: Path | None, folder: Path) -> Path:
    target = out or folder.with_name(f"{folder.resolve().name}-judged")
    refuse_foreign_files(target)
    return target


def _leave(
    files: Sequence[Path], keys: Sequence[Path], trust: Path | None
) -> tuple[SignedWaiver, ...]:
    """Return the waivers that are given, each signed by somebody who may waive by now."""
    if trust is not None and keys:
        raise UsageError(
            "--trust and --waiver-key both say who may waive", cure="Give one of the two."
        )
    believed = read_trust_policy_option(trust)
    may = [load_public_key(path).pem for path in keys]
    if believed is not None:
        may += list_waiver_keys(believed)
    found = verify_waivers(WaiverSources(tuple(files), tuple(may)))
    if believed is not None:
        refuse_untrusted_waivers(
            found, believed, QueryTime(current_moment().at), find_policy_acceptance(believed)
        )
    return found


def _policy(
    name: str | None, old: RecordFolder, record: AuditRecord, checker: RecordVerifier, *, more: bool
) -> Policy:
    if name is not None:
        return build_resolvers(Path.cwd()).load_policy(name)
    if not more:
        raise UsageError(
            "there is nothing to judge by that the record was not judged by",
            cure="Give --policy, --waiver or --baseline.",
        )
    return load_record_policy(old, record, checker.load_policy)


def _publish(  # noqa: PLR0913, PLR0917 -- two records, and where the new one goes
    console: Console,
    place: Workspace,
    old: RecordFolder,
    record: AuditRecord,
    fresh: AuditRecord,
    chosen: Policy,
    target: Path,
    compared: AuditRecord | None,
) -> None:
    place.store.blobs.put(encode_canonical(chosen.document))
    fresh_blobs = set(fresh.request.leave)
    if compared is not None:
        fresh_blobs.add(place.store.blobs.put(compared.canonical()))

    def blob(digest: str) -> bytes:
        return place.store.blobs.get(digest) if digest in fresh_blobs else old.evidence(digest)

    files = build_report_files(
        fresh, chosen, build_resolvers(Path.cwd()).checks, blob, place.signer
    )
    secret = read_record_secret(old, record)
    if secret is not None:
        opened = select_opening_files(old, fresh, secret)
        place.settings.secrets.put(fresh.digest, DisclosureKey.parse(opened[KEY]))
        files |= opened
    kept = append_record_with_proof(place.store, fresh, files[BUNDLE])
    write_record_folder(console, target, files | kept, place.store)
