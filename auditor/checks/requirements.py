"""Requirements of a check on its subject, and the gap for one that is not met."""

from collections.abc import Mapping
from importlib.util import find_spec

from auditor.domain.check_subject import Subject
from auditor.domain.checks import Check, Need, is_attack, measures_device, uses_need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence_levels import find_timing_gap
from auditor.domain.gaps import ABSENT, missing_labels_gap
from auditor.domain.readings import Gap, GapReason
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import ClassificationTask, RegressionTask, Task
from auditor.errors import suggest_install


def find_unmet_need(check: Check | type[Check], subject: Subject) -> Gap | None:
    """Return the first need of a check that the subject does not meet, as a Gap.

    What must not be done is said before the twin is looked for, which is not opened for it.
    """
    needed = [need for need in Need if need in check.needs and need is not Need.TWIN]
    for need in needed:
        gap = _look_for(need, subject)
        if gap is not None:
            return gap
    for module, extra in check.modules.items():
        if find_spec(module) is None:
            return Gap(
                reason=GapReason.NEEDS_EXTRA,
                detail=f"{module} is not installed.",
                cure=f"{suggest_install(extra)}.",
            )
    twin = _look_for(Need.TWIN, subject) if Need.TWIN in check.needs else None
    return _forbidden(check, subject) or twin


def list_unmet_needs(check: Check | type[Check], subject: Subject) -> Mapping[Need, Gap]:
    """Return all that a check needs, or does more with, and the subject has not, and why."""
    asked = [need for need in Need if uses_need(check, need)]
    found = ((need, _look_for(need, subject)) for need in asked)
    return {need: gap for need, gap in found if gap is not None}


def missing_file_gap(spec: TargetSpec) -> Gap:
    """Return the Gap of what only a model's file can answer, where the audit names none."""
    if any(place.callable for place in spec.places):
        return ONLY_A_FUNCTION
    return NO_FILE if spec.brings_model else NO_ARTIFACT


def _forbidden(check: Check | type[Check], subject: Subject) -> Gap | None:
    """Return a Gap for what must not be done on this target, though it could be."""
    if measures_device(check) and not isinstance(subject.model, Gap):
        played = find_timing_gap(subject.target, subject.model.fingerprint)
        if played is not None:
            return played
    if is_attack(check) and not subject.target.may_be_attacked:
        return _NO_LEAVE
    return None


def _look_for(need: Need, subject: Subject) -> Gap | None:  # noqa: C901 -- one line a need
    evaluation = subject.datasets.get(DatasetRole.EVALUATION)
    match need:
        case Need.ARTIFACT:
            return missing_file_gap(subject.target) if subject.artifact is None else None
        case Need.MODEL | Need.TWIN | Need.SPACE | Need.CASCADE | Need.PRIVACY_CLAIM:
            return _opened(need, subject)
        case Need.RECIPE | Need.SHADOWS | Need.GENERATOR:
            return _opened(need, subject)
        case Need.TEXT:
            return None if evaluation is not None and evaluation.texts else _NO_TEXTS
        case Need.EVALUATION:
            return None if evaluation is not None else ABSENT[DatasetRole.EVALUATION]
        case Need.LABELS:
            labelled = evaluation is not None and (
                evaluation.labels is not None or evaluation.targets is not None
            )
            return None if labelled else missing_labels_gap(DatasetRole.EVALUATION)
        case Need.GROUPS:
            return None if evaluation is not None and evaluation.groups else _NO_GROUPS
        case Need.DOCUMENTS:
            return None if subject.supply.documents else _NO_DOCUMENTS
        case Need.PARENT:
            return None if subject.parent.about else NO_PARENT
        case Need.TRAINING | Need.REFERENCE | Need.PRODUCTION | Need.POPULATION | Need.CLAIMS:
            return None if _declared(need, subject) else _UNDECLARED[need]
        case Need.CLASSIFICATION | Need.REGRESSION:
            return _other_task(need, subject.task)
        case Need.SCORES:
            return _scores(subject)


