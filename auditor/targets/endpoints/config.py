"""Where an endpoint is, and whether what was declared of it can be kept."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import SplitResult, parse_qsl, urlsplit

from auditor.domain.endpoints import EndpointSpec, Protocol
from auditor.errors import TargetError

SCHEMES: Mapping[Protocol, Mapping[str, bool]] = {
    Protocol.OIP_HTTP: {"http": False, "https": True},
    Protocol.HTTP_JSON: {"http": False, "https": True},
    Protocol.OIP_GRPC: {"grpc": False, "grpcs": True},
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
class Address:
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


def address_of(spec: EndpointSpec) -> Address:
    """Read the URL of an endpoint. Raises ``TargetError`` for one that cannot be used."""
    schemes = SCHEMES[spec.protocol]
    parts, port = _split(spec.url)
    if parts.scheme not in schemes or not parts.hostname:
        raise TargetError(
            f"an endpoint that speaks {spec.protocol.value} has no address {_shown(parts)!r}",
            cure=f"Write it as {' or '.join(f'{scheme}://host:port' for scheme in schemes)}.",
        )
    if parts.username is not None or parts.password is not None:
        raise TargetError(
            f"the address of the endpoint at {parts.hostname} holds a user or password",
            cure="Put them into an environment variable, and name it under `endpoint.headers`.",
        )
    if parts.fragment or (parts.query and spec.protocol is not Protocol.HTTP_JSON):
        raise TargetError(
            f"the address of the endpoint at {parts.hostname} has a query or a fragment",
            cure="Give the address without what follows ? and #.",
        )
    _require_harmless(parts)
    encrypted = schemes[parts.scheme]
    number = port or PORTS[encrypted]
    if not encrypted:
        _require_no_secrets(spec, parts.hostname)
    exact = spec.protocol is Protocol.HTTP_JSON
    path = parts.path if exact else parts.path.rstrip("/")
    return Address(parts.hostname, number, path, parts.query, encrypted)


def _require_no_secrets(spec: EndpointSpec, host: str) -> None:
    """Refuse headers that would go to another machine in the clear."""
    if spec.headers and not _near(host):
        safe = next(scheme for scheme, encrypted in SCHEMES[spec.protocol].items() if encrypted)
        raise TargetError(
            f"the endpoint at {host} is not encrypted, and {', '.join(spec.headers)} would go "
            "there in the clear",
            cure=f"Use {safe}://, or reach it through a tunnel that ends on this machine.",
        )


def _near(host: str) -> bool:
    """Whether a host is this machine itself."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def check(spec: EndpointSpec) -> None:
    """Refuse limits that mean nothing and models without a name. Raises ``TargetError``."""
    if spec.protocol is not Protocol.HTTP_JSON and not spec.model:
        raise TargetError(
            f"the endpoint speaks {spec.protocol.value}, and no model is named",
            cure="Set `endpoint.model` to the name under which the server holds it.",
        )
    if spec.protocol is Protocol.HTTP_JSON and spec.model_version:
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


def _require_harmless(parts: SplitResult) -> None:
    """Refuse a query that looks like a key: the address is part of the record."""
    for name, _ in parse_qsl(parts.query, keep_blank_values=True):
        words = set(re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name))
        if SECRET & {word.lower() for word in words} or name.lower() in SECRET:
            raise TargetError(
                f"the address of the endpoint at {parts.hostname} holds {name[:64]!r}, which looks "
                "like a key, and addresses are written into records",
                cure="Put it into an environment variable, and name it under `endpoint.headers`.",
            )


def _split(url: str) -> tuple[SplitResult, int | None]:
    try:
        return (parts := urlsplit(url)), parts.port
    except ValueError:
        raise TargetError(
            "the endpoint's address is not a URL", cure="Write it as https://host:port/path."
        ) from None


def _shown(parts: SplitResult) -> str:
    return f"{parts.scheme}://{parts.hostname or ''}"[:200]
