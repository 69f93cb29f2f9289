"""What a change of model does to calibration and to gaps between groups."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from auditor.comparing.clipped import CUT, count_lost, doubt_losses
from auditor.comparing.pairs import Pairs, unlabelled
from auditor.domain.canonical import Json
from auditor.domain.gaps import too_few
from auditor.domain.readings import Astray, Gap, Measurement, Reading, Reason, Unit
from auditor.domain.tasks import Floats
from auditor.stats.gap_changes import gap_change
from auditor.stats.losses import (
    BINARY,
    brier_scores,
    count_clipped,
    exact_losses,
    log_chances,
    log_losses,
)
from auditor.stats.paired import LEAST, mean_difference
from auditor.stats.smooth_changes import Run, smooth_change

LOGITS = "logits"


def observe_ends(pairs: Pairs, *, logits: bool) -> dict[str, Json]:
    """Say of both runs whether clipped probabilities say less, and whether there are logits.

    ``logits`` are the scores of both runs, or of neither.
    """
    if pairs.stated is None or not any(count_clipped(stated) for stated in pairs.stated):
        return {}
    return {LOGITS: True} if logits else {CUT: True}


def calibration(
    pairs: Pairs, before: Floats, after: Floats, confidence: float, about: Mapping[str, Json]
) -> Iterator[Reading]:
    """Return how log loss and Brier score change, row by row.

    ``before`` and ``after`` are ``[n, classes]`` probabilities. Both scores are proper, so that a
    model which states its certainty worse scores worse. ``about`` holds what ``observe_ends`` said.
    """
    labels = pairs.labels
    for metric, unit in (("nll_change", Unit.NAT), ("brier_change", Unit.NONE)):
        if labels is None or len(labels) < LEAST:
            yield unlabelled(metric) if labels is None else too_few(metric, LEAST)
            continue
        if metric == "nll_change":
            yield _loss_change(pairs, labels, (before, after), confidence, about)
            continue
        moved = brier_scores(after, labels)[0] - brier_scores(before, labels)[0]
        yield Measurement.of(mean_difference(moved, confidence), metric, unit)


def _loss_change(
    pairs: Pairs,
    labels: NDArray[np.int64],
    stated: tuple[Floats, Floats],
    confidence: float,
    about: Mapping[str, Json],
) -> Measurement:
    if about.get(LOGITS) is True:
        was, now = (exact_losses(log_chances(it), labels)[0] for it in (pairs.before, pairs.after))
    else:
        was, now = (log_losses(it, labels)[0] for it in stated)
    lost = max(count_lost(it, labels) for it in stated) if about.get(CUT) is True else 0
    return Measurement.of(
        mean_difference(now - was, confidence),
        "nll_change",
        Unit.NAT,
        doubted=lost > 0,
        astray=Astray.EITHER if lost else None,
        details={"doubt": doubt_losses(lost)} if lost else {},
    )


def certainty(pairs: Pairs, before: Floats, after: Floats, confidence: float, seed: int) -> Reading:
    """Return how the smooth calibration error changes, of the same rows.

    Of two classes either one's probability has it, of more the answer's.
    """
    labels, metric = pairs.labels, "smece_change"
    if labels is None or len(labels) < LEAST:
        return unlabelled(metric) if labels is None else too_few(metric, LEAST)
    runs = [_stated(stated, labels) for stated in (before, after)]
    found = smooth_change(runs[0], runs[1], confidence, seed)
    return Measurement.of(found, metric, Unit.NONE, details={"seed": seed})


def _stated(of: Floats, labels: NDArray[np.int64]) -> Run:
    if of.shape[1] == BINARY:
        return of[:, 1], labels == 1
    return of.max(axis=1), of.argmax(axis=1) == labels


def group_gaps(pairs: Pairs, favourable: int, confidence: float) -> Iterator[Reading]:
    """Return how the widest gap in selection rates of each grouping changes.

    All groupings hold jointly (Bonferroni).
    """
    level = 1 - (1 - confidence) / max(1, len(pairs.groups))
    first, second = pairs.expected == favourable, pairs.decided == favourable
    for name, held in pairs.groups.items():
        codes = np.unique(held, return_inverse=True)[1]
        if codes.max() == 0:
            yield _one_group(name)
            continue
        yield Measurement.of(
            gap_change(first, second, codes, level),
            "selection_change_gap",
            Unit.NONE,
            params={"column": name},
            details={"before": _gap(first, codes), "after": _gap(second, codes)},
        )


def _gap(selected: NDArray[np.bool_], codes: NDArray[np.int64]) -> float:
    return float(np.ptp(np.bincount(codes, weights=selected) / np.bincount(codes)))


def _one_group(column: str) -> Gap:
    return Gap(
        reason=Reason.NEEDS_GROUPS,
        detail=f"All rows are of one group of {column!r}, so that there is no gap.",
        cure="Evaluate on rows of all groups.",
        metric="selection_change_gap",
        params={"column": column},
    )
