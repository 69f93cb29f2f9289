"""Data poisoning attacks and poison detectors of the Adversarial Robustness Toolbox (ART).

Poisoned rows are returned in the dataset's own units. An artifact is neither a PyTorch module nor
a support vector machine. Where ART needs one of them, we train a substitute on the training rows.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.art.adapter import (
    Numbers,
    QueryMeter,
    Untyped,
    build_estimator,
    estimator_requirements,
    list_attack_classes,
    load_art_module,
)
from auditor.attacks.art.configured_attack import OFFERED
from auditor.attacks.art.evasion import (
    ArtAttackContext,
    UnexpectedOutputError,
    run_art_call,
    split_settings,
)
from auditor.attacks.art.failure_reasons import (
    FailureReason,
    attack_exception,
    missing_capability,
    unknown_attack,
)
from auditor.attacks.art.privacy import NETWORK, build_trainable_classifier
from auditor.attacks.art.settings import AttackSettings
from auditor.attacks.evasion.losses import Labels
from auditor.attacks.privacy.shadow_training import ShadowTrainingSettings, train_stack
from auditor.domain.tasks import Array, Floats

PLACES = ("art.defences.detector.poison", "art.defences.transformer.poisoning")
HELPERS = frozenset({"ClusteringAnalyzer", "GroundTruthEvaluator", "PoisonFilteringDefence"})
OF_FEATURES = ("ActivationDefence", "SpectralSignatureDefense")
OF_TRAINING = ("ProvenanceDefense", "RONIDefense")
OF_QUERIES = ("STRIP",)
QUICK = ShadowTrainingSettings(updates=50, epochs=5, rate=0.03)
"""What is trained again for each row that is suspected: a logistic regression, in little time."""
MOST: Mapping[str, int] = {"RONIDefense": 40, "ProvenanceDefense": 400}
"""Rows that a detector which trains a model for each suspect can look at."""
ORIGINS = 4
DETECTOR_FIXED_SETTINGS = (
    "classifier",
    "p_train",
    "x_train",
    "x_val",
    "y_train",
    "y_val",
    "generator",
)
"""What the check decides itself."""
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class SuspectRows:
    """Rows with labels of which some may be poison, and ``trusted`` rows with labels.

    ``origins`` ``[n]`` says who brought each row, ``None`` where nobody knows.
    """

    rows: Array
    labels: Labels
    trusted: tuple[Array, Labels]
    origins: NDArray[np.int64] | None = None

    def cut(self, most: int) -> "SuspectRows":
        """Return the first rows of either kind."""
        rows, labels = self.trusted
        origins = None if self.origins is None else self.origins[:most]
        return SuspectRows(
            self.rows[:most], self.labels[:most], (rows[:most], labels[:most]), origins
        )


def list_detectors() -> tuple[str, ...]:
    """Return ART's detectors of poison, and its defences that find triggers.

    Raises ``MissingExtraError``.
    """
    found = {
        name
        for place in PLACES
        for name, it in vars(load_art_module(place)).items()
        if isinstance(it, type)
    }
    return tuple(sorted(found - HELPERS))


def check_detector_support(name: str) -> FailureReason | None:
    """Return why a detector cannot run here, ``None`` where it may be tried."""
    known = list_detectors()
    if name not in known:
        near = get_close_matches(name, known, n=3, cutoff=0.5)
        return unknown_attack(name, near or known, "detector of poison")
    able = (*OF_FEATURES, *OF_TRAINING, *OF_QUERIES)
    return None if name in able else missing_capability(name, ["KerasClassifier"])


Embed = Callable[[Array], Floats]
Judge = Callable[[SuspectRows], Mask | FailureReason]


def build_target_detector(
    name: str, settings: AttackSettings, desk: ArtAttackContext, embed: Embed
) -> Judge:
    """Return a detector that looks at the target: at its features, or at its answers."""

    def judge(suspects: SuspectRows) -> Mask | FailureReason:
        view = replace(desk, rows=len(suspects.rows)).view()
        # An estimator the features that the target's last layer is given
        model = build_estimator(view, desk.classes)

        def activations(_: Untyped, x: Numbers, *__: object, **___: object) -> Floats:
            return embed(desk.lens.real(x))

        named = property(lambda _: ["features"])
        model.__class__ = type(
            "SeenClassifier", (type(model),), {"get_activations": activations, "layer_names": named}
        )
        return _flagged(name, settings, desk, model, suspects)

    return judge


def build_substitute_detector(
    name: str, settings: AttackSettings, desk: ArtAttackContext, taught: tuple[Array, Labels]
) -> Judge:
    """Return a detector that looks at a small network which was taught some rows."""

    def judge(suspects: SuspectRows) -> Mask | FailureReason:
        meter = replace(desk, rows=len(suspects.rows)).meter()
        net = build_trainable_classifier(desk, meter, QUICK if name in OF_TRAINING else NETWORK)
        net.fit(desk.lens.show(taught[0]), desk.one_hot(taught[1]))
        return _flagged(name, settings, desk, net, suspects)

    return judge


def _flagged(
    name: str,
    settings: AttackSettings,
    desk: ArtAttackContext,
    model: Untyped,
    suspects: SuspectRows,
) -> Mask | FailureReason:
    def run() -> Mask:
        found = _RUN[name](name, settings, desk, model, suspects)
        if found.shape != (len(suspects.labels),):
            raise UnexpectedOutputError(f"an array of shape {found.shape}")
        return found

    return run_art_call(name, desk.seed, run)


def _by_features(
    name: str,
    settings: AttackSettings,
    desk: ArtAttackContext,
    model: Untyped,
    suspects: SuspectRows,
) -> Mask:
    kind = vars(load_art_module(PLACES[0]))[name]
    made, more = split_settings(kind, settings)
    shown, wanted = desk.lens.show(suspects.rows), desk.one_hot(suspects.labels)
    _, clean = kind(model, shown, wanted, **made).detect_poison(**more)
    return np.asarray(np.asarray(clean) == 0, dtype=np.bool_)


def _by_training(
    name: str,
    settings: AttackSettings,
    desk: ArtAttackContext,
    model: Untyped,
    suspects: SuspectRows,
) -> Mask:
    kind = vars(load_art_module(PLACES[0]))[name]
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
    made, more = split_settings(kind, {**usual, **settings})  # type: ignore[dict-item] # what ART takes
    detector = kind(model, shown, wanted, x_val=trusted[0], y_val=trusted[1], **made)
    _, clean = detector.detect_poison(**more)
    return np.asarray(np.asarray(clean) == 0, dtype=np.bool_)


def _accuracy(wanted: Numbers, said: Numbers) -> float:
    """Return how often scores name the label: ART's own takes decisions alone."""
    return float((wanted.argmax(axis=1) == said.argmax(axis=1)).mean())


