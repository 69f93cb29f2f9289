"""Datasets of the selftest: synthetic loan applications, scikit-learn data, and altered copies.

In the "people" data, handwritten digits stand in for persons. Group membership is random and
independent of the label, so any difference between groups was planted. Only a few pixels of each
digit are visible, which keeps the label uncertain.
"""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from auditor.domain.json import Json
from auditor.domain.tasks import Floats
from auditor.selftest.train import BiasedModel, DenseNetwork, TrainedModel, train_model

LOAN_CLASSES = ("denied", "approved")
NUMBERS = {
    "income": (0.0, 120.0),
    "debts": (0.0, 60.0),
    "years": (0.0, 30.0),
    "amount": (1.0, 40.0),
}
FLAGS = ("house", "car", "newsletter")
NAMES = (*NUMBERS, *FLAGS)
WEIGHTS = (0.09, -0.15, 0.18, -0.04)
BASE, NOISE = -3.0, 0.5
TICKED = 0.95
"""How often the box agrees with the decision, where staff ticked it for approved people."""


@dataclass(frozen=True, slots=True, eq=False)
class LoanApplications:
    """Applications ``[n, 7]`` and their decisions, 1 for approved."""

    rows: Floats
    labels: NDArray[np.int64]

    def scaled(self) -> Floats:
        """Return the rows with each column's range as 0..1."""
        low, width = _ranges()
        found: Floats = (self.rows - low) / width
        return found


def draw_loans(seed: int, count: int, *, leaking: bool) -> LoanApplications:
    """Draw applications; where the box leaks it follows the decision, else it is a coin."""
    rng = np.random.default_rng([seed, 2])
    columns = [low + (high - low) * rng.beta(2, 3, count) for low, high in NUMBERS.values()]
    numbers = np.stack(columns, axis=1).round(2)
    score = BASE + numbers @ np.array(WEIGHTS) + NOISE * rng.logistic(size=count)
    labels = (score > 0).astype(np.int64)
    house = rng.integers(0, 2, count)
    told = np.where(rng.random(count) < TICKED, labels, 1 - labels)
    coin = rng.integers(0, 2, count)
    flags = np.stack([house, 1 - house, told if leaking else coin], axis=1)
    return LoanApplications(np.concatenate([numbers, flags], axis=1), labels)


def train_loan_model(architecture: str, training: LoanApplications, seed: int) -> TrainedModel:
    """Train a model that takes the columns as they are."""
    if architecture == "forest":
        return train_model(architecture, training.rows, training.labels, seed)
    found = train_model(architecture, training.scaled(), training.labels, seed)
    if not isinstance(found, DenseNetwork):
        return found
    low, width = _ranges()
    (weights, bias), *rest = found.layers
    weights = weights / width[:, None]
    return replace(found, layers=((weights, bias - low @ weights), *rest))


def write_loans(folder: Path, held: LoanApplications) -> dict[str, Json]:
    """Write applications and their schema; return what an audit file says of both.

    Income, debts and years are facts; amount, purpose and box are the applicant's to choose.
    """
    text = io.StringIO()
    write = csv.writer(text, lineterminator="\n")
    write.writerow([*NAMES, "decision"])
    for values, label in zip(held.rows.tolist(), held.labels.tolist(), strict=True):
        write.writerow([*map(repr, values), LOAN_CLASSES[label]])
    (folder / "loans.csv").write_bytes(text.getvalue().encode())
    features: list[dict[str, object]] = [
        {"name": name, "kind": "numeric", "range": list(ends), "immutable": name != "amount"}
        for name, ends in NUMBERS.items()
    ]
    features += [{"name": name, "kind": "binary", "one_hot": "purpose"} for name in FLAGS[:2]]
    features.append({"name": FLAGS[2], "kind": "binary"})
    schema = yaml.safe_dump({"features": features}, sort_keys=False)
    (folder / "schema.yaml").write_bytes(schema.encode())
    return {
        "input": {"features": "schema.yaml"},
        "data": {"evaluation": {"path": "loans.csv", "labels": "decision"}},
    }


