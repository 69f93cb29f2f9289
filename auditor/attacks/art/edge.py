"""The only place that imports ART: its attack classes, and estimators over our own views."""

import importlib
import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeAlias

from auditor.attacks.art.quiet import silenced
from auditor.attacks.art.views import TwinView, View
from auditor.errors import MissingExtraError
from auditor.extras import to_install

Untyped: TypeAlias = Any
"""Of ART, which ships no types: a module, a class, an estimator, an attack."""
MODULES = {
    "evasion": ("art.attacks.evasion",),
    "poisoning": ("art.attacks.poisoning",),
    "extraction": ("art.attacks.extraction",),
    "inference": (
        "art.attacks.inference.membership_inference",
        "art.attacks.inference.attribute_inference",
        "art.attacks.inference.model_inversion",
        "art.attacks.inference.reconstruction",
    ),
}
CLASSIFIERS = "art.estimators.classification.classifier"
ESTIMATORS = "art.estimators.estimator"
BLACK_BOXES = "art.estimators.classification.blackbox"


def evasion_classes() -> Mapping[str, Untyped]:
    """Return ART's evasion attacks by name. Raises ``MissingExtraError`` without ART."""
    return classes("evasion")


def version() -> str:
    """Return ART's version. Raises ``MissingExtraError``."""
    return str(module("art").__version__)


@cache
def classes(kind: str) -> Mapping[str, Untyped]:
    """Return the attack classes of one kind (a key of ``MODULES``) that ART exports, by name.

    Raises ``MissingExtraError``.
    """
    found: dict[str, Untyped] = {}
    for name in MODULES[kind]:
        exported = vars(module(name)).items()
        found.update((key, item) for key, item in exported if inspect.isclass(item))
    return dict(sorted(found.items()))


def family(name: str) -> str:
    """Return of what family an attack is, by ART's own module: ``membership_inference`` or the
    like, ``extraction``, ``poisoning``; empty where ART exports no such attack.

    Raises ``MissingExtraError``.
    """
    for places in MODULES.values():
        for place in places:
            if inspect.isclass(vars(module(place)).get(name)):
                return place.rpartition(".")[2]
    return ""


def requirements(attack: Untyped) -> tuple[tuple[str, ...], ...]:
    """Return what an attack asks of an estimator: one of each tuple of names."""
    asked = getattr(attack, "_estimator_requirements", None) or ()
    return tuple(
        tuple(item.__name__ for item in (one if isinstance(one, tuple) else (one,)))
        for one in asked
    )


def estimator(view: View, classes_count: int) -> Untyped:
    """Return an ART classifier that answers through ``view``, on rows scaled to 0..1.

    Rows that are pictures make it what ART calls a neural network.
    """
    lens = view.lens
    about: dict[str, Untyped] = {"clip_values": (0.0, 1.0)}
    if lens.picture:
        about["channels_first"] = lens.channels_first
    if isinstance(view, TwinView):
        return _twin_class(lens.picture)(view, classes_count, about)
    name = "BlackBoxClassifierNeuralNetwork" if lens.picture else "BlackBoxClassifier"
    made = getattr(module(BLACK_BOXES), name)
    return made(view.predict, lens.shape, classes_count, preprocessing=None, **about)


@cache
def _twin_class(picture: bool) -> Untyped:  # noqa: FBT001 -- one of two classes
    """Return the class of estimators that have gradients, for pictures or for tables."""
    classifiers, estimators = module(CLASSIFIERS), module(ESTIMATORS)
    bases = (
        classifiers.ClassGradientsMixin,
        classifiers.ClassifierMixin,
        estimators.LossGradientsMixin,
        *((estimators.NeuralNetworkMixin,) if picture else ()),
        estimators.BaseEstimator,
    )
    return type("TwinClassifier", bases, {**_TWIN, "_layer_names": None})


def _set_up(self: Untyped, view: TwinView, classes_count: int, about: Mapping[str, object]) -> None:
    super(type(self), self).__init__(model=None, preprocessing=None, **about)
    self.view, self.nb_classes = view, classes_count


def _loss(self: Untyped, x: Untyped, y: Untyped, reduction: str = "none", **_: object) -> Untyped:
    value = self.view.loss(x, y)
    return value if reduction == "none" else getattr(value, reduction)()


def _refuse(self: object, *_: object, **__: object) -> None:
    message = "an audited model is neither trained nor opened up"
    raise NotImplementedError(message)


_TWIN: Mapping[str, object] = {
    "__init__": _set_up,
    "predict": lambda self, x, *_, **__: self.view.predict(x),
    "class_gradient": lambda self, x, label=None, *_, **__: self.view.class_gradient(x, label),
    "loss_gradient": lambda self, x, y, *_, **__: self.view.loss_gradient(x, y),
    "compute_loss": _loss,
    "loss": _loss,
    "input_shape": property(lambda self: self.view.lens.shape),
    "fit": _refuse,
    "get_activations": _refuse,
}


def module(name: str) -> Untyped:
    """Return one of ART's modules. Raises ``MissingExtraError``."""
    try:
        with silenced():
            return importlib.import_module(name)
    except ImportError as missing:
        raise MissingExtraError(
            "attacks of the Adversarial Robustness Toolbox need it, and it is not installed",
            cure=f"{to_install('art')}.",
        ) from missing
