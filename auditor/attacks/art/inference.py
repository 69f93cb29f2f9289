"""Which of ART's attacks on what a model has learnt can be made ready, and of what family it is."""

from collections.abc import Mapping
from difflib import get_close_matches
from enum import StrEnum

import numpy as np

from auditor.attacks.art.attempts import Desk
from auditor.attacks.art.claims import Allowance
from auditor.attacks.art.edge import classes, family, requirements
from auditor.attacks.art.lenses import lens_within
from auditor.attacks.art.objections import Objection, lacking, unknown
from auditor.attacks.art.tools import GRADIENTS, OFFERED, PICTURES
from auditor.domain.datasets import TEXT, Role
from auditor.domain.readings import Gap, Reason
from auditor.domain.subjects import Subject
from auditor.domain.tasks import Classification

KINDS = ("inference", "extraction")
ROLES = (Role.EVALUATION, Role.TRAINING, Role.REFERENCE)
DECIDED = (
    "attack_feature", "attack_model", "classifier", "encoder", "estimator", "is_continuous",
    "membership_attack", "shadow_model_template", "thieved_classifier", "verbose",
)  # fmt: skip
"""What the check decides itself."""


class Family(StrEnum):
    """What an attack is after."""

    MEMBERSHIP = "membership"
    ATTRIBUTE = "attribute"
    INVERSION = "inversion"
    EXTRACTION = "extraction"
    RECONSTRUCTION = "reconstruction"


FAMILIES: Mapping[str, Family] = {
    "membership_inference": Family.MEMBERSHIP,
    "attribute_inference": Family.ATTRIBUTE,
    "model_inversion": Family.INVERSION,
    "extraction": Family.EXTRACTION,
    "reconstruction": Family.RECONSTRUCTION,
}
"""What ART's modules hold."""


def names() -> tuple[str, ...]:
    """Return the attacks that there are. Raises ``MissingExtraError`` without ART."""
    return tuple(name for kind in KINDS for name in classes(kind))


def family_of(name: str, *, picture: bool, twin: bool) -> Family | Objection:
    """Return what an attack is after, or why it cannot run on a model of this kind.

    Raises ``MissingExtraError`` without ART.
    """
    found = FAMILIES.get(family(name))
    if found is None:
        known = names()
        near = get_close_matches(name, known, n=3, cutoff=0.5)
        return unknown(name, near or known, "attack on privacy")
    kind = next(classes(one)[name] for one in KINDS if name in classes(one))
    offered = OFFERED | ({PICTURES} if picture else set()) | (GRADIENTS if twin else set())
    absent = [one[0] for one in requirements(kind) if not offered & set(one)]
    if found is Family.RECONSTRUCTION and not absent:
        absent = ["ScikitlearnEstimator"]
    return lacking(name, absent) if absent else found


def desk_over(subject: Subject, allowance: Allowance) -> Desk | Objection:
    """Return what attacks on a subject's model work with, through a lens over all of its rows.

    An Objection where rows are no numbers, or miss some: ART sees no missing values.
    """
    model, task = subject.model, subject.task
    if isinstance(model, Gap) or not isinstance(task, Classification):
        message = "attacks need a model of classes, and the frame asks for one"
        raise TypeError(message)
    samples = [
        data.inputs
        for role, data in subject.datasets.items()
        if role in ROLES and data.inputs is not None
    ]
    first = samples[0]
    if any(it.dtype.kind == TEXT for it in samples):
        return _NO_NUMBERS
    rows = np.concatenate([it for it in samples if it.shape[1:] == first.shape[1:]])
    if not np.isfinite(rows.astype(np.float64)).all():
        return _MISSING
    space = None if isinstance(subject.space, Gap) else subject.space
    twin = None if isinstance(subject.twin, Gap) else subject.twin
    lens = lens_within(rows, space)
    return Desk(model, twin, task, lens, len(rows), allowance, subject.seed)


_NO_NUMBERS = Objection(
    Reason.NEEDS_NUMERIC_INPUT,
    "The model's inputs are texts, which these attacks of ART do not take.",
    "Leave this check out: it attacks models of numbers.",
)
_MISSING = Objection(
    Reason.UNSUPPORTED,
    "The data miss values, and ART's attacks take rows without any gap.",
    "Use the other checks of the family, which take missing values.",
)
