"""Whose certificates are believed, and what a server's certificate is."""

import hashlib
import socket
import ssl

from auditor.errors import TargetError


def trust(ca: str | None) -> ssl.SSLContext:
    """Return a context that verifies: by the system's roots, or those in the PEM file ``ca``.

    Raises ``TargetError`` where that file cannot be read.
    """
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise TargetError(
            f"the roots in {ca} cannot be read: {error}",
            cure="Give a PEM file of certificates as `endpoint.ca`.",
        ) from error


def roots(ca: str | None) -> bytes | None:
    """Return the PEM file ``ca``, checked. Raises ``TargetError`` as ``trust`` does."""
    if ca is None:
        return None
    trust(ca)
    with open(ca, "rb") as file:  # noqa: PTH123 -- read as ssl reads it
        return file.read()


def certificate_of(host: str, port: int, ca: str | None, seconds: float) -> str:
    """Return the SHA-256 of the certificate that a server shows, over a connection of its own.

    For gRPC, whose library keeps it to itself. Raises ``OSError`` (of which ``ssl.SSLError``).
    """
    context = trust(ca)
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection((host, port), timeout=seconds) as plain,
        context.wrap_socket(plain, server_hostname=host) as secured,
    ):
        raw = secured.getpeercert(binary_form=True) or b""
    return "sha256:" + hashlib.sha256(raw).hexdigest()


def certificate_error(error: BaseException) -> str | None:
    """Return why a certificate was not believed, if that is what lies behind ``error``."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return seen.verify_message or "its certificate cannot be verified"
        seen = seen.__cause__ or seen.__context__
    return None