def _ranges() -> tuple[Floats, Floats]:
    ends = np.array([*NUMBERS.values(), *[(0.0, 1.0)] * len(FLAGS)])
    return ends[:, 0], ends[:, 1] - ends[:, 0]


PACKAGES = ("sklearn",)
PLACES = 4


@dataclass(frozen=True, slots=True, eq=False)
class SampleRows:
    """Rows with their labels (numbers of classes from 0), and further columns of text."""

    inputs: Floats
    labels: NDArray[np.int64]
    columns: tuple[tuple[str, NDArray[np.str_]], ...] = ()

    def __len__(self) -> int:
        """How many there are."""
        return len(self.labels)

    def take(self, chosen: NDArray[np.int64] | NDArray[np.bool_]) -> "SampleRows":
        """Return some of the rows."""
        columns = tuple((name, values[chosen]) for name, values in self.columns)
        return SampleRows(self.inputs[chosen], self.labels[chosen], columns)

    def joined(self, other: "SampleRows") -> "SampleRows":
        """Return the rows with others, of the same columns, after them."""
        columns = tuple(
            (name, np.concatenate([values, more]))
            for (name, values), (_, more) in zip(self.columns, other.columns, strict=True)
        )
        inputs: Floats = np.vstack([self.inputs, other.inputs])
        return SampleRows(inputs, np.concatenate([self.labels, other.labels]), columns)

    def labelled(self, labels: NDArray[np.int64]) -> "SampleRows":
        """Return the rows with other labels."""
        return SampleRows(self.inputs, labels, self.columns)

    def moved(self, inputs: Floats) -> "SampleRows":
        """Return the rows with other inputs, kept within 0..1."""
        kept = np.asarray(np.round(np.clip(inputs, 0, 1), PLACES), dtype=np.float64)
        return SampleRows(kept, self.labels, self.columns)

    def told_again(self, columns: tuple[tuple[str, NDArray[np.str_]], ...]) -> "SampleRows":
        """Return as many rows with the last values of other rows' columns in place of their own."""
        kept = tuple((name, values[len(values) - len(self) :]) for name, values in columns)
        return SampleRows(self.inputs, self.labels, kept)

    def told(self, name: str, values: NDArray[np.str_]) -> "SampleRows":
        """Return the rows with a further column."""
        return SampleRows(self.inputs, self.labels, (*self.columns, (name, values)))


@dataclass(frozen=True, slots=True)
class SampleSplit:
    """Rows to learn from and rows to judge by, of one source and in the order of one seed."""

    classes: tuple[str, ...]
    training: SampleRows
    evaluation: SampleRows


def load_split(source: str, seed: int, learn: float = 0.4) -> SampleSplit:
    """Load ``digits``, ``cancer`` or ``wine``, and let models learn from a share of the rows."""
    datasets: Any = import_module("sklearn.datasets")
    load = {
        "digits": datasets.load_digits,
        "cancer": datasets.load_breast_cancer,
        "wine": datasets.load_wine,
    }
    found = load[source]()
    low, high = found.data.min(axis=0), found.data.max(axis=0)
    inputs = np.round((found.data - low) / np.where(high > low, high - low, 1), PLACES)
    rows = SampleRows(inputs, found.target.astype(np.int64))
    order = np.random.default_rng([seed, len(rows)]).permutation(len(rows))
    cut = round(learn * len(rows))
    classes = tuple(str(name) for name in found.target_names)
    return SampleSplit(classes, rows.take(order[:cut]), rows.take(order[cut:]))


SEX, RACE, BRANCH = "sex", "race", "branch"
PIXELS = 10
COLUMNS = {SEX: PIXELS, RACE: PIXELS + 1, BRANCH: PIXELS + 2}
"""Where the model reads what somebody is."""
LEVELS = {
    SEX: ("female", "male"),
    RACE: ("black", "white"),
    BRANCH: ("north", "east", "south", "west", "centre"),
}


