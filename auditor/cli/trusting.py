"""What the options of a command say of whom to trust."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from auditor.declaring.reading import MOST_BYTES
from auditor.errors import KeyFileError, UsageError
from auditor.signatures.profiles import Profile
from auditor.signatures.trust import UNKNOWN_KIND, Identity, Moment, Trusted, TrustedKey
from auditor.signing.keys import load_certificates, load_public_key, read_pem
from auditor.signing.verification import Question
from auditor.trusting.asking import Asked, When
from auditor.trusting.policies import Claimed, TrustPolicy

MOST_TRUST_ROOT = 4 * 2**20
HEX = 64
_PATH = click.Path(path_type=Path)
_OPTIONS = (
    click.option("--key", type=_PATH, help="The public key that you trust."),
    click.option("--trust", type=_PATH, help="A trust policy (YAML) that says whom to trust."),
    click.option("--model", help="The model's name, by which a trust policy finds its rule."),
    click.option("--version", "model_version", help="The model's version, likewise."),
    click.option("--tag", "tags", multiple=True, help="A tag of the model, likewise. Repeats."),
    click.option(
        "--document",
        "documents",
        type=_PATH,
        multiple=True,
        help="Signed statements that a trust policy may ask for. Repeats.",
    ),
    click.option("--roots", type=_PATH, multiple=True, help="Authorities (PEM) that you trust."),
    click.option(
        "--identity",
        multiple=True,
        help="The signer's name in the certificate: email:ADDRESS or uri:URI. Repeats.",
    ),
    click.option("--issuer", help="Who vouched for a keyless identity (OIDC issuer)."),
    click.option(
        "--trusted-root", type=_PATH, help="Sigstore's trusted_root.json, for keyless ones."
    ),
    click.option(
        "--revoked",
        multiple=True,
        metavar="SHA256",
        help="A certificate, key or statement that no longer counts. Repeats.",
    ),
    click.option(
        "--at",
        metavar="TIME",
        help="When it was signed, if something that you trust proves it; default: now.",
    ),
    click.option(
        "--profile",
        type=click.Choice([item.value for item in Profile]),
        help="compat takes older habits of signers, with warnings; default: strict.",
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

    def question(self) -> Question:
        """Return by what to verify an artifact. Raises ``UsageError`` and ``KeyFileError``."""
        if any(self._of_model):
            raise UsageError(
                "Only a trust policy asks for the model's name, version, tags and documents",
                cure="Give --trust, or leave --model, --version, --tag and --document out.",
            )
        return Question(self._trusted(), self._moment(), Profile(self.profile or Profile.STRICT))

    def asked(self, policy: TrustPolicy) -> Asked:
        """Return what a trust policy is asked. Raises ``UsageError``."""
        other = (self.key, self.roots, self.identity, self.issuer, self.trusted_root, self.revoked)
        if any((*other, self.profile)):
            raise UsageError(
                "A trust policy says by itself whom to trust, and how",
                cure="Give --trust without --key, --roots, --identity, --issuer, --trusted-root, "
                "--revoked and --profile.",
            )
        if self.model is None or self.model_version is None:
            raise UsageError(
                "A trust policy has a rule a model",
                cure="Give --model and --version: what you take the artifact for.",
            )
        moment = self._moment()
        when = When(datetime.now(UTC), moment if moment.proven else None)
        return Asked(policy, Claimed(self.model, self.model_version, self.tags), when)

    @property
    def _of_model(self) -> tuple[object, ...]:
        return self.model, self.model_version, self.tags, self.documents

    def _trusted(self) -> Trusted:
        ways = [self.key is not None, bool(self.roots), self.trusted_root is not None]
        if sum(ways) != 1:
            raise UsageError(
                "It must be clear whom to trust, in one way",
                cure="Give --key, or --trust, or --roots with --identity, or --trusted-root with "
                "--identity and --issuer.",
            )
        revoked = dict.fromkeys(_digest(item) for item in self.revoked)
        if self.key is not None:
            if self.identity or self.issuer is not None:
                raise UsageError(
                    "A key has no other identity than itself", cure="Leave --identity out."
                )
            key = TrustedKey(load_public_key(self.key).pem)
            return Trusted(keys=(key,), revoked=revoked)
        return Trusted(
            roots=tuple(_roots(path) for path in self.roots),
            trusted_root=None if self.trusted_root is None else _trust_root(self.trusted_root),
            identities=self._identities(),
            revoked=revoked,
        )

    def _identities(self) -> tuple[Identity, ...]:
        keyless = self.trusted_root is not None
        if not self.identity or keyless != (self.issuer is not None):
            raise UsageError(
                "Without a name, anyone whom the authority ever vouched for could have signed",
                cure="Give --identity"
                + (" and --issuer." if keyless else ", and --issuer only with --trusted-root."),
            )
        try:
            return tuple(Identity.parse(name, self.issuer) for name in self.identity)
        except ValueError as error:
            raise UsageError(f"--identity: {error}", cure=UNKNOWN_KIND) from None

    def _moment(self) -> Moment:
        if self.at is None:
            return Moment(datetime.now(UTC))
        try:
            return Moment.parse(self.at, proven=True)
        except ValueError:
            raise UsageError(
                f"--at {self.at} is no time", cure="Write it as 2026-01-31T12:00:00Z."
            ) from None


def trust_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say whom to trust; the command takes them as ``**options``."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def _roots(path: Path) -> bytes:
    load_certificates(path)
    return read_pem(path)


def read_document(path: Path) -> bytes:
    """Return the bytes of a document. Raises ``UsageError`` for none, and for a huge one."""
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", cure="Name a signed statement."
        ) from None
    if len(raw) > MOST_BYTES:
        raise UsageError(f"{path} has more than {MOST_BYTES} bytes", cure="Name another document.")
    return raw


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
        raise UsageError(f"--revoked {text} is no SHA-256", cure="Give its 64 hexadecimal digits.")
    return found