def _by_queries(
    name: str,
    settings: AttackSettings,
    desk: ArtAttackContext,
    model: Untyped,
    suspects: SuspectRows,
) -> Mask:
    kind = vars(load_art_module(PLACES[1]))[name]
    guarded = kind(model)(**settings)
    guarded.mitigate(desk.lens.show(suspects.trusted[0]))
    said = np.asarray(guarded.predict(desk.lens.show(suspects.rows)))
    return np.asarray(~said.any(axis=1), dtype=np.bool_)  # it abstains by answering nothing


def _flat(desk: ArtAttackContext, rows: Array) -> Numbers:
    return desk.lens.show(rows).reshape(len(rows), -1)


_RUN: Mapping[
    str, Callable[[str, AttackSettings, ArtAttackContext, Untyped, SuspectRows], Mask]
] = {
    **dict.fromkeys(OF_FEATURES, _by_features),
    **dict.fromkeys(OF_TRAINING, _by_training),
    **dict.fromkeys(OF_QUERIES, _by_queries),
}


SUBSTITUTE_NETWORK = ShadowTrainingSettings(hidden=(64,), updates=1500, rate=0.01)
FEATURES = 2
"""Which layer of the network holds its features: after flattening and one layer of weights."""
MOST_SUPPORT = 60
"""Rows that a support vector machine learns from, whose matrices the attack inverts."""


