"""Waivers, and the keys that sign them."""

from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from auditor.domain.json import JsonObject
from auditor.domain.waivers import Waiver, read_waiver
from auditor.trust.signatures.keys import KeySigner

ARTIFACT = "sha256:" + "a" * 64
NOW = "2026-03-01T00:00:00Z"
WORDS: JsonObject = {
    "apiVersion": "auditor/v1",
    "kind": "Waiver",
    "rule": "accurate",
    "model": "model",
    "artifact": ARTIFACT,
    "policy": "tests",
    "owner": "olga@example.org",
    "approver": "anna@example.org",
    "reason": "The sensor is replaced in April.",
    "ticket": "RISK-12",
    "created": "2026-02-01T00:00:00Z",
    "expires": "2026-05-01",
}


def read(**changes: Any) -> Waiver:  # noqa: ANN401 -- any setting of the document
    """Return a waiver read from its document, changed where asked; ``None`` leaves out."""
    said = {**WORDS, **changes}
    return read_waiver(
        {name: value for name, value in said.items() if value is not None},
        lambda name: f"waiver.yaml:{name}",
    )


def new_signer() -> KeySigner:
    """Return a new key."""
    return KeySigner(ec.generate_private_key(ec.SECP256R1()))
