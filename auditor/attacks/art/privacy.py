"""Privacy attacks of ART: membership and attribute inference, model extraction and inversion.

ART trains a small network of ours as the copy in model extraction and as shadow models.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from functools import cache

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.art.adapter import (
    CLASSIFIERS,
    ESTIMATORS,
    Numbers,
    QueryMeter,
    SubstituteModel,
    TargetView,
    Untyped,
    attack_family,
    build_estimator,
    estimator_requirements,
    list_attack_classes,
    load_art_module,
    range_scaler,
)
from auditor.attacks.art.configured_attack import GRADIENTS, OFFERED, PICTURES
from auditor.attacks.art.evasion import (
    ArtAttackContext,
    UnexpectedOutputError,
    run_art_call,
    split_settings,
)
from auditor.attacks.art.evasion_evidence import AttackLimits
from auditor.attacks.art.failure_reasons import (
    FailureReason,
    attack_exception,
    missing_capability,
    unknown_attack,
)
from auditor.attacks.art.settings import AttackSettings
from auditor.attacks.evasion.losses import Labels
from auditor.attacks.privacy.shadow_training import ShadowTrainingSettings, train_stack
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import TEXT, DatasetRole
from auditor.domain.readings import Gap, GapReason
from auditor.domain.tasks import Array, ClassificationTask, Floats

KINDS = ("inference", "extraction")
ROLES = (DatasetRole.EVALUATION, DatasetRole.TRAINING, DatasetRole.REFERENCE)
DECIDED = (
    "attack_feature", "attack_model", "classifier", "encoder", "estimator", "is_continuous",
    "membership_attack", "shadow_model_template", "thieved_classifier", "verbose",
)  # fmt: skip
"""What the check decides itself."""


class PrivacyAttackFamily(StrEnum):
    """What an attack is after."""

    MEMBERSHIP = "membership"
    ATTRIBUTE = "attribute"
    INVERSION = "inversion"
    EXTRACTION = "extraction"
    RECONSTRUCTION = "reconstruction"


FAMILIES: Mapping[str, PrivacyAttackFamily] = {
    "membership_inference": PrivacyAttackFamily.MEMBERSHIP,
    "attribute_inference": PrivacyAttackFamily.ATTRIBUTE,
    "model_inversion": PrivacyAttackFamily.INVERSION,
    "extraction": PrivacyAttackFamily.EXTRACTION,
    "reconstruction": PrivacyAttackFamily.RECONSTRUCTION,
}
"""What ART's modules hold."""


def list_privacy_attacks() -> tuple[str, ...]:
    """Return the attacks that there are. Raises ``MissingExtraError`` without ART."""
    return tuple(name for kind in KINDS for name in list_attack_classes(kind))


def classify_attack(name: str, *, picture: bool, twin: bool) -> PrivacyAttackFamily | FailureReason:
    """Return what an attack is after, or why it cannot run on a model of this kind.

    Raises ``MissingExtraError`` without ART.
    """
    found = FAMILIES.get(attack_family(name))
    if found is None:
        known = list_privacy_attacks()
        near = get_close_matches(name, known, n=3, cutoff=0.5)
        return unknown_attack(name, near or known, "attack on privacy")
    kind = next(list_attack_classes(one)[name] for one in KINDS if name in list_attack_classes(one))
    offered = OFFERED | ({PICTURES} if picture else set()) | (GRADIENTS if twin else set())
    absent = [one[0] for one in estimator_requirements(kind) if not offered & set(one)]
    if found is PrivacyAttackFamily.RECONSTRUCTION and not absent:
        absent = ["ScikitlearnEstimator"]
    return missing_capability(name, absent) if absent else found


def build_privacy_context(
    subject: Subject, allowance: AttackLimits
) -> ArtAttackContext | FailureReason:
    """Return what attacks on a subject's model work with, through a lens over all of its rows.

    An Objection where rows are no numbers, or miss some: ART sees no missing values.
    """
    model, task = subject.model, subject.task
    if isinstance(model, Gap) or not isinstance(task, ClassificationTask):
        message = "attacks need a model of classes, and the frame asks for one"
        raise TypeError(message)
    samples = [
        data.inputs
        for role, data in subject.datasets.items()
        if role in ROLES and data.inputs is not None
    ]
    first = samples[0]
    if any(it.dtype.kind == TEXT for it in samples):
        return _NO_NUMBERS
    rows = np.concatenate([it for it in samples if it.shape[1:] == first.shape[1:]])
    if not np.isfinite(rows.astype(np.float64)).all():
        return _MISSING
    space = None if isinstance(subject.space, Gap) else subject.space
    twin = None if isinstance(subject.twin, Gap) else subject.twin
    lens = range_scaler(rows, space)
    return ArtAttackContext(model, twin, task, lens, len(rows), allowance, subject.seed)


