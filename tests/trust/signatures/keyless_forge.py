"""A Sigstore of our own: an authority, its certificate log and a transparency log, on paper.

Everything is signed as the public services sign it, so that a verifier that trusts these three keys
has no reason to refuse; what is wrong is wrong because somebody asked for it.
"""

import base64
import hashlib
import json
import struct
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import rfc8785
from authority_forge import CODE, ROOT, SIGNS, Issued, Wish, issue
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from signature_forge import Forge, key_of

from auditor.trust.encoding.dsse import IN_TOTO, pae
from auditor.trust.signatures.keys import KeySigner

SIGNED_AT = datetime(2026, 6, 1, 0, 0, 5, tzinfo=UTC)
WORKFLOW = "https://github.com/acme/credit/.github/workflows/release.yml@refs/heads/main"
ISSUER = "https://token.actions.githubusercontent.com"
OIDC_ISSUER = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
SCT_LIST = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
ECDSA_OVER_SHA256 = b"\4\3"


def spki(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def log_id(key: ec.EllipticCurvePrivateKey) -> bytes:
    return hashlib.sha256(spki(key)).digest()


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def sign(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    return key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))


@dataclass(frozen=True)
class Sigstore:
    """The three services' keys, and when the log saw the signature."""

    root: Issued = field(default_factory=lambda: issue(ROOT, key_of(ec.SECP256R1(), 801).key))
    certificates: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: key_of(ec.SECP256R1(), 802).key
    )
    log: ec.EllipticCurvePrivateKey = field(default_factory=lambda: key_of(ec.SECP256R1(), 803).key)
    seen: datetime = SIGNED_AT

    @property
    def trusted_root(self) -> bytes:
        """What a verifier pins: ``trusted_root.json``."""
        always = {"start": "2020-01-01T00:00:00Z"}
        return json.dumps(
            {
                "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
                "tlogs": [self._log(self.log, "https://log.example", always)],
                "certificateAuthorities": [
                    {
                        "subject": {"organization": "acme", "commonName": "Acme root"},
                        "uri": "https://ca.example",
                        "certChain": {"certificates": [{"rawBytes": b64(self.root.der)}]},
                        "validFor": always,
                    }
                ],
                "ctlogs": [self._log(self.certificates, "https://ct.example", always)],
                "timestampAuthorities": [],
            }
        ).encode()

    def _log(self, key: ec.EllipticCurvePrivateKey, url: str, valid: object) -> dict[str, object]:
        return {
            "baseUrl": url,
            "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": b64(spki(key)),
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                "validFor": valid,
            },
            "logId": {"keyId": b64(log_id(key))},
        }

    def leaf(self, name: x509.GeneralName, issuer: str = ISSUER) -> Issued:
        """A certificate of ten minutes, with the promise of the certificate log in it."""
        assert isinstance(self.root.key, ec.EllipticCurvePrivateKey)
        above = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.root.key.public_key())
        vouched = x509.UnrecognizedExtension(OIDC_ISSUER, issuer.encode())
        extra: list[tuple[x509.ExtensionType, bool]] = [(above, False), (vouched, False)]
        wish = Wish("keyless", 5, None, None, SIGNS, (CODE,), (name,), timedelta(0),
                    timedelta(minutes=10), extra=extra)  # fmt: skip
        key = key_of(ec.SECP256R1(), 804).key
        before = issue(wish, key, self.root).certificate
        promise = x509.UnrecognizedExtension(SCT_LIST, self._promise(before.tbs_certificate_bytes))
        return issue(replace(wish, extra=[*extra, (promise, False)]), key, self.root)

    def _promise(self, tbs: bytes) -> bytes:
        """RFC 6962, section 3.2: a list of one signed certificate timestamp."""
        assert isinstance(self.root.key, ec.EllipticCurvePrivateKey)
        when = struct.pack(">Q", int(SIGNED_AT.timestamp() * 1000))
        entry = log_id(self.root.key) + len(tbs).to_bytes(3, "big") + tbs
        signed = b"\0\0" + when + b"\0\1" + entry + b"\0\0"
        signature = sign(self.certificates, signed)
        sct = b"\0" + log_id(self.certificates) + when + b"\0\0" + ECDSA_OVER_SHA256
        sct += len(signature).to_bytes(2, "big") + signature
        listed = (len(sct) + 2).to_bytes(2, "big") + len(sct).to_bytes(2, "big") + sct
        return b"\x04" + _length(len(listed)) + listed

    def entry(self, payload: bytes, signature: bytes, leaf: Issued) -> dict[str, Any]:
        """The only entry of the log, with its proof and the log's promise."""
        envelope = json.dumps({"payload": b64(payload)}).encode()
        body = rfc8785.dumps(
            {
                "apiVersion": "0.0.1",
                "kind": "dsse",
                "spec": {
                    "envelopeHash": {"algorithm": "sha256", "value": _hex(envelope)},
                    "payloadHash": {"algorithm": "sha256", "value": _hex(payload)},
                    "signatures": [{"signature": b64(signature), "verifier": b64(leaf.pem)}],
                },
            }
        )
        seen, name = int(self.seen.timestamp()), log_id(self.log)
        said = {"body": b64(body), "integratedTime": seen, "logID": name.hex(), "logIndex": 0}
        root = hashlib.sha256(b"\0" + body).digest()
        note = f"log.example - 1\n1\n{b64(root)}\n"
        note_signature = b64(name[:4] + sign(self.log, note.encode()))
        return {
            "logIndex": "0",
            "logId": {"keyId": b64(name)},
            "kindVersion": {"kind": "dsse", "version": "0.0.1"},
            "integratedTime": str(seen),
            "inclusionPromise": {"signedEntryTimestamp": b64(sign(self.log, rfc8785.dumps(said)))},
            "inclusionProof": {
                "logIndex": "0",
                "rootHash": b64(root),
                "treeSize": "1",
                "hashes": [],
                "checkpoint": {"envelope": f"{note}\n\u2014 log.example {note_signature}\n"},
            },
            "canonicalizedBody": b64(body),
        }

    def bundle(
        self, name: x509.GeneralName | None = None, statement: dict[str, Any] | None = None,
        issuer: str = ISSUER,
    ) -> dict[str, Any]:  # fmt: skip
        """A keyless signature over a model's statement."""
        leaf = self.leaf(name or x509.UniformResourceIdentifier(WORKFLOW), issuer)
        assert isinstance(leaf.key, ec.EllipticCurvePrivateKey)
        signer = KeySigner(leaf.key)
        payload = json.dumps(statement or Forge(signer).statement()).encode()
        signature = signer.sign(pae(IN_TOTO, payload))
        found = Forge(signer).bundle(payload)
        found["verificationMaterial"] = {
            "certificate": {"rawBytes": b64(leaf.der)},
            "tlogEntries": [self.entry(payload, signature, leaf)],
        }
        return found


def _hex(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def _length(size: int) -> bytes:
    """DER's way to write a length."""
    if size < 128:
        return bytes([size])
    return b"\x81" + bytes([size]) if size < 256 else b"\x82" + size.to_bytes(2, "big")
