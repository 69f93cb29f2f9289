"""Adapters between the audited model and the Adversarial Robustness Toolbox (ART).

This is the only module that imports ART: its attack classes, and estimators over our own views.
ART sees rows in single precision, with every coordinate scaled to 0..1. An attack's warnings,
output and use of global random numbers must not leak: run it inside ``fixed_global_seed`` and
``silenced_output``.
"""

import importlib
import inspect
import random
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from io import StringIO
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.evasion.losses import Labels, LossAim, cross_entropy, softmax, untargeted_aim
from auditor.attacks.evasion.threat_model import ThreatModel
from auditor.domain.evidence import find_image_axes
from auditor.domain.models import Twin
from auditor.domain.tasks import Array, ClassificationTask, Floats, InputSpace
from auditor.errors import MissingExtraError, suggest_install

Mask = NDArray[np.bool_]
Shown = NDArray[np.float32]
"""Rows as ART sees and returns them: ``[n, *InputScaler.shape]``."""
MISSING = 0.5
"""What ART sees where a value is missing; the model gets the missing value all the same."""


@dataclass(frozen=True, slots=True, eq=False)
class InputScaler:
    """Shows rows so that a budget of ART's, in its numbers, is one of ours, in ranges.

    A coordinate ``x`` is shown as ``(x - low) / unit``; ``moves`` says which may change. ``clean``
    are the rows, ``[n, ...]``; where a lens is for one row alone, whatever comes back through it
    keeps that row's values where nothing may move. Grey pictures get an axis of channels.
    """

    clean: Array
    low: Floats
    unit: Floats
    moves: Mask
    shape: tuple[int, ...]
    channels_first: bool

    @property
    def picture(self) -> bool:
        """Whether rows are pictures."""
        return find_image_axes(self.clean.shape[1:]) is not None

    @property
    def shown(self) -> Shown:
        """The clean rows, shown."""
        return self.show(self.clean)

    def show(self, rows: Array) -> Shown:
        """Return any rows ``[m, ...]`` of the same form, shown."""
        exact = np.nan_to_num((rows.astype(np.float64) - self.low) / self.unit, nan=MISSING)
        return exact.astype(np.float32).reshape(len(exact), *self.shape)

    @property
    def mask(self) -> Shown:
        """1 where a shown row may change, and 0 elsewhere."""
        return self.moves.astype(np.float32).reshape(self.shape)

    def real(self, shown: NDArray[np.floating]) -> Array:
        """Return ``[m, *shape]`` shown rows as the model takes them, of any number of rows.

        Raises ``ValueError`` for what is no number, which no model is asked about.
        """
        if not np.isfinite(shown).all():
            raise ValueError("it asked about rows with values that are no numbers")
        exact = self.exact(shown)
        if np.issubdtype(self.clean.dtype, np.integer):
            exact = np.rint(exact)
        return exact.astype(self.clean.dtype)

    def exact(self, shown: NDArray[np.floating]) -> Floats:
        """Return shown rows in the rows' own units, not rounded to their type."""
        rows = shown.astype(np.float64).reshape(len(shown), *self.clean.shape[1:])
        found: Floats = self.low + rows * self.unit
        if self.moves.all():
            return found
        return np.where(self.moves, found, self.clean.astype(np.float64))

    def returned(self, shown: NDArray[np.floating]) -> Floats:
        """Return rows that ART made of the clean ones; where it changed nothing, nothing changes.

        What is no number was not changed either.
        """
        before = self.shown
        same = (shown.astype(np.float32) == before) | ~np.isfinite(shown)
        exact = self.exact(np.where(same, before, shown))
        kept: Floats = np.where(same.reshape(exact.shape), self.clean.astype(np.float64), exact)
        return kept

    def slope(self, gradient: Floats) -> Shown:
        """Return a gradient in the rows' own units as one in shown coordinates."""
        scaled = gradient * np.where(self.moves, self.unit, 0.0)
        return scaled.reshape(len(gradient), *self.shape).astype(np.float32)


def attack_scaler(clean: Array, threat: ThreatModel) -> InputScaler:
    """Return the lens for ``[n, ...]`` clean rows under a threat."""
    moves = threat.movable & ~(np.isnan(clean.astype(np.float64)).any(axis=0))
    return _lens(clean, threat.low, threat.high, moves)


def range_scaler(rows: Array, space: InputSpace | None) -> InputScaler:
    """Return the lens for any rows like ``[n, ...]`` ones, all of whose coordinates may change."""
    shape = rows.shape[1:]
    nowhere = np.full(shape, np.nan)
    ends = (nowhere, nowhere) if space is None else (space.low, space.high)
    low, high = (np.broadcast_to(end, shape).astype(np.float64) for end in ends)
    return _lens(rows, low, high, np.ones(shape, dtype=np.bool_))


