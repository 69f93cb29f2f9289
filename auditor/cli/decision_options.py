"""Command-line options for waivers and approvals, and the records that they apply to."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TypeVar

import click
from rich.console import Console

from auditor._resources import scratch_folder
from auditor._time import format_moment, format_time
from auditor.cli.client_options import build_client
from auditor.cli.input_paths import KEY_FILE, WAIVER
from auditor.cli.key_options import parse_time_option
from auditor.cli.passwords import get_password_source
from auditor.domain.digests import is_digest
from auditor.domain.findings import Finding, Outcome
from auditor.domain.key_roles import KeyRole
from auditor.domain.policies import RuleEffect
from auditor.domain.records import AuditRecord
from auditor.domain.trust_context import TrustPolicyStatus
from auditor.domain.verification_steps import StepResult
from auditor.domain.waivers import SignedWaiver
from auditor.errors import KeyFileError, RecordError, UsageError
from auditor.policy.evaluate.engine import evaluate_waivers
from auditor.reports.folder import RecordFolder
from auditor.reports.signer_text import shorten_key
from auditor.reports.terminal_text import make_printable
from auditor.service.domain.people import DecisionKind
from auditor.trust.keys.files import STEMS, load_public_key
from auditor.trust.keys.rotation import refuse_second_role
from auditor.trust.keys.signers import open_signer
from auditor.trust.signatures.keys import Signer, read_public_key
from auditor.workflows.gate import UNITS, parse_age
from auditor.workflows.prepare import PreparedAudit
from auditor.workflows.settings import AuditorSettings
from auditor.workflows.verify.folder import verify_folder
from auditor.workflows.verify.verifiers import build_own_verifier, build_service_verifier


def open_verified_record(
    folder: RecordFolder, key: Path | None, served: bytes | None = None
) -> AuditRecord:
    """Return a record whose folder verifies: nobody should decide on what does not.

    ``served`` is the key (PEM) of the service that made it, which ``key`` replaces where one has it
    apart. Raises ``RecordError``.
    """
    checker = build_own_verifier(folder, key)
    if served is not None and key is None:
        checker = build_service_verifier(served)
    steps = verify_folder(folder, checker)
    failed = [step for step in steps if step.result is StepResult.FAILED]
    if failed:
        raise RecordError(
            f"{folder.path} does not verify: {failed[0].name}: {failed[0].detail}",
            cure="Use the unchanged folder and the public key of its signer.",
        )
    return folder.record


def open_decider_key(key: str | None, record_signer: bytes | None) -> Signer:
    """Open the key of who decides, which may be that of no other role.

    Raises ``KeyFileError``, also for the key that signed the record.
    """
    settings = AuditorSettings.from_environment()
    own = settings.home / f"{STEMS[KeyRole.DECISION]}.key"
    if key is None and not own.exists():
        raise KeyFileError(
            f"there is no decision key {own}",
            cure="Create one with `auditor keys new --role decision`, or name it with --key.",
        )
    signer = open_signer(key or str(own), get_password_source(settings))
    public = signer.public_pem()
    refuse_second_role(settings.home, KeyRole.DECISION, public)
    if record_signer is not None and record_signer.strip() == public.strip():
        raise KeyFileError(
            "the key signed the record, and an auditor key cannot sign decisions",
            cure="Use a separate key: `auditor keys new --role decision`.",
        )
    return signer


def parse_expiry(text: str, begins: str) -> str:
    """Return when something ends: after an age such as 90d, or at a day or time.

    Raises ``UsageError``.
    """
    if text[-1:] in UNITS:
        age = parse_age(text)
        at = datetime.fromisoformat(begins).astimezone(UTC) + age
        return format_time(at)
    if "T" in text:
        return parse_time_option("--expires", text) or ""
    try:
        return f"{date.fromisoformat(text)}T00:00:00Z"
    except ValueError:
        raise UsageError(
            f"--expires {text} is neither an age nor a date", cure="Write 30d or 2026-01-31."
        ) from None


F = TypeVar("F", bound=Callable[..., object])


def waiver_key_option(command: F) -> F:
    """Let a command be told the public keys of who may waive."""
    return click.option(
        "--waiver-key",
        "waiver_keys",
        type=KEY_FILE,
        multiple=True,
        help="Public key of a person who can waive. Repeatable.",
    )(command)


def waiver_options(command: F) -> F:
    """Let a command take signed waivers, and the public keys of who may waive."""
    files = click.option(
        "--waiver",
        "waivers",
        type=WAIVER,
        multiple=True,
        help="Signed waiver to apply. Repeatable.",
    )
    return files(waiver_key_option(command))


def explain_unrequested_waivers(prepared: PreparedAudit, findings: Iterable[Finding]) -> str:
    """Say why waivers that a verdict rests on do not count in CI; nothing where they do.

    Whoever changes the audit file may name any key there, so that the command line has to name
    whose waivers count, or the trust policy has to be one that was accepted.
    """
    given = prepared.materials.signature.trust
    waived = any(it.effect is RuleEffect.DENY and it.outcome is Outcome.WAIVED for it in findings)
    if not waived or (given is not None and given.standing is TrustPolicyStatus.ACCEPTED):
        return ""
    named = [path for path in prepared.file.waiver_keys if isinstance(path, Path)]
    mine = {load_public_key(path).pem for path in named}
    files = [item.ref.file for item in prepared.waivers if item.key not in mine]
    return (
        f"The verdict depends on waivers ({', '.join(files)}) that only the audit file allows, and "
        "any commit can change that file. In CI they count only if --waiver-key names the key, or "
        "the trust policy was accepted (auditor trust accept)."
        if files
        else ""
    )


def show_waivers(console: Console, record: AuditRecord, waivers: Sequence[SignedWaiver]) -> None:
    """Say what came of each waiver; one that waived nothing is a warning."""
    uses = evaluate_waivers(record, [item.waiver for item in waivers])
    for used, signed in zip(uses, waivers, strict=True):
        waiver, key = used.waiver, read_public_key(signed.key).identity
        mark = "[yellow]unused waiver[/]" if used.idle else "[magenta]waiver[/]"
        console.print(mark, end=" ")
        versions = "every version" if waiver.artifact is None else "this artifact only"
        said = (
            f"{waiver.ticket} of {waiver.name}: {used.use.value}, {used.detail}; until "
            f"{format_moment(waiver.expires)}, for {versions}, approved by {waiver.approver}, "
            f"owner {waiver.owner}, signed by key {shorten_key(key)}"
        )
        console.print(make_printable(said), markup=False, highlight=False, soft_wrap=True)


def show_note(console: Console, text: str) -> None:
    """Say what is odd about the policy, if anything is."""
    if text:
        console.print("[yellow]Note[/]", end=" ")
        console.print(make_printable(text), markup=False, highlight=False, soft_wrap=True)


def decision_options(command: F) -> F:
    """Let a command be told whose decisions count."""
    asked = click.option(
        "--require-approval", is_flag=True, help="Require a signed approval of this record."
    )
    approvals = click.option(
        "--approvals-key",
        "approval_keys",
        type=KEY_FILE,
        multiple=True,
        help="Public key of a person who can approve. Repeatable.",
    )
    return waiver_key_option(asked(approvals(command)))


@dataclass(frozen=True, slots=True)
class DecisionFolder:
    """A record's folder, and with a service its key (PEM), and whether it was fetched there."""

    folder: RecordFolder
    key: bytes | None = None
    fetched: bool = False