def train_network(
    desk: ArtAttackContext, shown: Numbers, labels: Labels, meter: QueryMeter
) -> Untyped:
    """Return an ART ``PyTorchClassifier`` of one hidden layer, taught on shown rows.

    Raises ``ImportError`` without torch.
    """
    torch = importlib.import_module("torch")
    include = np.ones((1, len(shown)), dtype=np.bool_)
    stack = train_stack(
        shown, labels, desk.classes, include, SUBSTITUTE_NETWORK, seed=desk.seed % 2**31
    )
    # A stack's first model as a PyTorch module, its scaling in the first weights
    first = stack.weights[0][0] / stack.scaling.width[:, None]
    shift = stack.biases[0][0] - stack.scaling.middle @ first
    later = zip(stack.weights[1:], stack.biases[1:], strict=True)
    layers = [(first, shift), *((weight[0], bias[0]) for weight, bias in later)]
    parts = [torch.nn.Flatten()]
    for place, (weight, bias) in enumerate(layers):
        linear = torch.nn.Linear(*weight.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.as_tensor(weight.T.astype(np.float32)))
            linear.bias.copy_(torch.as_tensor(bias.astype(np.float32)))
        parts += [linear] if place == len(layers) - 1 else [linear, torch.nn.ReLU()]
    net = torch.nn.Sequential(*parts).eval()
    net.register_forward_pre_hook(lambda *_: meter.look())
    made = load_art_module("art.estimators.classification").PyTorchClassifier
    return made(
        model=net,
        loss=torch.nn.CrossEntropyLoss(),
        optimizer=torch.optim.Adam(net.parameters(), lr=1e-3),
        input_shape=desk.lens.shape,
        nb_classes=desk.classes,
        clip_values=(0.0, 1.0),
        channels_first=desk.lens.channels_first,
        device_type="cpu",
    )


def train_linear_svm(shown: Numbers, labels: Labels, look: Callable[[], None]) -> Untyped:
    """Return an ART ``ScikitlearnSVC`` with a linear kernel, taught on flat shown rows."""
    svc = load_art_module("sklearn.svm").SVC

    def decision(self: Untyped, rows: Numbers) -> Untyped:
        look()
        return svc.decision_function(self, rows)

    kind = type("SVC", (svc,), {"decision_function": decision, "__init__": svc.__init__})
    made = kind(kernel="linear", probability=True).fit(shown, labels)
    wrapper = load_art_module("art.estimators.classification.scikitlearn").ScikitlearnSVC
    return wrapper(model=made, clip_values=(0.0, 1.0))


Places = NDArray[np.int64]
SIDE = 0.2
"""The side of a patch that the attack asks of us, as a share of the picture's shorter side."""
PATTERNS = "art.attacks.poisoning.perturbations.image_perturbations"


@dataclass(frozen=True, slots=True, eq=False)
class PoisonRequest:
    """Where poison goes: shown training rows with labels, of which rows of ``source`` are to be
    taken for ``target``; ``victims`` ``[v, ...]`` are shown evaluation rows of the source class.

    At most ``most`` rows are poisoned.
    """

    name: str
    settings: AttackSettings
    desk: ArtAttackContext
    shown: Numbers
    labels: Labels
    source: int
    target: int
    victims: Numbers
    most: int

    @property
    def wanted(self) -> Numbers:
        """The labels as ART takes them."""
        return self.desk.one_hot(self.labels)

    @property
    def aim(self) -> Numbers:
        """The target class as ART takes it: ``[classes]``."""
        found: Numbers = self.desk.one_hot(np.array([self.target]))[0]
        return found

    def rows_of(self, label: int) -> Places:
        """Return where the training rows of a class stand."""
        return np.flatnonzero(self.labels == label).astype(np.int64)

    def drawn(self, places: Places) -> Places:
        """Return at most ``most`` of some places."""
        found: Places = np.random.default_rng(self.desk.seed).permutation(places)
        return found[: self.most]