_NO_NUMBERS = FailureReason(
    GapReason.NEEDS_NUMERIC_INPUT,
    "The model's inputs are texts, which these attacks of ART do not take.",
    "Leave this check out: it attacks models of numbers.",
)
_MISSING = FailureReason(
    GapReason.UNSUPPORTED,
    "The data miss values, and ART's attacks take rows without any gap.",
    "Use the other checks of the family, which take missing values.",
)


NETWORK = ShadowTrainingSettings(hidden=(64,), updates=1500, rate=0.01)
"""As the copies of privacy.extraction are."""
FEATURES = "hidden"
"""What the layer before the last is called."""


def build_trainable_classifier(
    desk: ArtAttackContext, meter: QueryMeter, settings: ShadowTrainingSettings = NETWORK
) -> Untyped:
    """Return an ART classifier over shown rows that can be trained, as often as it likes.

    It is trained anew each time that it is fitted, whatever it is told of batches and epochs.
    """
    return _class()(desk, meter, settings)


@cache
def _class() -> Untyped:
    classifiers, estimators = load_art_module(CLASSIFIERS), load_art_module(ESTIMATORS)
    bases = (
        classifiers.ClassifierMixin,
        estimators.NeuralNetworkMixin,
        estimators.BaseEstimator,
    )
    return type("LearnerClassifier", bases, dict(_LEARNER))


def _set_up(
    self: Untyped, desk: ArtAttackContext, meter: QueryMeter, settings: ShadowTrainingSettings
) -> None:
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
    hard = bool(np.isin(told, (0.0, 1.0)).all() and (told.sum(axis=1) == 1).all())
    targets = told.argmax(axis=1) if hard else told / told.sum(axis=1, keepdims=True)
    include = np.ones((1, len(x)), dtype=np.bool_)
    seed = (self.desk.seed + self.times) % 2**31
    self.times += 1
    self.stack = train_stack(
        np.asarray(x), targets, self.nb_classes, include, self.training, seed=seed
    )


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
    fresh = build_trainable_classifier(self.desk, self.meter, self.training)
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


Mask = NDArray[np.bool_]
Told = tuple[Mask, Floats]
"""Of each row, whether it is called a member, and how much like one it looks, as far as is said."""
Infer = Callable[[Numbers, Numbers], Told]
MEMBER = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class MembershipSample:
    """Rows ``[n, ...]`` of which the attacker knows label and membership."""

    rows: Array
    labels: Labels
    member: Mask


@dataclass(frozen=True, slots=True, eq=False)
class ArtMembershipAttack:
    """An attack that has learnt, and tells of rows whether a model was trained on them."""

    name: str
    desk: ArtAttackContext
    view: TargetView
    infer: Infer

    def tell(
        self, rows: Array, labels: Labels, answer: Callable[[Array], Floats] | None = None
    ) -> Told | FailureReason:
        """Tell of rows by what the target says, or what another model answers in its place."""
        shown, wanted = self.view.lens.show(rows), self.desk.one_hot(labels)
        target = self.view.model
        self.view.meter = self.desk.meter()
        if answer is not None:
            self.view.model = SubstituteModel(answer)
        try:
            return run_art_call(self.name, self.desk.seed + 1, lambda: self.infer(shown, wanted))
        finally:
            self.view.model = target


def train_membership_attack(
    name: str, settings: AttackSettings, desk: ArtAttackContext, known: MembershipSample
) -> ArtMembershipAttack | FailureReason:
    """Let an attack learn from rows that are known.

    ``ShadowModels`` makes models of its own, which a ``MembershipInferenceBlackBox`` learns from.
    """
    view = desk.view()
    if name not in LEARN:
        return attack_exception(name, NotImplementedError("an attack that is not known here"))
    infer = run_art_call(name, desk.seed, lambda: LEARN[name](name, settings, desk, view, known))
    return (
        infer if isinstance(infer, FailureReason) else ArtMembershipAttack(name, desk, view, infer)
    )


