"""What attribute inference cannot measure, and why."""

from auditor.domain.conclusions import WEAK
from auditor.domain.datasets import Dataset
from auditor.domain.readings import Gap, Reason

FEWEST = 20
"""Members, and others, below which nothing is said."""
FEWEST_KNOWN = 40
"""Rows below which nobody learns to impute."""


def other_columns(training: Dataset, other: Dataset) -> Gap:
    """Return the Gap of training data that has other columns than another sample."""
    ours, theirs = (0 if it.inputs is None else it.inputs.shape[1] for it in (training, other))
    return Gap(
        reason=Reason.NOT_DEFINED,
        detail=f"The training data has {ours} columns, and the {other.role.value} data {theirs}.",
        cure="Name training data with the same columns as the model takes.",
    )


def too_few_known(rows: int) -> Gap:
    """Return the Gap of an attacker who knows too little to impute."""
    return Gap(
        reason=Reason.TOO_FEW_ROWS,
        detail=f"The attacker would know {rows} rows, of which none was trained on; "
        f"{FEWEST_KNOWN} are needed to impute a column.",
        cure="Name reference data that the model was not trained on, or evaluate on more rows.",
    )


NO_TABLE = Gap(
    reason=Reason.NOT_DEFINED,
    detail="The model's inputs are no table of numbers, so that no column of them is a secret.",
    cure="Leave privacy.attribute out; privacy.membership and privacy.inversion take pictures.",
)


def no_secret(levels: int) -> Gap:
    """Return the Gap of a table without a column of few levels."""
    return Gap(
        reason=Reason.NOT_DEFINED,
        detail=f"No column that the model reads has from 2 to {levels} levels.",
        cure="Declare categories in the schema of the features, or set levels of privacy.attribute "
        "higher.",
    )


def unread(name: str) -> Gap:
    """Return the Gap of a declared group that the model does not read."""
    return Gap(
        reason=Reason.NOT_DEFINED,
        detail=f"The model does not read {name} as a column of few levels, so that nothing can be "
        "asked about it level by level.",
        cure=f"If the model does read {name}, name it in the schema of its features, and set levels"
        " of privacy.attribute higher.",
        metric="advantage",
        params={"column": name},
    )


UNLIKE = (
    "the imputer, which never saw the model, is right more often on one of members and others than "
    "on the other: the two samples are not alike"
)
WHY = (
    "no column has enough members and others that are alike, or the least leak that would be shown "
    f"is above {WEAK}"
)
TOO_FEW = Gap(
    reason=Reason.TOO_FEW_ROWS,
    detail=f"The column is known of fewer than {FEWEST} members or others, or of too few clusters.",
    cure="Give more training and evaluation rows.",
)
