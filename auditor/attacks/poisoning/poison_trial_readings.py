"""Readings of poisoning trials: the accuracy lost, and the attack's success rate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.poisoning.poison_trial import PoisonKind, PoisonTrialDecisions
from auditor.attacks.poisoning.training_scan import NeighbourCodes
from auditor.attacks.privacy.retraining_agreement import (
    RetrainingAgreement,
    decision_measures,
    measure_agreement,
    measure_likeness,
    recipe_mismatch_gap,
)
from auditor.domain.checks import Metric
from auditor.domain.evidence import Evidence, explain_dependence
from auditor.domain.gaps import read_gap
from auditor.domain.json import Json
from auditor.domain.readings import (
    BiasDirection,
    BoundKind,
    ConfidenceInterval,
    Gap,
    GapReason,
    Measurement,
    Reading,
    Repeatability,
    Scalar,
    Unit,
)
from auditor.domain.tasks import Floats
from auditor.metrics.stats.proportions import mean_over_repeats

SUCCESS, DROP = "attack_success_rate", "accuracy_drop"
EMITS: Mapping[str, Metric] = {
    SUCCESS: Metric(
        "Attack success rate of the poison",
        Unit.SHARE,
        BoundKind.AT_LEAST,
        higher_is_better=False,
    ),
    DROP: Metric(
        "Accuracy drop caused by the poison", Unit.SHARE, BoundKind.AT_LEAST, higher_is_better=False
    ),
}
RECIPE, HEAD = "recipe", "head"
FEWEST_VICTIMS = 10
HEAD_ALONE = (
    "the last layer alone was trained again; what comes before it cannot learn a trigger: where "
    "both were measured, triggers took as often or up to three times as often in full training"
)
HEAD_LABELS = (
    "the last layer alone was trained again, and wrong labels may harm full training less than it "
    "or more"
)
PART = (
    "a part of the training rows was trained on: {trained} of {all}; less poison may do with more"
)
ONE_REPEAT = "one repeat says nothing of other seeds of training, nor of other poison"

UNSURE = (HEAD_LABELS, ONE_REPEAT)
"""Doubts by which the truth may be more or less than the figure."""


def write_decisions(told: PoisonTrialDecisions) -> Evidence:
    """Return the evidence of what was decided: class numbers, by repeat and row."""
    small = np.int16
    kept: dict[str, NDArray[np.int16]] = {"clean": told.clean.astype(small)}
    kept |= {f"before_{name}": item.astype(small) for name, item in told.before.items()}
    kept |= {f"poisoned_{name}": item.astype(small) for name, item in told.poisoned.items()}
    return kept | {f"after_{name}": item.astype(small) for name, item in told.after.items()}


@dataclass(frozen=True, slots=True, eq=False)
class PoisonOutcome:
    """What retrained models decided, read back from evidence."""

    evidence: Evidence
    about: Mapping[str, Json]

    @classmethod
    def of(cls, evidence: Evidence) -> "PoisonOutcome":
        """Read it back."""
        return cls(evidence, cast("Mapping[str, Json]", evidence["about"]))

    def readings(
        self, attacks: Sequence[PoisonKind], rates: Sequence[float], confidence: float
    ) -> tuple[Reading, ...]:
        """Return both figures of each attack and rate, or why there is none."""
        found = self._agreement()
        if found is not None and (gap := recipe_mismatch_gap(found)) is not None:
            return (gap,)
        gaps = cast("Mapping[str, Json]", self.about["gaps"])
        said: list[Reading] = []
        for attack in attacks:
            for place, rate in enumerate(rates):
                params: dict[str, Scalar] = {
                    "attack": attack.value, "rate": rate, "retrained": str(self.about["retrained"]),
                }  # fmt: skip
                if attack.value in gaps:
                    said += [read_gap(gaps[attack.value], it, params) for it in (SUCCESS, DROP)]
                    continue
                details = self._details(attack, place, found)
                plain: dict[str, Json]
                if self.about["retrained"] != HEAD:
                    plain = details
                else:
                    doubted = [str(details["doubt"])] if "doubt" in details else []
                    plain = details | {"doubt": "; ".join((*doubted, HEAD_LABELS))}
                if attack.aimed:
                    told = details if attack.triggered else plain
                    said.append(self._success(attack, place, params, told, confidence))
                labels = cast("NeighbourCodes", self.evidence["labels"])
                clean, poisoned = (
                    (cast("NeighbourCodes", item) == labels).astype(np.float64)
                    for item in (
                        self.evidence["clean"],
                        cast("NeighbourCodes", self.evidence[f"poisoned_{attack.value}"])[place],
                    )
                )
                lost: Floats = clean - poisoned
                more: dict[str, Json] = {
                    "without_poison": float(clean.mean()),
                    "with_poison": float(poisoned.mean()),
                    "by_repeat": [float(share) for share in lost.mean(axis=1)],
                }
                said.append(
                    _measured(mean_over_repeats(lost, confidence), DROP, params, plain | more)
                )
        return tuple(said)

    @property
    def _partly(self) -> bool:
        """Whether fewer rows were trained on than the artifact was."""
        return self.about["trained_rows"] != self.about["training_rows"]

    def _agreement(self) -> RetrainingAgreement | None:
        """Return how retrainings by the recipe agree with the artifact, where that can be said."""
        if "clean" not in self.evidence:
            return None
        clean = cast("NeighbourCodes", self.evidence["clean"])
        if self.about["retrained"] != RECIPE or self._partly or "artifact" not in self.evidence:
            return None
        if len(clean) < 2:  # noqa: PLR2004 -- agreement is between two
            return None
        artifact, labels = (
            cast("NeighbourCodes", self.evidence[it]) for it in ("artifact", "labels")
        )
        return measure_agreement(
            artifact, clean, alike=measure_likeness(decision_measures(artifact, clean, labels))
        )

    def _success(
        self, attack: PoisonKind, place: int, params: dict[str, Scalar], details: dict[str, Json],
        confidence: float,
    ) -> Reading:  # fmt: skip
        target = cast("int", self.about["target"])
        before, after = (
            cast("NeighbourCodes", self.evidence[f"{name}_{attack.value}"]) == target
            for name in ("before", "after")
        )
        if after.shape[-1] < FEWEST_VICTIMS:
            return Gap(
                reason=GapReason.TOO_FEW_ROWS,
                detail=f"Fewer than {FEWEST_VICTIMS} evaluation rows are to be misled by this "
                "attack.",
                cure="Evaluate on more rows of each class.",
                metric=SUCCESS,
                params=params,
            )
        hits = after[place].astype(np.float64)
        more: dict[str, Json] = {
            "without_poison": float(before.mean()),
            "by_repeat": [float(share) for share in hits.mean(axis=1)],
        }
        return _measured(mean_over_repeats(hits, confidence), SUCCESS, params, details | more)

    def _details(
        self, attack: PoisonKind, place: int, found: RetrainingAgreement | None
    ) -> dict[str, Json]:
        counts = cast("Mapping[str, Sequence[int]]", self.about["planted"])
        doubts = [explain_dependence()] if self.about["clustered"] else []
        if self._partly:
            named = {"trained": self.about["trained_rows"], "all": self.about["training_rows"]}
            doubts.append(PART.format(**named))
        details: dict[str, Json] = {
            "planted": counts[attack.value][place],
            "trained_rows": self.about["trained_rows"],
            "target_class": self.about["target_class"],
            "repeats": len(cast("NeighbourCodes", self.evidence["clean"])),
        }
        if attack.sourced:
            details["source_class"] = self.about["source_class"]
        if self.about["retrained"] == HEAD:
            details["lower_bound"] = HEAD_ALONE
        if len(cast("NeighbourCodes", self.evidence["clean"])) == 1:
            doubts.append(ONE_REPEAT)
        if found is not None:
            details["agreement"] = found.to_json()
        return details | ({"doubt": "; ".join(doubts)} if doubts else {})


def _measured(
    found: ConfidenceInterval, metric: str, params: dict[str, Scalar], details: dict[str, Json]
) -> Measurement:
    return Measurement.of(
        found,
        metric,
        Unit.SHARE,
        bound=BoundKind.AT_LEAST,
        params=params,
        # Nobody promises that the owner's code gives the same model twice.
        repeat=Repeatability.INTERVAL if params["retrained"] == RECIPE else Repeatability.EXACT,
        doubted="doubt" in details,
        astray=BiasDirection.EITHER
        if any(it in str(details.get("doubt")) for it in UNSURE)
        else None,
        details=details,
    )
