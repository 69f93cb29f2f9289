"""Attacks on a model variant beside its parent: transferability, and dormant backdoors.

Quantisation can activate a backdoor that the full-precision model does not show (Hong et al. 2021,
arXiv 2110.13541; Ma et al. 2021, arXiv 2108.09187). ``find_trigger`` optimises one change for all
rows that sends the variant to a class while the parent keeps its decisions. In a model without
tampering the two react almost alike.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.evasion.attack_setup import AttackSetup
from auditor.attacks.evasion.holdout import report_too_few_rows, split_holdout, too_few_rows_gap
from auditor.attacks.evasion.losses import softmax
from auditor.attacks.evasion.norms import Norm
from auditor.attacks.evasion.readings import build_robustness_readings
from auditor.attacks.evasion.run_check import run_attack_check
from auditor.attacks.evasion.suite_parser import AttackSuite
from auditor.attacks.evasion.threat_model import ThreatModel
from auditor.domain.check_subject import ProgressReporter, Subject
from auditor.domain.checks import Metric
from auditor.domain.evidence import Evidence
from auditor.domain.gaps import read_gap
from auditor.domain.json import Json
from auditor.domain.models import Model, Twin
from auditor.domain.readings import BoundKind, Gap, GapReason, Measurement, Reading, Unit
from auditor.domain.tasks import Array, ClassificationTask, Floats
from auditor.metrics.stats.means import paired_difference
from auditor.metrics.stats.proportions import clopper_pearson

MOMENTUM = 0.9
FIRST_STEP, LAST_STEP = 0.25, 0.02
"""Steps as shares of the budget; they fall by a cosine."""
MOST_WEIGHT = 5.0
"""How hard a row pushes back that the other model puts wholly into the target class."""


@dataclass(frozen=True, slots=True)
class TriggerSearch:
    """How a trigger is looked for: the budget as a share of the range, steps, rows a step."""

    eps: float
    steps: int
    batch: int


@dataclass(frozen=True, slots=True, eq=False)
class DormantTrigger:
    """A change of the shape of a row, and what both models decided of the judged rows under it."""

    target: int
    change: Floats
    variant: NDArray[np.int64]
    parent: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class ModelPair:
    """A variant and its parent, each with its twin, and the task of both."""

    task: ClassificationTask
    variant: Model
    variant_twin: Twin
    parent: Model
    parent_twin: Twin


def find_trigger(  # noqa: PLR0913, PLR0917 -- two models, two halves of the rows, and how
    couple: ModelPair, judged: AttackSetup, fitted: AttackSetup, target: int, search: TriggerSearch,
    rng: np.random.Generator, progress: ProgressReporter,
) -> DormantTrigger:  # fmt: skip
    """Fit a trigger for one class on ``fitted``, and ask both models about ``judged`` under it.

    Raises ``CancelledError`` through ``progress``, and what ``Model.predict`` raises.
    """
    threat: ThreatModel = fitted.threat(search.eps)
    fit_ball, count = threat.around(fitted.rows), len(fitted.rows)
    change = np.zeros(fitted.rows.shape[1:])
    pull = np.zeros_like(change)
    for step in range(search.steps if threat.movable.any() else 0):
        progress(step, search.steps, f"trigger for class {target}")
        own = fit_ball.take(rng.choice(count, min(search.batch, count), replace=False))
        points = np.clip(own.exact + change, own.lower, own.upper)
        logits = couple.variant_twin.forward(points)
        slope = _mean(couple.variant_twin, _onto(softmax(logits), target))
        # The mean gradient of the log probability of all other classes together. It is near zero as
        # long as the model does not obey, so that the other's pull leads the way.
        shares = softmax(couple.parent_twin.forward(points))
        obeying = shares[:, target, None]
        weight = np.minimum(obeying / np.maximum(1 - obeying, 1e-12), MOST_WEIGHT)
        slope += _mean(couple.parent_twin, -weight * _onto(shares, target))
        slope *= threat.scale
        pull = MOMENTUM * pull + slope / max(float(np.abs(slope).mean()), 1e-300)
        share = LAST_STEP + (FIRST_STEP - LAST_STEP) * (1 + np.cos(np.pi * step / search.steps)) / 2
        ahead = change + share * threat.radius * np.sign(pull)
        change = np.clip(ahead, -threat.radius, threat.radius)
    ball = judged.threat(search.eps).around(judged.rows)
    rows = ball.settle(ball.exact + change)
    return DormantTrigger(
        target,
        change,
        _decide(couple.variant, couple.task, rows),
        _decide(couple.parent, couple.task, rows),
    )


def _onto(shares: Floats, target: int) -> Floats:
    cotangent = -shares
    cotangent[:, target] += 1.0
    return cotangent


def _mean(twin: Twin, cotangent: Floats) -> Floats:
    slope: Floats = np.nan_to_num(twin.backward(cotangent)).mean(axis=0)
    return slope


def _decide(model: Model, task: ClassificationTask, rows: Array) -> NDArray[np.int64]:
    return task.decide(model.probabilities(model.predict(rows)))


OWN, PARENT = "variant/", "parent/"
DUEL: Mapping[str, Metric] = {
    "robust_accuracy": Metric(
        "Accuracy under attack", Unit.SHARE, BoundKind.AT_MOST, higher_is_better=True
    ),
    "transfer_rate": Metric("Attacks that also break the other model", Unit.SHARE),
    "trigger_gap": Metric(
        "Success of one trigger on the variant, minus that on the parent",
        Unit.NONE,
        BoundKind.AT_LEAST,
        higher_is_better=False,
    ),
}
"""What a duel emits."""


@dataclass(frozen=True, slots=True)
class PairedAttackPlan:
    """The suite and its budgets, how many rows it is thrown at, and how triggers are sought."""

    suite: AttackSuite
    budgets: tuple[float, ...]
    attacked: int
    search: TriggerSearch
    rows: int


def attack_both_models(subject: Subject, other: Subject, duel: PairedAttackPlan) -> Evidence:
    """Attack a variant and its parent, carry over what broke either, and look for triggers.

    ``subject`` holds the variant, ``other`` the parent, each with its twin. Raises what
    ``run_attack_check`` raises.
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


