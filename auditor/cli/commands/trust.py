"""Sign, show, lint and accept trust policies: who may sign models, and who may audit them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click

from auditor._time import format_time, utc_now
from auditor.cli.console import show_rows, show_steps
from auditor.cli.key_options import load_key_registry, open_own_ledger
from auditor.cli.main import ExitCode
from auditor.cli.passwords import get_password_source
from auditor.cli.terminal import create_console
from auditor.cli.trust_options import find_policy_acceptance
from auditor.domain.json import encode_canonical
from auditor.domain.verification_steps import all_hold
from auditor.errors import UsageError
from auditor.trust.artifacts.verify import read_signature_file
from auditor.trust.keys.files import STEMS, load_public_key
from auditor.trust.keys.rotation import refuse_ended_key, refuse_second_role
from auditor.trust.keys.signers import open_signer
from auditor.trust.ledger.key_events import KeyRole
from auditor.trust.policies.documents import sign_trust_policy
from auditor.trust.policies.read import find_policy_warnings
from auditor.trust.policies.trust_policy import TrustPolicy
from auditor.trust.policy_files import load_trust_policy
from auditor.trust.signatures.keys import read_public_key
from auditor.workflows.settings import AuditorSettings
from auditor.workflows.trust_acceptance import accept_trust_policy

SIGNATURE = ".sig"
_FILE = click.Path(path_type=Path)


@click.group("trust")
def command() -> None:
    """Sign, show, lint and accept trust policies: who may sign models, and who may audit them."""


@command.command("sign")
@click.argument("policy", type=_FILE)
@click.option("--key", help="The owner's private key, or a URI such as pkcs11:; default: yours.")
@click.option("--out", type=_FILE, help="The signature file; default: POLICY with .sig.")
def sign(policy: Path, key: str | None, out: Path | None) -> int:
    """Sign POLICY with its owner's key, which signs nothing else.

    Your own lies in AUDITOR_HOME as trust.key (`auditor keys new --role trust`).
    """
    read = load_trust_policy(policy).policy
    settings = AuditorSettings.from_environment()
    named = key or str(settings.home / f"{STEMS[KeyRole.TRUST]}.key")
    signer, target = (
        open_signer(named, get_password_source(settings)),
        out or policy.with_suffix(SIGNATURE),
    )
    public = signer.public_pem()
    refuse_second_role(settings.home, KeyRole.TRUST, public)
    life = load_key_registry(settings).lives.get(public.decode())
    if life is not None:
        refuse_ended_key(life, KeyRole.TRUST, utc_now())
    bundle = sign_trust_policy(read, signer)
    try:
        target.write_bytes(bundle)
    except OSError as error:
        raise UsageError(
            f"{target} cannot be written: {error.strerror}", cure="Name another file with --out."
        ) from None
    click.echo(f"Signed {read} ({read.digest}) as {read_public_key(public).identity} into {target}")
    return ExitCode.DONE


@command.command("accept")
@click.argument("policy", type=_FILE)
@click.option("--key", type=_FILE, help="The owner's public key; pinned at the first version.")
@click.option("--signature", type=_FILE, help="Its signature; default: POLICY with .sig.")
def accept_policy(policy: Path, key: Path | None, signature: Path | None) -> int:
    """Accept POLICY on this machine, and enter it in the ledger.

    Its owner's key is pinned at the first version. A later one must be signed by the same key, or
    by the one that the last version names as next_owner, and have a higher number. Exit code: 0
    accepted, 1 refused.
    """
    read = load_trust_policy(policy).policy
    bundle = read_signature_file(signature or policy.with_suffix(SIGNATURE))
    owner = None if key is None else load_public_key(key).pem
    with open_own_ledger() as store:
        steps = accept_trust_policy(store, read, bundle, owner, utc_now())
    show_steps(create_console(), steps)
    return ExitCode.DONE if all_hold(steps) else ExitCode.FAILED


@command.command("show")
@click.argument("policy", type=_FILE)
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")
def show(policy: Path, form: str) -> int:
    """Show whom POLICY trusts, and how it stands to what was accepted here.

    With --format json the canonical document, whose digest counts.
    """
    read = load_trust_policy(policy).policy
    if form == "json":
        click.echo(encode_canonical(read.document).decode())
        return ExitCode.DONE
    console = create_console()
    console.print(f"{read} of {read.owner}, until {format_time(read.expires)}", markup=False)
    console.print(
        f"{read.digest}, {find_policy_acceptance(read).value} here", highlight=False, markup=False
    )
    for line in _besides(read):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    show_rows(console, ("models", "versions", "who may sign", "what else"), _rules(read))
    if read.auditors:
        rows = [(it.name, ", ".join(sorted(it.roles)), it.highest.name) for it in read.auditors]
        show_rows(console, ("auditor", "roles", "highest"), rows)
    return ExitCode.DONE


@command.command("lint")
@click.argument("policies", nargs=-1, required=True, type=_FILE)
def lint(policies: tuple[Path, ...]) -> int:
    """Say what is wrong or doubtful in POLICIES. Exit code: 0, or 2 where one cannot be used."""
    for path in policies:
        found = tuple(find_policy_warnings(load_trust_policy(path).policy, datetime.now(UTC)))
        for remark in found or ("nothing to remark",):
            click.echo(f"{path}: {remark}")
    return ExitCode.DONE


def _besides(policy: TrustPolicy) -> Iterator[str]:
    """Say whose times count, and what no longer does."""
    if policy.clock_roots:
        under = (
            f" under {', '.join(sorted(policy.clock_policies))}" if policy.clock_policies else ""
        )
        yield f"clocks: {', '.join(policy.clock_roots)}{under}"
    for digest, since in sorted(policy.revoked.items()):
        until = "ever" if since is None else format_time(since)
        yield f"revoked: {digest} since {until}"


def _rules(policy: TrustPolicy) -> list[tuple[str, ...]]:
    return [
        (
            ", ".join(rule.models),
            ", ".join(rule.versions),
            ", ".join(str(signer) for signer in rule.signature.any_of),
            "; ".join(rule.asks),
        )
        for rule in policy.rules
    ]
