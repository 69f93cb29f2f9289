"""What a check sees: the model on its target, the twin, the data, the seed and the budget."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from auditor.domain.artifacts import Artifact, SignatureMaterial, Structure
from auditor.domain.budgets import Budget
from auditor.domain.canonical import Json
from auditor.domain.certificates import NO_CERTIFIER, Certifier
from auditor.domain.datasets import Dataset, Role
from auditor.domain.memories import Forgetful, Memory
from auditor.domain.readings import Gap
from auditor.domain.targets import Fingerprint
from auditor.domain.tasks import Array, Floats, InputSpace, Task


@dataclass(frozen=True, slots=True)
class Timing:
    """Times measured inside the process that runs the model, in seconds.

    ``single`` holds one time a call of one row, after ``warmup`` calls; ``batch`` one time a call
    of ``batch_rows`` rows; ``load`` and ``first`` are opening the session and its first call.
    ``conditions`` says what the machine was doing meanwhile, as ``{"load_average": 0.4}``.
    """

    load: float
    first: float
    warmup: int
    single: Floats
    batch: Floats
    batch_rows: int
    conditions: Mapping[str, float] = field(default_factory=dict)


class Model(Protocol):
    """The opened thing that scores a batch on the target."""

    @property
    def queries(self) -> int:
        """Rows scored on the target so far, all callers together."""
        ...

    @property
    def fingerprint(self) -> Fingerprint:
        """What the target turned out to be."""
        ...

    @property
    def deterministic(self) -> bool:
        """Whether the same rows gave the same scores when asked twice."""
        ...

    def predict(self, inputs: Array) -> Floats:
        """Score ``[n, ...]`` rows as the data file holds them; never cached.

        Returns ``[n, classes]`` probabilities or logits (``scores_are_logits``), binary ones as
        two columns; ``[n, 1]`` for regression. Raises ``SubjectLostError`` or
        ``ModelFailedError``.
        """
        ...

    def probabilities(self, scores: Floats) -> Floats:
        """Turn what ``predict`` returned into probabilities (softmax where they are logits)."""
        ...

    def time(self, inputs: Array, *, calls: int, warmup: int, batch_rows: int) -> Timing:
        """Time calls inside the process that runs the model; never cached."""
        ...


class Twin(Protocol):
    """A differentiable equal of the model; ``forward`` then ``backward`` gives any gradient."""

    @property
    def passes(self) -> int:
        """Rows sent through ``backward`` so far."""
        ...

    @property
    def source(self) -> Mapping[str, Json]:
        """What it was built from: ``kind`` (``TwinKind``), and the ``digest`` of its own file."""
        ...

    @property
    def distance(self) -> Mapping[str, float]:
        """Measured distance from the model on the evaluation data.

        Keys: ``max_difference`` and ``mean_difference`` of probabilities (of a regression's values
        in their standard deviation), ``agreement`` of decisions (share), ``rows``;
        ``gradient_correlation`` with central differences on the target, over ``gradient_rows``
        moved by ``step`` of the input range; ``own_difference`` and ``own_agreement`` of a model
        that is not deterministic, with itself.
        """
        ...

    def forward(self, inputs: Array) -> Floats:
        """Return ``[n, classes]`` logits of rows as the data holds them, up to a constant a row."""
        ...

    def backward(self, cotangent: Floats) -> Floats:
        """Pull ``[n, classes]`` back through the last ``forward``: the gradient in its inputs."""
        ...


class Progress(Protocol):
    """Where long work says how far it is; raises ``CancelledError`` when the user stopped it."""

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Report ``done`` of ``total`` steps."""
        ...


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of a check that can run alone: part ``index`` of ``count``."""

    index: int = 0
    count: int = 1


def derive_seed(audit_seed: int, check: str, shard: Shard) -> int:
    """Return a check's seed: the first 8 bytes of SHA-256(audit seed, check id, shard)."""
    text = f"{audit_seed}\n{check}\n{shard.index}/{shard.count}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 11


def permutation(audit_seed: int, rows: int) -> NDArray[np.int64]:
    """Return the one seeded permutation of an audit, whose prefixes all checks take."""
    generator = np.random.default_rng(derive_seed(audit_seed, "permutation", Shard()))
    return generator.permutation(rows).astype(np.int64)


def silent(done: int, total: int, note: str = "") -> None:
    """Report to nobody."""


@dataclass(slots=True, kw_only=True)
class Subject:
    """What a check sees. Nothing here opens files.

    ``model``, ``twin`` and ``certifier`` hold a ``Gap`` where they could not be had. ``seed`` is
    the check's own (``derive_seed``), ``audit_seed`` the audit's. ``clean`` remembers the scores of
    whole datasets, so that a second look costs no query; a model that is not deterministic is
    always asked anew. ``memory`` holds finished parts of an audit that was interrupted.
    ``show_examples`` is the owner's leave to keep rows of the data in the evidence.
    """

    artifact: Artifact | None
    structure: Structure | Gap
    signature: SignatureMaterial
    model: Model | Gap
    twin: Twin | Gap
    task: Task
    space: InputSpace | Gap
    datasets: Mapping[Role, Dataset]
    audit_seed: int
    seed: int
    budget: Budget
    certifier: Certifier | Gap = NO_CERTIFIER
    show_examples: bool = False
    progress: Progress = silent
    clean: dict[Role, Floats] = field(default_factory=dict)
    memory: Memory = field(default_factory=Forgetful)

    def sample(self, role: Role, count: int) -> NDArray[np.int64]:
        """Return the first ``count`` row numbers of the audit's permutation of a dataset."""
        rows = self.datasets[role].rows
        return permutation(self.audit_seed, rows)[: min(count, rows)]

    def probabilities(self, role: Role) -> Floats:
        """Return ``[n, classes]`` probabilities of a whole dataset, asking the target once.

        In a predictions-only audit the scores that the file brought are returned. Raises
        ``TypeError`` when there are neither: the frame asks ``needs`` first.
        """
        known = self.clean.get(role)
        if known is not None:
            return known
        found = self._score(self.datasets[role])
        if isinstance(self.model, Gap) or self.model.deterministic:
            self.clean[role] = found
        return found

    def _score(self, dataset: Dataset) -> Floats:
        if not isinstance(self.model, Gap) and dataset.inputs is not None:
            return self.model.probabilities(self.model.predict(dataset.inputs))
        if self.artifact is None and dataset.scores is not None:
            # Scores from a file never stand in for an artifact that could not be run.
            return dataset.scores
        message = "there is neither a model nor scores in the data"
        raise TypeError(message)
