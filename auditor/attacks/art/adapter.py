"""What ART attacks ask a model for, answered by the target or by the twin."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.art.lenses import Lens, Shown
from auditor.attacks.art.meters import Meter
from auditor.attacks.losses import Aim, Labels, cross_entropy, softmax, untargeted
from auditor.domain.models import Twin
from auditor.domain.tasks import Array, Classification, Floats

Numbers = NDArray[np.floating]


class View(Protocol):
    """A model as an attack sees it."""

    lens: Lens

    def predict(self, shown: Numbers) -> Shown:
        """Return ``[n, classes]`` scores whose largest is the decision."""
        ...

    def probabilities(self, rows: Array) -> Floats:
        """Return ``[n, classes]`` probabilities of rows as the data holds them."""
        ...


class Answering(Protocol):
    """A model as far as its answers go: the target, or what stands in for it."""

    def predict(self, inputs: Array) -> Floats:
        """Return scores of rows as the data holds them."""
        ...

    def probabilities(self, scores: Floats) -> Floats:
        """Return ``[n, classes]`` probabilities for scores."""
        ...


@dataclass(frozen=True, slots=True)
class StandIn:
    """What answers ``[n, classes]`` probabilities in the target's place."""

    answer: Callable[[Array], Floats]

    def predict(self, inputs: Array) -> Floats:
        """Return probabilities."""
        return self.answer(inputs)

    def probabilities(self, scores: Floats) -> Floats:
        """Return them as they are."""
        return scores


@dataclass(slots=True, eq=False)
class TargetView:
    """The target, which answers with probabilities."""

    model: Answering
    task: Classification
    lens: Lens
    meter: Meter

    def predict(self, shown: Numbers) -> Shown:
        """Return ``[n, classes]`` probabilities whose largest is the decision."""
        found = self.probabilities(self.lens.real(shown))
        return _about_half(found, self.task).astype(np.float32)

    def probabilities(self, rows: Array) -> Floats:
        """Return what the target says of rows; each one is counted."""
        self.meter.ask(len(rows))
        return self.model.probabilities(self.model.predict(rows))


@dataclass(slots=True, eq=False)
class TwinView:
    """The twin, which answers with logits and their gradients."""

    twin: Twin
    task: Classification
    lens: Lens
    meter: Meter

    def predict(self, shown: Numbers) -> Shown:
        """Return ``[n, classes]`` logits whose largest is the decision."""
        return self._logits(shown).astype(np.float32)

    def probabilities(self, rows: Array) -> Floats:
        """Return what the twin says of rows."""
        self.meter.look()
        return softmax(self.twin.forward(rows))

    def loss(self, shown: Numbers, wanted: NDArray[np.generic]) -> Shown:
        """Return the loss of each row, larger the less its label is decided.

        It orders points as cross-entropy does, and does not vanish where the label is certain.
        """
        value, _ = cross_entropy(self._logits(shown), self._aim(wanted))
        return value.astype(np.float32)

    def loss_gradient(self, shown: Numbers, wanted: NDArray[np.generic]) -> Shown:
        """Return the gradient of ``loss`` in the shown rows: ``[n, *shape]``."""
        _, cotangent = cross_entropy(self._logits(shown), self._aim(wanted))
        return self._pull(cotangent)

    def class_gradient(self, shown: Numbers, label: object = None) -> Shown:
        """Return gradients of logits: ``[n, classes, *shape]``, or ``[n, 1, *shape]`` of one label.

        ``label`` is one class for all rows, one a row, or none for all classes.
        """
        logits = self._logits(shown)
        places = range(logits.shape[1]) if label is None else [_labels(label, len(shown))]
        found = []
        for place in places:
            cotangent = np.zeros_like(logits)
            cotangent[np.arange(len(logits)), place] = 1.0
            found.append(self._pull(cotangent))
        return np.stack(found, axis=1)

    def _pull(self, cotangent: Floats) -> Shown:
        self.meter.climb(len(cotangent))
        return self.lens.slope(np.nan_to_num(self.twin.backward(cotangent)))

    def _logits(self, shown: Numbers) -> Floats:
        self.meter.look()
        logits = self.twin.forward(self.lens.real(shown))
        if self.task.binary:
            # Attacks decide by the larger of two logits: the threshold goes into the second one.
            least = min(max(self.task.threshold, 1e-9), 1 - 1e-9)
            logits = logits.copy()
            logits[:, self.task.positive_index] -= np.log(least / (1 - least))
        return logits

    def _aim(self, wanted: NDArray[np.generic]) -> Aim:
        labels = _labels(wanted, len(wanted))
        return untargeted(labels, len(self.task.classes))


def _labels(wanted: object, rows: int) -> Labels:
    """Return one class a row, from one-hot rows, a column, a list or one number."""
    found = np.asarray(wanted)
    if found.ndim > 1 and found.shape[1] > 1:
        found = found.argmax(axis=1)
    labels: Labels = np.broadcast_to(found.reshape(-1), (rows,)).astype(np.int64)
    return labels


def _about_half(probabilities: Floats, task: Classification) -> Floats:
    """Bend the probabilities of two classes so that the threshold comes to lie at a half."""
    least = task.threshold
    if not task.binary or not 0 < least < 1 or least == 1 / 2:
        return probabilities
    positive = probabilities[:, task.positive_index]
    above = 0.5 + (positive - least) / (2 * (1 - least))
    bent = np.where(positive < least, positive / (2 * least), above)
    found = np.empty_like(probabilities)
    found[:, task.positive_index], found[:, 1 - task.positive_index] = bent, 1 - bent
    return found
