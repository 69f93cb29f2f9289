"""Network namespaces: processes that reach this machine over one wire, which can be cut."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Walled:
    """A namespace whose one wire leads to ``address`` of this machine."""

    name: str
    wire: str
    address: str

    @property
    def inside(self) -> list[str]:
        """What a command line begins with that runs in there."""
        return ["ip", "netns", "exec", self.name]

    def cut(self) -> None:
        _ip("link", "set", self.wire, "down")

    def mend(self) -> None:
        _ip("link", "set", self.wire, "up")

    def reaches(self, port: int) -> bool:
        """Whether a process in there reaches a port of this machine."""
        script = f"import socket; socket.create_connection(({self.address!r}, {port}), 3)"
        tried = subprocess.run(
            [*self.inside, "python3", "-c", script], check=False, capture_output=True
        )
        return tried.returncode == 0


@contextmanager
def walled() -> Iterator[Walled | None]:
    """Make a namespace, or give ``None`` where this machine does not let us."""
    number = os.getpid() % 250
    made = Walled(f"agent{number}", f"agent{number}a", f"10.213.{number}.1")
    there = f"agent{number}b"
    if shutil.which("ip") is None or not _may("netns", "add", made.name):
        yield None
        return
    try:
        if not _may("link", "add", made.wire, "type", "veth", "peer", "name", there):
            yield None
            return
        _ip("link", "set", there, "netns", made.name)
        _ip("addr", "add", f"{made.address}/30", "dev", made.wire)
        _ip("link", "set", made.wire, "up")
        _ip("-n", made.name, "addr", "add", f"10.213.{number}.2/30", "dev", there)
        _ip("-n", made.name, "link", "set", there, "up")
        _ip("-n", made.name, "link", "set", "lo", "up")
        yield made
    finally:
        _may("link", "delete", made.wire)
        _may("netns", "delete", made.name)


def certificate(folder: Path, *addresses: str) -> tuple[Path, Path]:
    """Write a certificate for addresses or names, signed by itself, and its private key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a service of tests")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName(
        [
            x509.DNSName(it) if it[-1].isalpha() else x509.IPAddress(ip_address(it))
            for it in addresses
        ]
    )
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain, private = folder / "tls.pem", folder / "tls.key"
    chain.write_bytes(made.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return chain, private


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def _may(*arguments: str) -> bool:
    return subprocess.run(["ip", *arguments], check=False, capture_output=True).returncode == 0
