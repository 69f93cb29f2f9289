"""What verifying a record needs, by whom is to be believed and how far."""

from pathlib import Path

from auditor.checks.discovery import discover
from auditor.domain.policies import Assurance
from auditor.environments import environment_digest
from auditor.folders import SIGNER, RecordFolder
from auditor.packs.catalogues import load_catalogues
from auditor.packs.loading import load_policy
from auditor.shipped import code_digest, shipped
from auditor.signing.keys import load_public_key, parse_public_key
from auditor.signing.ledger_keys import load_note_key
from auditor.verifying import Verifier


def verifier(
    key: Path | bytes,
    ledger: Path | None = None,
    witnesses: tuple[Path, ...] = (),
    highest: Assurance = Assurance.A0,
) -> Verifier:
    """Return what verifying needs with a public key (a file, or PEM), and those of a ledger.

    ``highest`` is the most that a record of that key may claim.
    """
    checks = discover()
    catalogues = load_catalogues(shipped("policies"))
    return Verifier(
        checks=checks,
        load_policy=lambda raw, source: load_policy(raw, source, checks, catalogues),
        key=key if isinstance(key, bytes) else load_public_key(key).pem,
        code=code_digest(),
        environment=environment_digest(),
        ledger=None if ledger is None else load_note_key(ledger),
        witnesses=tuple(load_note_key(path) for path in witnesses),
        highest=highest,
    )


def own_verifier(folder: RecordFolder, key: Path | None = None) -> Verifier:
    """Return what verifies that a folder is whole, by the key in it unless another is given.

    It says nothing of whom to believe, so that the record may claim what it likes.
    """
    named = str(folder.path / SIGNER)
    own = key or parse_public_key(folder.read(SIGNER), named).pem
    return verifier(own, highest=max(Assurance))


def served_verifier(key: bytes) -> Verifier:
    """Return what verifies a service's records by its key (PEM), which is good for A1 alone."""
    return verifier(key, highest=Assurance.A1)