def train_black_box_attack(
    settings: AttackSettings, desk: ArtAttackContext, model: Untyped, known: MembershipSample
) -> Untyped:
    """Return a ``MembershipInferenceBlackBox`` that has learnt from what a model says."""
    kind = list_attack_classes("inference")["MembershipInferenceBlackBox"]
    made, more = split_settings(kind, settings)
    attack = kind(model, **made)
    shown, wanted = desk.lens.show(known.rows), desk.one_hot(known.labels)
    ours, others = known.member, ~known.member
    said = model.predict(shown)
    attack.fit(
        y=wanted[ours], test_y=wanted[others], pred=said[ours], test_pred=said[others], **more
    )
    return attack


def _fitted(
    _: str,
    settings: AttackSettings,
    desk: ArtAttackContext,
    view: TargetView,
    known: MembershipSample,
) -> Infer:
    attack = train_black_box_attack(settings, desk, build_estimator(view, desk.classes), known)
    return _told(lambda x, y: attack.infer(x, y, probabilities=True))


def _plain(
    name: str,
    settings: AttackSettings,
    desk: ArtAttackContext,
    view: TargetView,
    known: MembershipSample,  # noqa: ARG001 -- it learns nothing
) -> Infer:
    kind = list_attack_classes("inference")[name]
    made, more = split_settings(kind, settings)
    attack = kind(build_estimator(view, desk.classes), **made)
    return _told(lambda x, y: attack.infer(x, y, **more))


def _calibrated(
    name: str,
    settings: AttackSettings,
    desk: ArtAttackContext,
    view: TargetView,
    known: MembershipSample,
) -> Infer:
    kind = list_attack_classes("inference")[name]
    made, more = split_settings(kind, settings)
    attack = kind(build_estimator(view, desk.classes), **made)
    more = {"verbose": False, **more}
    shown, wanted = desk.lens.show(known.rows), desk.one_hot(known.labels)
    ours, others = known.member, ~known.member
    attack.calibrate_distance_threshold(
        shown[ours], wanted[ours], shown[others], wanted[others], **more
    )
    return _told(lambda x, y: attack.infer(x, y, **more))


def _shadowed(
    name: str,
    settings: AttackSettings,
    desk: ArtAttackContext,
    view: TargetView,
    known: MembershipSample,
) -> Infer:
    kind = list_attack_classes("inference")[name]
    made, more = split_settings(kind, {"random_state": desk.seed % 2**31, **settings})
    shadows = kind(build_trainable_classifier(desk, view.meter), **made)
    shown, wanted = desk.lens.show(known.rows), desk.one_hot(known.labels)
    ours, others = shadows.generate_shadow_dataset(shown, wanted)
    attack = list_attack_classes("inference")["MembershipInferenceBlackBox"](
        build_estimator(view, desk.classes), **more
    )
    attack.fit(y=ours[1], test_y=others[1], pred=ours[2], test_pred=others[2])
    return _told(lambda x, y: attack.infer(x, y, probabilities=True))


def _told(infer: Callable[[Numbers, Numbers], Untyped]) -> Infer:
    """Return how likely a member each row is said to be, and whether it is called one."""

    def tell(shown: Numbers, wanted: Numbers) -> Told:
        said = np.asarray(infer(shown, wanted), dtype=np.float64)
        if said.size == 0 or len(said) != len(shown) or not np.isfinite(said).all():
            raise UnexpectedOutputError(f"an array of shape {said.shape}")
        scores: Floats = said.reshape(len(shown), -1)[:, -1]
        return scores > MEMBER, scores

    return tell


LEARN: Mapping[
    str, Callable[[str, AttackSettings, ArtAttackContext, TargetView, MembershipSample], Infer]
] = {
    "LabelOnlyDecisionBoundary": _calibrated,
    "LabelOnlyGapAttack": _plain,
    "MembershipInferenceBlackBox": _fitted,
    "MembershipInferenceBlackBoxRuleBased": _plain,
    "ShadowModels": _shadowed,
}


Codes = NDArray[np.int64]
OF_MEMBERSHIP = "AttributeInferenceMembership"
BASELINES = ("AttributeInferenceBaseline", "AttributeInferenceBaselineTrueLabel")