@dataclass(frozen=True, slots=True, eq=False)
class ScaledPoison:
    """Poison, shown: which training rows ``[k]`` it replaces, and what stands in their place.

    ``trigger`` stamps shown rows, only those of the source class where it is ``sourced``; ``None``
    where an attack turns the victims as they are, or, where it is not ``aimed``, nobody in
    particular.
    """

    replaced: Places
    shown: Numbers
    labels: Labels
    trigger: Callable[[Numbers], Numbers] | None = None
    aimed: bool = True
    sourced: bool = True


def _backdoor(field: PoisonRequest) -> tuple[Untyped, Callable[[Numbers], Numbers]]:
    # One of ART's own patterns, `add_pattern_bd` without other word
    lens = field.desk.lens
    if not lens.picture:
        message = "its triggers are for pictures"
        raise NotImplementedError(message)
    draw = getattr(
        load_art_module(PATTERNS), str(field.settings.get("perturbation", "add_pattern_bd"))
    )
    turned = lens.channels_first

    def stamp(shown: Numbers) -> Numbers:
        rows = np.moveaxis(shown, 1, -1) if turned else shown
        made = np.asarray(draw(rows))
        return (np.moveaxis(made, -1, 1) if turned else made).astype(np.float32)

    return list_attack_classes("poisoning")["PoisoningAttackBackdoor"](stamp), stamp


def _plain(field: PoisonRequest) -> ScaledPoison:
    attack, stamp = _backdoor(field)
    places = field.drawn(np.flatnonzero(field.labels != field.target).astype(np.int64))
    shown, told = attack.poison(field.shown[places], field.aim, broadcast=True)
    return ScaledPoison(places, shown, np.asarray(told).argmax(axis=1), stamp, sourced=False)


def _clean_label(field: PoisonRequest) -> ScaledPoison:
    inner, stamp = _backdoor(field)
    view = field.desk.climber()
    proxy = (
        train_network(field.desk, field.shown, field.labels, field.desk.meter())
        if view is None
        else build_estimator(view, field.desk.classes)
    )
    usual = {"pp_poison": _share(field, field.target)}
    attack = _made(field, inner, proxy, field.aim, usual=usual, drop=("perturbation",))
    shown, told = attack.poison(field.shown.copy(), field.wanted)
    found = _changed(field, shown, np.asarray(told).argmax(axis=1), stamp)
    return replace(found, sourced=False)


def _hidden_trigger(field: PoisonRequest) -> ScaledPoison:
    inner, stamp = _backdoor(field)
    usual = {"poison_percent": _share(field, field.target), "verbose": False}
    attack = _made(
        field, _network(field), field.aim, field.desk.one_hot(np.array([field.source]))[0],
        FEATURES, inner, usual=usual, drop=("perturbation",),
    )  # fmt: skip
    shown, places = attack.poison(field.shown, field.wanted)
    return ScaledPoison(np.asarray(places), shown, field.labels[places], stamp)


def _collision(field: PoisonRequest) -> ScaledPoison:
    """Collide rows of the target class with each victim in turn."""
    net, places = _network(field), field.drawn(field.rows_of(field.target))
    shown = field.shown[places].copy()
    for part, victim in zip(
        np.array_split(np.arange(len(places)), len(field.victims)), field.victims, strict=True
    ):
        if part.size:
            attack = _made(field, net, victim[None], FEATURES, usual={"verbose": False})
            aims = np.broadcast_to(field.aim, (len(part), len(field.aim)))
            shown[part] = attack.poison(shown[part], aims.copy())[0]
    return ScaledPoison(places, shown, field.labels[places])


def _gradient_matching(field: PoisonRequest) -> ScaledPoison:
    usual = {"percent_poison": field.most / len(field.labels), "verbose": 0}
    attack = _made(field, _network(field), usual=usual)
    aims = np.broadcast_to(field.aim, (len(field.victims), len(field.aim)))
    shown, _ = attack.poison(field.victims, aims.copy(), field.shown, field.wanted)
    return _changed(field, shown, field.labels, None)


