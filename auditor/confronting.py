"""Lay counterexamples beside the rows that they start from, and ask the target about both."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.arenas import REPEATS, takes_whole_numbers, truth_of
from auditor.attacks.counterexamples.given import Given, Ground, Kind, threats
from auditor.attacks.frame import ask
from auditor.attacks.losses import Labels
from auditor.datasets.examples import Examples
from auditor.domain.datasets import Role
from auditor.domain.readings import Gap
from auditor.domain.subjects import Subject
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import Classification, Task
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


def ground_of(subject: Subject) -> Ground:
    """Return what examples are held against: all evaluation rows, and the target.

    Raises ``RecordError`` where there is nothing that an example could start from.
    """
    dataset, task, model = subject.datasets.get(Role.EVALUATION), subject.task, subject.model
    truth = None if dataset is None else truth_of(dataset, task)
    if dataset is None or dataset.inputs is None or truth is None or isinstance(model, Gap):
        raise RecordError(
            "the record rests on no labelled inputs that an example could start from",
            cure="Challenge a record of an audit with evaluation data and a model.",
        )
    repeats = 1 if model.deterministic else REPEATS
    interface = model.fingerprint.interface
    whole = takes_whole_numbers(model, dataset.inputs)
    space = None if isinstance(subject.space, Gap) else subject.space
    return Ground(
        inputs=dataset.inputs,
        labels=truth,
        places={row: at for at, row in enumerate(dataset.ids)},
        task=task,
        ask=lambda inputs: ask(model, inputs, repeats)[1],
        threat=threats(space, dataset.inputs.shape[1:], whole=whole),
        space=space,
        whole=whole,
        takes=None if interface is None else interface.input_shape,
    )


def misfit(subject: Subject, examples: Examples) -> str:
    """Return why examples are no inputs of a subject's model, or nothing where they are."""
    dataset = subject.datasets.get(Role.EVALUATION)
    if dataset is None or dataset.inputs is None or examples.kind is Kind.VIEWS:
        return ""
    try:
        examples.fitted(dataset.inputs)
    except DatasetError as error:
        return error.problem
    return ""


def given_by(ground: Ground, examples: Examples) -> Given:
    """Return examples beside the rows that they start from, and the target's answers to both.

    Raises ``DatasetError`` for examples that are no inputs of the model.
    """
    rows = tuple(row or "" for row in examples.rows)
    at = np.array([ground.places.get(row, 0) for row in rows], dtype=np.int64)
    clean, labels = ground.inputs[at], ground.labels[at]
    inputs = clean if examples.kind is Kind.VIEWS else examples.fitted(ground.inputs)
    asked = examples.kind is not Kind.PERTURBATIONS
    said_clean = ground.ask(clean) if asked else np.zeros((len(rows), 0))
    said = ground.ask(inputs) if examples.kind is Kind.INPUTS else said_clean
    return Given(
        ground=ground,
        kind=examples.kind,
        inputs=inputs,
        rows=rows,
        known=np.array([row in ground.places for row in rows]),
        disputed=_disputed(examples, labels, ground.task),
        clean=clean,
        labels=labels,
        said=said,
        said_clean=said_clean,
        views=examples.views,
    )


def _disputed(examples: Examples, labels: Labels, task: Task) -> NDArray[np.bool_]:
    """Return which examples were given another label than the evaluation data hold."""
    held = (
        [task.classes[int(label)] for label in labels]
        if isinstance(task, Classification)
        else [str(label) for label in labels]
    )
    pairs = zip(examples.labels, held, strict=True)
    return np.array([given is not None and given != label for given, label in pairs])
