"""Lay counterexamples beside the rows that they start from, and ask the target about both."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.arenas import REPEATS, takes_whole_numbers, truth_of
from auditor.attacks.counterexamples import Given
from auditor.attacks.frame import ask
from auditor.attacks.losses import Labels
from auditor.attacks.norms import Norm
from auditor.attacks.threats import Threat, lp_threat
from auditor.datasets.examples import Examples
from auditor.domain.datasets import Dataset, Role
from auditor.domain.readings import Gap
from auditor.domain.subjects import Subject
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import Classification, Floats, Task
from auditor.domain.twins import TwinKind, TwinSource
from auditor.engines.openers import Openers
from auditor.engines.subjects import open_subject
from auditor.errors import DatasetError, RecordError
from auditor.preparing import Prepared


@contextmanager
def opened(prepared: Prepared, spec: TargetSpec, openers: Openers) -> Iterator[Subject]:
    """Open the model alone on a target of the record, by the edges that an audit opens it with."""
    bare = replace(
        prepared.materials,
        parent=None,
        reference=None,
        recipe=None,
        shadows=None,
        generator=None,
        twin=TwinSource(TwinKind.NONE),
    )
    with open_subject(spec, bare, openers, twin=lambda _: False) as subject:
        yield subject


def given_by(subject: Subject, examples: Examples) -> Given:
    """Return examples beside the rows that they start from, and the target's answers to both.

    Raises ``DatasetError`` for examples that are no inputs of the model, ``RecordError`` where
    there is nothing that they could start from.
    """
    dataset, task = subject.datasets.get(Role.EVALUATION), subject.task
    truth = None if dataset is None else truth_of(dataset, task)
    if dataset is None or dataset.inputs is None or truth is None or isinstance(subject.model, Gap):
        raise RecordError(
            "the record rests on no labelled inputs that an example could start from",
            cure="Challenge a record of an audit with evaluation data and a model.",
        )
    inputs = examples.fitted(dataset.inputs)
    places = {row: at for at, row in enumerate(dataset.ids)}
    known = np.array([row in places for row in examples.rows])
    at = np.array([places.get(row or "", 0) for row in examples.rows], dtype=np.int64)
    clean, labels = dataset.inputs[at], truth[at]
    repeats = 1 if subject.model.deterministic else REPEATS
    said = ask(subject.model, inputs, repeats)[1]
    return Given(
        inputs=inputs,
        rows=tuple(row or "" for row in examples.rows),
        known=known,
        disputed=_disputed(examples, labels, task),
        clean=clean,
        labels=labels,
        said=said,
        said_clean=ask(subject.model, clean, repeats)[1],
        decided=_decided(said, task),
        threat=_threats(subject, dataset),
        task=task,
    )


def _threats(subject: Subject, dataset: Dataset) -> Callable[[Norm, float], Threat]:
    """Return how the frame draws a threat around the rows of the evaluation data."""
    space, inputs, model = subject.space, dataset.inputs, subject.model
    if isinstance(space, Gap) or inputs is None or isinstance(model, Gap):
        raise DatasetError(
            "the record's audit names no range of inputs, without which no change has a size",
            cure="Challenge a record whose audit file says input.domain or features.",
        )
    whole = takes_whole_numbers(model, inputs)

    row = inputs.shape[1:]
    return cache(lambda norm, eps: lp_threat(space, norm, eps, row, whole=whole))


def _disputed(examples: Examples, labels: Labels, task: Task) -> NDArray[np.bool_]:
    """Return which examples were given another label than the evaluation data hold."""
    held = (
        [task.classes[int(label)] for label in labels]
        if isinstance(task, Classification)
        else [str(label) for label in labels]
    )
    pairs = zip(examples.labels, held, strict=True)
    return np.array([given is not None and given != label for given, label in pairs])


def _decided(said: Floats, task: Task) -> tuple[str, ...]:
    if isinstance(task, Classification):
        return tuple(task.classes[int(item)] for item in task.decide(said))
    return tuple(f"{float(row[0]):.6g}" for row in said)
