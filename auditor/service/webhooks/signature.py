"""Webhook signatures by Standard Webhooks, and their secrets."""

import base64
import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from auditor.errors import StoreError

PREFIX = "whsec_"
BYTES = 32
CONTEXT = b"auditor web hook "
PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700


@dataclass(frozen=True, slots=True)
class WebhookSecretKey:
    """The key that the secrets of web hooks follow from: none of them is kept anywhere."""

    raw: bytes = field(repr=False)

    def secret(self, hook: str) -> str:
        """Return the secret of a web hook, as who receives its messages writes it down."""
        derived = hmac.new(self.raw, CONTEXT + hook.encode(), hashlib.sha256).digest()
        return PREFIX + base64.b64encode(derived).decode()


def sign_message(secret: str, message: str, timestamp: int, body: bytes) -> str:
    """Return the signature of a message's body at a time (seconds), as its header holds it."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = hmac.new(key, f"{message}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(signed).decode()


def load_secret_key(path: Path) -> WebhookSecretKey:
    """Return the key in a file, which is made where there is none.

    Of two processes that make it at once both have the one that came first. Raises ``StoreError``.
    """
    try:
        path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        if not path.exists():
            _make(path)
        raw = path.read_bytes()
    except OSError as error:
        raise StoreError(
            f"{path} cannot be read or written: {error.strerror}",
            cure="Make AUDITOR_HOME writable.",
        ) from None
    if len(raw) != BYTES:
        raise StoreError(
            f"{path} has {len(raw)} bytes, but the webhook key has {BYTES}",
            cure="Restore it from a backup, or delete it and create the webhooks again.",
        )
    return WebhookSecretKey(raw)


def _make(path: Path) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return  # another process made it meanwhile
    finally:
        draft.unlink()
