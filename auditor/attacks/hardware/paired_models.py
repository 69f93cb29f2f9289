"""Two models under the same attacks, each crafted against the model that it hits."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.bouts import fight
from auditor.attacks.curves import readings
from auditor.attacks.norms import Norm
from auditor.attacks.offline import gap_of, halves, too_few
from auditor.attacks.suites import Suite
from auditor.attacks.triggers import Couple, Search, seek
from auditor.domain.canonical import Json
from auditor.domain.checks import Metric
from auditor.domain.evidence import Evidence
from auditor.domain.gaps import read_gap
from auditor.domain.models import Model, Twin
from auditor.domain.readings import Bound, Gap, Measurement, Reading, Reason, Unit
from auditor.domain.subjects import Subject
from auditor.domain.tasks import Classification
from auditor.stats.paired import paired_difference
from auditor.stats.proportions import clopper_pearson

OWN, PARENT = "variant/", "parent/"
DUEL: Mapping[str, Metric] = {
    "robust_accuracy": Metric(
        "Accuracy under attack", Unit.SHARE, Bound.AT_MOST, higher_is_better=True
    ),
    "transfer_rate": Metric("Attacks that break the other model too", Unit.SHARE),
    "trigger_gap": Metric(
        "Success of one trigger on the variant beyond that on the parent",
        Unit.NONE,
        Bound.AT_LEAST,
        higher_is_better=False,
    ),
}
"""What a duel emits."""


@dataclass(frozen=True, slots=True)
class Duel:
    """The suite and its budgets, how many rows it is thrown at, and how triggers are sought."""

    suite: Suite
    budgets: tuple[float, ...]
    attacked: int
    search: Search
    rows: int


def attack_both(subject: Subject, other: Subject, duel: Duel) -> Evidence:
    """Attack a variant and its parent, carry over what broke either, and look for triggers.

    ``subject`` holds the variant, ``other`` the parent, each with its twin. Raises what ``fight``
    raises.
    """
    variant, parent = cast("Model", subject.model), cast("Model", other.model)
    own, theirs = _fight(subject, duel), _fight(other, duel)
    return {
        **{f"{OWN}{name}": item for name, item in own.items()},
        **{f"{PARENT}{name}": item for name, item in theirs.items()},
        **_carried(subject, own, parent, "carried_to_parent"),
        **_carried(subject, theirs, variant, "carried_to_variant"),
        **_sought(subject, other, duel),
    }


def duel_readings(
    evidence: Evidence, confidence: float, effort: Mapping[str, Json]
) -> Iterator[Reading]:
    """Return the robust accuracy of both, how attacks carry over, and each class's trigger."""
    if "not_attacked" in evidence:
        yield from (read_gap(evidence["not_attacked"], metric) for metric in DUEL)
        return
    for prefix in (OWN, PARENT):
        part = {
            name.removeprefix(prefix): item
            for name, item in evidence.items()
            if name.startswith(prefix)
        }
        for item in readings(part, confidence, effort):
            if isinstance(item, Measurement) and item.metric == "robust_accuracy":
                yield replace(item, params={**item.params, "of": prefix.rstrip("/")})
    yield from _transfers(evidence, confidence)
    yield from _triggers(evidence, confidence)


def _fight(subject: Subject, duel: Duel) -> Evidence:
    return fight(subject, duel.suite, duel.budgets, norm=Norm.LINF, rows=duel.attacked, examples=0)


def _sought(subject: Subject, other: Subject, duel: Duel) -> Evidence:
    split = halves(subject, duel.rows, duel.rows)
    lacking = too_few(split)
    if lacking is not None:
        return {"triggers": lacking["settings"]}
    task = cast("Classification", subject.task)
    couple = Couple(
        task,
        cast("Model", subject.model),
        cast("Twin", subject.twin),
        cast("Model", other.model),
        cast("Twin", other.twin),
    )
    rng = np.random.default_rng(subject.seed)
    judged, fitted = split.judged.arena, split.prepared.arena
    found = [
        seek(couple, judged, fitted, target, duel.search, rng, subject.progress)
        for target in range(len(task.classes))
    ]
    return {
        "trigger_labels": judged.labels,
        "trigger_variant": np.stack([item.variant for item in found]),
        "trigger_parent": np.stack([item.parent for item in found]),
        "trigger_changes": np.stack([item.change for item in found]).astype(np.float32),
        "trigger_eps": duel.search.eps,
    }


def _carried(subject: Subject, seen: Evidence, other: Model, name: str) -> Evidence:
    """Ask the other model about the inputs that broke this one."""
    crafted = cast("NDArray[np.generic]", seen["crafted"])
    if not len(crafted):
        return {}
    task = cast("Classification", subject.task)
    labels = cast("NDArray[np.int64]", seen["labels"])[
        cast("NDArray[np.int64]", seen["crafted_rows"])
    ]
    decided = task.decide(other.probabilities(other.predict(crafted)))
    return {name: decided != labels}


def _transfers(evidence: Evidence, confidence: float) -> Iterator[Reading]:
    for name, source in (("carried_to_parent", "variant"), ("carried_to_variant", "parent")):
        if name not in evidence:
            yield _unbroken(source)
            continue
        broke = cast("NDArray[np.bool_]", evidence[name])
        interval = clopper_pearson(int(broke.sum()), len(broke), confidence)
        yield Measurement.of(
            interval, "transfer_rate", Unit.SHARE, params={"crafted_against": source}
        )


def _unbroken(source: str) -> Gap:
    return Gap(
        reason=Reason.NOT_DEFINED,
        detail=f"No attack broke the {source}, so there is nothing to carry over.",
        cure="Raise `eps` or `stages` of hardware.variant, if that is not the answer hoped for.",
        metric="transfer_rate",
        params={"crafted_against": source},
    )


def _triggers(evidence: Evidence, confidence: float) -> Iterator[Reading]:
    """Return, class by class, how much more often the trigger works on the variant."""
    gap = gap_of(cast("dict[str, Json]", evidence.get("triggers", {})))
    if gap is not None:
        yield replace(gap, metric="trigger_gap")
        return
    classes = cast("list[str]", evidence["classes"])
    labels = cast("NDArray[np.int64]", evidence["trigger_labels"])
    level = 1 - (1 - confidence) / len(classes)
    pairs = zip(
        cast("NDArray[np.int64]", evidence["trigger_variant"]),
        cast("NDArray[np.int64]", evidence["trigger_parent"]),
        strict=True,
    )
    for target, (variant, parent) in enumerate(pairs):
        others = labels != target
        if not others.any():
            continue
        on_variant, on_parent = variant[others] == target, parent[others] == target
        gained, lost = int((on_variant & ~on_parent).sum()), int((on_parent & ~on_variant).sum())
        yield Measurement.of(
            paired_difference(gained, lost, int(others.sum()), level),
            "trigger_gap",
            Unit.NONE,
            bound=Bound.AT_LEAST,
            params={"class": classes[target], "eps": cast("float", evidence["trigger_eps"])},
            details={
                "success_on_variant": float(on_variant.mean()),
                "success_on_parent": float(on_parent.mean()),
            },
        )
