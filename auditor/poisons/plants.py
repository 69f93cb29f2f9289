"""Poison that is planted into training rows on purpose, and the rows that show whether it took."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np

from auditor.domain.images import image_axes
from auditor.domain.tasks import Array, Floats, InputSpace
from auditor.poisons.neighbourhoods import Codes

SIDE = 0.2
"""The side of a patch, as a share of the picture's shorter side."""
OPACITY = 0.2
"""How much of a blended picture is the trigger's."""
MIXED = 0.5
"""How much of a clean-label row is another class's."""


class Attack(StrEnum):
    """How training data are poisoned.

    ``FLIP``: any rows get any other label. ``TARGETED``: rows of one class get the label of
    another. ``PATCH`` (Gu, Dolan-Gavitt and Garg 2017, BadNets) and ``BLEND`` (Chen et al. 2017):
    rows of any class get a trigger and the target's label. ``CLEAN_LABEL``: rows of the target
    class keep their label, are mixed half and half with rows of other classes, so that they say
    little of their own, and get the patch: the simple form, in input space, of Turner, Tsipras and
    Madry (2019, "Label-consistent backdoor attacks", interpolation), without a generative model
    and without collisions of features.
    """

    FLIP = "flip"
    TARGETED = "targeted"
    PATCH = "patch"
    BLEND = "blend"
    CLEAN_LABEL = "clean_label"

    @property
    def triggered(self) -> bool:
        """Whether it needs a trigger, and so pictures."""
        return self in {Attack.PATCH, Attack.BLEND, Attack.CLEAN_LABEL}

    @property
    def aimed(self) -> bool:
        """Whether there is a class that rows are to be turned to."""
        return self is not Attack.FLIP

    @property
    def sourced(self) -> bool:
        """Whether only rows of one class are to be turned."""
        return self is Attack.TARGETED


class Kind(Protocol):
    """An attack as far as its readings need to know it."""

    @property
    def value(self) -> str:
        """What it is called."""
        ...

    @property
    def triggered(self) -> bool:
        """Whether it needs a trigger."""
        ...

    @property
    def aimed(self) -> bool:
        """Whether there is a class that rows are to be turned to."""
        ...

    @property
    def sourced(self) -> bool:
        """Whether only rows of one class are to be turned."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Aim:
    """Which class is to become which, and where inputs live."""

    source: int
    target: int
    space: InputSpace | None

    def stamped(self, attack: Attack, inputs: Array) -> Array:
        """Return pictures ``[n, ...]`` with the attack's trigger. Raises ``ValueError`` where
        there is no space, or the rows are no pictures.
        """
        axes = image_axes(inputs.shape[1:])
        if self.space is None or axes is None:
            message = "triggers need pictures and their space"
            raise ValueError(message)
        low, high = (
            np.broadcast_to(it, inputs.shape[1:]) for it in (self.space.low, self.space.high)
        )
        found = inputs.astype(np.float64)
        if attack is Attack.BLEND:
            noise = np.random.default_rng(0).random(inputs.shape[1:])
            found = (1 - OPACITY) * found + OPACITY * (low + noise * (high - low))
        else:
            side = max(2, round(SIDE * min(inputs.shape[1 + axes[0]], inputs.shape[1 + axes[1]])))
            corner = [slice(None)] * (inputs.ndim - 1)
            corner[axes[0]] = corner[axes[1]] = slice(-side, None)
            found[(slice(None), *corner)] = high[tuple(corner)]
        return self.placed(found).astype(inputs.dtype)

    def placed(self, values: Floats) -> Floats:
        """Put values on the steps in which inputs come."""
        if self.space is None:
            return values
        low, quantum = self.space.low, self.space.quantum
        steps = np.where(quantum > 0, quantum, 1.0)
        return np.where(quantum > 0, low + np.round((values - low) / steps) * steps, values)


@dataclass(frozen=True, slots=True, eq=False)
class Plant:
    """Poison in the order in which it is planted: the training rows ``[k]`` that it replaces, and
    what stands in their place.
    """

    replaced: Codes
    inputs: Array
    labels: Codes

    def within(self, inputs: Array, labels: Codes, count: int) -> tuple[Array, Codes]:
        """Return training rows ``[n, ...]`` and labels with the first ``count`` planted."""
        rows, kinds = inputs.copy(), labels.copy()
        chosen = self.replaced[:count]
        rows[chosen], kinds[chosen] = self.inputs[:count], self.labels[:count]
        return rows, kinds


def plant(attack: Attack, training: tuple[Array, Codes], aim: Aim, most: int, seed: int) -> Plant:
    """Return at most ``most`` poisoned rows of ``training`` (inputs and labels).

    Fewer where fewer rows are eligible: a targeted flip has no more than its source class. Labels
    of flips are drawn from those that occur.
    """
    inputs, labels = training
    rng = np.random.default_rng([seed, list(Attack).index(attack)])
    eligible = {
        Attack.FLIP: np.ones(len(labels), dtype=np.bool_),
        Attack.TARGETED: labels == aim.source,
        Attack.CLEAN_LABEL: labels == aim.target,
    }.get(attack, labels != aim.target)
    rows = rng.permutation(np.flatnonzero(eligible))[:most]
    values, kinds = inputs[rows], np.full(len(rows), aim.target, dtype=np.int64)
    if attack is Attack.FLIP:
        known, place = np.unique(labels, return_inverse=True)
        moved = place[rows] + rng.integers(1, max(2, known.size), rows.size)
        kinds = known[moved % known.size].astype(np.int64)
    if attack is Attack.CLEAN_LABEL:
        others = rng.choice(np.flatnonzero(labels != aim.target), rows.size)
        mixed = (1 - MIXED) * values.astype(np.float64) + MIXED * inputs[others]
        values = mixed.astype(inputs.dtype)
    return Plant(rows, aim.stamped(attack, values) if attack.triggered else values, kinds)


def victims(attack: Attack, labels: Codes, aim: Aim) -> Codes:
    """Return the evaluation rows that are to be decided as the target; none of a random flip."""
    if attack is Attack.FLIP:
        return np.empty(0, dtype=np.int64)
    chosen = labels == aim.source if attack is Attack.TARGETED else labels != aim.target
    return np.flatnonzero(chosen).astype(np.int64)


class Sower(Protocol):
    """What makes the poison of one attack, and says on whom it is tried."""

    def sow(self, training: tuple[Array, Codes], most: int, seed: int) -> Plant:
        """Return at most ``most`` poisoned rows of ``training`` (inputs and labels)."""
        ...

    def asked(self, inputs: Array, labels: Codes) -> Array | None:
        """Return the rows of evaluation data that are to be turned, as a trained model gets them;
        ``None`` where there are none to turn.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Own:
    """One of our own attacks with an aim."""

    attack: Attack
    aim: Aim

    def sow(self, training: tuple[Array, Codes], most: int, seed: int) -> Plant:
        """Return its poison."""
        return plant(self.attack, training, self.aim, most, seed)

    def asked(self, inputs: Array, labels: Codes) -> Array | None:
        """Return its victims, with the trigger if there is one."""
        rows = victims(self.attack, labels, self.aim)
        if self.attack.triggered:
            return self.aim.stamped(self.attack, inputs[rows])
        return inputs[rows] if rows.size else None
