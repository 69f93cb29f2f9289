"""The gate of a record folder: verified, matched with the question, and not revoked since."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from auditor.domain.artifacts import digest_files
from auditor.domain.digests import is_digest
from auditor.domain.json import compute_digest
from auditor.domain.records import AuditRecord
from auditor.domain.verification_steps import StepResult, VerificationStep, all_hold
from auditor.errors import ArtifactError, DatasetError
from auditor.reports.folder import RECORD, SIGNER, RecordFolder
from auditor.trust.artifacts.files import digest_artifact
from auditor.trust.policies.trust_policy import TrustPolicy
from auditor.workflows.challenge_status import check_challenges, list_challenges
from auditor.workflows.decision_rights import (
    DecisionOptions,
    DecisionRights,
    require_decision_rights,
)
from auditor.workflows.gate import (
    GateQuestion,
    check_evaluation_data,
    check_gate,
    name_artifact,
    parse_age,
    read_probe,
)
from auditor.workflows.settings import AuditorSettings
from auditor.workflows.verify.trusted_record import (
    RecordTrustOptions,
    check_key_in_ledger,
    judge_signer,
    read_trust_policy_option,
)
from auditor.workflows.wiring import build_resolvers


def refuse_blob(name: str) -> bytes:
    """Return no blob: there is no record that verified. Raises ``KeyError``."""
    raise KeyError(name)


@dataclass(frozen=True, slots=True)
class GateInspection:
    """The steps of a gate, where the report is, and the record and its blobs if it verified."""

    steps: tuple[VerificationStep, ...]
    report: str
    record: AuditRecord | None = None
    blob: Callable[[str], bytes] = refuse_blob

    def held_to(self, data: str) -> "GateInspection":
        """Return the inspection with the record held against evaluation data of a digest."""
        if self.record is None:
            step = VerificationStep(
                "data", StepResult.FAILED, "no record verified, so nothing shows its data"
            )
        else:
            step = check_evaluation_data(self.record, data)
        return replace(self, steps=(*self.steps, step))


def check_record_counts(  # noqa: PLR0913 -- what is asked, and who is believed
    record: AuditRecord,
    folder: RecordFolder,
    believed: TrustPolicy | None,
    may: DecisionRights,
    asked: Iterable[VerificationStep],
    *,
    strict: bool,
) -> tuple[VerificationStep, ...]:
    """Return what was ``asked``, between what became of a record's keys and what people say.

    These are its signer and the life of its key, challenges, waivers and approvals.
    """
    against = list_challenges(record, folder, AuditorSettings.from_environment().place)
    return (
        *judge_signer(folder, believed),
        *check_key_in_ledger(record, folder),
        *asked,
        check_challenges(record, against, folder.read(SIGNER), strict=strict),
        *may.steps(record, folder),
    )


def build_gate_question(  # noqa: PLR0913 -- what a gate may be asked
    artifact: Path,
    policy: str,
    *,
    target: str | None = None,
    fingerprint: Path | None = None,
    max_age: str | None = None,
    baseline: str | None = None,
) -> GateQuestion:
    """Return what is asked of a record: exactly these bytes, under exactly this policy, now.

    Raises ``UsageError``, ``ArtifactError`` and ``PolicyError``.
    """
    limit = None if max_age is None else parse_age(max_age)
    identity = None if fingerprint is None else read_probe(fingerprint)
    chosen = build_resolvers(Path.cwd()).load_policy(policy)
    files = digest_artifact(artifact)
    return GateQuestion(
        digest_files(files), chosen, target, identity, limit, datetime.now(UTC), baseline=baseline,
        named=name_artifact(files),
    )  # fmt: skip


def read_baseline_digest(named: str | None) -> str | None:
    """Return the digest of the record that a gate names. Raises ``RecordError`` for no record."""
    if named is None or is_digest(named):
        return named
    return compute_digest(RecordFolder(Path(named)).read(RECORD))


def digest_evaluation_data(data: str) -> str:
    """Return the digest of evaluation data, given as such or as their file.

    Raises ``DatasetError``.
    """
    if is_digest(data):
        return data
    try:
        return digest_files(digest_artifact(Path(data)))
    except ArtifactError as error:
        raise DatasetError(
            f"the evaluation data {error.problem}", cure="Name their file or folder, or the digest."
        ) from None


def inspect_record_folder(
    folder: RecordFolder,
    question: GateQuestion,
    whose: RecordTrustOptions,
    options: DecisionOptions,
    *,
    strict: bool,
) -> GateInspection:
    """Verify a record's folder, and ask it; what does not verify is asked nothing.

    Raises ``UsageError`` where nobody says whom to believe, or whose approvals count.
    """
    believed = read_trust_policy_option(whose.trust)
    may = require_decision_rights(options, believed, question.policy)
    steps, report = whose.verify(folder), str(folder.path / "report.html")
    if not all_hold(steps):
        return GateInspection(steps, report)
    found = folder.record
    asked = check_gate(found, question, steps)
    more = check_record_counts(found, folder, believed, may, asked, strict=strict)
    return GateInspection((*steps, *more), report, found, folder.evidence)
