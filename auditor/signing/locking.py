"""Private keys as PEM, locked by a password where there is one (PKCS#8, RFC 8018).

The library locks with 2048 rounds of PBKDF2, which costs a thief little; these are as many as OWASP
asks for, and OpenSSL and the library open the same form.
"""

import base64
import hashlib
import secrets
from textwrap import wrap

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from auditor.signatures.der import NULL, OCTETS, SEQUENCE, write, write_integer, write_oid

ROUNDS = 600_000
_PBES2, _PBKDF2 = "1.2.840.113549.1.5.13", "1.2.840.113549.1.5.12"
_HMAC_SHA256, _AES256_CBC = "1.2.840.113549.2.9", "2.16.840.1.101.3.4.1.42"
_BLOCK, _KEY, _SALT, _WIDTH = 16, 32, 16, 64


def private_pem(key: EllipticCurvePrivateKey | Ed25519PrivateKey, password: bytes | None) -> bytes:
    """Return a private key as PEM; with a password, encrypted by AES-256 (PBES2)."""
    if password is None:
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    plain = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    lines = wrap(base64.b64encode(_locked(plain, password)).decode(), _WIDTH)
    words = "ENCRYPTED PRIVATE KEY"
    return "\n".join([f"-----BEGIN {words}-----", *lines, f"-----END {words}-----", ""]).encode()


def is_locked(pem: bytes) -> bool:
    """Whether a private key in PEM form opens with a password alone."""
    return b"ENCRYPTED" in pem


def _locked(plain: bytes, password: bytes) -> bytes:
    salt, start = secrets.token_bytes(_SALT), secrets.token_bytes(_BLOCK)
    derived = hashlib.pbkdf2_hmac("sha256", password, salt, ROUNDS, _KEY)
    padder = PKCS7(8 * _BLOCK).padder()
    cipher = Cipher(algorithms.AES(derived), modes.CBC(start)).encryptor()
    text = cipher.update(padder.update(plain) + padder.finalize()) + cipher.finalize()
    hashing = write(SEQUENCE, write_oid(_HMAC_SHA256), write(NULL))
    rounds = write(SEQUENCE, write(OCTETS, salt), write_integer(ROUNDS), hashing)
    parts = (
        write(SEQUENCE, write_oid(_PBKDF2), rounds),
        write(SEQUENCE, write_oid(_AES256_CBC), write(OCTETS, start)),
    )
    how = write(SEQUENCE, write_oid(_PBES2), write(SEQUENCE, *parts))
    return write(SEQUENCE, how, write(OCTETS, text))