@dataclass(frozen=True, slots=True, eq=False)
class InferredColumn:
    """The column that is guessed, or neighbouring columns of one choice: ``places``, and what may
    stand there, ``levels`` ``[k, places]`` in the rows' own units.
    """

    places: tuple[int, ...]
    levels: Floats

    @property
    def feature(self) -> int | slice:
        """How ART names it."""
        if len(self.places) == 1:
            return self.places[0]
        return slice(self.places[0], self.places[-1] + 1, 1)

    @property
    def joined(self) -> bool:
        """Whether the columns stand side by side, as ART asks."""
        return self.places == tuple(range(self.places[0], self.places[0] + len(self.places)))


@dataclass(frozen=True, slots=True, eq=False)
class ArtAttributeRows:
    """Rows ``[n, columns]`` with their labels ``[n]``."""

    inputs: Array
    labels: Labels


@dataclass(frozen=True, slots=True, eq=False)
class AttributeAttackRows:
    """Rows that teach the attacker, those that are ``asked`` about, and members whom he knows."""

    known: ArtAttributeRows
    asked: ArtAttributeRows
    members: ArtAttributeRows


def infer_attribute(
    name: str,
    settings: AttackSettings,
    desk: ArtAttackContext,
    column: InferredColumn,
    sides: AttributeAttackRows,
) -> Codes | FailureReason:
    """Return which level ``[n]`` an attack names for each row that is asked about.

    Only an attack through membership makes use of the members that are known.
    """
    return run_art_call(name, desk.seed, _AttributeGuess(name, settings, desk, column, sides))


@dataclass(frozen=True, slots=True, eq=False)
class _AttributeGuess:
    name: str
    settings: AttackSettings
    desk: ArtAttackContext
    column: InferredColumn
    sides: AttributeAttackRows

    def __call__(self) -> Codes:
        """Fit, infer, and read the answer as levels."""
        if not self.column.joined:
            raise UnexpectedOutputError("nothing for a choice whose columns stand apart")
        lens, view = self.desk.lens, self.desk.view()
        model = build_estimator(view, self.desk.classes)
        whole = lens.show(self.sides.asked.inputs)
        rest = np.delete(whole, list(self.column.places), axis=1)
        wanted = self.desk.one_hot(self.sides.asked.labels)
        kind = list_attack_classes("inference")[self.name]
        said = self._kinds(kind, model)(rest, whole, wanted)
        # The level that lies nearest to what was said of each row
        codes_said = np.asarray(said, dtype=np.float64)
        rows = codes_said.reshape(len(codes_said), -1) if codes_said.ndim else codes_said
        if rows.shape != (len(self.sides.asked.labels), len(self.column.places)):
            raise UnexpectedOutputError(f"an array of shape {codes_said.shape}")
        levels = self._shown_levels()
        away = np.abs(rows[:, None, :] - levels[None]).sum(axis=2)
        found: Codes = away.argmin(axis=1).astype(np.int64)
        return found

    def _kinds(
        self, kind: Untyped, model: Untyped
    ) -> Callable[[Numbers, Numbers, Numbers], Untyped]:
        """Return how one kind of attack infers, after it has learnt."""
        made, more = split_settings(kind, self.settings)
        shown = self.desk.lens.show(self.sides.known.inputs)
        told = self.desk.one_hot(self.sides.known.labels)
        feature = {"attack_feature": self.column.feature}
        if self.name == OF_MEMBERSHIP:
            inner = self._through(model)
            attack = kind(model, inner, **feature, **made)
            values = self._values()
            return lambda rest, _, wanted: attack.infer(rest, wanted, values=values)
        if self.name in BASELINES:
            attack = kind(**feature, **made)
            plain = self.name == BASELINES[0]
            attack.fit(shown, **({} if plain else {"y": told}), **more)
            return lambda rest, _, wanted: attack.infer(rest, *(() if plain else (wanted,)))
        attack = kind(model, **feature, **made)
        attack.fit(shown, told, **more)
        return lambda rest, whole, wanted: attack.infer(
            rest, wanted, pred=model.predict(whole).argmax(axis=1).reshape(-1, 1)
        )

    def _through(self, model: Untyped) -> Untyped:
        """Return a membership attack that knows some members, and rows that are none."""
        rows = np.concatenate([self.sides.members.inputs, self.sides.known.inputs])
        labels = np.concatenate([self.sides.members.labels, self.sides.known.labels])
        member = np.arange(len(rows)) < len(self.sides.members.labels)
        attack = list_attack_classes("inference")["MembershipInferenceBlackBox"]
        _, more = split_settings(list_attack_classes("inference")[self.name], self.settings)
        made, _ = split_settings(attack, {"attack_model_type": "rf", **more})
        return train_black_box_attack(
            made, self.desk, model, MembershipSample(rows, labels, member)
        )

    def _values(self) -> Untyped:
        """Return the levels as ART takes them, shown."""
        shown = self._shown_levels()
        if len(self.column.places) == 1:
            return shown[:, 0].tolist()
        return [[float(one.min()), float(one.max())] for one in shown.T]

    def _shown_levels(self) -> Floats:
        places = list(self.column.places)
        low, unit = self.desk.lens.low[places], self.desk.lens.unit[places]
        return ((self.column.levels - low) / unit).astype(np.float32).astype(np.float64)


