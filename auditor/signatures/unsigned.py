"""What somebody signs elsewhere, as in a browser: the bytes to sign, and the bundle around them.

WebCrypto gives ECDSA signatures as two numbers side by side (IEEE P1363), bundles hold them in DER.
Source: W3C Web Cryptography API, section 23.7.4.
"""

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from auditor.signatures.bundles import MEDIA_TYPE, parse_bundle
from auditor.signatures.dsse import IN_TOTO, Envelope, pae
from auditor.signatures.keys import PublicKey, read_public_key
from auditor.signatures.strict import write_object


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A statement that a key is to sign: its payload and type, the bytes to sign, the bundle.

    The bundle is whole but for its one signature, whose ``sig`` is empty.
    """

    payload: bytes
    kind: str
    to_sign: bytes
    bundle: bytes


def unsigned(payload: bytes, key_pem: bytes) -> Unsigned:
    """Return what the holder of a public key has to sign. Raises ``Refused`` for no such key."""
    key = read_public_key(key_pem)
    return Unsigned(payload, IN_TOTO, pae(IN_TOTO, payload), _bundle(payload, b"", key))


def signed_elsewhere(payload: bytes, signature: bytes, key_pem: bytes) -> bytes:
    """Return the bundle of a payload that was signed elsewhere, whether that signature holds or
    not. Raises ``Refused`` for what is no public key.
    """
    key = read_public_key(key_pem)
    return _bundle(payload, _der(signature, pae(IN_TOTO, payload), key), key)


def in_der(bundle: bytes, key_pem: bytes) -> bytes:
    """Return a bundle whose signature of two numbers side by side is written in DER.

    Any other stays as it is, to the byte. Raises ``Refused`` for what is no bundle, or no key.
    """
    found, key = parse_bundle(bundle), read_public_key(key_pem)
    envelope = found.envelope
    der = _der(envelope.signature, envelope.signed, key)
    return bundle if der == envelope.signature else _bundle(envelope.payload, der, key)


def _der(signature: bytes, signed: bytes, key: PublicKey) -> bytes:
    size = (key.key.curve.key_size + 7) // 8
    if len(signature) != 2 * size or key.holds(signature, signed):
        return signature
    one, other = signature[:size], signature[size:]
    return encode_dss_signature(int.from_bytes(one), int.from_bytes(other))


def _bundle(payload: bytes, signature: bytes, key: PublicKey) -> bytes:
    return write_object(
        {
            "mediaType": MEDIA_TYPE,
            "verificationMaterial": {"publicKey": {"hint": key.cosign_hint}, "tlogEntries": []},
            "dsseEnvelope": Envelope(IN_TOTO, payload, signature).to_json(),
        }
    )