def _sleeper(field: PoisonRequest) -> ScaledPoison:
    lens, own = field.desk.lens, field.rows_of(field.target)
    high, wide = (lens.shape[1:] if lens.channels_first else lens.shape[:2])[:2]
    side = max(2, round(SIDE * min(high, wide)))
    patch = np.ones((lens.shape[0], side, side) if lens.channels_first else (side, side, 1))
    usual = {
        "percent_poison": _share(field, field.target), "patch": patch.astype(np.float32),
        "indices_target": own, "class_source": field.source, "class_target": field.target,
        "patching_strategy": "fixed", "verbose": 0,
    }  # fmt: skip
    attack = _made(field, _network(field), usual=usual)
    source = field.shown[field.rows_of(field.source)]
    aims = np.broadcast_to(field.aim, (len(source), len(field.aim))).copy()
    shown, _ = attack.poison(
        source.copy(), aims, field.shown, field.wanted, field.shown, field.wanted
    )

    def stamp(rows: Numbers) -> Numbers:
        corner = (slice(-side, None),) * 2
        found = rows.copy()
        found[(..., *corner) if lens.channels_first else (slice(None), *corner)] = 1.0
        return found

    return _changed(field, shown, field.labels, stamp)


def _support(field: PoisonRequest) -> ScaledPoison:
    if field.desk.classes != 2:  # noqa: PLR2004 -- a machine of two sides
        message = "it poisons a support vector machine of two classes"
        raise NotImplementedError(message)
    flat, meter = field.shown.reshape(len(field.shown), -1), field.desk.meter()
    known = np.arange(min(MOST_SUPPORT, len(flat)))
    usual = {
        "step": 0.1, "eps": 1.0, "max_iter": 10, "verbose": False,
        "x_train": flat[known], "y_train": field.wanted[known],
        "x_val": flat[known], "y_val": field.wanted[known],
    }  # fmt: skip
    attack = _made(
        field, train_linear_svm(flat[known], field.labels[known], meter.look), usual=usual
    )
    places = field.drawn(np.arange(len(flat)))
    shown, told = attack.poison(flat[places].copy(), 1 - field.wanted[places])
    made = np.asarray(shown).reshape(len(places), *field.shown.shape[1:])
    return ScaledPoison(
        places, made, np.asarray(told).argmax(axis=1), None, aimed=False, sourced=False
    )


def _network(field: PoisonRequest) -> Untyped:
    return train_network(field.desk, field.shown, field.labels, field.desk.meter())


def _made(
    field: PoisonRequest, *given: object, usual: Mapping[str, object], drop: tuple[str, ...] = ()
) -> Untyped:
    kind = list_attack_classes("poisoning")[field.name]
    own = {key: item for key, item in field.settings.items() if key not in drop}
    made, more = split_settings(kind, {**usual, **own})  # type: ignore[dict-item] # what ART takes
    if more:
        message = f"it takes no {', '.join(more)}"
        raise TypeError(message)
    return kind(*given, **made)


def _share(field: PoisonRequest, label: int) -> float:
    """Return the share of a class's rows that ``most`` rows are."""
    return min(0.99, field.most / max(1, len(field.rows_of(label))))


def _changed(
    field: PoisonRequest, shown: Numbers, labels: Labels, stamp: Callable[[Numbers], Numbers] | None
) -> ScaledPoison:
    """Return what differs from the training rows."""
    moved = np.abs(shown - field.shown).reshape(len(shown), -1).max(axis=1) > TINY
    places = np.flatnonzero(moved | (labels != field.labels)).astype(np.int64)[: field.most]
    return ScaledPoison(places, shown[places], labels[places], stamp)


TINY = 1e-5
CROPS: Mapping[str, Callable[[PoisonRequest], ScaledPoison]] = {
    "BullseyePolytopeAttackPyTorch": _collision,
    "FeatureCollisionAttack": _collision,
    "GradientMatchingAttack": _gradient_matching,
    "HiddenTriggerBackdoor": _hidden_trigger,
    "HiddenTriggerBackdoorPyTorch": _hidden_trigger,
    "PoisoningAttackBackdoor": _plain,
    "PoisoningAttackCleanLabelBackdoor": _clean_label,
    "PoisoningAttackSVM": _support,
    "SleeperAgentAttack": _sleeper,
}
"""What can be made ready without a model of a framework that no artifact is."""


