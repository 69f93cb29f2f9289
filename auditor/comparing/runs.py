"""Score the same rows by two models, and put the two runs together."""

import numpy as np

from auditor.comparing.pairs import Pairs, groups_of
from auditor.domain.datasets import Role
from auditor.domain.models import Model
from auditor.domain.readings import Gap
from auditor.domain.subjects import Subject
from auditor.domain.tasks import Classification
from auditor.errors import ModelFailedError


def run_both(subject: Subject, first: Model, rows: int) -> Pairs:
    """Score rows of the evaluation data by ``first``, and by the subject's own model.

    Raises ``TypeError`` where a need is not met (the frame asks for needs first),
    ``ModelFailedError`` for two models whose scores do not go together, and what
    ``Model.predict`` raises.
    """
    task, dataset, second = subject.task, subject.datasets[Role.EVALUATION], subject.model
    if isinstance(second, Gap) or not isinstance(task, Classification) or dataset.inputs is None:
        message = "there is no classifier to compare: the frame asks `needs` first"
        raise TypeError(message)
    taken = np.sort(subject.sample(Role.EVALUATION, rows))
    before = first.predict(dataset.inputs[taken])
    after = second.predict(dataset.inputs[taken])
    if after.shape != before.shape:
        raise ModelFailedError(
            f"the two models give scores of shapes {before.shape} and {after.shape}",
            cure="Compare models that have the same outputs.",
        )
    if len(taken) == dataset.rows:
        # A slow target is not asked for the same scores again by the next check.
        subject.remember(Role.EVALUATION, after)
    stated, expected = second.probabilities(after), first.probabilities(before)
    if _kind(first) != _kind(second):  # logits and probabilities cannot be compared as they are
        before, after = expected, stated
    return Pairs(
        classes=task.classes,
        ids=np.asarray(dataset.ids)[taken],
        before=before,
        after=after,
        expected=task.decide(expected),
        decided=task.decide(stated),
        labels=None if dataset.labels is None else dataset.labels[taken],
        stated=(expected, stated),
        groups=groups_of(dataset, taken),
    )


def _kind(model: Model) -> str:
    """Return what a model's scores are, where that is known."""
    interface = model.fingerprint.interface
    return "" if interface is None else interface.scores
