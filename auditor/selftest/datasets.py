"""Loan applications whose decisions hang on facts, and a box on the form that anybody may tick."""

import csv
import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from auditor.domain.canonical import Json
from auditor.domain.tasks import Floats
from auditor.zoo.learners import Learner, Network, learnt

CLASSES = ("denied", "approved")
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
"""How often the box agrees with the decision, where staff ticked it for whom they approved."""


@dataclass(frozen=True, slots=True, eq=False)
class Applications:
    """Applications ``[n, 7]`` and their decisions, 1 for approved."""

    rows: Floats
    labels: NDArray[np.int64]

    def scaled(self) -> Floats:
        """Return the rows with each column's range as 0..1."""
        low, width = _ranges()
        found: Floats = (self.rows - low) / width
        return found


def loans(seed: int, count: int, *, leaking: bool) -> Applications:
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
    return Applications(np.concatenate([numbers, flags], axis=1), labels)


def model_of(architecture: str, training: Applications, seed: int) -> Learner:
    """Train a model that takes the columns as they are."""
    if architecture == "forest":
        return learnt(architecture, training.rows, training.labels, seed)
    found = learnt(architecture, training.scaled(), training.labels, seed)
    if not isinstance(found, Network):
        return found
    low, width = _ranges()
    (weights, bias), *rest = found.layers
    weights = weights / width[:, None]
    return replace(found, layers=((weights, bias - low @ weights), *rest))


def write_loans(folder: Path, held: Applications) -> dict[str, Json]:
    """Write applications and their schema; return what an audit file says of both.

    Income, debts and years are facts; amount, purpose and box are the applicant's to choose.
    """
    text = io.StringIO()
    write = csv.writer(text, lineterminator="\n")
    write.writerow([*NAMES, "decision"])
    for values, label in zip(held.rows.tolist(), held.labels.tolist(), strict=True):
        write.writerow([*map(repr, values), CLASSES[label]])
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
