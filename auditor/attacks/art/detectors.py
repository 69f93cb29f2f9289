"""ART's detectors of poison: which training rows they flag."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.art.attempts import Desk, OddAnswerError, attempt, parted
from auditor.attacks.art.edge import Untyped, estimator, module
from auditor.attacks.art.learners import NETWORK, learner
from auditor.attacks.art.objections import Objection, lacking, unknown
from auditor.attacks.art.settings import Settings
from auditor.attacks.art.views import Numbers
from auditor.attacks.losses import Labels
from auditor.domain.tasks import Array, Floats
from auditor.shadows.training import Settings as Training

PLACES = ("art.defences.detector.poison", "art.defences.transformer.poisoning")
HELPERS = frozenset({"ClusteringAnalyzer", "GroundTruthEvaluator", "PoisonFilteringDefence"})
OF_FEATURES = ("ActivationDefence", "SpectralSignatureDefense")
OF_TRAINING = ("ProvenanceDefense", "RONIDefense")
OF_QUERIES = ("STRIP",)
QUICK = Training(updates=50, epochs=5, rate=0.03)
"""What is trained again for each row that is suspected: a logistic regression, in little time."""
MOST: Mapping[str, int] = {"RONIDefense": 40, "ProvenanceDefense": 400}
"""Rows that a detector which trains a model for each suspect can look at."""
ORIGINS = 4
DECIDED = ("classifier", "p_train", "x_train", "x_val", "y_train", "y_val", "generator")
"""What the check decides itself."""
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Suspects:
    """Rows with labels of which some may be poison, and ``trusted`` rows with labels.

    ``origins`` ``[n]`` says who brought each row, ``None`` where nobody knows.
    """

    rows: Array
    labels: Labels
    trusted: tuple[Array, Labels]
    origins: NDArray[np.int64] | None = None

    def cut(self, most: int) -> "Suspects":
        """Return the first rows of either kind."""
        rows, labels = self.trusted
        origins = None if self.origins is None else self.origins[:most]
        return Suspects(self.rows[:most], self.labels[:most], (rows[:most], labels[:most]), origins)


def names() -> tuple[str, ...]:
    """Return ART's detectors of poison, and its defences that find triggers.

    Raises ``MissingExtraError``.
    """
    found = {name for place in PLACES for name, it in vars(module(place)).items() if _is_kind(it)}
    return tuple(sorted(found - HELPERS))


def _is_kind(item: object) -> bool:
    return isinstance(item, type)


def refusal(name: str) -> Objection | None:
    """Return why a detector cannot run here, ``None`` where it may be tried."""
    known = names()
    if name not in known:
        near = get_close_matches(name, known, n=3, cutoff=0.5)
        return unknown(name, near or known, "detector of poison")
    able = (*OF_FEATURES, *OF_TRAINING, *OF_QUERIES)
    return None if name in able else lacking(name, ["KerasClassifier"])


Embed = Callable[[Array], Floats]
Judge = Callable[[Suspects], Mask | Objection]


def on_target(name: str, settings: Settings, desk: Desk, embed: Embed) -> Judge:
    """Return a detector that looks at the target: at its features, or at its answers."""

    def judge(suspects: Suspects) -> Mask | Objection:
        view = replace(desk, rows=len(suspects.rows)).view()
        model = _seen(estimator(view, desk.classes), embed, desk)
        return _flagged(name, settings, desk, model, suspects)

    return judge


def on_stand_in(name: str, settings: Settings, desk: Desk, taught: tuple[Array, Labels]) -> Judge:
    """Return a detector that looks at a small network which was taught some rows."""

    def judge(suspects: Suspects) -> Mask | Objection:
        meter = replace(desk, rows=len(suspects.rows)).meter()
        net = learner(desk, meter, QUICK if name in OF_TRAINING else NETWORK)
        net.fit(desk.lens.show(taught[0]), desk.one_hot(taught[1]))
        return _flagged(name, settings, desk, net, suspects)

    return judge


def _seen(model: Untyped, embed: Embed, desk: Desk) -> Untyped:
    """Give an estimator the features that the target's last layer is given."""

    def activations(_: Untyped, x: Numbers, *__: object, **___: object) -> Floats:
        return embed(desk.lens.real(x))

    named = property(lambda _: ["features"])
    model.__class__ = type(
        "SeenClassifier", (type(model),), {"get_activations": activations, "layer_names": named}
    )
    return model


def _flagged(
    name: str, settings: Settings, desk: Desk, model: Untyped, suspects: Suspects
) -> Mask | Objection:
    def run() -> Mask:
        found = _RUN[name](name, settings, desk, model, suspects)
        if found.shape != (len(suspects.labels),):
            raise OddAnswerError(f"an array of shape {found.shape}")
        return found

    return attempt(name, desk.seed, run)


def _by_features(
    name: str, settings: Settings, desk: Desk, model: Untyped, suspects: Suspects
) -> Mask:
    kind = vars(module(PLACES[0]))[name]
    made, more = parted(kind, settings)
    shown, wanted = desk.lens.show(suspects.rows), desk.one_hot(suspects.labels)
    _, clean = kind(model, shown, wanted, **made).detect_poison(**more)
    return np.asarray(np.asarray(clean) == 0, dtype=np.bool_)


def _by_training(
    name: str, settings: Settings, desk: Desk, model: Untyped, suspects: Suspects
) -> Mask:
    kind = vars(module(PLACES[0]))[name]
    shown, wanted = _flat(desk, suspects.rows), desk.one_hot(suspects.labels)
    trusted = _flat(desk, suspects.trusted[0]), desk.one_hot(suspects.trusted[1])
    usual: dict[str, object] = {"perf_func": _accuracy}
    if name == "RONIDefense":
        usual["calibrated"] = False
    if name == "ProvenanceDefense":
        if suspects.origins is None:
            message = "it asks who brought each row, and nobody says"
            raise NotImplementedError(message)
        usual["p_train"] = np.eye(ORIGINS)[suspects.origins]
    made, more = parted(kind, {**usual, **settings})  # type: ignore[dict-item] # what ART takes
    detector = kind(model, shown, wanted, x_val=trusted[0], y_val=trusted[1], **made)
    _, clean = detector.detect_poison(**more)
    return np.asarray(np.asarray(clean) == 0, dtype=np.bool_)


def _accuracy(wanted: Numbers, said: Numbers) -> float:
    """Return how often scores name the label: ART's own takes decisions alone."""
    return float((wanted.argmax(axis=1) == said.argmax(axis=1)).mean())


def _by_queries(
    name: str, settings: Settings, desk: Desk, model: Untyped, suspects: Suspects
) -> Mask:
    kind = vars(module(PLACES[1]))[name]
    guarded = kind(model)(**settings)
    guarded.mitigate(desk.lens.show(suspects.trusted[0]))
    said = np.asarray(guarded.predict(desk.lens.show(suspects.rows)))
    return np.asarray(~said.any(axis=1), dtype=np.bool_)  # it abstains by answering nothing


def _flat(desk: Desk, rows: Array) -> Numbers:
    return desk.lens.show(rows).reshape(len(rows), -1)


_RUN: Mapping[str, Callable[[str, Settings, Desk, Untyped, Suspects], Mask]] = {
    **dict.fromkeys(OF_FEATURES, _by_features),
    **dict.fromkeys(OF_TRAINING, _by_training),
    **dict.fromkeys(OF_QUERIES, _by_queries),
}
