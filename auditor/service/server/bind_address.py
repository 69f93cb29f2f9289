"""Where a service listens, with which certificate, and behind which proxies."""

import ssl
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path

from auditor.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class BindAddress:
    """Where a service listens, and how many seconds checks in hand have when it stops.

    With ``tls``, a chain of certificates and its private key (PEM files), it speaks TLS. Who calls
    by one of ``proxies``, which are addresses or networks, is whom that proxy names.
    """

    host: str = "127.0.0.1"
    port: int = 8400
    drain: int = 30
    tls: tuple[Path, Path] | None = None
    proxies: tuple[str, ...] = ()

    @property
    def open(self) -> bool:
        """Whether others than this machine can call; then something must put TLS before it."""
        try:
            return not ip_address(self.host).is_loopback
        except ValueError:
            return self.host != "localhost"

    def refuse_unusable(self) -> None:
        """Raise ``UsageError`` where a proxy is no address, or TLS cannot be spoken."""
        for proxy in self.proxies:
            try:
                ip_network(proxy)
            except ValueError:
                raise UsageError(
                    f"--proxy {proxy[:80]!r} is neither an address nor a network",
                    cure="Write the address of the proxy, for example 10.0.0.7 or 10.0.0.0/24.",
                ) from None
        if self.tls is None:
            return
        chain, key = self.tls
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(chain, key, password=_nobody)
        except (OSError, ValueError) as error:  # ssl's own errors are of the first kind
            raise UsageError(
                f"{chain} and {key} cannot be used for TLS: {error}",
                cure="Name a certificate chain (PEM) and its private key without a password.",
            ) from None


def _nobody() -> str:
    raise ValueError("the private key has a password")