def _lens(clean: Array, lowest: Floats, highest: Floats, moves: Mask) -> InputScaler:
    """Return a lens of a box.

    Where a row lies outside of it, or a coordinate has no finite range, the range is widened to
    what the rows hold: nothing shown is outside of 0..1.
    """
    exact = clean.astype(np.float64)
    finite = np.isfinite(exact)
    least = np.where(finite, exact, np.inf).min(axis=0, initial=np.inf)
    most = np.where(finite, exact, -np.inf).max(axis=0, initial=-np.inf)
    low = np.minimum(np.where(np.isfinite(lowest), lowest, np.inf), least)
    high = np.maximum(np.where(np.isfinite(highest), highest, -np.inf), most)
    low = np.where(np.isfinite(low), low, 0.0)
    unit = np.where(np.isfinite(high) & (high > low), high - low, 1.0)
    axes = find_image_axes(clean.shape[1:])
    grey = axes is not None and axes[2] is None
    return InputScaler(
        clean=clean,
        low=low,
        unit=unit,
        moves=moves,
        shape=(1, *clean.shape[1:]) if grey else clean.shape[1:],
        channels_first=axes is None or axes[2] in {None, 0},
    )


Call = Callable[[], None]


@contextmanager
def fixed_global_seed(seed: int) -> Iterator[None]:
    """Start the global random numbers of Python, numpy and torch at ``seed``; put them back after.

    Generators that a library makes without a seed are drawn from numpy's, for as long.
    """
    with ExitStack() as stack:
        stack.callback(np.random.set_state, np.random.get_state())  # noqa: NPY002 -- of the library
        stack.callback(random.setstate, random.getstate())
        stack.callback(setattr, np.random, "RandomState", np.random.RandomState)
        torch = sys.modules.get("torch")
        if torch is not None:
            stack.callback(torch.set_rng_state, torch.get_rng_state())
            torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002 -- the library draws from it
        random.seed(seed)
        vars(np.random)["RandomState"] = _SeededGenerator
        yield


_GENERATOR = np.random.RandomState


class _GeneratorType(type):
    """Takes every generator of numpy's for one of these: libraries ask what they are given."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _GENERATOR)


class _SeededGenerator(np.random.RandomState, metaclass=_GeneratorType):
    """A generator that takes its seed from numpy's own where it is given none."""

    def __init__(self, seed: Any = None) -> None:  # noqa: ANN401 -- whatever numpy takes
        own = np.random.randint(0, 2**31 - 1) if seed is None else seed  # noqa: NPY002 -- as above
        super().__init__(own)


@contextmanager
def silenced_output() -> Iterator[Callable[[Call], Call]]:
    """Keep what is printed and warned of from everybody.

    Gives a function which makes a call heard all the same: our own progress is no noise.
    """
    out, err = sys.stdout, sys.stderr

    def aloud(call: Call) -> Call:
        def heard() -> None:
            with redirect_stdout(out), redirect_stderr(err):
                call()

        return heard

    noise = StringIO()
    with warnings.catch_warnings(), redirect_stdout(noise), redirect_stderr(noise):
        warnings.simplefilter("ignore")
        yield aloud


class AttackLimitError(Exception):
    """An attack asked for more than it may; the message says of what."""


@dataclass(slots=True, kw_only=True)
class QueryMeter:
    """Counts rows scored on the target and gradients of the twin, and ends what takes too long.

    ``tick`` is called at each question, and raises ``CancelledError`` when the user stopped the
    audit. ``ends`` is the time, by ``clock``, after which nothing more is answered.
    """

    tick: Callable[[], None]
    most: int
    seconds: float
    clock: Callable[[], float] = time.monotonic
    ends: float = 0.0
    queries: int = 0
    passes: int = 0

    def __post_init__(self) -> None:
        """Start the clock."""
        self.ends = self.clock() + self.seconds

    def grant(self, rows: int, most_a_row: int) -> None:
        """Begin to count anew, for an attack on ``rows`` rows."""
        self.most = rows * most_a_row
        self.queries = self.passes = 0

    def look(self) -> None:
        """Answer a question that costs neither. Raises ``AttackLimitError`` when time is up."""
        self.tick()
        if self.clock() > self.ends:
            raise AttackLimitError(f"took longer than {self.seconds:g} s")

    def ask(self, rows: int) -> None:
        """Let the target score some rows. Raises ``AttackLimitError``."""
        self.look()
        if self.queries + rows > self.most:
            raise AttackLimitError(f"asked the target for more than {self.most:,} rows")
        self.queries += rows

    def climb(self, rows: int) -> None:
        """Let the twin give gradients of some rows. Raises ``AttackLimitError``."""
        self.look()
        if self.passes + rows > self.most:
            raise AttackLimitError(f"took more than {self.most:,} gradients of the twin")
        self.passes += rows


