"""Small models whose memory is known: one that keeps its training rows, and one that keeps none."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from evasion_toys import NOTHING, ToyModel, box, classes, subject
from numpy.typing import NDArray

from auditor.domain.artifacts import FileDigest
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import Dataset, DatasetRole, TextColumn
from auditor.domain.readings import Gap
from auditor.domain.targets import Fingerprint, ModelInterface
from auditor.domain.tasks import Array, FeatureKind, Floats, InputFeature, InputSpace

Labels = NDArray[np.int64]
FEATURES = (
    InputFeature("a", FeatureKind.NUMERIC, -4, 4),
    InputFeature("b", FeatureKind.NUMERIC, -4, 4),
    InputFeature("c", FeatureKind.NUMERIC, -4, 4),
    InputFeature("secret", FeatureKind.BINARY, 0, 1, (0.0, 1.0)),
)


def dataset(role: DatasetRole, inputs: Array, labels: Labels | None, **more: object) -> Dataset:
    """A sample of one role, whose rows are named after it."""
    made = Dataset(
        role=role,
        files=(FileDigest(f"{role.value}.npz", 1, "0" * 64),),
        inputs=inputs,
        labels=labels,
        ids=tuple(f"{role.value}-{row}" for row in range(len(inputs))),
    )
    return replace(made, **more)  # type: ignore[arg-type] -- fields of Dataset


def audited(
    model: ToyModel,
    space: InputSpace | Gap,
    samples: Mapping[DatasetRole, tuple[Array, Labels | None]],
    count: int,
    **more: object,
) -> Subject:
    """What a check sees of a model with several samples."""
    rows, labels = samples[DatasetRole.EVALUATION]
    assert labels is not None
    known = space if isinstance(space, InputSpace) else box(rows.shape[1:])
    made = subject(model, NOTHING, rows, labels, known, classes(count))
    features = tuple(item.name for item in known.features)
    sets = {role: dataset(role, *given, features=features) for role, given in samples.items()}
    return replace(made, space=space, datasets=sets, **more)  # type: ignore[arg-type]


def people(seed: int, count: int) -> tuple[Floats, Labels]:
    """Rows whose ``secret`` is a coin that leans on ``a``; labels lean on ``b`` and the secret."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, 4))
    rows[:, 3] = rng.random(count) < 1 / (1 + np.exp(-rows[:, 0]))
    labels = rng.random(count) < 1 / (1 + np.exp(-rows[:, 1] - rows[:, 3] + 0.5))
    return rows, labels.astype(np.int64)


def table(rows: Floats | None = None) -> InputSpace:
    """The space of ``people``."""
    low, high = np.array([-4.0, -4, -4, 0]), np.array([4.0, 4, 4, 1])
    return InputSpace(low, high, np.zeros(4), np.ones(4, dtype=np.bool_), FEATURES)


def memory(rows: Floats, labels: Labels, count: int, reach: float = 0.3) -> ToyModel:
    """A model that knows its training rows by heart, and guesses from nearer ones elsewhere."""
    told = np.eye(count)[labels]

    def logits(asked: Floats) -> Floats:
        away = ((asked[:, None] - rows.reshape(len(rows), -1)) ** 2).sum(axis=2)
        weights = np.exp(-away / reach**2)
        return np.log((weights @ told + 1e-3) / (weights.sum(axis=1) + count * 1e-3)[:, None])

    return ToyModel(logits)


def law() -> ToyModel:
    """The model that knows how the labels of ``people`` are drawn, and no row."""
    return ToyModel(lambda x: np.stack([np.zeros(len(x)), x[:, 1] + x[:, 3] - 0.5], axis=1))


def people_audit(
    made: Callable[[Floats, Labels], ToyModel], seed: int = 1, members: int = 400, others: int = 800
) -> Subject:
    """A table with a secret, a model made of the training rows, and rows that it never saw."""
    training, evaluation = people(seed, members), people(seed + 1000, others)
    return audited(
        made(*training),
        table(),
        {DatasetRole.TRAINING: training, DatasetRole.EVALUATION: evaluation},
        2,
    )


def persons(count: int, each: int) -> TextColumn:
    """Which person each row is of."""
    return TextColumn.of([f"p{row // each}" for row in range(count)])


def deaf(model: ToyModel) -> ToyModel:
    """The same model, of which only labels are heard."""
    face = ModelInterface("x", (1,), "float32", None, "as_is", "s", "labels", "toy")
    logits = model.logits

    def labels(rows: Floats) -> Floats:
        said = logits(rows)
        return 1e3 * np.eye(said.shape[1])[said.argmax(axis=1)]

    return ToyModel(labels, fingerprint=Fingerprint({}, {}, interface=face))
