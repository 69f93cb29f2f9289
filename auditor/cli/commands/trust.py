"""Sign, show, lint and accept trust policies: who may sign models, and who may audit them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click

from auditor._time import format_time, utc_now
from auditor.cli.console import show_rows, show_steps
from auditor.cli.input_paths import KEY_FILE, SIGNATURE_FILE, TRUST_POLICY, KeyName
from auditor.cli.key_options import open_own_ledger
from auditor.cli.main import ExitCode
from auditor.cli.passwords import get_password_source
from auditor.domain.json import encode_canonical
from auditor.domain.key_roles import KeyRole
from auditor.domain.verification_steps import all_hold
from auditor.errors import UsageError
from auditor.reports.terminal import create_console
from auditor.trust.artifacts.verify import read_signature_file
from auditor.trust.keys.files import STEMS, load_public_key
from auditor.trust.keys.rotation import refuse_ended_key, refuse_second_role
from auditor.trust.keys.signers import open_signer
from auditor.trust.policies.read import find_policy_warnings
from auditor.trust.policies.signed_statements import sign_trust_policy
from auditor.trust.policies.trust_policy import TrustPolicy
from auditor.trust.policy_files import load_trust_policy
from auditor.trust.signatures.keys import read_public_key
from auditor.workflows.ledger import load_key_registry
from auditor.workflows.settings import AuditorSettings
from auditor.workflows.trust_acceptance import accept_trust_policy
from auditor.workflows.verify.trusted_record import find_policy_acceptance

SIGNATURE = ".sig"
_FILE = click.Path(path_type=Path)


@click.group("trust")
def command() -> None:
    """Sign, show, lint and accept trust policies: who may sign models, and who may audit them."""


@command.command("sign")
@click.argument("policy", type=TRUST_POLICY)
@click.option(
    "--key",
    type=KeyName(),
    help=("Private key of the owner, or a URI such as pkcs11:; default: your own."),
)
@click.option("--out", type=_FILE, help="Signature file; default: POLICY with .sig.")
def sign(policy: Path, key: str | None, out: Path | None) -> int:
    """Sign POLICY with the key of its owner. This key signs only trust policies.

    Your own key is trust.key in AUDITOR_HOME (`auditor keys new --role trust`).
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
            f"{target} cannot be written: {error.strerror}", cure="Choose another file with --out."
        ) from None
    click.echo(f"Signed {read} ({read.digest}) as {read_public_key(public).identity} into {target}")
    return ExitCode.DONE


@command.command("accept")
@click.argument("policy", type=TRUST_POLICY)
@click.option("--key", type=KEY_FILE, help="Public key of the owner; pinned at the first version.")
@click.option(
    "--signature", type=SIGNATURE_FILE, help="Signature of the policy; default: POLICY with .sig."
)
def accept_policy(policy: Path, key: Path | None, signature: Path | None) -> int:
    """Accept POLICY on this machine and record it in the ledger.

    The first version pins the key of the owner. Later versions need a higher version number and a
    signature by the same key, or by the next_owner of the last version. Exit code: 0 accepted, 1
    rejected.
    """
    read = load_trust_policy(policy).policy
    bundle = read_signature_file(signature or policy.with_suffix(SIGNATURE))
    owner = None if key is None else load_public_key(key).pem
    with open_own_ledger() as store:
        steps = accept_trust_policy(store, read, bundle, owner, utc_now())
    show_steps(create_console(), steps)
    return ExitCode.DONE if all_hold(steps) else ExitCode.FAILED


@command.command("show")
@click.argument("policy", type=TRUST_POLICY)
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")
def show(policy: Path, form: str) -> int:
    """Show the signers that POLICY trusts, and whether this machine accepted it.

    --format json prints the canonical document that the digest covers.
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
    rules = [
        (
            ", ".join(rule.models),
            ", ".join(rule.versions),
            ", ".join(str(signer) for signer in rule.signature.any_of),
            "; ".join(rule.asks),
        )
        for rule in read.rules
    ]
    show_rows(console, ("models", "versions", "signers", "conditions"), rules)
    if read.auditors:
        rows = [(it.name, ", ".join(sorted(it.roles)), it.highest.name) for it in read.auditors]
        show_rows(console, ("auditor", "roles", "highest"), rows)
    return ExitCode.DONE


@command.command("lint")
@click.argument("policies", nargs=-1, required=True, type=TRUST_POLICY)
def lint(policies: tuple[Path, ...]) -> int:
    """Check POLICIES for errors and warnings. Exit code: 0, or 2 if a policy is invalid."""
    for path in policies:
        found = tuple(find_policy_warnings(load_trust_policy(path).policy, datetime.now(UTC)))
        for remark in found or ("no warnings",):
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