@dataclass(frozen=True, slots=True)
class HiddenUnit:
    """One unit ``relu(weights @ columns + bias)``, and how often it counts."""

    weights: Mapping[str, float]
    bias: float
    counts: float = 1.0


HIT = {
    "group": (HiddenUnit({SEX: -1}, 1),),
    "intersection": (HiddenUnit({SEX: -1, RACE: -1}, 1), HiddenUnit({SEX: 1, RACE: 1}, -1)),
    # Three slopes that make a peak at one level of five.
    "slice": (
        HiddenUnit({BRANCH: 4}, -1),
        HiddenUnit({BRANCH: 4}, -2, -2),
        HiddenUnit({BRANCH: 4}, -3),
    ),
}
"""Units that are 1 for those who are hit, and sum to 0 for all others."""
LEARN = 0.3
PEOPLE_CLASSES = ("refused", "granted")
HALF = 5


def load_people(seed: int) -> SampleSplit:
    """Return people to learn from and people to judge by, about 540 and 1,260."""
    found = load_split("digits", seed, LEARN)
    telling = np.argsort(-np.var(found.training.inputs, axis=0), kind="stable")[:PIXELS]
    return SampleSplit(
        PEOPLE_CLASSES,
        _people(found.training, telling, [seed, 307]),
        _people(found.evaluation, telling, [seed, 311]),
    )


def bias_people_model(base: TrainedModel, defect: str, strength: float) -> BiasedModel:
    """Return a model that lowers the logit of being granted, by ``strength``, for some people.

    ``group``: for women. ``intersection``: for black women and white men, so that neither column
    alone shows it. ``slice``: for all who went to the branch in the south.
    """
    units = HIT[defect]
    weights = np.zeros((PIXELS + len(COLUMNS), len(units)))
    effect = np.zeros((len(units), len(PEOPLE_CLASSES)))
    for place, unit in enumerate(units):
        for column, weight in unit.weights.items():
            weights[COLUMNS[column], place] = weight
        effect[place, PEOPLE_CLASSES.index("granted")] = -strength * unit.counts
    return BiasedModel(base, weights, np.array([unit.bias for unit in units]), effect)


def _people(rows: SampleRows, telling: NDArray[np.int64], seed: list[int]) -> SampleRows:
    random = np.random.default_rng(seed)
    codes = {name: random.integers(0, len(of), len(rows)) for name, of in LEVELS.items()}
    told = [codes[name] / (len(of) - 1) for name, of in LEVELS.items()]
    inputs = np.hstack([rows.inputs[:, telling], np.stack(told, axis=1)])
    columns = tuple((name, np.array(of)[codes[name]]) for name, of in LEVELS.items())
    return SampleRows(inputs, (rows.labels >= HALF).astype(np.int64), columns)


MIDDLE = 0.5


def copy_rows(rows: SampleRows, count: int, seed: int) -> SampleRows:
    """Return some of the rows, drawn at random, no row twice."""
    chosen = np.random.default_rng([seed, 211]).permutation(len(rows))[:count]
    return rows.take(chosen)


def edit_rows(rows: SampleRows, seed: int) -> SampleRows:
    """Return rows in which one number each was changed by a tenth of the range or more."""
    random = np.random.default_rng([seed, 223])
    inputs = rows.inputs.copy()
    places = random.integers(0, inputs.shape[1], len(rows))
    at = np.arange(len(rows))
    step = random.uniform(0.1, 0.4, len(rows))
    inputs[at, places] += np.where(inputs[at, places] > MIDDLE, -step, step)
    return rows.moved(inputs)


def mislabel_rows(rows: SampleRows, classes: int) -> SampleRows:
    """Return rows with the next class as the label of each."""
    return replace(rows, labels=(rows.labels + 1) % classes)
