"""Which two datasets are compared over time: what the model meets now, and what it is held to."""

from auditor.domain.datasets import Dataset, Role
from auditor.domain.readings import Gap, Reason
from auditor.domain.subjects import Subject

NO_REFERENCE = Gap(
    reason=Reason.NEEDS_REFERENCE_DATA,
    detail="The audit names neither reference nor training data to compare with.",
    cure="Name an earlier sample under data.reference in the audit file.",
)
NO_CURRENT = Gap(
    reason=Reason.NEEDS_EVALUATION_DATA,
    detail="The audit names neither production nor evaluation data.",
    cure="Name what the model meets now under data.production in the audit file.",
)


def current_role(subject: Subject) -> Role | None:
    """Return the role of what the model meets now: production, else evaluation."""
    return _first(subject, Role.PRODUCTION, Role.EVALUATION)


def compared(subject: Subject) -> tuple[Dataset, Dataset] | Gap:
    """Return reference (else training) and current data."""
    before, now = _first(subject, Role.REFERENCE, Role.TRAINING), current_role(subject)
    if now is None:
        return NO_CURRENT
    if before is None:
        return NO_REFERENCE
    return subject.datasets[before], subject.datasets[now]


def _first(subject: Subject, *roles: Role) -> Role | None:
    return next((role for role in roles if role in subject.datasets), None)
