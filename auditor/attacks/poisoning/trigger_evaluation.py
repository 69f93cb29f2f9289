"""Evaluation of backdoor triggers on the target, on rows that had no part in finding them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.poisoning.backdoor_rows import BackdoorRowSplit, DecisionOracle
from auditor.attacks.poisoning.backdoor_triggers import (
    LazyTriggers,
    TriggerSet,
    TriggerSpace,
    count_flips,
    stamp_rows,
)
from auditor.domain.check_subject import ProgressReporter
from auditor.domain.tasks import Array, Floats

Labels = NDArray[np.int64]
SHORTLIST = 3
"""Triggers a class that are tried again on more rows before one speaks for it."""


@dataclass(frozen=True, slots=True, eq=False)
class BlindScan:
    """What blind triggers did: ``flips`` ``[k, classes]`` of ``left`` ``[classes]`` rows each."""

    tried: LazyTriggers
    flips: NDArray[np.int64]
    left: NDArray[np.int64]
    backgrounds: Array

    @property
    def rates(self) -> Floats:
        """The share of rows that each trigger sends to each class, ``[k, classes]``."""
        return np.asarray(self.flips / np.maximum(self.left, 1))


def scan_triggers(
    ground: BackdoorRowSplit, tried: LazyTriggers, backgrounds: int, progress: ProgressReporter
) -> BlindScan:
    """Put every trigger on the same few rows, of as many classes as can be."""
    # Row numbers that take the decided classes in turn
    classes, first = np.unique(ground.fitted.before, return_index=True)
    del first
    rank = np.zeros(len(ground.fitted), dtype=np.int64)
    for at in classes:
        own = np.flatnonzero(ground.fitted.before == at)
        rank[own] = np.arange(len(own))
    rows = np.argsort(rank, kind="stable")[:backgrounds].astype(np.int64)
    inputs, before = ground.fitted.inputs[rows], ground.fitted.before[rows]
    decided: list[Labels] = []
    for part in stamp_rows(tried, inputs, ground.room):
        progress(len(decided), len(tried), "blind triggers")
        decided.extend(ground.asker.decide(part).reshape(-1, len(rows)))
    counts, left = count_flips(np.array(decided).reshape(len(tried), -1), before, ground.classes)
    return BlindScan(tried, counts, left, inputs)


def choose_finalists(
    ground: BackdoorRowSplit, found: BlindScan, classes: Labels, rows: int
) -> tuple[TriggerSet, Labels, Labels]:
    """Return one trigger for each of ``classes`` ``[k]``: the best of a short list, on more rows.

    Also how many of these rows each sends to its class, and out of how many: ``[k], [k]``.
    """
    fitted, chosen, sent = ground.fitted, list[int](), list[int]()
    inputs, before = fitted.inputs[:rows], fitted.before[:rows]
    for at in classes:
        best = np.argsort(-found.rates[:, at], kind="stable")[:SHORTLIST].astype(np.int64)
        decided = decide_under_triggers(ground.asker, ground.room, found.tried.take(best), inputs)
        counts, left = count_flips(decided, before, ground.classes)
        chosen.append(int(best[counts[:, at].argmax()]))
        sent.append(int(counts[:, at].max()))
    triggers = found.tried.take(np.array(chosen, dtype=np.int64))
    return triggers, np.array(sent, dtype=np.int64), left[classes]


def decide_under_triggers(
    asker: DecisionOracle, room: TriggerSpace, triggers: TriggerSet, rows: Array
) -> Labels:
    """Return what the target decides of all rows under each trigger, ``[k, n]``."""
    decided = [
        asker.decide(part).reshape(-1, len(rows)) for part in stamp_rows(triggers, rows, room)
    ]
    return np.concatenate(decided)


def truncate_masks(triggers: TriggerSet, size: float) -> TriggerSet:
    """Return triggers whose masks keep their strongest places up to a common ``size``."""
    flat = triggers.masks.reshape(len(triggers), -1)
    order = np.argsort(-flat, axis=1, kind="stable")
    sorted_masks = np.take_along_axis(flat, order, axis=1)
    room = size * flat.shape[1] - (np.cumsum(sorted_masks, axis=1) - sorted_masks)
    kept = np.clip(sorted_masks, 0, np.maximum(room, 0))
    found = np.empty_like(flat)
    np.put_along_axis(found, order, kept, axis=1)
    return TriggerSet(found.reshape(triggers.masks.shape), triggers.contents)


def decide_under_random_content(
    ground: BackdoorRowSplit, mask: Floats, rng: np.random.Generator
) -> Labels:
    """Return what the target decides of judged rows under a mask with contents drawn at random.

    Every row gets contents of its own, so that all contents of that size speak.
    """
    rows = ground.judged.inputs
    decided: list[Labels] = []
    step = ground.room.chunk(1)
    for first in range(0, len(rows), step):
        part = rows[first : first + step]
        drawn = ground.room.scaled(rng.random((len(part), *ground.room.shape)))
        decided.append(ground.asker.decide(ground.room.put(part, mask, drawn)))
    return np.concatenate(decided)
