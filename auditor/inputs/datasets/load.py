"""Loads the datasets of an audit file, with task, input space and repeated rows."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from auditor.domain.auditfiles import AuditFile, DataSection, InputSection
from auditor.domain.budgets import AuditSize
from auditor.domain.confusable_names import fold_name
from auditor.domain.datasets import TABLE_AXES, TEXT, Dataset, DatasetRole, RowNames, TextColumn
from auditor.domain.guesses import Confidence
from auditor.domain.readings import Gap
from auditor.domain.requests import InputFile
from auditor.domain.tasks import (
    Array,
    ClassificationTask,
    Floats,
    InputSpace,
    RegressionTask,
    Task,
)
from auditor.errors import AuditFileError, DatasetError
from auditor.inputs.datasets.column_conversion import (
    encode_texts,
    read_texts,
    read_times,
    refuse_ragged_texts,
    to_groups,
    to_names,
    to_row_names,
)
from auditor.inputs.datasets.features import (
    input_space,
    refuse_not_finite,
    refuse_outside_domain,
    refuse_outside_schema,
    scale_pixels,
    stack_features,
)
from auditor.inputs.datasets.formats import read_file
from auditor.inputs.datasets.hoped_class import guess_favourable
from auditor.inputs.datasets.labels import (
    build_classification,
    describe_class_origin,
    label_indices,
    list_classes,
    read_decisions,
    read_predictions,
    read_scores,
    read_target_values,
    refuse_foreign_decisions,
)
from auditor.inputs.datasets.raw_dataset import RawDataset, is_single_valued
from auditor.inputs.datasets.schema import FeatureSchema, read_schema, refuse_broken_relations
from auditor.inputs.datasets.sources import (
    describe_column_setting,
    open_raw_dataset,
    refuse_label_features,
    refuse_missing_columns,
    refuse_unknown_features,
)
from auditor.inputs.resolve import Locate
from auditor.metrics.data.near_duplicates import (
    SCORE_DIGITS,
    Rows,
    code_answers,
    first_equal_rows,
    join_codes,
    row_codes,
)
from auditor.metrics.stats.group_gaps import tabulate

LEAST_EFFECTIVE = 0.98
"""Copies weigh below this share of the rows: ``n`` rows in groups of ``m`` equal ones tell as much
as ``n² / Σ m²`` rows (Kish 1965, 8.2), so that above it intervals are 1 % too narrow at most. One
row in a hundred that stands twice comes to it."""


ALIKE = 1e-4
"""Numbers are alike that lie no further apart than this share of their size, or of the size that is
usual in their column (of a picture: in all of them)."""
LEAST_UNALIKE = 0.5
"""Rows that are alike and not equal weigh where they take more than half of what the rows are worth
without them. Few rows that stand in for many take nearly all; of a table with one column of
measured numbers, up to a fifth in 10,000 rows is alike by chance. Intervals are too narrow by a
factor of 1.4 at most."""
UNIT = 1.0
"""The usual size of a column's numbers is at least this, where the table has numbers as large: in a
column that is all but zero, noise is as large as the largest number."""
DIGITS = 3
"""Scores with more decimal digits than this tell rows apart: coarser ones are equal by nature."""
LEAST_PATTERNS = 0.1
"""Rows without inputs are copies where they tell as much as fewer than this share of them."""
MOST_VARIED = 1.25
"""No more labels and groups than this go with a score that copies share: the rows of one leaf of a
tree differ in them."""
FINE = 1e-9
FEW_FINE = 0.5
"""Scores are coarse where no more than this share of the rows has more digits."""
ROUNDS = 4
FAR = 1e9
"""A place beyond those of all numbers in double precision."""


def mark_repeated_rows(dataset: Dataset) -> Dataset:
    """Return evaluation data that knows which of its rows are copies, where they weigh.

    Copies are rows of one label and of equal inputs, as a model in single precision takes them, or
    of inputs that are alike, where most rows are; texts but for case, blanks and what is not seen.
    Of a regression the label does not count. They share a cluster, joined with the declared ones.
    Without inputs, copies are rows of equal scores and all else, where these tell rows apart.
    """
    if dataset.role is not DatasetRole.EVALUATION or not dataset.rows:
        return dataset
    if dataset.inputs is None:
        first = _first_equal_answers(dataset)
        return dataset if first is None else _share_clusters(dataset, first)
    if not dataset.inputs.size:
        return dataset
    labels = np.zeros(dataset.rows, np.int64) if dataset.labels is None else dataset.labels
    # `[n]`: the number of the first row that equals each, and has its label
    inputs = dataset.inputs
    taken = inputs.astype(np.float32, copy=False) if inputs.dtype.kind == "f" else inputs
    if inputs.dtype.kind == TEXT:
        taken = np.array([" ".join(fold_name(str(text)).split()) for text in inputs])
    first = first_equal_rows(join_codes(row_codes(taken)[0], labels))
    if dataset.inputs.dtype.kind != TEXT:
        near = _first_near(dataset.inputs, labels)
        first = near if _worth(near) < LEAST_UNALIKE * _worth(first) else first
    if _worth(first) >= LEAST_EFFECTIVE * dataset.rows:
        return dataset
    return _share_clusters(dataset, first)


def _first_equal_answers(dataset: Dataset) -> Rows | None:
    """Return ``[n]`` as copies are marked, or nothing where rows are equal by chance, or may be.

    Copies have the scores, the label and all other columns of one row. Rows that only share the
    scores, as in a leaf of a tree, differ in their labels and groups now and then.
    """
    if dataset.scores is None:
        return None
    scores = np.round(dataset.scores, SCORE_DIGITS)
    fine = (np.abs(scores - np.round(scores, DIGITS)) > FINE).any(axis=1)
    if fine.mean() <= FEW_FINE:
        return None
    (answer,) = row_codes(scores)
    few = LEAST_PATTERNS * dataset.rows
    if _worth(answer) >= few:
        return None  # all else only tells rows apart further
    rows = code_answers(dataset)
    _, place, times = np.unique(answer, return_inverse=True, return_counts=True)
    again = fine & (times[place] > 1)
    varied = np.unique(rows[again]).size > MOST_VARIED * np.unique(answer[again]).size
    first = first_equal_rows(rows)
    return None if varied or _worth(first) >= few else first


def _share_clusters(dataset: Dataset, first: Rows) -> Dataset:
    """Return the dataset with copies marked, which share a cluster, and so do declared ones."""
    declared = dataset.cluster
    place = np.unique(first, return_inverse=True)[1].astype(np.int64)
    if declared is not None:
        count = int(place.max()) + 1
        links = coo_array(
            (np.ones(place.size, np.int8), (place, declared.codes + count)),
            shape=(count + len(declared.names),) * 2,
        )
        place = connected_components(links, directed=False)[1].astype(np.int64)[place]
    joined = TextColumn.of([f"copies of row {row}" for row in first_equal_rows(place)])
    return replace(dataset, copies=first, cluster=joined, declared=declared)


def _worth(first: Rows) -> float:
    """Return how many rows would tell as much if no two of them were copies."""
    sizes = np.unique(first, return_counts=True)[1].astype(np.float64)
    return first.size**2 / float(np.square(sizes).sum())


def _first_near(inputs: Array, labels: NDArray[np.int64]) -> Rows:
    """Return ``[n]``: the number of the first row that is alike to each, and has its label.

    Rows are parted at the gaps between numbers of one column after another, again and again. A
    group that is wider than what is alike even so, as in dense data, is cut: in no column do two
    rows of a group lie further apart.
    """
    columns = inputs.reshape(len(inputs), -1).T
    sizes = _sizes(columns, alone=inputs.ndim == TABLE_AXES)
    first = np.arange(len(inputs), dtype=np.int64)
    groups = _RowGroups.of(labels)
    settled = False
    for cut in (*[False] * ROUNDS, True):
        if settled and not cut:
            continue  # a round that parted nothing would part nothing again
        before = groups.count_parts()
        for column, size in zip(columns, sizes, strict=True):
            if not groups.rows.size:
                return first
            # Where numbers lie, in steps of `ALIKE`: of the usual size, or of a larger number's.
            # Beyond the usual size steps grow with each power of two, so that a few huge numbers
            # do not make all others alike. What is no number (missing, infinite) has a place of
            # its own.
            numbers = _as_taken(column[groups.rows]) / size
            share, power = np.frexp(np.abs(numbers))
            grown = np.where(power > 0, power + 2 * share - 1, np.abs(numbers))
            placed: Floats = np.copysign(grown, numbers) / ALIKE
            groups = groups.parted(
                np.nan_to_num(placed, nan=2 * FAR, posinf=FAR, neginf=-FAR), cut=cut
            )
        settled = groups.count_parts() == before
    begin = np.flatnonzero(groups.fresh)
    if begin.size:
        lowest = np.minimum.reduceat(groups.rows, begin)
        first[groups.rows] = lowest[np.cumsum(groups.fresh) - 1]
    return first


def _sizes(columns: Array, *, alone: bool) -> Floats:
    """Return the usual size of each column's numbers, ``alone``, or of all, as powers of two."""
    known = []
    for column in columns:
        numbers = np.abs(_as_taken(column))
        numbers = numbers[np.isfinite(numbers)]
        known.append((float(numbers.sum()) / max(1, numbers.size), float(numbers.max(initial=0.0))))
    usual = np.array([mean for mean, _ in known])
    most = max(largest for _, largest in known)
    counted = np.maximum(usual, min(UNIT, most)) if alone else np.full(usual.shape, usual.max())
    return np.ldexp(1.0, np.frexp(np.where(counted > 0, counted, UNIT))[1])


