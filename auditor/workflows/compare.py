"""Bring two records' folders side by side: each is verified before its figures are compared."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from auditor.domain.observed_checks import Result
from auditor.domain.records import AuditRecord
from auditor.domain.verification_steps import StepResult, VerificationStep
from auditor.errors import AuditorError, RecordError
from auditor.policy.compare import RecordSide, compare_records
from auditor.policy.comparison_result import RecordComparison
from auditor.reports.folder import RecordFolder
from auditor.workflows.evidence import list_commitments, load_record_policy, load_results
from auditor.workflows.verify.folder import RecordVerifier

FIGURES = "figures"
Verify = Callable[[RecordFolder], tuple[VerificationStep, ...]]


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
        raise _nothing_in_common(before, after, found)
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
    strange = _not_installed(record, reader)
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


def _not_installed(record: AuditRecord, reader: RecordVerifier) -> str:
    kept = {id(item) for item in _installed(record, reader).observations}
    lacking = [item for item in record.observations if id(item) not in kept]
    named = dict.fromkeys(f"{item.check} version {item.version}" for item in lacking)
    return f"{', '.join(named)} is not installed here" if named else ""


def _installed(record: AuditRecord, reader: RecordVerifier) -> AuditRecord:
    """Return the record without what a check of another version saw."""
    versions = {name: check.version for name, check in reader.checks.items()}
    seen = (item for item in record.observations if versions.get(item.check) == item.version)
    return replace(record, observations=tuple(seen))


def _nothing_in_common(
    before: RecordFolder, after: RecordFolder, found: RecordComparison
) -> RecordError:
    reasons = "; ".join(
        f"{item.check} on {item.target}: {item.reason}" for item in found.incomparable[:3]
    )
    return RecordError(
        f"{before.path} and {after.path} have no figure in common"
        + (f": {reasons}" if reasons else ""),
        cure="Compare records of the same targets, checks and versions of checks; run the older "
        "request again with `auditor reproduce` to have one of this version.",
    )
