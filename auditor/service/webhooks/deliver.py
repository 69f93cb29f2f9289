"""Where messages may be sent to: nothing that only this service's own network can reach."""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

from auditor.refusals import HookError

PORTS = {"https": 443, "http": 80}
Look = Callable[[str, int], Sequence[str]]
LONGEST = 2000
TRANSLATED = IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True, kw_only=True)
class HookRules:
    """The leave of whoever runs the service: plain HTTP, and addresses of networks of its own.

    ``public`` is the address at which people reach the service, for links; empty, they are paths.
    """

    http: bool = False
    private: bool = False
    public: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """A URL taken apart: its scheme, host, port, and path with query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def header(self) -> str:
        """What the ``Host`` header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


def place_of(url: str, rules: HookRules) -> Place:
    """Take apart a URL that messages may be sent to, as far as it can be told without looking up.

    Raises ``HookError``.
    """
    parts, port = _split(url)
    if parts is None or port is None:
        raise HookError(
            f"{url[:80]!r} is no address of a web hook", cure="Write it as https://host/path."
        )
    host = str(parts.hostname)
    if parts.scheme == "http" and not rules.http and not _is_loopback(host):
        raise HookError(
            f"{url[:80]!r} is plain HTTP, which others on the way can read",
            cure="Use https, or let the service be started with --allow-http-hooks.",
        )
    if _is_address(host):
        refuse_private(host, host, rules)
    query = f"?{parts.query}" if parts.query else ""
    return Place(parts.scheme, host, port, (parts.path or "/") + query)


def addresses_of(place: Place, rules: HookRules, look: Look) -> Sequence[str]:
    """Return the addresses of a place. Raises ``HookError`` where one of them may not be had.

    Whoever connects takes one of these, and asks for the name no more: what it stands for may be
    another thing a moment later.
    """
    found = look(place.host, place.port)
    for address in found:
        refuse_private(address, place.host, rules)
    return found


def look_up(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host, as the system knows them. Raises ``OSError``."""
    known = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(item[4][0]) for item in known))


def refuse_private(address: str, host: str, rules: HookRules) -> None:
    """Raise ``HookError`` for an address that is not one of the open internet."""
    if rules.private:
        return
    read = ip_address(address.partition("%")[0])
    inner = _inside(read) if isinstance(read, IPv6Address) else None
    if not all(item.is_global and not item.is_multicast for item in (read, inner or read)):
        raise HookError(
            f"{host[:80]} is in a network of the service's own",
            cure="Name a host of the open internet, or let the service be started with "
            "--allow-private-hooks.",
        )


def _inside(address: IPv6Address) -> IPv4Address | None:
    """Return the older address that a newer one carries, if it carries one."""
    if address in TRANSLATED:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)


def _split(url: str) -> tuple[SplitResult | None, int | None]:
    plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= LONGEST
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS.get(parts.scheme)
    except ValueError:
        return None, None
    odd = parts.username is not None or parts.password is not None or parts.fragment
    return (None, None) if not plain or odd or not parts.hostname else (parts, port)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ip_address(host).is_loopback)