def build_paired_readings(
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
        for item in build_robustness_readings(part, confidence, effort):
            if item.metric == "robust_accuracy":
                yield replace(item, params={**item.params, "of": prefix.rstrip("/")})
    for name, source in (("carried_to_parent", "variant"), ("carried_to_variant", "parent")):
        if name not in evidence:
            yield Gap(
                reason=GapReason.NOT_DEFINED,
                detail=f"No attack broke the {source}, so there is nothing to carry over.",
                cure="Raise `eps` or `stages` of hardware.variant, if that is not the answer "
                "hoped for.",
                metric="transfer_rate",
                params={"crafted_against": source},
            )
            continue
        broke = cast("NDArray[np.bool_]", evidence[name])
        interval = clopper_pearson(int(broke.sum()), len(broke), confidence)
        yield Measurement.of(
            interval, "transfer_rate", Unit.SHARE, params={"crafted_against": source}
        )
    yield from _triggers(evidence, confidence)


def _fight(subject: Subject, duel: PairedAttackPlan) -> Evidence:
    return run_attack_check(
        subject, duel.suite, duel.budgets, norm=Norm.LINF, rows=duel.attacked, examples=0
    )


def _sought(subject: Subject, other: Subject, duel: PairedAttackPlan) -> Evidence:
    split = split_holdout(subject, duel.rows, duel.rows)
    lacking = report_too_few_rows(split)
    if lacking is not None:
        return {"triggers": lacking["settings"]}
    task = cast("ClassificationTask", subject.task)
    couple = ModelPair(
        task,
        cast("Model", subject.model),
        cast("Twin", subject.twin),
        cast("Model", other.model),
        cast("Twin", other.twin),
    )
    rng = np.random.default_rng(subject.seed)
    judged, fitted = split.judged.arena, split.prepared.arena
    found = [
        find_trigger(couple, judged, fitted, target, duel.search, rng, subject.progress)
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
    task = cast("ClassificationTask", subject.task)
    labels = cast("NDArray[np.int64]", seen["labels"])[
        cast("NDArray[np.int64]", seen["crafted_rows"])
    ]
    decided = task.decide(other.probabilities(other.predict(crafted)))
    return {name: decided != labels}


def _triggers(evidence: Evidence, confidence: float) -> Iterator[Reading]:
    """Return, class by class, how much more often the trigger works on the variant."""
    gap = too_few_rows_gap(cast("dict[str, Json]", evidence.get("triggers", {})))
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
            bound=BoundKind.AT_LEAST,
            params={"class": classes[target], "eps": cast("float", evidence["trigger_eps"])},
            details={
                "success_on_variant": float(on_variant.mean()),
                "success_on_parent": float(on_parent.mean()),
            },
        )
