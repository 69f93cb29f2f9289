"""Object identifiers of hash functions."""

from collections.abc import Mapping

HASHES: Mapping[str, str] = {
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
OF_HASH = {name: oid for oid, name in HASHES.items()}
