"""A model held open beside its data while an audit of it is drafted."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auditor.domain.artifacts import Artifact
from auditor.domain.check_subject import seeded_permutation
from auditor.domain.datasets import DatasetRole
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import Array
from auditor.errors import AuditorError
from auditor.inputs.auditfile.draft import DraftFacts, draft_audit_file
from auditor.inputs.auditfile.read import read_audit_file
from auditor.inputs.datasets.inspect import DataFileSummary, list_feature_sets
from auditor.inputs.datasets.load import LoadedDatasets, load_datasets
from auditor.inputs.datasets.schema_draft import to_floats
from auditor.targets.declared_interface import DeclaredShapes
from auditor.targets.outputs import ModelOutput
from auditor.targets.protocol import ModelConnection
from auditor.targets.session import PROBE_ROWS, ask_first_rows

CPU = TargetSpec("cpu")
MOST_SCORED = 1024
MOST_VALUES = 2**26
"""So many numbers are sent at most to try columns as the labels."""


@dataclass(frozen=True, slots=True, eq=False)
class DraftSession:
    """A staged model held open, its data, and what it answers to rows of theirs, asked once."""

    connection: ModelConnection
    folder: Path
    artifact: Artifact
    base: Path
    found: DataFileSummary
    declared: DeclaredShapes
    asked: dict[tuple[str, ...], tuple[ModelOutput, ...]] = field(default_factory=dict)

    @property
    def columns_taken(self) -> int | None:
        """How many numbers a row the model declares that it takes; ``None`` where that is open."""
        shape = self.declared.input_shape
        fixed = [size for size in (shape or ())[1:] if size is not None]
        whole = shape is not None and len(shape) > 1 and len(fixed) == len(shape) - 1
        return int(np.prod(fixed)) if whole else None

    def sample(self) -> NDArray[np.int64]:
        """Return the numbers of the rows that are tried, in a seeded order."""
        size = 1 if self.found.inputs is None else int(np.prod(self.found.inputs.shape[1:]))
        count = max(PROBE_ROWS, min(MOST_SCORED, MOST_VALUES // max(1, size)))
        return seeded_permutation(7, self.found.rows)[:count].astype(np.int64)

    def answer(self, key: tuple[str, ...], inputs: Array) -> tuple[ModelOutput, ...]:
        """Return every output for ``inputs``; none where the model does not take them."""
        if key not in self.asked:
            try:
                self.asked[key] = tuple(ask_first_rows(self.connection, inputs).answers)
            except AuditorError:
                self.asked[key] = ()
        return self.asked[key]


@dataclass(frozen=True, slots=True, eq=False)
class ModelAnswers:
    """What a model answered to rows, given these columns (none where the data are arrays).

    ``why`` says how they were chosen among others, and ``rivals`` which could be left out instead.
    """

    outputs: tuple[ModelOutput, ...]
    inputs: Array
    features: tuple[str, ...] = ()
    why: str = ""
    rivals: tuple[tuple[str, ...], ...] = ()


def answer_beside(
    seen: DraftFacts, session: DraftSession, label: str | None
) -> ModelAnswers | None:
    """Return what the model answers to the rows; the ``label`` is no part of them."""
    found, rows = session.found, session.sample()
    if found.inputs is not None and not seen.pictures:
        inputs = found.inputs[rows]
        outputs = session.answer((), inputs)
        return ModelAnswers(outputs, inputs) if outputs else None
    if seen.pictures or seen.reads_text:
        loaded = _inputs(seen, label, session.base)
        if loaded is None:
            return None
        inputs = loaded[rows]
        outputs = session.answer((label or "",) if seen.reads_text else (), inputs)
        return ModelAnswers(outputs, inputs) if outputs else None
    for names in list_feature_sets(found, label):
        if session.columns_taken in {None, len(names)}:
            answers = answer_columns(session, names)
            if answers is not None:
                return answers
    return None


def answer_columns(session: DraftSession, names: tuple[str, ...]) -> ModelAnswers | None:
    """Return what the model answers to these columns of a table; none where it refuses them."""
    rows = session.sample()
    values = [to_floats(session.found.series[name])[rows] for name in names]
    inputs = np.stack(values, axis=1)
    outputs = session.answer(names, inputs)
    return ModelAnswers(outputs, inputs, names) if outputs else None


def _inputs(seen: DraftFacts, truth: str | None, base: Path) -> Array | None:
    """Return all rows as the model would take them; the ``truth`` is no part of them."""
    rest = seen.slices if truth is None else (*seen.slices, truth)
    blank = replace(seen, labels=None, classes=(), slices=rest, spread=1.0, outputs=None)
    try:
        loaded = load_draft(blank, base, {})
    except AuditorError:
        return None
    return loaded.datasets[DatasetRole.EVALUATION].inputs


def load_draft(seen: DraftFacts, base: Path, written: Mapping[str, Path]) -> LoadedDatasets:
    """Load the data as an audit of the draft would; ``written`` are files that lie elsewhere."""
    asked = read_audit_file(draft_audit_file(seen).encode(), "the draft", lambda _: CPU)
    return load_datasets(asked, lambda path: written.get(path, base / path))
