"""Gaps of data that an audit does not name, and of labels that its data lack."""

from collections.abc import Mapping

from auditor.domain.datasets import Role
from auditor.domain.readings import Gap, Reason

ABSENT: Mapping[Role, Gap] = {
    Role.EVALUATION: Gap(
        reason=Reason.NEEDS_EVALUATION_DATA,
        detail="The audit names no evaluation data.",
        cure="Name a labelled sample under data.evaluation in the audit file.",
    ),
    Role.TRAINING: Gap(
        reason=Reason.NEEDS_TRAINING_DATA,
        detail="The audit names no training data.",
        cure="Name the sample that the model was trained on under data.training in the audit file.",
    ),
    Role.REFERENCE: Gap(
        reason=Reason.NEEDS_REFERENCE_DATA,
        detail="The audit names no reference data to compare with.",
        cure="Name an earlier sample under data.reference in the audit file.",
    ),
    Role.PRODUCTION: Gap(
        reason=Reason.NEEDS_PRODUCTION_DATA,
        detail="The audit names no data from production.",
        cure="Name rows that the deployed model met under data.production in the audit file.",
    ),
}
"""Why there is no dataset of a role."""


def without_labels(role: Role, metric: str = "") -> Gap:
    """Return the gap of what needs the truth of each row; of one metric at its coordinates."""
    return Gap(
        reason=Reason.NEEDS_LABELS,
        detail=f"The {role.value} data has no labels.",
        cure=f"Name the label column under data.{role.value}.labels in the audit file.",
        metric=metric,
        params={"data": role.value} if metric else {},
    )
