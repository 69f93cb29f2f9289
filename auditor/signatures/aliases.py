"""Every spelling of one signed certificate, so that a revoked one does not come back as another.

Whoever holds an ECDSA signature (r, s) can write a second one, (r, n - s), over the same bytes
without the key, and so make a certificate that is as valid and has another digest.

Source: SEC 1 version 2, section 4.1.4, where s and -s verify alike; RFC 5280, section 4.1.
"""

import hashlib

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

ORDERS = tuple(curve.group_order for curve in (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()))
SHORT = 0x80


def spellings(parsed: x509.Certificate, der: bytes) -> frozenset[str]:
    """Return the hexadecimal SHA-256 of each DER under which this certificate can be shown.

    The issuer's curve is not in it, so that all are tried. Raises ``ValueError`` where the
    signature has unused bits, which nothing signs either.
    """
    before = len(der) - len(parsed.signature) - 1
    if der[before]:
        raise ValueError("the signature has unused bits")
    found = {der}
    if isinstance(parsed.signature_algorithm_parameters, ec.ECDSA):
        r, s = decode_dss_signature(parsed.signature)
        body = parsed.tbs_certificate_bytes
        head = 1 + len(_length(len(parsed.signature) + 1))
        algorithm = der[der.index(body) + len(body) : before - head]
        for order in ORDERS:
            if 0 < s < order:
                bits = b"\0" + encode_dss_signature(r, order - s)
                found.add(_tagged(0x30, body + algorithm + _tagged(0x03, bits)))
    return frozenset(hashlib.sha256(item).hexdigest() for item in found)


def _tagged(tag: int, content: bytes) -> bytes:
    return bytes([tag]) + _length(len(content)) + content


def _length(size: int) -> bytes:
    """Write a length in DER (X.690, section 8.1.3)."""
    if size < SHORT:
        return bytes([size])
    raw = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([SHORT | len(raw)]) + raw
