"""Endpoint configuration: URL, credentials from environment variables, and TLS settings.

Header values from the environment are secrets: they are sent but never shown.
"""

import re
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from auditor.domain.json import compute_digest
from auditor.domain.targets import EndpointProtocol, EndpointSpec
from auditor.errors import TargetError

SCHEMES: Mapping[EndpointProtocol, Mapping[str, bool]] = {
    EndpointProtocol.OIP_HTTP: {"http": False, "https": True},
    EndpointProtocol.HTTP_JSON: {"http": False, "https": True},
    EndpointProtocol.OIP_GRPC: {"grpc": False, "grpcs": True},
}
"""The schemes of each protocol, and whether they are encrypted."""
SECRET = frozenset(
    {
        "apikey", "auth", "authorization", "code", "credential", "key", "password", "passwd", "pwd",
        "secret", "sig", "signature", "subscription", "token",
    }
)  # fmt: skip
"""Words in the names of what a query holds by which a server knows its callers."""
PORTS: Mapping[bool, int] = {False: 80, True: 443}


@dataclass(frozen=True, slots=True)
class EndpointAddress:
    """A server's host and port, the path on it (with its query), and whether TLS is spoken."""

    host: str
    port: int
    path: str
    query: str
    encrypted: bool

    @property
    def place(self) -> str:
        """Return ``host:port``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def title(self) -> str:
        """Name the server in an error; never its query, which may hold a key."""
        return f"the server at {self.place}"

    @property
    def origin(self) -> str:
        """Return what an HTTP request's path is put behind."""
        return f"{'https' if self.encrypted else 'http'}://{self.place}"


def parse_endpoint_url(spec: EndpointSpec) -> EndpointAddress:
    """Read the URL of an endpoint. Raises ``TargetError`` for one that cannot be used."""
    schemes = SCHEMES[spec.protocol]
    try:
        parts, port = (parts := urlsplit(spec.url)), parts.port
    except ValueError:
        raise TargetError(
            "the endpoint's address is not a URL", cure="Write it as https://host:port/path."
        ) from None
    if parts.scheme not in schemes or not parts.hostname:
        shown = f"{parts.scheme}://{parts.hostname or ''}"[:200]
        raise TargetError(
            f"an endpoint that speaks {spec.protocol.value} has no address {shown!r}",
            cure=f"Write it as {' or '.join(f'{scheme}://host:port' for scheme in schemes)}.",
        )
    if parts.username is not None or parts.password is not None:
        raise TargetError(
            f"the address of the endpoint at {parts.hostname} holds a user or password",
            cure="Put them into an environment variable, and name it under `endpoint.headers`.",
        )
    if parts.fragment or (parts.query and spec.protocol is not EndpointProtocol.HTTP_JSON):
        raise TargetError(
            f"the address of the endpoint at {parts.hostname} has a query or a fragment",
            cure="Give the address without what follows ? and #.",
        )
    # Refuse a query that looks like a key: the address is part of the record
    for name, _ in parse_qsl(parts.query, keep_blank_values=True):
        words = set(re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name))
        if SECRET & {word.lower() for word in words} or name.lower() in SECRET:
            raise TargetError(
                f"the address of the endpoint at {parts.hostname} holds {name[:64]!r}, which looks "
                "like a key, and addresses are written into records",
                cure="Put it into an environment variable, and name it under `endpoint.headers`.",
            )
    encrypted = schemes[parts.scheme]
    number = port or PORTS[encrypted]
    if not encrypted:
        # Refuse headers that would go to another machine in the clear
        host = parts.hostname
        if spec.headers and not _near(host):
            safe = next(scheme for scheme, encrypted in SCHEMES[spec.protocol].items() if encrypted)
            raise TargetError(
                f"the endpoint at {host} is not encrypted, and {', '.join(spec.headers)} would go "
                "there in the clear",
                cure=f"Use {safe}://, or reach it through a tunnel that ends on this machine.",
            )
    exact = spec.protocol is EndpointProtocol.HTTP_JSON
    path = parts.path if exact else parts.path.rstrip("/")
    return EndpointAddress(parts.hostname, number, path, parts.query, encrypted)


