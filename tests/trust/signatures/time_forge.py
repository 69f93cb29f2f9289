"""A time-stamping authority that stamps whatever it is told, at any time (RFC 3161)."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from authority_forge import ISSUES, NOW, SIGNS, Issued, Wish, issue
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from signature_forge import key_of

from auditor.trust.encoding.der import (
    NULL,
    OCTETS,
    SEQUENCE,
    SET,
    context_tag,
    write_element,
    write_integer,
    write_oid,
)
from auditor.trust.encoding.hash_oids import OF_HASH
from auditor.trust.timestamps import TimestampAuthorities

POLICY = "1.3.6.1.4.1.99999.1"
STAMPING = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
TIME = 0x18
DAY = timedelta(days=1)
SIGNER = Wish("Clock", 12, usage=SIGNS, purposes=None, names=(), extra=((STAMPING, True),),
              since=-30 * DAY, until=400 * DAY)  # fmt: skip
ROOT = Wish("Clocks' root", 11, ca=True, usage=ISSUES, purposes=None, names=(),
            since=-40 * DAY, until=500 * DAY)  # fmt: skip


@dataclass(frozen=True)
class Saying:
    """What a token says and how it is made; the defaults are those of a good one."""

    at: datetime = NOW
    policy: str = POLICY
    nonce: int | None = None
    hash: str = "sha256"
    digest: bytes | None = None
    serial: int = 77
    signer_hash: str = "sha256"
    named: bytes | None = None
    certificates: Sequence[bytes] | None = None
    content_type: str = "1.2.840.113549.1.9.16.1.4"
    extra: bytes = b""
    signatures: int = 1
    number: int | None = None


@dataclass(frozen=True)
class Clock:
    """An authority: its root, and the signer below it."""

    root: Issued
    signer: Issued
    between: tuple[Issued, ...] = field(default=())

    @classmethod
    def made(cls, signer: Wish = SIGNER, root: Wish = ROOT, seed: int = 931) -> "Clock":
        top = issue(root, key_of(ec.SECP256R1(), seed).key)
        return cls(top, issue(signer, key_of(ec.SECP256R1(), seed + 1).key, top))

    @classmethod
    def of(cls, first: datetime, last: datetime, seed: int = 931) -> "Clock":
        """An authority whose certificates are valid between two times."""
        since, until = first - NOW, last - NOW
        return cls.made(replace(SIGNER, since=since, until=until, serial=seed),
                        replace(ROOT, since=since, until=until, serial=seed + 1,
                                name=f"Clocks' root {seed}"), seed)  # fmt: skip

    @property
    def trusted(self) -> TimestampAuthorities:
        return TimestampAuthorities((self.root.pem,))

    def stamp(self, covered: bytes, saying: Saying = Saying()) -> bytes:
        """Answer a request: a granted timestamp over these bytes."""
        return write_element(
            SEQUENCE, write_element(SEQUENCE, write_integer(0)), self.token(covered, saying)
        )

    def token(self, covered: bytes, saying: Saying = Saying()) -> bytes:
        said = stamped(covered, saying)
        content = write_element(
            SEQUENCE, write_oid("1.2.840.113549.1.9.16.1.4"),
            write_element(context_tag(0), write_element(OCTETS, said)),
        )  # fmt: skip
        brought = saying.certificates
        if brought is None:
            brought = [self.signer.der, *(item.der for item in self.between), self.root.der]
        certificates = [write_element(context_tag(0), *brought)] if brought else []
        signed = self.signed(said, saying)
        data = write_element(
            SEQUENCE, write_integer(3), write_element(SET, algorithm(saying.signer_hash)), content,
            *certificates, write_element(SET, *[signed] * saying.signatures),
        )  # fmt: skip
        return write_element(
            SEQUENCE, write_oid("1.2.840.113549.1.7.2"), write_element(context_tag(0), data)
        )

    def signed(self, said: bytes, saying: Saying) -> bytes:
        """The one signature, over attributes that name what is signed and by whom."""
        kind = saying.signer_hash
        digest = hashlib.new(kind, said).digest()
        named = hashlib.sha256(saying.named or self.signer.der).digest()
        attributes = sorted([
            attribute("1.2.840.113549.1.9.3", write_oid(saying.content_type)),
            attribute("1.2.840.113549.1.9.4", write_element(OCTETS, digest)),
            attribute("1.2.840.113549.1.9.16.2.47",
                      write_element(SEQUENCE, write_element(SEQUENCE, write_element(
                          SEQUENCE, write_element(OCTETS, named))))),
        ])  # fmt: skip
        covered = write_element(SET, *attributes)
        certificate = self.signer.certificate
        issuer = write_element(
            SEQUENCE, certificate.issuer.public_bytes(),
            write_integer(saying.number or certificate.serial_number),
        )  # fmt: skip
        how, signature = self.signature(covered, kind)
        return write_element(
            SEQUENCE, write_integer(1), issuer, algorithm(kind),
            write_element(context_tag(0), *attributes), how, write_element(OCTETS, signature),
        )  # fmt: skip

    def signature(self, covered: bytes, kind: str) -> tuple[bytes, bytes]:
        of = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}[kind]
        key = self.signer.key
        if isinstance(key, rsa.RSAPrivateKey):
            how = write_element(SEQUENCE, write_oid("1.2.840.113549.1.1.1"), write_element(NULL))
            return how, key.sign(covered, padding.PKCS1v15(), of)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        number = {"sha256": 2, "sha384": 3, "sha512": 4}[kind]
        return (write_element(SEQUENCE, write_oid(f"1.2.840.10045.4.3.{number}")),
                key.sign(covered, ec.ECDSA(of, deterministic_signing=True)))  # fmt: skip


def stamped(covered: bytes, saying: Saying) -> bytes:
    """What is signed (TSTInfo)."""
    digest = saying.digest or hashlib.new(saying.hash, covered).digest()
    imprint = write_element(SEQUENCE, algorithm(saying.hash), write_element(OCTETS, digest))
    nonce = [] if saying.nonce is None else [write_integer(saying.nonce)]
    time = write_element(TIME, saying.at.strftime("%Y%m%d%H%M%SZ").encode())
    return write_element(SEQUENCE, write_integer(1), write_oid(saying.policy), imprint,
                         write_integer(saying.serial), time, *nonce, saying.extra)  # fmt: skip


def algorithm(kind: str) -> bytes:
    oid = {**OF_HASH, "sha1": "1.3.14.3.2.26", "md5": "1.2.840.113549.2.5"}[kind]
    return write_element(SEQUENCE, write_oid(oid), write_element(NULL))


def attribute(oid: str, value: bytes) -> bytes:
    return write_element(SEQUENCE, write_oid(oid), write_element(SET, value))
