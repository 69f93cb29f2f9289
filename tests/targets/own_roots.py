"""Certificates for servers on this machine, signed by roots that nobody else knows."""

import datetime as dt
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def certified(folder: Path, name: str) -> tuple[Path, ssl.SSLContext]:
    """Return the file of a root of its own, and a context with a certificate that it signed."""
    now = dt.datetime.now(dt.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"root {name}")])
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))

    def builder(whom: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(whom)
            .issuer_name(subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
        )

    authority = x509.BasicConstraints(ca=True, path_length=None)
    root = builder(subject, root_key.public_key()).add_extension(authority, critical=True)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    leaf = builder(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")]), key.public_key()
    ).add_extension(names, critical=False)
    trusted, chain = folder / f"{name}-root.pem", folder / f"{name}-server.pem"
    pem = serialization.Encoding.PEM
    trusted.write_bytes(root.sign(root_key, hashes.SHA256()).public_bytes(pem))
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain.write_bytes(private + leaf.sign(root_key, hashes.SHA256()).public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return trusted, context
