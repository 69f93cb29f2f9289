"""A small network that ART may train: what a thief copies into, and what shadows are made of."""

from collections.abc import Mapping
from functools import cache

import numpy as np

from auditor.attacks.art.attempts import Desk
from auditor.attacks.art.edge import CLASSIFIERS, ESTIMATORS, Untyped, module
from auditor.attacks.art.meters import Meter
from auditor.attacks.art.views import Numbers
from auditor.shadows.training import Settings, train_stack

NETWORK = Settings(hidden=(64,), updates=1500, rate=0.01)
"""As the copies of privacy.extraction are."""
FEATURES = "hidden"
"""What the layer before the last is called."""


def learner(desk: Desk, meter: Meter, settings: Settings = NETWORK) -> Untyped:
    """Return an ART classifier over shown rows that can be trained, as often as it likes.

    It is trained anew each time that it is fitted, whatever it is told of batches and epochs.
    """
    return _class()(desk, meter, settings)


@cache
def _class() -> Untyped:
    classifiers, estimators = module(CLASSIFIERS), module(ESTIMATORS)
    bases = (
        classifiers.ClassifierMixin,
        estimators.NeuralNetworkMixin,
        estimators.BaseEstimator,
    )
    return type("LearnerClassifier", bases, dict(_LEARNER))


def _set_up(self: Untyped, desk: Desk, meter: Meter, settings: Settings) -> None:
    super(type(self), self).__init__(
        model=None,
        preprocessing=None,
        clip_values=(0.0, 1.0),
        channels_first=desk.lens.channels_first,
    )
    self.desk, self.meter, self.training, self.stack = desk, meter, settings, None
    self.nb_classes, self.times = desk.classes, 0


def _fit(self: Untyped, x: Numbers, y: Numbers, *_: object, **__: object) -> None:
    self.meter.look()
    told = np.asarray(y, dtype=np.float64)
    targets = told.argmax(axis=1) if _hard(told) else told / told.sum(axis=1, keepdims=True)
    include = np.ones((1, len(x)), dtype=np.bool_)
    seed = (self.desk.seed + self.times) % 2**31
    self.times += 1
    self.stack = train_stack(
        np.asarray(x), targets, self.nb_classes, include, self.training, seed=seed
    )


def _hard(told: Numbers) -> bool:
    return bool(np.isin(told, (0.0, 1.0)).all() and (told.sum(axis=1) == 1).all())


def _predict(self: Untyped, x: Numbers, *_: object, **__: object) -> Numbers:
    self.meter.look()
    if self.stack is None:
        return np.full((len(x), self.nb_classes), 1 / self.nb_classes, dtype=np.float32)
    found: Numbers = self.stack.probabilities(np.asarray(x))[0]
    return found


def _activations(self: Untyped, x: Numbers, *_: object, **__: object) -> Numbers:
    """Return what the layer before the last makes of rows: ``[n, width]``."""
    stack = self.stack
    rows = stack.scaling(np.asarray(x))
    for weight, bias in zip(stack.weights[:-1], stack.biases[:-1], strict=True):
        rows = np.maximum(rows @ weight[0] + bias[0], 0)
    found: Numbers = rows
    return found


def _clone(self: Untyped) -> Untyped:
    fresh = learner(self.desk, self.meter, self.training)
    self.times += 1
    fresh.times = 1000 * self.times
    return fresh


_LEARNER: Mapping[str, object] = {
    "__init__": _set_up,
    "fit": _fit,
    "predict": _predict,
    "get_activations": _activations,
    "clone_for_refitting": _clone,
    "input_shape": property(lambda self: self.desk.lens.shape),
    "layer_names": property(lambda _: [FEATURES]),
    "__deepcopy__": lambda self, _: _copied(self),
}


def _copied(self: Untyped) -> Untyped:
    fresh = _clone(self)
    fresh.stack = self.stack
    return fresh
