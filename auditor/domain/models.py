"""The opened model and its twin, as checks ask them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from auditor.domain.canonical import Json
from auditor.domain.placements import Placement
from auditor.domain.targets import Fingerprint
from auditor.domain.tasks import Array, Floats


@dataclass(frozen=True, slots=True)
class Timing:
    """Times measured inside the process that runs the model, in seconds.

    ``single`` holds one time a call of one row, after ``warmup`` calls; ``batch`` one time a call
    of ``batch_rows`` rows; ``load`` and ``first`` are opening the session and its first call.
    ``conditions`` says what the machine was doing meanwhile, as ``{"load_average": 0.4}``. A served
    model is timed from this side; ``transport`` then holds the round trips of requests that do not
    touch it, where the server takes such. Of any other one ``processor`` holds how long the calling
    thread had a processor in each call of ``single``.
    """

    load: float
    first: float
    warmup: int
    single: Floats
    batch: Floats
    batch_rows: int
    conditions: Mapping[str, float] = field(default_factory=dict)
    transport: Floats | None = None
    processor: Floats | None = None


class Model(Protocol):
    """The opened thing that scores a batch on the target."""

    @property
    def queries(self) -> int:
        """Rows scored on the target so far, all callers together."""
        ...

    @property
    def busy(self) -> float:
        """Seconds spent on waiting for the target so far."""
        ...

    @property
    def fingerprint(self) -> Fingerprint:
        """What the target turned out to be."""
        ...

    @property
    def placement(self) -> Placement:
        """Where the operators run, as known when the model was opened."""
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


def pace_of(model: Model) -> float | None:
    """Return the seconds a row of a model's fastest request of many rows; a served one has none.

    The fastest, for a request that had to wait for a processor says nothing of the model. A model
    tells it in a property ``pace``, if there is anything.
    """
    found: float | None = getattr(model, "pace", None)
    return found
