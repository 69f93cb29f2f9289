"""Command-line options for trust, and the verification of record folders by them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from auditor.cli.input_paths import (
    CERTIFICATES,
    KEY_FILE,
    LOG_KEY,
    STATEMENT,
    TRUST_POLICY,
    TRUSTED_ROOT,
)
from auditor.domain.policies import AssuranceLevel
from auditor.errors import KeyFileError, UsageError
from auditor.trust.artifacts.verify import VerificationRequest
from auditor.trust.keys.files import load_certificates, load_public_key, read_pem
from auditor.trust.policies.query import QueryTime, TrustQuery
from auditor.trust.policies.trust_policy import ModelClaim, TrustPolicy
from auditor.trust.signatures.trusted_signers import (
    UNKNOWN_KIND,
    SignerIdentity,
    TrustedKey,
    TrustedSigners,
    VerificationTime,
)
from auditor.trust.supply_chain.verify import MOST_DOCUMENT_BYTES
from auditor.trust.verification_result import VerificationProfile

F = TypeVar("F", bound=Callable[..., object])


def ledger_options(command: F) -> F:
    """Let a command be told by which ledger, and which witnesses of it, a record must be known."""
    ledger = click.option(
        "--ledger-key",
        "ledger_key",
        type=LOG_KEY,
        help="Public key of the ledger (ledger.pub) that must contain the record.",
    )
    witnesses = click.option(
        "--witness-key",
        "witness_keys",
        type=LOG_KEY,
        multiple=True,
        help="Public key of a witness that must have cosigned. Repeatable.",
    )
    return ledger(witnesses(command))


MOST_TRUST_ROOT = 4 * 2**20
HEX = 64
_OPTIONS = (
    click.option("--key", type=KEY_FILE, help="Public key that you trust."),
    click.option(
        "--trust", type=TRUST_POLICY, help="Trust policy (YAML) with the signers that you trust."
    ),
    click.option("--model", help="Model name, to select the rule of the trust policy."),
    click.option("--version", "model_version", help="Model version, for the same purpose."),
    click.option(
        "--tag", "tags", multiple=True, help="Tag of the model, for the same purpose. Repeatable."
    ),
    click.option(
        "--document",
        "documents",
        type=STATEMENT,
        multiple=True,
        help="Signed statement that a trust policy can require. Repeatable.",
    ),
    click.option(
        "--roots",
        type=CERTIFICATES,
        multiple=True,
        help="Certificate authorities (PEM) that you trust.",
    ),
    click.option(
        "--identity",
        multiple=True,
        help="Name of the signer in the certificate: email:ADDRESS or uri:URI. Repeatable.",
    ),
    click.option("--issuer", help="OIDC issuer of a keyless identity."),
    click.option(
        "--trusted-root",
        type=TRUSTED_ROOT,
        help="Sigstore trusted_root.json, for keyless signatures.",
    ),
    click.option(
        "--revoked",
        multiple=True,
        metavar="SHA256",
        help="Revoked certificate, key or statement. Repeatable.",
    ),
    click.option(
        "--at",
        metavar="TIME",
        help="Time of signing, if you have a proof of it; default: now.",
    ),
    click.option(
        "--profile",
        type=click.Choice([item.value for item in VerificationProfile]),
        help="compat also accepts older signing formats, with warnings; default: strict.",
    ),
)


@dataclass(frozen=True, slots=True)
class TrustOptions:
    """The options of ``trusted``, as given."""

    key: Path | None
    trust: Path | None
    model: str | None
    model_version: str | None
    tags: tuple[str, ...]
    documents: tuple[Path, ...]
    roots: tuple[Path, ...]
    identity: tuple[str, ...]
    issuer: str | None
    trusted_root: Path | None
    revoked: tuple[str, ...]
    at: str | None
    profile: str | None

    @property
    def alone(self) -> bool:
        """Whether nothing but a key or a trust policy was given."""
        other = (self.roots, self.identity, self.revoked, self.issuer, self.trusted_root, self.at)
        return not any((*other, *self._of_model))

    def question(self) -> VerificationRequest:
        """Return by what to verify an artifact. Raises ``UsageError`` and ``KeyFileError``."""
        if any(self._of_model):
            raise UsageError(
                "--model, --version, --tag and --document need a trust policy",
                cure="Add --trust, or remove them.",
            )
        ways = [self.key is not None, bool(self.roots), self.trusted_root is not None]
        if sum(ways) != 1:
            raise UsageError(
                "Exactly one source of trust is needed",
                cure="Give --key, or --trust, or --roots with --identity, or --trusted-root with "
                "--identity and --issuer.",
            )
        revoked = dict.fromkeys(_digest(item) for item in self.revoked)
        if self.key is not None:
            if self.identity or self.issuer is not None:
                raise UsageError(
                    "--identity and --issuer do not work with --key", cure="Remove them."
                )
            key = TrustedKey(load_public_key(self.key).pem)
            trusted = TrustedSigners(keys=(key,), revoked=revoked)
        else:
            found = []
            for path in self.roots:
                load_certificates(path)
                found.append(read_pem(path))
            trusted = TrustedSigners(
                roots=tuple(found),
                trusted_root=None if self.trusted_root is None else _trust_root(self.trusted_root),
                identities=self._identities(),
                revoked=revoked,
            )
        return VerificationRequest(
            trusted,
            self._moment(),
            VerificationProfile(self.profile or VerificationProfile.STRICT),
        )

    def asked(self, policy: TrustPolicy) -> TrustQuery:
        """Return what a trust policy is asked. Raises ``UsageError``."""
        other = (self.key, self.roots, self.identity, self.issuer, self.trusted_root, self.revoked)
        if any((*other, self.profile)):
            raise UsageError(
                "--trust conflicts with other trust options",
                cure="Use --trust without --key, --roots, --identity, --issuer, --trusted-root, "
                "--revoked and --profile.",
            )
        if self.model is None or self.model_version is None:
            raise UsageError(
                "--trust needs the name and version of the model",
                cure="Add --model and --version of this artifact.",
            )
        moment = self._moment()
        when = QueryTime(datetime.now(UTC), moment if moment.proven else None)
        return TrustQuery(policy, ModelClaim(self.model, self.model_version, self.tags), when)

    @property
    def _of_model(self) -> tuple[object, ...]:
        return self.model, self.model_version, self.tags, self.documents

    def _identities(self) -> tuple[SignerIdentity, ...]:
        keyless = self.trusted_root is not None
        if not self.identity or keyless != (self.issuer is not None):
            raise UsageError(
                "Without an identity, any signer certified by the authority would be trusted",
                cure="Give --identity"
                + (" and --issuer." if keyless else ", and --issuer only with --trusted-root."),
            )
        try:
            return tuple(SignerIdentity.parse(name, self.issuer) for name in self.identity)
        except ValueError as error:
            raise UsageError(f"--identity: {error}", cure=UNKNOWN_KIND) from None

    def _moment(self) -> VerificationTime:
        if self.at is None:
            return VerificationTime(datetime.now(UTC))
        try:
            return VerificationTime.parse(self.at, proven=True)
        except ValueError:
            raise UsageError(
                f"--at {self.at} is not a time", cure="Write it as 2026-01-31T12:00:00Z."
            ) from None


def trust_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say whom to trust; the command takes them as ``**options``."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def read_document(path: Path) -> bytes:
    """Return the bytes of a document. Raises ``UsageError`` for none, and for a huge one."""
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_DOCUMENT_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", cure="Name a file with a signed statement."
        ) from None
    if len(raw) > MOST_DOCUMENT_BYTES:
        raise UsageError(
            f"{path} has more than {MOST_DOCUMENT_BYTES} bytes", cure="Name another document."
        )
    return raw


def describe_key_beside(key: Path | None, place: Path) -> str:
    """Say what a key proves that lies beside the record: it may be of whoever wrote the record."""
    if key is None or key.resolve().parent != place.resolve():
        return ""
    return (
        f"The key {key} lies beside the record. It proves that the record is unchanged, not who "
        "signed it. Use a key that you have from the signer."
    )


def _trust_root(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MOST_TRUST_ROOT)
    except OSError as error:
        raise KeyFileError(
            f"{path} cannot be read: {error.strerror}", cure="Name a trusted_root.json."
        ) from None


def _digest(text: str) -> str:
    found = text.removeprefix("key:").removeprefix("sha256:").lower()
    if len(found) != HEX or set(found) - set("0123456789abcdef"):
        raise UsageError(
            f"--revoked {text} is not a SHA-256 digest", cure="Give its 64 hexadecimal digits."
        )
    return found


def assurance_option(command: F) -> F:
    """Add ``--assurance``; the command takes an ``AssuranceLevel``, A0 where nothing is said."""
    return click.option(
        "--assurance",
        type=click.Choice([item.name for item in AssuranceLevel]),
        default=AssuranceLevel.A0.name,
        show_default=True,
        callback=lambda _context, _option, name: AssuranceLevel[name],
        help="Highest assurance level that records of --key can claim; A1 for a trusted service.",
    )(command)
