"""Poisoned rows made by other tools, planted and tried as our own are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from auditor.attacks.poisoning.poison_trial import PoisonAim, PoisonedRows
from auditor.attacks.poisoning.training_scan import NeighbourCodes
from auditor.domain.json import Json
from auditor.domain.tasks import Array, Floats

VICTIMS = 10
"""Rows of the source class that an attack without a trigger is to turn, each by itself."""


@dataclass(frozen=True, slots=True)
class ExternalAttackKind:
    """An attack as far as its readings need to know it."""

    value: str
    triggered: bool = False
    aimed: bool = True
    sourced: bool = True

    def to_json(self) -> dict[str, Json]:
        """Return the evidence form."""
        return {"triggered": self.triggered, "aimed": self.aimed, "sourced": self.sourced}

    @classmethod
    def of(cls, value: str, told: Mapping[str, Json] | None) -> "ExternalAttackKind":
        """Read it back; an attack that planted nothing is any."""
        return cls(value, **{key: bool(item) for key, item in (told or {}).items()})


@dataclass(frozen=True, slots=True, eq=False)
class ExternalPoison:
    """Plants by seed, and the trigger, if there is one, which values of rows are stamped with."""

    kind: ExternalAttackKind
    aim: PoisonAim
    plants: Mapping[int, PoisonedRows]
    trigger: Callable[[Array], Floats] | None

    def sow(self, training: tuple[Array, NeighbourCodes], most: int, seed: int) -> PoisonedRows:  # noqa: ARG002 -- made before
        """Return the plant of a seed."""
        return self.plants[seed]

    def asked(self, inputs: Array, labels: NeighbourCodes) -> Array | None:
        """Return the rows that are to be turned, with the trigger if there is one."""
        if not self.kind.aimed:
            return None
        if self.trigger is None:
            return select_source_rows(inputs, labels, self.aim)
        aim, sourced = self.aim, self.kind.sourced
        turned = labels == aim.source if sourced else labels != aim.target
        if not turned.any():
            return None
        return snap_to_space(self.trigger(inputs[turned]), self.aim, inputs)


def select_source_rows(inputs: Array, labels: NeighbourCodes, aim: PoisonAim) -> Array:
    """Return the first rows of the source class."""
    found: Array = inputs[labels == aim.source][:VICTIMS]
    return found


def snap_to_space(values: Floats, aim: PoisonAim, like: Array) -> Array:
    """Return values as rows that the data could hold: in range, on their steps, of their type."""
    found = values
    if aim.space is not None:
        shape = like.shape[1:]
        low, high = (np.broadcast_to(it, shape) for it in (aim.space.low, aim.space.high))
        found = aim.placed(np.clip(values, low, high))
    if np.issubdtype(like.dtype, np.integer):
        found = np.rint(found)
    made: Array = found.astype(like.dtype)
    return made
