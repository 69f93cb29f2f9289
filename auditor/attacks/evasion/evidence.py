"""Evidence of an evasion attack, sufficient to recount its successes without the model."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.evasion.attack_setup import AttackRun, AttackSetup
from auditor.attacks.evasion.goals import AttackGoal, HarmfulDecisionGoal, RegressionErrorGoal
from auditor.attacks.evasion.losses import Labels
from auditor.attacks.evasion.norms import Norm, row_norms
from auditor.attacks.evasion.query_costs import SweepResult
from auditor.attacks.evasion.threat_model import is_within_budget
from auditor.domain.datasets import Dataset
from auditor.domain.evidence import Evidence, Item
from auditor.domain.json import Json
from auditor.domain.models import Twin
from auditor.domain.tasks import (
    FILLED,
    LEAST_FILLED,
    ClassificationTask,
    Floats,
    InputSpace,
    RegressionTask,
)

MOST_CRAFTED_BYTES = 4 * 2**20
"""How much of crafted inputs is kept: all of a small model's, a prefix of a large one's."""


def describe_attack_run(
    bout: AttackRun, found: SweepResult, *, most_examples: int, twin: Twin | None
) -> Evidence:
    """Return what was seen of the attacked rows.

    ``crafted`` holds the nearest successful candidate of each broken row; ``crafted_rows`` places
    them in the sample. ``mean_change`` and ``moved_share`` say of each coordinate how far and how
    often it moved in these. Up to ``most_examples`` broken rows are kept clean and crafted: ask
    for none where the owner's rows must not leave.
    """
    arena = bout.arena
    broken = np.flatnonzero(np.isfinite(found.breaking) & (found.breaking > 0))
    kept = broken[: max(1, MOST_CRAFTED_BYTES // max(1, arena.rows[0].nbytes))]
    outcomes = describe_outcomes(bout, found)
    told = {**cast("Mapping[str, Json]", outcomes["settings"])}
    if twin is not None:
        told["twin_distance"] = {name: float(item) for name, item in twin.distance.items()}
        told["twin_source"] = dict(twin.source)
    # Which coordinates move, over all broken rows together: no row can be read off
    if not len(broken):
        changes = {}
    else:
        width = arena.threat(found.budgets[-1]).width
        clean = arena.rows[broken].astype(np.float64)
        change = np.abs(found.crafted[broken].astype(np.float64) - clean)
        share = np.nan_to_num(change / np.where(width > 0, width, 1.0))
        changes = {
            "mean_change": share.mean(axis=0),
            "moved_share": (share > 0).mean(axis=0),
            "features": [feature.name for feature in arena.space.features],
        }
    return {
        **outcomes,
        "settings": told,
        "crafted": found.crafted[kept],
        "crafted_rows": kept,
        **changes,
        **_examples(bout, found, most_examples),
    }


def describe_outcomes(bout: AttackRun, found: SweepResult) -> Evidence:
    """Return what figures are counted from: what the target said of rows, clean and attacked."""
    columns = bout.dataset.groups.items()
    return {
        "settings": {
            **_settings(bout.arena, found),
            **describe_fill(bout.arena.space, bout.dataset),
        },
        "ids": [bout.dataset.ids[row] for row in bout.sample],
        "labels": bout.arena.labels,
        "groups": {name: [values[row] for row in bout.sample] for name, values in columns},
        "clean_probabilities": bout.arena.probabilities,
        "adversarial_probabilities": found.probabilities,
        "distance": found.distance,
    }


def _examples(bout: AttackRun, found: SweepResult, most: int) -> dict[str, Item]:
    """Return broken rows, clean and crafted, the easiest to break first."""
    order = np.argsort(found.breaking, kind="stable")
    chosen = [int(row) for row in order if 0 < found.breaking[row] < np.inf][:most]
    if not chosen:
        return {}
    arena, dataset = bout.arena, bout.dataset
    return {
        "example_clean": arena.rows[chosen],
        "example_adversarial": found.crafted[chosen],
        "example_places": np.array(chosen, dtype=np.int64),
        "example_rows": [dataset.ids[bout.sample[row]] for row in chosen],
        "example_clean_class": [_said(arena.goal, arena.probabilities[row]) for row in chosen],
        "example_adversarial_class": [
            _said(arena.goal, found.probabilities[row]) for row in chosen
        ],
        "example_eps": [float(found.breaking[row]) for row in chosen],
        "features": list(dataset.features),
        "range": arena.threat(found.budgets[-1]).width,
    }


def _said(goal: AttackGoal, probabilities: Floats) -> str:
    if isinstance(goal, HarmfulDecisionGoal):
        return goal.task.classes[int(goal.task.decide(probabilities[None])[0])]
    return f"{float(probabilities[0]):.6g}"


def _settings(arena: AttackSetup, found: SweepResult) -> dict[str, Json]:
    """Return what figures need beside arrays: budgets, what counts as success, what it cost."""
    made = []
    for eps in found.budgets:
        radius = arena.threat(eps).radius
        moved = radius[radius > 0]
        made.append([float(moved.min()), float(moved.max())] if moved.size else [0.0, 0.0])
    return {
        "eps": list(found.budgets),
        "norm": arena.norm.value,
        "radius": made,
        "goal": write_goal(arena.goal),
        "coordinates": int(np.prod(arena.rows.shape[1:])),
        "movable": list(found.movable),
        **list_still_budgets(found.budgets, found.movable),
        "log": [asdict(bill) for bill in found.log],
        "repeats": arena.repeats,
        "channels": arena.threat(found.budgets[-1]).channels,
        "deterministic": arena.model.deterministic,
    }


STILL = "still"


def list_still_budgets(budgets: Sequence[float], movable: Sequence[int]) -> dict[str, Json]:
    """Return the budgets within which no input can move, where there are some.

    A step of an input may be larger than a budget: what moved nothing proves nothing.
    """
    still: list[Json] = [eps for eps, count in zip(budgets, movable, strict=True) if not count]
    return {STILL: still} if still else {}


def describe_fill(space: InputSpace, dataset: Dataset) -> dict[str, Json]:
    """Return the share of the declared ranges that the rows fill, where it is small."""
    filled = 1.0 if dataset.inputs is None else space.measure_fill(dataset.inputs)
    return {FILLED: filled} if filled < LEAST_FILLED else {}


def write_goal(goal: AttackGoal) -> dict[str, Json]:
    """Return a goal as JSON. Raises ``TypeError`` for one that has no JSON."""
    if isinstance(goal, HarmfulDecisionGoal):
        told: dict[str, Json] = {
            "costs": [[float(cost) for cost in row] for row in goal.task.costs],
            "reject": goal.task.reject,
            "label": goal.label,
            "decision": goal.decision,
        }
        return {
            "classes": list(goal.task.classes),
            "positive": goal.task.positive,
            "threshold": float(goal.task.threshold),
            "harmful": [[bool(item) for item in row] for row in goal.harmful],
            **{name: value for name, value in told.items() if value},
        }
    if isinstance(goal, RegressionErrorGoal):
        return {"tolerance": float(goal.task.tolerance)}
    raise TypeError(goal)


def read_task(told: Mapping[str, Json]) -> ClassificationTask:
    """Return the decision rule that evidence tells: classes, threshold, costs and rejection."""
    positive = str(told["positive"])
    costs = cast("Sequence[Sequence[float]]", told.get("costs", ()))
    return ClassificationTask(
        classes=tuple(cast("Sequence[str]", told["classes"])),
        positive=positive,
        favourable=positive,
        threshold=cast("float", told["threshold"]),
        costs=tuple(tuple(row) for row in costs),
        reject=cast("str | None", told.get("reject")),
    )


def read_goal(told: Mapping[str, Json]) -> AttackGoal:
    """Return the goal that ``write_goal`` wrote down."""
    if "tolerance" in told:
        return RegressionErrorGoal(RegressionTask(cast("float", told["tolerance"])))
    task = read_task(told)
    harmful = np.array(told["harmful"], dtype=np.bool_)
    return HarmfulDecisionGoal(
        task, harmful, str(told.get("label", "")), str(told.get("decision", ""))
    )


Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class RowOutcomes:
    """What evidence says of each row: ``wrong`` without attack, and how far its success lies.

    A row that is rejected without attack is neither right nor broken, and counts with the wrong
    ones. ``breaking`` is the size of the change that broke a row: 0 where wrong, infinite where
    none; ``harming`` the same without regard to rejections (``None``: there are none).
    """

    goal: AttackGoal
    labels: Labels
    budgets: tuple[float, ...]
    wrong: Mask
    breaking: Floats
    harming: Floats | None = None

    @property
    def broken(self) -> Mask:
        """Whether a change within each budget breaks a row that was right: ``[budgets, n]``."""
        fell = [is_within_budget(self.breaking, eps) & ~self.wrong for eps in self.budgets]
        return np.array(fell, dtype=np.bool_)

    @property
    def right(self) -> Mask:
        """Whether a row stays right, at each budget."""
        kept: Mask = ~self.wrong & ~self.broken
        return kept


def recount_rows(evidence: Evidence) -> RowOutcomes:
    """Count again which rows the target got wrong, and how far their candidates lie.

    Raises ``ValueError`` where the evidence contradicts itself.
    """
    settings = cast("Mapping[str, Json]", evidence["settings"])
    goal = read_goal(cast("Mapping[str, Json]", settings["goal"]))
    labels = cast("Labels", evidence["labels"])
    budgets = tuple(float(eps) for eps in cast("Sequence[float]", settings["eps"]))
    clean = cast("Floats", evidence["clean_probabilities"])
    harmed = goal.reached(clean, labels)
    reached = goal.reached(cast("Floats", evidence["adversarial_probabilities"]), labels)
    # The change of each row's candidate, measured anew where both inputs are at hand
    distance = cast("Floats", evidence["distance"]).copy()
    if "example_clean" in evidence:
        places = cast("NDArray[np.int64]", evidence["example_places"])
        distance_clean = cast("Floats", evidence["example_clean"]).astype(np.float64)
        crafted = cast("Floats", evidence["example_adversarial"]).astype(np.float64)
        width = cast("Floats", evidence["range"])
        change = (crafted - distance_clean) / np.where(width > 0, width, 1.0)
        channels = cast("Mapping[str, int | None]", evidence["settings"]).get("channels")
        distance[places] = np.maximum(
            distance[places], row_norms(change, Norm(str(settings["norm"])), channels)
        )
    found = np.where(reached, distance, np.inf)
    harming = np.where(harmed, 0.0, found)
    wrong = (
        harmed | goal.rejected(clean, labels) if isinstance(goal, HarmfulDecisionGoal) else harmed
    )
    return RowOutcomes(goal, labels, budgets, wrong, np.where(wrong, 0.0, found), harming)
