"""Builds record verifiers from trusted keys and policies."""

from pathlib import Path

from auditor._environment import environment_digest
from auditor._resources import code_digest, find_shipped_folder
from auditor.checks.registry import discover_checks
from auditor.domain.policies import AssuranceLevel
from auditor.policy.control_catalogues import load_catalogues
from auditor.policy.load import load_policy
from auditor.reports.folder import SIGNER, RecordFolder
from auditor.trust.keys.files import load_public_key, parse_public_key
from auditor.trust.keys.ledger_key import load_note_key
from auditor.workflows.verify.folder import RecordVerifier


def build_verifier(
    key: Path | bytes,
    ledger: Path | None = None,
    witnesses: tuple[Path, ...] = (),
    highest: AssuranceLevel = AssuranceLevel.A0,
) -> RecordVerifier:
    """Return what verifying needs with a public key (a file, or PEM), and those of a ledger.

    ``highest`` is the most that a record of that key may claim.
    """
    checks = discover_checks()
    catalogues = load_catalogues(find_shipped_folder("policies"))
    return RecordVerifier(
        checks=checks,
        load_policy=lambda raw, source: load_policy(raw, source, checks, catalogues),
        key=key if isinstance(key, bytes) else load_public_key(key).pem,
        code=code_digest(),
        environment=environment_digest(),
        ledger=None if ledger is None else load_note_key(ledger),
        witnesses=tuple(load_note_key(path) for path in witnesses),
        highest=highest,
    )


def build_own_verifier(folder: RecordFolder, key: Path | None = None) -> RecordVerifier:
    """Return what verifies that a folder is whole, by the key in it unless another is given.

    It says nothing of whom to believe, so that the record may claim what it likes.
    """
    named = str(folder.path / SIGNER)
    own = key or parse_public_key(folder.read(SIGNER), named).pem
    return build_verifier(own, highest=max(AssuranceLevel))


def build_service_verifier(key: bytes) -> RecordVerifier:
    """Return what verifies a service's records by its key (PEM), which is good for A1 alone."""
    return build_verifier(key, highest=AssuranceLevel.A1)
