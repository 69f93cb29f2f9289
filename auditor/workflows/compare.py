"""Compares two record folders, each verified first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from auditor.domain.observed_checks import Result
from auditor.domain.policies import AssuranceLevel
from auditor.domain.records import AuditRecord
from auditor.domain.verification_steps import StepResult, VerificationStep
from auditor.errors import AuditorError, RecordError, UsageError
from auditor.policy.record_comparison import RecordSide, compare_records
from auditor.policy.record_comparison_result import RecordComparison
from auditor.reports.folder import SIGNER, RecordFolder
from auditor.reports.html.comparison import ComparisonView
from auditor.reports.rendering_inputs import ReportInputs
from auditor.trust.keys.files import load_public_key
from auditor.workflows.evidence import list_commitments, load_record_policy, load_results
from auditor.workflows.verify.folder import RecordVerifier, verify_folder
from auditor.workflows.verify.trusted_record import (
    VerifierOptions,
    read_trust_policy_option,
    verify_record_folder,
)
from auditor.workflows.verify.verifiers import build_own_verifier

FIGURES = "figures"
Verify = Callable[[RecordFolder], tuple[VerificationStep, ...]]
UNVERIFIED = (
    "These records are not authenticated: each was verified only with the key in its own folder, "
    "which the author of the folder chose. Add --key or --trust."
)


@dataclass(frozen=True, slots=True)
class ComparedRecord:
    """One side of a comparison, and what of its figures nobody could recompute here."""

    side: RecordSide
    not_recomputed: str


def compare_folders(
    before: RecordFolder, after: RecordFolder, verify: Verify, reader: RecordVerifier
) -> tuple[RecordComparison, tuple[str, ...]]:
    """Compare the records in two folders, and say what was taken as it is signed.

    ``reader`` reads policies and knows the checks; its key plays no part. Raises ``RecordError``
    unless both folders verify, or where the records have no figure in common that may be compared.
    """
    sides = tuple(load_compared_record(folder, verify, reader) for folder in (before, after))
    first, second = (item.side for item in sides)
    if first.record.confidence != second.record.confidence:
        raise RecordError(
            f"{before.path} is judged at confidence {first.record.confidence}, {after.path} at "
            f"{second.record.confidence}",
            cure="Compare records of one version of auditor.",
        )
    found = compare_records(first, second, reader.checks)
    if not found.moved:
        reasons = "; ".join(
            f"{item.check} on {item.target}: {item.reason}" for item in found.incomparable[:3]
        )
        raise RecordError(
            f"{before.path} and {after.path} have no figure in common"
            + (f": {reasons}" if reasons else ""),
            cure="Compare records of the same targets, checks, versions and settings; run the "
            "older request again with `auditor reproduce` to have one of this version.",
        )
    return found, tuple(item.not_recomputed for item in sides if item.not_recomputed)


def load_compared_record(
    folder: RecordFolder, verify: Verify, reader: RecordVerifier
) -> ComparedRecord:
    """Verify a folder and read its record. Raises ``RecordError`` unless all holds.

    Figures of a check that is not installed in the version that observed cannot be recomputed;
    then all else must hold, and they count as they are signed.
    """
    steps = verify(folder)
    failed = [step for step in steps if step.result is StepResult.FAILED]
    record = folder.record
    kept = {id(item) for item in _installed(record, reader).observations}
    lacking = [item for item in record.observations if id(item) not in kept]
    named = dict.fromkeys(f"{item.check} version {item.version}" for item in lacking)
    strange = f"{', '.join(named)} is not installed here" if named else ""
    if failed and not (strange and all(step.name == FIGURES for step in failed)):
        raise RecordError(
            f"{folder.path} does not verify: {failed[0].name}: {failed[0].detail}",
            cure="Take the folder as auditor wrote it, unchanged, and the key that signed it.",
        )
    policy = load_record_policy(folder, record, reader.load_policy)
    said = f"{folder.path}: {strange}" if strange else ""
    results: tuple[Result, ...] = ()
    try:
        results = load_results(folder, _installed(record, reader), reader.checks)
    except AuditorError as error:
        if not list_commitments(record):
            raise
        said = f"{error.problem}; all figures of this record count as they are signed"
    return ComparedRecord(RecordSide(record, policy, results), said)


def _installed(record: AuditRecord, reader: RecordVerifier) -> AuditRecord:
    """Return the record without what a check of another version saw."""
    versions = {name: check.version for name, check in reader.checks.items()}
    seen = (item for item in record.observations if versions.get(item.check) == item.version)
    return replace(record, observations=tuple(seen))


def compare_verified_folders(
    before: RecordFolder,
    after: RecordFolder,
    keys: Sequence[Path] = (),
    trust: Path | None = None,
    highest: AssuranceLevel = AssuranceLevel.A0,
) -> ComparisonView:
    """Verify two record folders by public ``keys`` or a ``trust`` policy, and compare them.

    Without either, each is verified by the key in its own folder, and the result says that nobody
    vouches for that. Raises ``UsageError`` where both are given, and as ``compare_folders`` does.
    """
    if keys and trust is not None:
        raise UsageError(
            "It must be clear whose records to believe", cure="Give --key or --trust, one of them."
        )
    policy = read_trust_policy_option(trust)

    def verify(folder: RecordFolder) -> tuple[VerificationStep, ...]:
        asides = VerifierOptions(highest=highest)
        if policy is not None:
            return verify_record_folder(folder, None, policy, asides)
        if not keys:
            return verify_folder(folder, build_own_verifier(folder))
        own = folder.read(SIGNER)
        mine = (path for path in keys if load_public_key(path).pem == own)
        return verify_record_folder(folder, next(mine, keys[0]), None, asides)

    reader = build_own_verifier(before)
    found, taken = compare_folders(before, after, verify, reader)
    old, new = (
        ReportInputs(
            record=folder.record,
            policy=load_record_policy(folder, folder.record, reader.load_policy),
            checks=reader.checks,
            blob=folder.evidence,
        )
        for folder in (before, after)
    )
    unverified = "" if keys or policy is not None else UNVERIFIED
    return ComparisonView(
        comparison=found, before=old, after=new, taken=taken, unverified=unverified
    )
