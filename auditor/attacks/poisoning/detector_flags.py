"""Rows that a poison detector flags among audited, trusted and deliberately poisoned rows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.poisoning.poison_trial import PoisonAim, PoisonAttack, make_poison
from auditor.attacks.poisoning.training_scan import NeighbourCodes
from auditor.domain.check_subject import Subject
from auditor.domain.checks import Metric
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence, find_image_axes
from auditor.domain.gaps import read_gap
from auditor.domain.json import Json
from auditor.domain.readings import BoundKind, Gap, GapReason, Measurement, Reading, Scalar, Unit
from auditor.domain.tasks import Array
from auditor.metrics.stats.proportions import clopper_pearson

FLAGGED, FOUND, FALSE = "flagged_share", "planted_found", "false_flags"
EMITS: Mapping[str, Metric] = {
    FLAGGED: Metric("Training rows that a detector flags", Unit.SHARE),
    FOUND: Metric("Planted rows that a detector flags", Unit.SHARE, higher_is_better=True),
    FALSE: Metric("Other rows of the planted copy that a detector flags", Unit.SHARE),
}
A_CLAIM = (
    "flags are a detector's word, and no proof of poison: look at what it flags of trusted rows, "
    "and of a copy in which we know what was planted"
)
ORIGINS = 4
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class PoisonedCopy:
    """A copy of training rows in which we know which are ``planted`` ``[n]``.

    ``origins`` ``[n]`` are made up: all planted rows come from the first one.
    """

    rows: Array
    labels: NeighbourCodes
    planted: Mask
    origins: NeighbourCodes
    attack: PoisonAttack

    @classmethod
    def of(
        cls, rows: Array, labels: NeighbourCodes, aim: PoisonAim, rate: float, seed: int
    ) -> "PoisonedCopy":
        """Plant a patch, or where there is no place for one, wrong labels."""
        pictures = aim.space is not None and find_image_axes(rows.shape[1:]) is not None
        attack = PoisonAttack.PATCH if pictures else PoisonAttack.FLIP
        made = make_poison(attack, (rows, labels), aim, max(1, round(rate * len(labels))), seed)
        planted = np.zeros(len(labels), dtype=np.bool_)
        planted[made.replaced] = True
        rng = np.random.default_rng([seed, 1])
        origins = np.where(planted, 0, rng.integers(0, ORIGINS, len(labels)))
        return cls(*made.within(rows, labels, len(made.labels)), planted, origins, attack)


def sample_labelled_rows(
    subject: Subject, role: DatasetRole, most: int
) -> tuple[Array, NeighbourCodes, NDArray[np.str_]]:
    """Return the first labelled rows of a dataset in the audit's order, with their names."""
    data = subject.datasets[role]
    at = subject.sample(role, data.rows)
    labels = np.asarray(data.labels)
    at = np.sort(at[labels[at] >= 0][:most])
    return np.asarray(data.inputs)[at], labels[at], np.asarray(data.ids, dtype=np.str_)[at]


def draw_aim(subject: Subject, labels: NeighbourCodes) -> PoisonAim:
    """Return an aim drawn by the seed, from labels that occur."""
    known = np.random.default_rng(subject.seed).permutation(np.unique(labels))
    space = None if isinstance(subject.space, Gap) else subject.space
    return PoisonAim(int(known[0]), int(known[-1]), space)


def detector_flag_readings(evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
    """Return what each detector flags, or why it flags nothing."""
    about = cast("Mapping[str, Json]", evidence["about"])
    found: list[Reading] = []
    for name in cast("list[str]", about["detectors"]):
        start = f"{name}."
        own = {key[len(start) :]: it for key, it in evidence.items() if key.startswith(start)}
        if "objection" in own:
            found.append(read_gap(own["objection"], FLAGGED, {"detector": name}))
        else:
            found += flag_readings(own, name, confidence)
    return tuple(found) or (NONE_ASKED,)


NONE_ASKED = Gap(
    metric=FLAGGED,
    reason=GapReason.OVER_BUDGET,
    detail="No detector of the Adversarial Robustness Toolbox is asked for at this budget.",
    cure="Name some in the policy, checks: {poisoning.art_detectors: {detectors: [STRIP]}}.",
)


def flag_readings(evidence: Evidence, name: str, confidence: float) -> Iterator[Reading]:
    """Yield what one detector flags; ``evidence`` is of it alone."""
    params: dict[str, Scalar] = {"detector": name}
    flags, planted = (_mask(evidence, key) for key in ("copy_flags", "copy_planted"))
    about = cast("Mapping[str, Json]", evidence["about"])
    details: dict[str, Json] = {"planted": int(planted.sum()), "attack": about["attack"]}
    if "flags" in evidence:
        ours = _mask(evidence, "flags")
        more: dict[str, Json] = {"doubt": A_CLAIM}
        if "trusted_flags" in evidence:
            more["flagged_of_trusted"] = float(_mask(evidence, "trusted_flags").mean())
        yield _share(ours, FLAGGED, params, more, confidence)
    elif "gap" in evidence:
        yield read_gap(evidence["gap"], FLAGGED, params)
    yield _share(flags[planted], FOUND, params, details, confidence)
    yield _share(flags[~planted], FALSE, params, details, confidence)


def _share(
    flags: Mask, metric: str, params: dict[str, Scalar], details: dict[str, Json], confidence: float
) -> Measurement:
    return Measurement.of(
        clopper_pearson(int(flags.sum()), len(flags), confidence),
        metric,
        Unit.SHARE,
        bound=BoundKind.ESTIMATE,
        params=params,
        doubted="doubt" in details,
        details=details,
    )


def _mask(evidence: Evidence, name: str) -> Mask:
    return cast("Mask", evidence[name]).astype(np.bool_)
