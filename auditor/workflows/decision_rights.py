"""Decision rights: who may waive and approve, by named keys or by a trust policy's roles."""

from dataclasses import dataclass
from pathlib import Path

from auditor._time import utc_now
from auditor.domain.policies import Policy
from auditor.domain.records import AuditRecord
from auditor.domain.verification_steps import VerificationStep
from auditor.errors import UsageError
from auditor.reports.folder import RecordFolder
from auditor.trust.policies.trust_policy import TrustPolicy
from auditor.workflows.approvals import (
    ApprovalRequirement,
    AuthorizedSigners,
    check_approvals,
    check_waivers_in_force,
    collect_approvals,
)
from auditor.workflows.settings import AuditorSettings
from auditor.workflows.verify.trusted_record import read_deciders


@dataclass(frozen=True, slots=True)
class DecisionOptions:
    """The options as they were given."""

    waiver_keys: tuple[Path, ...]
    approval_keys: tuple[Path, ...]
    require_approval: bool


@dataclass(frozen=True, slots=True)
class DecisionRights:
    """Who may waive, who may approve, how many approvals are asked for, and on how many labels."""

    waiving: AuthorizedSigners
    approving: AuthorizedSigners
    least: int
    labelled: int = 0

    def steps(self, record: AuditRecord, folder: RecordFolder) -> tuple[VerificationStep, ...]:
        """Ask whether the record's waivers still count, and whether people approve it."""
        at = utc_now()
        known = collect_approvals(record, folder, AuditorSettings.from_environment().place)
        wanted = ApprovalRequirement(self.least, self.approving, at, self.labelled)
        return check_waivers_in_force(record, folder, self.waiving, at), check_approvals(
            record, folder, known, wanted
        )


def build_decision_rights(
    given: DecisionOptions, trust: TrustPolicy | None, policy: Policy
) -> DecisionRights:
    """Return who may decide, where nobody named is nobody who may."""
    asked = given.require_approval or bool(given.approval_keys)
    least = max(policy.approvals, int(asked))
    approving = read_deciders(given.approval_keys, trust)
    waiving = read_deciders(given.waiver_keys, trust)
    return DecisionRights(waiving, approving, least, policy.blind_labels)


def require_decision_rights(
    given: DecisionOptions, trust: TrustPolicy | None, policy: Policy
) -> DecisionRights:
    """Return who may decide. Raises ``UsageError`` where approvals are asked for, and of nobody."""
    found = build_decision_rights(given, trust, policy)
    if found.least and not found.approving.named:
        raise UsageError(
            "approvals are required, but no accepted signer of approvals is named",
            cure="Give --approvals-key, or --trust with auditors of the role approval.",
        )
    return found
