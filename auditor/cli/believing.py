"""Verify a record's folder by a key, or by whom a trust policy lets audit."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from auditor.accepting import standing_in
from auditor.domain.steps import Step
from auditor.domain.trust import Standing
from auditor.errors import UsageError
from auditor.folders import BUNDLE, RecordFolder
from auditor.settings import Settings
from auditor.signatures.objections import Grade
from auditor.store.store import Store
from auditor.trustfiles import load_trust_policy
from auditor.trusting.asking import When
from auditor.trusting.auditors import Vouched, auditor_of
from auditor.trusting.policies import TrustPolicy
from auditor.verifying import verify_folder
from auditor.wiring import verifier


def verify_by(
    folder: RecordFolder,
    key: Path | None,
    trust: Path | None,
    ledger: Path | None = None,
    witnesses: tuple[Path, ...] = (),
) -> tuple[Step, ...]:
    """Verify a record's folder by a key, or by the auditor of a trust policy who signed it.

    Raises ``UsageError`` unless just one of them is given.
    """
    if trust is None and key is not None:
        return verify_folder(folder, verifier(key, ledger, witnesses))
    if trust is None or key is not None:
        raise UsageError(
            "It must be clear whose records to believe", cure="Give --key or --trust, one of them."
        )
    policy = load_trust_policy(trust).policy
    found = auditor_of(
        policy, folder.read(BUNDLE), When(datetime.now(UTC)), standing=standing_here(policy)
    )
    step = _trust(policy, found)
    if found.auditor is None:
        return (step,)
    checker = verifier(found.auditor.key.pem, ledger, witnesses)
    return (step, *verify_folder(folder, replace(checker, highest=found.auditor.highest)))


def standing_here(policy: TrustPolicy) -> Standing:
    """Return how a trust policy stands to those accepted on this machine; nothing is made there."""
    settings = Settings.from_environment()
    if not settings.begun:
        return Standing.UNKNOWN
    store = Store.open(settings.database, settings.blobs)
    try:
        return standing_in(store, policy)
    finally:
        store.close()


def _trust(policy: TrustPolicy, found: Vouched) -> Step:
    doubts = [f"{it.code}: {it.text}" for it in found.objections if it.grade is Grade.WARNING]
    who = found.auditor
    said = "" if who is None else f"{policy}: {who.name} may claim {who.highest.name}"
    return Step.of("trust", found.mistakes, "; ".join([said, *doubts]))