def _near(host: str) -> bool:
    """Whether a host is this machine itself."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def check_endpoint_spec(spec: EndpointSpec) -> None:
    """Refuse limits that mean nothing and models without a name. Raises ``TargetError``."""
    if spec.protocol is not EndpointProtocol.HTTP_JSON and not spec.model:
        raise TargetError(
            f"the endpoint speaks {spec.protocol.value}, and no model is named",
            cure="Set `endpoint.model` to the name under which the server holds it.",
        )
    if spec.protocol is EndpointProtocol.HTTP_JSON and spec.model_version:
        raise TargetError(
            f"the endpoint speaks {spec.protocol.value}, which says nothing of versions, and "
            f"`model_version` is {spec.model_version!r}",
            cure="Remove `model_version`, or put the version into the address.",
        )
    if spec.spend is not None and spec.price_per_query is None:
        raise TargetError(
            "the endpoint has a limit on spending, but no price that it could be kept by",
            cure="Set `endpoint.price_per_query`.",
        )
    for name, value in (("batch_limit", spec.batch_limit), ("rate", spec.rate)):
        if value is not None and not value > 0:
            raise TargetError(f"the endpoint's {name} is {value}", cure="Give more than 0.")
    limits = {"queries": spec.queries, "spend": spec.spend, "price": spec.price_per_query}
    for name, limit in {**limits, "retries": spec.retries}.items():
        if limit is not None and not 0 <= limit < 2**53:
            raise TargetError(f"the endpoint's {name} is {limit}", cure="Give 0 or more.")


TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
OURS = frozenset(
    {
        "accept-encoding", "connection", "content-length", "content-type",
        "inference-header-content-length", "te", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
LEAST_HIDDEN = 4
HIDDEN = "[hidden]"


class Credentials:
    """The headers of every request to one server."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)

    def __repr__(self) -> str:
        """Return the names alone."""
        return f"Credentials({sorted(self._values)})"

    def headers(self) -> dict[str, str]:
        """Return names and values, for the wire and nothing else."""
        return dict(self._values)

    def redact(self, text: str) -> str:
        """Return ``text`` without the values, whole or by their words (as in ``Bearer …``)."""
        secrets = {word for value in self._values.values() for word in (value, *value.split())}
        for secret in sorted(secrets, key=len, reverse=True):
            if len(secret) >= LEAST_HIDDEN and secret.lower() not in {"basic", "bearer"}:
                text = text.replace(secret, HIDDEN)
        return text

    def redact_all(self, said: Any) -> Any:  # noqa: ANN401 -- whatever JSON a server sent
        """Return JSON without the values, wherever in it the server may echo them."""
        if isinstance(said, str):
            return self.redact(said)
        if isinstance(said, Mapping):
            return {self.redact(str(key)): self.redact_all(item) for key, item in said.items()}
        return [self.redact_all(item) for item in said] if isinstance(said, list) else said


def read_credentials(spec: EndpointSpec, environ: Mapping[str, str]) -> Credentials:
    """Read the values of the spec's headers from ``environ``.

    Raises ``TargetError`` that names the variable, never its value.
    """
    return Credentials(
        {name: _value(name, variable, environ) for name, variable in spec.headers.items()}
    )


def _value(name: str, variable: str, environ: Mapping[str, str]) -> str:
    if not TOKEN.fullmatch(name) or name.lower() in OURS:
        raise TargetError(
            f"the header {name!r} of the endpoint cannot be set",
            cure="Give a header that the server asks for, such as Authorization.",
        )
    value = environ.get(variable, "").strip()
    if not value:
        raise TargetError(
            f"the header {name!r} of the endpoint takes its value from the environment variable "
            f"{variable}, which is not set",
            cure=f"Set {variable} before the audit, or name another variable.",
        )
    if not (value.isascii() and value.isprintable()):
        raise TargetError(
            f"the environment variable {variable} holds characters that no header may have",
            cure="Set it to one line of printable ASCII.",
        )
    return value


def build_tls_context(ca: str | None) -> ssl.SSLContext:
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


def require_root_file(ca: str | None) -> bytes | None:
    """Return the PEM file ``ca``, checked. Raises ``TargetError`` as ``build_tls_context`` does."""
    if ca is None:
        return None
    build_tls_context(ca)
    with open(ca, "rb") as file:  # noqa: PTH123 -- read as ssl reads it
        return file.read()


def fetch_certificate_digest(host: str, port: int, ca: str | None, seconds: float) -> str:
    """Return the SHA-256 of the certificate that a server shows, over a connection of its own.

    For gRPC, whose library keeps it to itself. Raises ``OSError`` (of which ``ssl.SSLError``).
    """
    context = build_tls_context(ca)
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection((host, port), timeout=seconds) as plain,
        context.wrap_socket(plain, server_hostname=host) as secured,
    ):
        raw = secured.getpeercert(binary_form=True) or b""
    return compute_digest(raw)


def find_certificate_error(error: BaseException) -> str | None:
    """Return why a certificate was not believed, if that is what lies behind ``error``."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return seen.verify_message or "its certificate cannot be verified"
        seen = seen.__cause__ or seen.__context__
    return None