def _as_taken(column: Array) -> Floats:
    """Return numbers as nearly all models take them: what differs beyond that is equal to them."""
    taken = column.astype(np.float32) if column.dtype.kind == "f" else column
    return taken.astype(np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class _RowGroups:
    """Rows of groups of two and more, group by group; ``fresh`` where a group begins."""

    rows: Rows
    fresh: NDArray[np.bool_]

    @classmethod
    def of(cls, labels: NDArray[np.int64]) -> "_RowGroups":
        """Group rows by their labels."""
        rows = np.argsort(labels, kind="stable").astype(np.int64)
        return cls(rows, _begins(labels[rows])).without_single_rows()

    def parted(self, places: Floats, *, cut: bool) -> "_RowGroups":
        """Part each group at gaps wider than 1, or cut it into parts that are no wider than 1."""
        begin = np.flatnonzero(self.fresh)
        low, high = np.minimum.reduceat(places, begin), np.maximum.reduceat(places, begin)
        if (high - low <= 1).all():
            return self
        group = np.cumsum(self.fresh) - 1
        order = np.lexsort((places, group))
        placed = places[order]
        fresh = self.fresh.copy()
        if cut:
            fresh |= _begins(np.maximum(np.ceil(placed - low[group]), 1.0))
        else:
            fresh[1:] |= np.diff(placed) > 1
        return _RowGroups(self.rows[order], fresh).without_single_rows()

    def count_parts(self) -> int:
        """Return a number that grows by one with each parting, also where single rows go."""
        return int(self.fresh.sum()) - self.rows.size

    def without_single_rows(self) -> "_RowGroups":
        """Leave out groups of one row: nothing is alike to it."""
        kept = ~(self.fresh & np.append(self.fresh[1:], True))
        return _RowGroups(self.rows[kept], self.fresh[kept])


def _begins(sorted_values: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Return where another value begins."""
    return np.append(True, sorted_values[1:] != sorted_values[:-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedDatasets:
    """The datasets of an audit, what they make of its task, and every file that was read."""

    datasets: Mapping[DatasetRole, Dataset]
    task: Task
    space: InputSpace | Gap
    inputs: tuple[InputFile, ...]


def load_datasets(audit: AuditFile, locate: Locate) -> LoadedDatasets:
    """Read the data files and the schema that ``audit`` names.

    ``locate`` turns a path as written into where the file lies. Raises ``DatasetError`` with
    file, row or column, and cure; ``AuditFileError`` when nothing says what the classes are.
    """
    with_inputs = audit.takes_inputs and audit.input.text is None
    roles = [role for role in DatasetRole if role in audit.data]
    refuse_missing_columns(audit, locate, roles)
    schema, files = _schema(audit.input, locate)
    sources, datasets = {}, {}
    for role in roles:
        with describe_column_setting(audit, role):
            sources[role] = open_raw_dataset(audit.data[role], locate, with_inputs=with_inputs)
    task = _task(audit, sources)
    for role, source in sources.items():
        with describe_column_setting(audit, role):
            # What was drafted from the evaluation rows can be too narrow for others.
            foreign = schema.drafted and role is not DatasetRole.EVALUATION
            inputs = _inputs(audit, source, replace(schema, drafted=foreign))
            if source.inputs is None:  # an array of inputs is another than those that are named
                refuse_label_features(audit, role, inputs.names)
            datasets[role] = _dataset(role, source, audit.data[role], task, inputs)
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
    first = next(iter(sources), DatasetRole.EVALUATION)
    rows = datasets[first].inputs if sources else None
    pictures = bool(sources) and sources[first].pictures
    once_files = [*files, *(file for source in sources.values() for file in source.files)]
    return LoadedDatasets(
        datasets=datasets,
        task=task,
        space=input_space(audit.input, schema, rows, pictures=pictures),
        inputs=tuple(dict.fromkeys(once_files)),
    )


def _schema(declared: InputSection, locate: Locate) -> tuple[FeatureSchema, tuple[InputFile, ...]]:
    if declared.features is None:
        return FeatureSchema(), ()
    file = read_file(declared.features, locate)
    return read_schema(file), (file.input,)


def _task(audit: AuditFile, sources: Mapping[DatasetRole, RawDataset]) -> Task:
    if audit.task.tolerance is not None:
        return RegressionTask(audit.task.tolerance)
    if audit.task.classes is not None:
        return build_classification(audit.task, audit.task.classes, audit.source)
    labelled = next((source for source in sources.values() if source.labels is not None), None)
    if labelled is None:
        raise AuditFileError(
            f"{audit.source}: task.classes is not set, and no dataset names labels to take it from",
            cure='Set task.classes: ["0", "1"], or data.evaluation.labels.',
        )
    classes = list_classes(labelled)
    # Nobody chose the order of these classes: the last by the alphabet may be a refusal
    hoped, (_, sure) = guess_favourable(classes, labelled.labels)
    meant = None if sure is Confidence.LOW else hoped
    task = build_classification(audit.task, classes, labelled.name, meant)
    return replace(task, origin=describe_class_origin(classes, labelled))


@dataclass(frozen=True, slots=True)
class _InputColumns:
    values: Array | None
    names: tuple[str, ...] = ()


def _inputs(audit: AuditFile, source: RawDataset, schema: FeatureSchema) -> _InputColumns:
    if not audit.takes_inputs:
        return _InputColumns(None)
    if audit.input.text is not None:
        return _InputColumns(read_texts(source, audit.input.text), (audit.input.text,))
    features = schema.features
    names = tuple(feature.name for feature in features)
    values = source.inputs
    if values is None:
        refuse_unknown_features(source, schema)
        names = names or source.spare
        values = stack_features(source, names)
    elif source.pictures and audit.input.domain is not None:
        values = scale_pixels(values, audit.input.domain)
    if features:
        refuse_outside_schema(source, values, schema)
    refuse_not_finite(source, values, schema, names)
    if features:
        refuse_broken_relations(source, values, schema)
    if audit.input.domain is not None:
        refuse_outside_domain(source, values, audit.input.domain, names)
    return _InputColumns(values, names)


def _dataset(
    role: DatasetRole, source: RawDataset, section: DataSection, task: Task, inputs: _InputColumns
) -> Dataset:
    known, scored = source.labels is not None, bool(source.scores)
    if isinstance(task, ClassificationTask):
        labels = label_indices(source, task, role) if known else None
        decisions = None
        if section.predictions is not None:
            decisions = read_decisions(source, section.predictions, task)
            if labels is not None:
                refuse_foreign_decisions(source, section.predictions, task, labels, decisions)
        scores = read_scores(source, task) if scored else None
        truth = _RowTruth(labels=labels, scores=scores, decisions=decisions)
    else:
        targets = read_target_values(source, role) if known else None
        truth = _RowTruth(targets=targets, scores=read_predictions(source) if scored else None)
    dataset = Dataset(
        role=role,
        files=tuple(dict.fromkeys(item.file for item in source.files)),
        inputs=inputs.values,
        labels=truth.labels,
        ids=_ids(source),
        features=inputs.names,
        groups={name: to_groups(source, name) for name in section.groups},
        slices={name: to_groups(source, name) for name in _slices(source, section, inputs)},
        cluster=_cluster(source, section),
        scores=truth.scores,
        targets=truth.targets,
        decisions=truth.decisions,
        times=None if section.time is None else read_times(source, section.time),
        as_of=None if section.as_of is None else read_times(source, section.as_of),
    )
    return mark_repeated_rows(dataset)


@dataclass(frozen=True, slots=True)
class _RowTruth:
    """What is true of each row, and what a model said of it, as far as the file tells."""

    labels: NDArray[np.int64] | None = None
    targets: Floats | None = None
    scores: Floats | None = None
    decisions: NDArray[np.int64] | None = None


def _cluster(source: RawDataset, section: DataSection) -> TextColumn | None:
    if section.cluster is None:
        return None
    return encode_texts(to_names(source, section.cluster, "cluster"))


def _slices(source: RawDataset, section: DataSection, inputs: _InputColumns) -> tuple[str, ...]:
    # Columns that nothing else claims are slice features, as the audit file's contract says.
    taken = frozenset(inputs.names)
    free = [
        name
        for name in source.spare
        if name not in taken and is_single_valued(source.columns[name])
    ]
    return tuple(dict.fromkeys([*section.slices, *free]))


def _ids(source: RawDataset) -> RowNames:
    if source.id is None:
        return RowNames.numbered(source.rows)
    ids = to_names(source, source.id, "id")
    again = np.flatnonzero(~ids.is_first_distinct().to_numpy())
    if again.size:
        row = int(again[0])
        first = (ids == ids[row]).arg_max() or 0
        raise DatasetError(
            f"{source.name}: column {source.id!r}: the id {ids[row]!r} stands in "
            f"{source.row(first)} and again in {source.row(row)}",
            cure="Give every row an id of its own, or leave `id` out to use row numbers.",
        )
    refuse_ragged_texts(
        source, source.id, len(ids), int(ids.str.len_chars().to_numpy().max(initial=0))
    )
    return to_row_names(ids)


def count_rows_by_label(dataset: Dataset, task: Task) -> AuditSize:
    """Return the rows of a dataset by label, and by group and label; none without labels.

    A regression counts as one class, whose rows have no label: its model gives one score a row.
    """
    if not isinstance(task, ClassificationTask):
        counted = {
            column: np.bincount(members.codes, minlength=len(members.names)).tolist()
            for column, members in dataset.groups.items()
        }
        alike = {
            column: {
                group: {"": rows}
                for group, rows in zip(dataset.groups[column].names, counts, strict=True)
            }
            for column, counts in counted.items()
        }
        return AuditSize(rows=dataset.rows, classes=1, groups=alike)
    if dataset.labels is None:
        return AuditSize(rows=dataset.rows, classes=len(task.classes))
    groups: dict[str, dict[str, dict[str, int]]] = {}
    for column, members in dataset.groups.items():
        table = tabulate((members.codes, dataset.labels), (len(members.names), len(task.classes)))
        groups[column] = {
            group: {
                label: int(rows)
                for label, rows in sorted(zip(task.classes, row, strict=True))
                if rows
            }
            for group, row in zip(members.names, table, strict=True)
        }
    totals = dict(
        zip(
            task.classes,
            np.bincount(dataset.labels, minlength=len(task.classes)).tolist(),
            strict=True,
        )
    )
    return AuditSize(
        rows=dataset.rows,
        classes=len(task.classes),
        labels={label: totals[label] for label in task.classes},
        groups=groups,
        favourable=task.favourable,
    )