Numbers = NDArray[np.floating]


class ModelView(Protocol):
    """A model as an attack sees it."""

    lens: InputScaler

    def predict(self, shown: Numbers) -> Shown:
        """Return ``[n, classes]`` scores whose largest is the decision."""
        ...

    def probabilities(self, rows: Array) -> Floats:
        """Return ``[n, classes]`` probabilities of rows as the data holds them."""
        ...


class PredictionSource(Protocol):
    """A model as far as its answers go: the target, or what stands in for it."""

    def predict(self, inputs: Array) -> Floats:
        """Return scores of rows as the data holds them."""
        ...

    def probabilities(self, scores: Floats) -> Floats:
        """Return ``[n, classes]`` probabilities for scores."""
        ...


@dataclass(frozen=True, slots=True)
class SubstituteModel:
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

    model: PredictionSource
    task: ClassificationTask
    lens: InputScaler
    meter: QueryMeter

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
    task: ClassificationTask
    lens: InputScaler
    meter: QueryMeter

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

    def _aim(self, wanted: NDArray[np.generic]) -> LossAim:
        labels = _labels(wanted, len(wanted))
        return untargeted_aim(labels, len(self.task.classes))


def _labels(wanted: object, rows: int) -> Labels:
    """Return one class a row, from one-hot rows, a column, a list or one number."""
    found = np.asarray(wanted)
    if found.ndim > 1 and found.shape[1] > 1:
        found = found.argmax(axis=1)
    labels: Labels = np.broadcast_to(found.reshape(-1), (rows,)).astype(np.int64)
    return labels


def _about_half(probabilities: Floats, task: ClassificationTask) -> Floats:
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


def list_evasion_attacks() -> Mapping[str, Untyped]:
    """Return ART's evasion attacks by name. Raises ``MissingExtraError`` without ART."""
    return list_attack_classes("evasion")


def art_version() -> str:
    """Return ART's version. Raises ``MissingExtraError``."""
    return str(load_art_module("art").__version__)


@cache
def list_attack_classes(kind: str) -> Mapping[str, Untyped]:
    """Return the attack classes of one kind (a key of ``MODULES``) that ART exports, by name.

    Raises ``MissingExtraError``.
    """
    found: dict[str, Untyped] = {}
    for name in MODULES[kind]:
        exported = vars(load_art_module(name)).items()
        found.update((key, item) for key, item in exported if inspect.isclass(item))
    return dict(sorted(found.items()))


def attack_family(name: str) -> str:
    """Return of what family an attack is, by ART's own module: ``membership_inference`` or the
    like, ``extraction``, ``poisoning``; empty where ART exports no such attack.

    Raises ``MissingExtraError``.
    """
    for places in MODULES.values():
        for place in places:
            if inspect.isclass(vars(load_art_module(place)).get(name)):
                return place.rpartition(".")[2]
    return ""


def estimator_requirements(attack: Untyped) -> tuple[tuple[str, ...], ...]:
    """Return what an attack asks of an estimator: one of each tuple of names."""
    asked = getattr(attack, "_estimator_requirements", None) or ()
    return tuple(
        tuple(item.__name__ for item in (one if isinstance(one, tuple) else (one,)))
        for one in asked
    )


def build_estimator(view: ModelView, classes_count: int) -> Untyped:
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
    made = getattr(load_art_module(BLACK_BOXES), name)
    return made(view.predict, lens.shape, classes_count, preprocessing=None, **about)


@cache
def _twin_class(picture: bool) -> Untyped:  # noqa: FBT001 -- one of two classes
    """Return the class of estimators that have gradients, for pictures or for tables."""
    classifiers, estimators = load_art_module(CLASSIFIERS), load_art_module(ESTIMATORS)
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


def load_art_module(name: str) -> Untyped:
    """Return one of ART's modules. Raises ``MissingExtraError``."""
    try:
        with silenced_output():
            return importlib.import_module(name)
    except ImportError as missing:
        raise MissingExtraError(
            "attacks of the Adversarial Robustness Toolbox need it, and it is not installed",
            cure=f"{suggest_install('art')}.",
        ) from missing
