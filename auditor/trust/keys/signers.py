"""Opens signers: a private key file, a PKCS#11 token, or a third party's service.

A signer is named by a path, or by a URI whose scheme says who opens it: ``pkcs11`` is ours, others
are installed under the entry-point group ``auditor.signers``.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypeVar, cast

from auditor._resources import list_entry_points
from auditor.errors import AuditorError, KeyFileError
from auditor.trust.keys.files import NOBODY, PasswordSource, is_locked, load_signer, read_pem
from auditor.trust.keys.pkcs11 import SCHEME, open_pkcs11_signer
from auditor.trust.signatures.keys import PublicKey, Signer, read_public_key
from auditor.trust.verification_result import VerificationError

GROUP = "auditor.signers"
OpenSigner: TypeAlias = Callable[[str, PasswordSource], Signer]
"""Opens the key that a URI names; what is locked is opened by ``PasswordSource.of(URI)``."""
T = TypeVar("T")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):.")


@dataclass(frozen=True, slots=True)
class RemoteSigner:
    """A key that lives elsewhere: what it signs is held against its public key, each time."""

    uri: str
    signer: Signer
    public: PublicKey

    def sign(self, pae: bytes) -> bytes:
        """Return a DER signature over ``pae``.

        Raises ``KeyFileError`` where the service fails, or gives what its own public key refuses.
        """
        signature = _asked(self.uri, lambda: self.signer.sign(pae))
        if not isinstance(signature, bytes) or not self.public.holds(signature, pae):
            raise KeyFileError(
                f"what {self.uri} signs does not hold under its own public key",
                cure="A signer must give an ECDSA signature in DER, over the hash of its curve.",
            )
        return signature

    def public_pem(self) -> bytes:
        """Return the public key as PEM."""
        return self.public.pem


def parse_signer_scheme(reference: str) -> str | None:
    """Return the scheme of what names a signer by a URI; ``None`` for a path."""
    match = _SCHEME.match(reference)
    return None if match is None or Path(reference).exists() else match[1]


def open_signer(reference: str, passwords: PasswordSource = NOBODY) -> Signer:
    """Open the signer that a path or a URI names. Raises ``KeyFileError`` and
    ``MissingExtraError``.
    """
    scheme = parse_signer_scheme(reference)
    if scheme is None:
        path = Path(reference)
        password = passwords.of(reference) if is_locked(read_pem(path)) else None
        return load_signer(path, password=password)
    opener = _openers(scheme)
    signer = _asked(reference, lambda: opener(reference, passwords))
    try:
        public = read_public_key(_asked(reference, signer.public_pem))
    except VerificationError as refused:
        raise KeyFileError(
            f"{reference}: {refused.problem}", cure="Name a key on P-256, P-384 or P-521."
        ) from None
    return RemoteSigner(reference, signer, public)


def _openers(scheme: str) -> OpenSigner:
    if scheme == SCHEME:
        return open_pkcs11_signer
    found = [entry for entry in list_entry_points(GROUP) if entry.name == scheme]
    if len(found) != 1:
        many = "is served by several packages" if found else "is served by no installed package"
        raise KeyFileError(
            f"the scheme {scheme}: {many}",
            cure=f"Install one package that serves it (entry-point group {GROUP}), or name a file.",
        )
    return cast("OpenSigner", _asked(found[0].value, found[0].load))


def _asked(what: str, ask: Callable[[], T]) -> T:
    try:
        return ask()
    except AuditorError:
        raise
    except Exception as error:  # noqa: BLE001 -- whatever a third party trips over, nothing is signed
        raise KeyFileError(
            f"{what} cannot be used: {type(error).__name__}: {str(error)[:200]}",
            cure="See that the service runs, and that you may use the key.",
        ) from None