def _opened(need: Need, subject: Subject) -> Gap | None:
    found = getattr(subject, need.value)
    return found if isinstance(found, Gap) else None


def _declared(need: Need, subject: Subject) -> bool:
    if need is Need.POPULATION:
        return bool(subject.population)
    return (
        bool(subject.claims) if need is Need.CLAIMS else DatasetRole(need.value) in subject.datasets
    )


def _other_task(need: Need, task: Task) -> Gap | None:
    if need is Need.CLASSIFICATION:
        return None if isinstance(task, ClassificationTask) else _NO_CLASSES
    return None if isinstance(task, RegressionTask) else _NO_NUMBERS


def _scores(subject: Subject) -> Gap | None:
    evaluation = subject.datasets.get(DatasetRole.EVALUATION)
    if subject.predictions_only and evaluation is not None and evaluation.answered:
        return None
    return subject.model if isinstance(subject.model, Gap) else None


NO_ARTIFACT = Gap(
    reason=GapReason.NEEDS_MODEL,
    detail="The audit has predictions only, and no model file.",
    cure="Name the model's file under model.artifact in the audit file.",
)
NO_FILE = Gap(
    reason=GapReason.NEEDS_MODEL,
    detail="The audit names no model file, only an endpoint.",
    cure="Name the deployed file under model.artifact in the audit file.",
)
ONLY_A_FUNCTION = Gap(
    reason=GapReason.NEEDS_MODEL,
    detail="The audit names no model file, only a Python function.",
    cure="Give auditor.audit the model itself, or name its ONNX file under model.artifact in the "
    "audit file.",
)
_NO_GROUPS = Gap(
    reason=GapReason.NEEDS_GROUPS,
    detail="The evaluation data names no groups of people.",
    cure="Name the columns under data.evaluation.groups in the audit file; if the model decides "
    "about no person, add not-about-people to model.tags.",
)
_NO_TEXTS = Gap(
    reason=GapReason.NEEDS_TEXT_INPUT,
    detail="The model's inputs are numbers.",
    cure="Name the column of texts under input.text in the audit file, if the model reads text.",
)
_NO_LEAVE = Gap(
    reason=GapReason.NEEDS_AUTHORISATION,
    detail="The target is an endpoint, and attacks on it are not authorized in writing.",
    cure="Write who authorized it, and for what, under endpoint.authorisation of the target.",
)
NO_PARENT = Gap(
    reason=GapReason.NEEDS_PARENT,
    detail="The audit names no model that this one was made from.",
    cure="Name it under model.parent in the audit file.",
)
_NO_DOCUMENTS = Gap(
    reason=GapReason.NEEDS_DOCUMENTS,
    detail="No document that declares the model's inputs was named, and none lies beside it.",
    cure="Name SLSA provenance, a CycloneDX bill of materials, Croissant metadata or a model card "
    "under model.documents in the audit file.",
)
_UNDECLARED = {
    **{Need(role.value): gap for role, gap in ABSENT.items()},
    Need.POPULATION: Gap(
        reason=GapReason.NEEDS_POPULATION,
        detail="The audit declares no population.",
        cure="Name the shares of groups under population in the audit file.",
    ),
    Need.CLAIMS: Gap(
        reason=GapReason.NEEDS_CLAIMS,
        detail="The owner claims nothing of the model.",
        cure="Name what is claimed under claims in the audit file, as in claims: {accuracy: 0.98}.",
    ),
}
_NO_CLASSES = Gap(
    reason=GapReason.NEEDS_CLASSIFICATION,
    detail="The task is not a classification.",
    cure="This check has no meaning for other tasks.",
)
_NO_NUMBERS = Gap(
    reason=GapReason.NEEDS_REGRESSION,
    detail="The task is a classification.",
    cure="Nothing needs to be done: other checks of the same family speak of decisions.",
)