OF_LOGITS = frozenset({"FunctionallyEquivalentExtraction"})
"""Attacks that solve for weights, which only unbent scores show: they see the twin's."""
INVERSION = "MIFace"


@dataclass(frozen=True, slots=True, eq=False)
class ExtractionAttacker:
    """Who steals: ``rows`` ``[n, ...]`` to ask about, and their labels if he knows any."""

    rows: Array
    labels: Labels | None


@dataclass(frozen=True, slots=True, eq=False)
class CopyAnswers:
    """What a copy says of held-out rows, ``[n, classes]``, and how many rows were asked for it."""

    said: Floats
    queries: int


def extract_model(
    name: str,
    settings: AttackSettings,
    desk: ArtAttackContext,
    thief: ExtractionAttacker,
    held: Array,
) -> CopyAnswers | FailureReason:
    """Return what the copy that an attack makes says of held-out rows.

    Without other word the thief asks about all of his rows. What ART leaves to the user, the model
    that copies, is a network of one hidden layer.
    """
    view = desk.climber() if name in OF_LOGITS else None
    seen = view or desk.view()

    def run() -> CopyAnswers:
        kind = list_attack_classes("extraction")[name]
        usual = {
            "nb_stolen": len(thief.rows), "batch_size_fit": 64, "batch_size_query": 256,
            "verbose": False,
        }  # fmt: skip
        made, more = split_settings(kind, {**_taken(kind, usual), **settings})
        attack = kind(build_estimator(seen, desk.classes), **made)
        told = None if thief.labels is None else desk.one_hot(thief.labels)
        shown = desk.lens.show(thief.rows)
        if name in OF_LOGITS:
            copy = attack.extract(shown.reshape(len(shown), -1), told, **more)
            said = copy.predict(desk.lens.show(held).reshape(len(held), -1))
        else:
            fresh = build_trainable_classifier(desk, seen.meter)
            copy = attack.extract(shown, told, thieved_classifier=fresh, **more)
            said = copy.predict(desk.lens.show(held))
        found = np.asarray(said, dtype=np.float64)
        if found.shape != (len(held), desk.classes) or not np.isfinite(found).all():
            raise UnexpectedOutputError(f"a copy that answers {found.shape}")
        return CopyAnswers(found, seen.meter.queries)

    return run_art_call(name, desk.seed, run)


def invert_model(
    name: str,
    settings: AttackSettings,
    desk: ArtAttackContext,
    starts: Array,
    aims: NDArray[np.int64],
) -> Floats | FailureReason:
    """Return rows ``[n, d]`` that an inversion makes up of the classes aimed at, in our units.

    It climbs from ``starts`` ``[n, ...]``; it sees the twin.
    """
    view = desk.climber()
    if view is None:
        return attack_exception(name, NotImplementedError("it climbs on a twin, and there is none"))

    def run() -> Floats:
        kind = list_attack_classes("inference")[name]
        usual = {"batch_size": len(aims), "verbose": False}
        made, more = split_settings(kind, {**_taken(kind, usual), **settings})
        attack = kind(build_estimator(view, desk.classes), **made)
        shown = attack.infer(desk.lens.show(starts), desk.one_hot(aims), **more)
        if not isinstance(shown, np.ndarray) or shown.shape != (len(aims), *desk.lens.shape):
            raise UnexpectedOutputError(f"a {type(shown).__name__}")
        return desk.lens.exact(shown).reshape(len(aims), -1)

    return run_art_call(name, desk.seed, run)


def _taken(kind: Untyped, usual: Mapping[str, object]) -> dict[str, Untyped]:
    return split_settings(kind, usual)[0]  # type: ignore[arg-type, return-value] # what ART takes