TEACHABLE = frozenset({
    *OFFERED, "NeuralNetworkMixin", "PyTorchClassifier", "ScikitlearnSVC",
})  # fmt: skip
"""What an attacker's own model is."""
DETECTORS = ("BadDet",)
POISONING_FIXED_SETTINGS = (
    "backdoor", "class_source", "class_target", "classifier", "feature_layer", "indices_target",
    "is_index", "percent_poison", "poison_percent", "pp_poison", "proxy_classifier", "source",
    "target", "verbose", "x_train", "x_val", "y_train", "y_val",
)  # fmt: skip
"""What the check decides itself."""


@dataclass(frozen=True, slots=True, eq=False)
class ArtPoisonSetup:
    """Training rows with labels, evaluation rows of the source class, and the aim."""

    rows: Array
    labels: Labels
    victims: Array
    source: int
    target: int
    most: int


@dataclass(frozen=True, slots=True, eq=False)
class ArtPoison:
    """Which training rows ``[k]`` are replaced, by what, in the rows' own units.

    ``trigger`` stamps evaluation rows, also in own units; ``None`` where there is none. Those of
    the source class alone are to be turned where it is ``sourced``.
    """

    replaced: NDArray[np.int64]
    rows: Floats
    labels: Labels
    trigger: Callable[[Array], Floats] | None
    aimed: bool
    sourced: bool


def check_poisoning_support(name: str, *, picture: bool) -> FailureReason | None:
    """Return why an attack cannot run here, ``None`` where it may be tried.

    Raises ``MissingExtraError`` without ART.
    """
    known = list_attack_classes("poisoning")
    if name not in known:
        near = get_close_matches(name, known, n=3, cutoff=0.5)
        return unknown_attack(name, near or list(known), "poisoning attack")
    asked = [one[0] for one in estimator_requirements(known[name]) if not TEACHABLE & set(one)]
    if name.startswith(DETECTORS):
        asked.append("ObjectDetectorMixin")
    if asked:
        return missing_capability(name, asked)
    if name not in CROPS:
        return attack_exception(name, NotImplementedError("it has no other form"))
    pictures = any("NeuralNetworkMixin" in one for one in estimator_requirements(known[name]))
    return missing_capability(name, ["NeuralNetworkMixin"]) if pictures and not picture else None


def run_poisoning_attack(
    name: str, settings: AttackSettings, desk: ArtAttackContext, ground: ArtPoisonSetup
) -> ArtPoison | FailureReason:
    """Let an attack poison training rows; it sees the twin, or a model that it teaches itself."""
    lens = desk.lens
    field = PoisonRequest(
        name, settings, replace(desk, rows=max(1, len(ground.labels))),
        lens.show(ground.rows), ground.labels, ground.source, ground.target,
        lens.show(ground.victims), ground.most,
    )  # fmt: skip
    found = run_art_call(name, desk.seed, lambda: _checked(field))
    if isinstance(found, FailureReason):
        return found
    stamp = found.trigger
    trigger = None if stamp is None else (lambda rows: desk.lens.exact(stamp(desk.lens.show(rows))))
    rows = lens.exact(found.shown)
    return ArtPoison(found.replaced, rows, found.labels, trigger, found.aimed, found.sourced)


def _checked(field: PoisonRequest) -> ScaledPoison:
    """Return what an attack plants, if it is poison: some rows, that are numbers, none twice."""
    found = CROPS[field.name](field)
    if not len(found.replaced):
        raise UnexpectedOutputError("the training rows as they were")
    shape = (len(found.replaced), *field.shown.shape[1:])
    if np.shape(found.shown) != shape or not np.isfinite(found.shown).all():
        raise UnexpectedOutputError(f"an array of shape {np.shape(found.shown)}")
    _, first = np.unique(found.replaced, return_index=True)
    first = np.sort(first)[: field.most]
    return replace(
        found,
        replaced=np.asarray(found.replaced, dtype=np.int64)[first],
        shown=np.asarray(found.shown)[first],
        labels=np.asarray(found.labels, dtype=np.int64)[first],
    )
