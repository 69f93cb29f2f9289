"""Look at a model and a data file, and draft an audit file from what they show."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from auditor.auditfiles.drafting import Observed, Trial, draft_audit_file, lists_classes
from auditor.auditfiles.reading import read_audit_file
from auditor.comparing.orders import BETTER, BEYOND_CHANCE, OtherOrder, other_order
from auditor.datasets.loading import load_datasets
from auditor.datasets.sketching import Sketch, sketch
from auditor.domain.artifacts import Artifact
from auditor.domain.datasets import Role
from auditor.domain.subjects import permutation
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import Classification
from auditor.errors import AuditorError
from auditor.scratch import scratch_folder
from auditor.signing.artifacts import stage_artifact
from auditor.targets.declared import Declared, declared_shapes
from auditor.targets.opening import open_model

CPU = TargetSpec("cpu")
MOST_SCORED = 1024


@dataclass(frozen=True, slots=True)
class _Tried:
    """The trial of a draft, and the order that would be far better than the drafted one."""

    trial: Trial
    other: OtherOrder | None = None


def draft(model: Path, data: Path, base: Path) -> str:
    """Return an audit file that will lie in ``base``, with every guess marked.

    The model is run on rows of the data, in a child process, to find out which score is that of
    which class. Raises ``InvalidInputError`` of the kind of file that cannot be read.
    """
    with scratch_folder() as place:
        artifact = Artifact(model.stem, "0", stage_artifact(model, place))
        declared = declared_shapes(CPU, place, artifact)
        seen = _observed(_from(base, model), _from(base, data), sketch(data), declared)
        if seen.spread is None and lists_classes(seen):
            seen = _in_order(seen, partial(_try, base=base, folder=place, artifact=artifact))
    return draft_audit_file(seen)


def _observed(model: str, data: str, seen: Sketch, declared: Declared) -> Observed:
    return Observed(
        name=Path(model).stem,
        artifact=model,
        data=data,
        model_shape=declared.input_shape,
        outputs=declared.scores,
        rows=seen.rows,
        columns=seen.columns,
        labels=seen.labels,
        classes=seen.classes,
        id=seen.id,
        groups=seen.groups,
        slices=seen.texts,
        input_shape=seen.input_shape,
        value_range=seen.value_range,
        pictures=seen.pictures,
        spread=seen.spread,
        reads_text=declared.reads_text,
        text=seen.longest,
    )


def _in_order(seen: Observed, score: Callable[[Observed], _Tried]) -> Observed:
    """Put the classes into the order in which the model scores them, as far as rows tell it.

    Another order is drafted only if scoring by it is far better indeed: a model that names its
    classes is not read otherwise because they are listed otherwise.
    """
    tried = score(seen)
    if tried.other is not None:
        moved = _moved(seen, tried.other, one_score=tried.trial.one_score)
        again = score(moved).trial
        if again.accuracy >= tried.trial.accuracy + BETTER:
            return replace(moved, trial=replace(again, before=tried.trial.accuracy))
    return replace(seen, trial=tried.trial)


def _moved(seen: Observed, other: OtherOrder, *, one_score: bool) -> Observed:
    last = seen.classes[-1]
    if one_score:
        return replace(seen, positive=seen.classes[0], favourable=last)
    classes = tuple(seen.classes[place] for place in other.places)
    return replace(seen, classes=classes, positive=last, favourable=last)


def _try(seen: Observed, *, base: Path, folder: Path, artifact: Artifact) -> _Tried:
    """Score rows of the data as an audit of the draft would; what prevents it is told."""
    try:
        return _score(seen, base, folder, artifact)
    except AuditorError as error:
        return _Tried(Trial(problem=error.problem))


def _score(seen: Observed, base: Path, folder: Path, artifact: Artifact) -> _Tried:
    asked = read_audit_file(draft_audit_file(seen).encode(), "the draft", lambda _: CPU)
    loaded = load_datasets(asked, lambda written: base / written)
    task, data = loaded.task, loaded.datasets[Role.EVALUATION]
    if not isinstance(task, Classification) or data.labels is None or data.inputs is None:
        return _Tried(Trial(problem="the data hold no inputs, or no labels"))
    rows = permutation(asked.seed, data.rows)[:MOST_SCORED]
    inputs, labels = data.inputs[rows], data.labels[rows]
    with open_model(CPU, folder, artifact, task, inputs) as model:
        decided = task.decide(model.probabilities(model.predict(inputs)))
        known = model.fingerprint.interface
    classes = len(task.classes)
    accuracy = float(np.mean(decided == labels))
    trial = Trial(
        rows=len(rows),
        accuracy=accuracy,
        fits=accuracy >= 1 / classes + BEYOND_CHANCE,
        one_score=known is not None and known.scores.startswith("binary_"),
    )
    return _Tried(trial, other_order(labels, decided, classes))


def _from(base: Path, path: Path) -> str:
    return Path(os.path.relpath(path, base)).as_posix()
