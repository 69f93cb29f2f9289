"""Reads the keys of identity providers, from a file or from the address that an operator named."""

import time
import urllib.request
from functools import partial
from http.client import HTTPException
from pathlib import Path

from auditor.errors import UsageError
from auditor.tokens.bearing import Tokens
from auditor.tokens.issuers import Issuer, read_issuers
from auditor.tokens.keysets import KeySet, read_keys

PATIENCE = 5.0
MOST_BYTES = 2**20


def open_tokens(path: Path) -> Tokens:
    """Return the identity providers of a file. Raises ``UsageError`` for a mistake in it.

    Keys in files are read at once, so that a wrong path stops the start; an address is asked when
    the first token comes.
    """
    believed = {}
    for issuer in read_issuers(path):
        if "://" not in issuer.keys:
            _refuse_unreadable(issuer)
        keys = KeySet(issuer.name, partial(fetched, issuer.keys), time.monotonic)
        believed[issuer.name] = (issuer, keys)
    return Tokens(believed, time.time)


def fetched(place: str) -> bytes:
    """Return what a file or an address holds. Raises ``OSError`` or ``ValueError``."""
    if "://" not in place:
        with Path(place).open("rb") as file:
            return _bounded(file.read(MOST_BYTES + 1))
    opener = urllib.request.build_opener(_NoRedirects)
    try:
        with opener.open(place, timeout=PATIENCE) as answer:
            return _bounded(answer.read(MOST_BYTES + 1))
    except HTTPException as error:
        raise OSError(str(error)) from None


def _bounded(raw: bytes) -> bytes:
    if len(raw) > MOST_BYTES:
        raise ValueError("longer than any set of keys")
    return raw


def _refuse_unreadable(issuer: Issuer) -> None:
    try:
        found = read_keys(fetched(issuer.keys))
    except (OSError, ValueError):
        found = {}
    if not found:
        raise UsageError(
            f"{issuer.keys} holds no keys of {issuer.name} that can be used",
            cure="Name a JWK set with public keys that have a kid: RSA, P-256 or Ed25519.",
        )


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Who was named answers: another address was never named by anyone."""

    def redirect_request(self, *_: object) -> None:
        """Follow nothing."""