def decision_server_option(command: F) -> F:
    """Let a command be told to hand a decision in. No environment says so: it is an act."""
    return click.option(
        "--server",
        metavar="URL",
        help="Also submit it to this service; FOLDER can be the digest of a record there.",
    )(command)


@contextmanager
def open_decision_folder(named: Path, server: str | None) -> Iterator[DecisionFolder]:
    """Open a record's folder, or fetch that of a record at a service by its digest.

    What is fetched goes when the block ends. Raises as ``ServiceClient`` does, and ``UsageError``
    where nothing has that name.
    """
    by_digest = is_digest(str(named))
    _refuse_absent(named, by_digest=by_digest, asks=server is not None)
    if server is None:
        yield DecisionFolder(RecordFolder(named))
        return
    with build_client(server) as client, scratch_folder() as root:
        if by_digest:
            client.download_record(str(named), root)
        folder = RecordFolder(root if by_digest else named)
        yield DecisionFolder(folder, client.report_key(), by_digest)


def _refuse_absent(named: Path, *, by_digest: bool, asks: bool) -> None:
    if named.is_dir() or (by_digest and asks):
        return
    if by_digest:
        raise UsageError(
            f"{named} is the digest of a record, not a local folder",
            cure="Name the service of this record with --server.",
        )
    raise UsageError(f"folder {named} does not exist", cure="Name the folder of a record.")


def submit_decision(server: str, kind: DecisionKind, bundle: bytes, key: bytes) -> None:
    """Hand a decision in at a service, and say what it did. Raises as ``ServiceClient`` does."""
    with build_client(server) as client:
        taken = client.decide(kind, bundle, key)
    click.echo(make_printable(f"Submitted to {server} ({taken.digest})"))
    for it in taken.rejudged:
        click.echo(make_printable(f"Re-evaluated there: {it.digest} ({it.verdict})"))
