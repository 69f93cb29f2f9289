"""Steps around a network that leave its decisions and hide its gradients, each with a mild twin."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from auditor.zoo.graphs import Sheet, Step
from auditor.zoo.layers import Singles

STEEPNESS, MILD = 200.0, 8.0
HEIGHT, FAST, SLOW = 0.05, 300.0, 6.0
HOT, WARM = 30.0, 1.0
KEPT = 0.999


@dataclass(frozen=True, slots=True)
class Mask:
    """Steps before and behind a network, and what the first makes of rows to learn from."""

    before: Step | None = None
    after: Step | None = None
    learns: Callable[[Singles], Singles] = lambda rows: rows


def ramp(steepness: float) -> Mask:
    """Return a ramp of each pixel's grey that makes it all but black or white where it is steep."""

    def before(sheet: Sheet, value: str) -> str:
        middle = sheet.add("Sub", value, sheet.number(0.5))
        return sheet.add("Sigmoid", sheet.add("Mul", middle, sheet.number(steepness)))

    def learns(rows: Singles) -> Singles:
        with np.errstate(over="ignore"):
            steep: Singles = (1 / (1 + np.exp(-steepness * (rows - 0.5)))).astype(np.float32)
            return steep

    return Mask(before=before, learns=learns)


def wave(speed: float) -> Mask:
    """Return a wave added to each pixel, whose slope drowns the pixel's own where it is fast."""

    def before(sheet: Sheet, value: str) -> str:
        wave = sheet.add("Sin", sheet.add("Mul", value, sheet.number(speed)))
        return sheet.add("Add", value, sheet.add("Mul", wave, sheet.number(HEIGHT)))

    def learns(rows: Singles) -> Singles:
        moved: Singles = (rows + HEIGHT * np.sin(speed * rows)).astype(np.float32)
        return moved

    return Mask(before=before, learns=learns)


def heat(temperature: float) -> Mask:
    """Return a softmax of scores that are so much larger, mixed with a little of every class."""

    def after(sheet: Sheet, value: str) -> str:
        hot = sheet.add("Softmax", sheet.add("Mul", value, sheet.number(temperature)), axis=1)
        kept = sheet.add("Mul", hot, sheet.number(KEPT))
        return sheet.add("Add", kept, sheet.number((1 - KEPT) / 10))

    return Mask(after=after)


MASKS: Mapping[str, Callable[[bool], Mask]] = {
    "steep": lambda planted: ramp(STEEPNESS if planted else MILD),
    "wavy": lambda planted: wave(FAST if planted else SLOW),
    "saturated": lambda planted: heat(HOT if planted else WARM),
}
"""By name: what hides gradients where it is planted, and what does not where it is not."""
