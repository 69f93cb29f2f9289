"""Recovers logits from scores that a model made too sure or too flat, by their temperature."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from auditor.attacks.privacy.membership import SQUEEZED
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import DatasetRole
from auditor.domain.models import Model
from auditor.domain.readings import Gap
from auditor.domain.targets import LOGITS
from auditor.domain.tasks import Floats
from auditor.metrics.stats.means import FLOOR
from auditor.metrics.stats.recalibration import fit_temperature

TOO_SURE, TOO_FLAT, TOO_FLAT_LOGITS = 2.0, 1 / 5, 1 / 3
"""Temperatures beyond which scores are read at their own. Of forests, which are too modest, it was
0.24 at the least; of networks that were hardly trained 0.59."""
MOST_LOST = 0.25
"""The share of rows that may be told by 0 or 1 alone before an attack on them is doubted."""
LABELS, BINARY = "labels", 2
LEAST = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True, slots=True, eq=False)
class ScoreReader:
    """Turns what a model scores into probabilities ``[n, classes]``, as an attacker reads them.

    Those of a ``saturated`` model end at 0 and 1 on so many rows that no temperature helps.
    """

    model: Model
    temperature: float = 1.0
    saturated: bool = False

    @classmethod
    def of(cls, model: Model, scores: Floats, labels: NDArray[np.int64]) -> "ScoreReader":
        """Learn the temperature from rows whose labels are known, as ``estimate_temperature`` says.

        A label of -1 is not known.
        """
        known = labels >= 0
        if not known.any():
            return cls(model)
        some, said = scores[known], model.probabilities(scores[known])
        if score_kind(model) in LOGITS:
            return cls(model, estimate_temperature(some, said, labels[known], TOO_FLAT_LOGITS))
        if score_kind(model) == LABELS:
            return cls(model)
        if is_saturated(said):
            return cls(model, saturated=True)
        return cls(model, estimate_temperature(recover_logits(said), said, labels[known]))

    @property
    def unsoftened(self) -> "ScoreReader":
        """The reader for an attack that sure scores serve best: it never softens any."""
        return ScoreReader(self.model, min(self.temperature, 1.0))

    def __call__(self, scores: Floats) -> Floats:
        """Return the probabilities of scores."""
        if self.temperature == 1:
            return self.model.probabilities(scores)
        if score_kind(self.model) in LOGITS:
            return _softened(scores, self.temperature)
        return _softened(_logarithms(self.model.probabilities(scores)), self.temperature)


def estimate_temperature(
    logits: Floats | None, said: Floats, labels: NDArray[np.int64], least: float = TOO_FLAT
) -> float:
    """Return the temperature at which an attacker reads scores of labelled rows.

    It is 1 unless the scores are far too flat (below ``least``), or too sure and so sure of some
    rows that attacks would clip them; and where there are no ``logits`` ``[n, classes]`` of what is
    ``said``.
    """
    if logits is None:
        return 1.0
    found, chances = fit_temperature(logits, labels), said[np.arange(len(labels)), labels]
    clipped = bool(((chances < SQUEEZED) | (chances > 1 - SQUEEZED)).any())
    return found if found < least or (clipped and found > TOO_SURE) else 1.0


def recover_logits(said: Floats) -> Floats | None:
    """Return what probabilities ``[n, classes]`` are the softmax of; ``None`` where some 0 is no
    number that became too small: of trees, and of one probability that was taken from 1.
    """
    small = said.shape[1] > BINARY and bool((said[said > 0] < FLOOR).any())
    return _logarithms(said) if small or (said > 0).all() else None


def is_saturated(said: Floats) -> bool:
    """Whether many rows are told by 0 or 1 alone: where others are told by less than a floor, so
    that no tree says so, or where all rows are.
    """
    lost = np.sort(said, axis=1)[:, :-1].sum(axis=1) < LEAST
    small = bool((said[said > 0] < FLOOR).any())
    return bool(lost.all() or (small and lost.mean() > MOST_LOST))


def reread_scores(said: Floats, labels: NDArray[np.int64]) -> Floats:
    """Return probabilities ``[n, classes]`` as an attacker reads them who sees no more of a model.

    They are as they were where many rows are told by 0 or 1 alone.
    """
    logits = None if is_saturated(said) else recover_logits(said)
    temperature = estimate_temperature(logits, said, labels)
    return said if logits is None or temperature == 1 else _softened(logits, temperature)


def build_score_reader(subject: Subject, *, softens: bool) -> ScoreReader:
    """Return how the model is read by who knows labels of evaluation rows.

    Where sure scores serve an attack best, it never ``softens`` any. Raises ``TypeError`` where
    there is no model.
    """
    model, labels = subject.model, subject.datasets[DatasetRole.EVALUATION].labels
    if isinstance(model, Gap):
        message = "there is no model to read"
        raise TypeError(message)
    if labels is None or score_kind(model) in {"", LABELS}:
        return ScoreReader(model)
    said, logits = subject.scores(DatasetRole.EVALUATION)
    found = ScoreReader.of(model, said if logits is None else logits, labels)
    return found if softens else found.unsoftened


def score_kind(model: Model) -> str:
    """Return what comes out of a model, as ``ModelInterface.scores`` has it; nothing if not
    known.
    """
    face = model.fingerprint.interface
    return "" if face is None else face.scores


def _logarithms(said: Floats) -> Floats:
    found: Floats = np.log(np.maximum(said, LEAST))
    return found


def _softened(logits: Floats, temperature: float) -> Floats:
    found: Floats = softmax(logits / temperature, axis=1)
    return found
