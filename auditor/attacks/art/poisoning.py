"""How each of ART's poisoning attacks is made ready, and what it plants."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.art.attempts import Desk, parted
from auditor.attacks.art.edge import Untyped, classes, estimator, module
from auditor.attacks.art.settings import Settings
from auditor.attacks.art.substitutes import FEATURES, MOST_SUPPORT, machine, network
from auditor.attacks.art.views import Numbers
from auditor.attacks.losses import Labels

Places = NDArray[np.int64]
SIDE = 0.2
"""The side of a patch that the attack asks of us, as a share of the picture's shorter side."""
PATTERNS = "art.attacks.poisoning.perturbations.image_perturbations"


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """Where poison goes: shown training rows with labels, of which rows of ``source`` are to be
    taken for ``target``; ``victims`` ``[v, ...]`` are shown evaluation rows of the source class.

    At most ``most`` rows are poisoned.
    """

    name: str
    settings: Settings
    desk: Desk
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
class Crop:
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


def _stamp(field: Field, settings: Settings) -> Callable[[Numbers], Numbers]:
    """Return one of ART's own patterns, ``add_pattern_bd`` without other word."""
    lens = field.desk.lens
    if not lens.picture:
        message = "its triggers are for pictures"
        raise NotImplementedError(message)
    draw = getattr(module(PATTERNS), str(settings.get("perturbation", "add_pattern_bd")))
    turned = lens.channels_first

    def stamp(shown: Numbers) -> Numbers:
        rows = np.moveaxis(shown, 1, -1) if turned else shown
        made = np.asarray(draw(rows))
        return (np.moveaxis(made, -1, 1) if turned else made).astype(np.float32)

    return stamp


def _backdoor(field: Field) -> tuple[Untyped, Callable[[Numbers], Numbers]]:
    stamp = _stamp(field, field.settings)
    return classes("poisoning")["PoisoningAttackBackdoor"](stamp), stamp


def _plain(field: Field) -> Crop:
    attack, stamp = _backdoor(field)
    places = field.drawn(np.flatnonzero(field.labels != field.target).astype(np.int64))
    shown, told = attack.poison(field.shown[places], field.aim, broadcast=True)
    return Crop(places, shown, np.asarray(told).argmax(axis=1), stamp, sourced=False)


def _clean_label(field: Field) -> Crop:
    inner, stamp = _backdoor(field)
    view = field.desk.climber()
    proxy = (
        network(field.desk, field.shown, field.labels, field.desk.meter())
        if view is None
        else estimator(view, field.desk.classes)
    )
    usual = {"pp_poison": _share(field, field.target)}
    attack = _made(field, inner, proxy, field.aim, usual=usual, drop=("perturbation",))
    shown, told = attack.poison(field.shown.copy(), field.wanted)
    found = _changed(field, shown, np.asarray(told).argmax(axis=1), stamp)
    return replace(found, sourced=False)


def _hidden_trigger(field: Field) -> Crop:
    inner, stamp = _backdoor(field)
    usual = {"poison_percent": _share(field, field.target), "verbose": False}
    attack = _made(
        field, _network(field), field.aim, field.desk.one_hot(np.array([field.source]))[0],
        FEATURES, inner, usual=usual, drop=("perturbation",),
    )  # fmt: skip
    shown, places = attack.poison(field.shown, field.wanted)
    return Crop(np.asarray(places), shown, field.labels[places], stamp)


def _collision(field: Field) -> Crop:
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
    return Crop(places, shown, field.labels[places])


def _gradient_matching(field: Field) -> Crop:
    usual = {"percent_poison": field.most / len(field.labels), "verbose": 0}
    attack = _made(field, _network(field), usual=usual)
    aims = np.broadcast_to(field.aim, (len(field.victims), len(field.aim)))
    shown, _ = attack.poison(field.victims, aims.copy(), field.shown, field.wanted)
    return _changed(field, shown, field.labels, None)


def _sleeper(field: Field) -> Crop:
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


def _support(field: Field) -> Crop:
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
    attack = _made(field, machine(flat[known], field.labels[known], meter.look), usual=usual)
    places = field.drawn(np.arange(len(flat)))
    shown, told = attack.poison(flat[places].copy(), 1 - field.wanted[places])
    made = np.asarray(shown).reshape(len(places), *field.shown.shape[1:])
    return Crop(places, made, np.asarray(told).argmax(axis=1), None, aimed=False, sourced=False)


def _network(field: Field) -> Untyped:
    return network(field.desk, field.shown, field.labels, field.desk.meter())


def _made(
    field: Field, *given: object, usual: Mapping[str, object], drop: tuple[str, ...] = ()
) -> Untyped:
    kind = classes("poisoning")[field.name]
    own = {key: item for key, item in field.settings.items() if key not in drop}
    made, more = parted(kind, {**usual, **own})  # type: ignore[dict-item] # what ART takes
    if more:
        message = f"it takes no {', '.join(more)}"
        raise TypeError(message)
    return kind(*given, **made)


def _share(field: Field, label: int) -> float:
    """Return the share of a class's rows that ``most`` rows are."""
    return min(0.99, field.most / max(1, len(field.rows_of(label))))


def _changed(
    field: Field, shown: Numbers, labels: Labels, stamp: Callable[[Numbers], Numbers] | None
) -> Crop:
    """Return what differs from the training rows."""
    moved = np.abs(shown - field.shown).reshape(len(shown), -1).max(axis=1) > TINY
    places = np.flatnonzero(moved | (labels != field.labels)).astype(np.int64)[: field.most]
    return Crop(places, shown[places], labels[places], stamp)


TINY = 1e-5
CROPS: Mapping[str, Callable[[Field], Crop]] = {
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
