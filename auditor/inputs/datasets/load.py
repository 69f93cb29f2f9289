"""Load every dataset that an audit file names, with the task and the input space they give."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auditor.datasets.asked import asked_by, refuse_absent, refuse_answers, refuse_unknown_features
from auditor.datasets.columns import coded, groups_of, names_of, refuse_ragged, row_names
from auditor.datasets.copying import with_copies
from auditor.datasets.files import read_file
from auditor.datasets.inputs import (
    refuse_not_finite,
    refuse_outside_domain,
    refuse_outside_schema,
    scale_pixels,
    stack_features,
)
from auditor.datasets.keeping import refuse_broken_relations
from auditor.datasets.labels import (
    classes_in,
    classification,
    decisions_of,
    label_indices,
    origin_of,
    predictions_of,
    scores_of,
    target_values,
)
from auditor.datasets.opening import open_source
from auditor.datasets.schemas import Schema, read_schema
from auditor.datasets.sources import Source, single_valued
from auditor.datasets.spaces import input_space
from auditor.datasets.texts import read_texts
from auditor.datasets.times import times_of
from auditor.domain.auditfiles import AuditFile, DataSection, InputSection
from auditor.domain.columns import Column
from auditor.domain.datasets import Dataset, Role
from auditor.domain.readings import Gap
from auditor.domain.requests import InputFile
from auditor.domain.row_names import RowNames
from auditor.domain.tasks import (
    Array,
    Classification,
    Feature,
    Floats,
    InputSpace,
    Regression,
    Task,
)
from auditor.errors import AuditFileError, DatasetError
from auditor.pointing import Locate


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedDatasets:
    """The datasets of an audit, what they make of its task, and every file that was read."""

    datasets: Mapping[Role, Dataset]
    task: Task
    space: InputSpace | Gap
    inputs: tuple[InputFile, ...]


def load_datasets(audit: AuditFile, locate: Locate) -> LoadedDatasets:
    """Read the data files and the schema that ``audit`` names.

    ``locate`` turns a path as written into where the file lies. Raises ``DatasetError`` with
    file, row or column, and cure; ``AuditFileError`` when nothing says what the classes are.
    """
    with_inputs = audit.takes_inputs and audit.input.text is None
    roles = [role for role in Role if role in audit.data]
    refuse_absent(audit, locate, roles)
    schema, files = _schema(audit.input, locate)
    sources, datasets = {}, {}
    for role in roles:
        with asked_by(audit, role):
            sources[role] = open_source(audit.data[role], locate, with_inputs=with_inputs)
    task = _task(audit, sources)
    for role, source in sources.items():
        with asked_by(audit, role):
            inputs = _inputs(audit, source, schema)
            if source.inputs is None:  # an array of inputs is another than those that are named
                refuse_answers(audit, role, inputs.names)
            datasets[role] = _dataset(role, source, audit.data[role], task, inputs)
    _refuse_other_shapes(datasets, sources)
    first = next(iter(sources), Role.EVALUATION)
    rows = datasets[first].inputs if sources else None
    pictures = bool(sources) and sources[first].pictures
    return LoadedDatasets(
        datasets=datasets,
        task=task,
        space=input_space(audit.input, schema, rows, pictures=pictures),
        inputs=_once([*files, *(file for source in sources.values() for file in source.files)]),
    )


def _schema(declared: InputSection, locate: Locate) -> tuple[Schema, tuple[InputFile, ...]]:
    if declared.features is None:
        return Schema(), ()
    file = read_file(declared.features, locate)
    return read_schema(file), (file.input,)


def _task(audit: AuditFile, sources: Mapping[Role, Source]) -> Task:
    if audit.task.tolerance is not None:
        return Regression(audit.task.tolerance)
    if audit.task.classes is not None:
        return classification(audit.task, audit.task.classes, audit.source)
    labelled = next((source for source in sources.values() if source.labels is not None), None)
    if labelled is None:
        raise AuditFileError(
            f"{audit.source}: task.classes is not set, and no dataset names labels to take it from",
            cure='Set task.classes: ["0", "1"], or data.evaluation.labels.',
        )
    classes = classes_in(labelled)
    task = classification(audit.task, classes, labelled.name)
    return replace(task, origin=origin_of(classes, labelled))


@dataclass(frozen=True, slots=True)
class _Inputs:
    values: Array | None
    names: tuple[str, ...] = ()


def _inputs(audit: AuditFile, source: Source, schema: Schema) -> _Inputs:
    if not audit.takes_inputs:
        return _Inputs(None)
    if audit.input.text is not None:
        return _Inputs(read_texts(source, audit.input.text), (audit.input.text,))
    features = schema.features
    names = tuple(feature.name for feature in features)
    values = source.inputs
    if values is None:
        refuse_unknown_features(source, schema)
        names = names or source.spare
        values = stack_features(source, names)
    elif source.pictures and audit.input.domain is not None:
        values = scale_pixels(values, audit.input.domain)
    known = features or [Feature(name) for name in names]
    if features:
        refuse_outside_schema(source, values, features)
    refuse_not_finite(source, values, known)
    if features:
        refuse_broken_relations(source, values, schema)
    if audit.input.domain is not None:
        refuse_outside_domain(source, values, audit.input.domain, names)
    return _Inputs(values, names)


def _dataset(
    role: Role, source: Source, section: DataSection, task: Task, inputs: _Inputs
) -> Dataset:
    truth = _truth(role, source, section, task)
    dataset = Dataset(
        role=role,
        files=tuple(dict.fromkeys(item.file for item in source.files)),
        inputs=inputs.values,
        labels=truth.labels,
        ids=_ids(source),
        features=inputs.names,
        groups={name: groups_of(source, name) for name in section.groups},
        slices={name: groups_of(source, name) for name in _slices(source, section, inputs)},
        cluster=_cluster(source, section),
        scores=truth.scores,
        targets=truth.targets,
        decisions=truth.decisions,
        times=None if section.time is None else times_of(source, section.time),
        as_of=None if section.as_of is None else times_of(source, section.as_of),
    )
    return with_copies(dataset)


@dataclass(frozen=True, slots=True)
class _Truth:
    """What is true of each row, and what a model said of it, as far as the file tells."""

    labels: NDArray[np.int64] | None = None
    targets: Floats | None = None
    scores: Floats | None = None
    decisions: NDArray[np.int64] | None = None


def _cluster(source: Source, section: DataSection) -> Column | None:
    if section.cluster is None:
        return None
    return coded(names_of(source, section.cluster, "cluster"))


def _truth(role: Role, source: Source, section: DataSection, task: Task) -> _Truth:
    known, scored = source.labels is not None, bool(source.scores)
    if isinstance(task, Classification):
        labels = label_indices(source, task, role) if known else None
        decisions = None
        if section.predictions is not None:
            decisions = decisions_of(source, section.predictions, task)
        scores = scores_of(source, task) if scored else None
        return _Truth(labels=labels, scores=scores, decisions=decisions)
    targets = target_values(source, role) if known else None
    return _Truth(targets=targets, scores=predictions_of(source) if scored else None)


def _slices(source: Source, section: DataSection, inputs: _Inputs) -> tuple[str, ...]:
    # Columns that nothing else claims are slice features, as the audit file's contract says.
    taken = frozenset(inputs.names)
    free = [
        name for name in source.spare if name not in taken and single_valued(source.columns[name])
    ]
    return tuple(dict.fromkeys([*section.slices, *free]))


def _ids(source: Source) -> RowNames:
    if source.id is None:
        return RowNames.numbered(source.rows)
    ids = names_of(source, source.id, "id")
    again = np.flatnonzero(~ids.is_first_distinct().to_numpy())
    if again.size:
        row = int(again[0])
        first = (ids == ids[row]).arg_max() or 0
        raise DatasetError(
            f"{source.name}: column {source.id!r}: the id {ids[row]!r} stands in "
            f"{source.row(first)} and again in {source.row(row)}",
            cure="Give every row an id of its own, or leave `id` out to use row numbers.",
        )
    refuse_ragged(source, source.id, len(ids), int(ids.str.len_chars().to_numpy().max(initial=0)))
    return row_names(ids)


def _refuse_other_shapes(datasets: Mapping[Role, Dataset], sources: Mapping[Role, Source]) -> None:
    shapes = {
        role: dataset.inputs.shape[1:]
        for role, dataset in datasets.items()
        if dataset.inputs is not None
    }
    first = next(iter(shapes), None)
    for role, shape in shapes.items():
        if first is not None and shape != shapes[first]:
            raise DatasetError(
                f"{sources[role].name} ({role.value}) has inputs of shape {shape}, but "
                f"{sources[first].name} ({first.value}) of shape {shapes[first]}",
                cure="Give all datasets the inputs that the one model takes.",
            )


def _once(files: Sequence[InputFile]) -> tuple[InputFile, ...]:
    return tuple(dict.fromkeys(files))
