"""Selection of tabular rows to attack, and the evidence of the attack."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import cast

import numpy as np

from auditor.attacks.evasion.attack_setup import prepare_attack_run
from auditor.attacks.evasion.evidence import describe_fill, list_still_budgets, write_goal
from auditor.attacks.evasion.goals import HarmfulDecisionGoal
from auditor.attacks.evasion.readings import class_coordinates
from auditor.attacks.evasion.row_evidence import SAID, SHARED, robust_row_figures
from auditor.attacks.tabular.attack import Rows, TabularSetup, build_tabular_setup
from auditor.attacks.tabular.campaign import TabularAttackResult
from auditor.attacks.tabular.constraints.reachable_box import Mask
from auditor.attacks.tabular.constraints.row_constraints import RowConstraints, prepare_constraints
from auditor.attacks.tabular.constraints.violations import satisfies_constraints
from auditor.attacks.tabular.readings import recount_table
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import Dataset, DatasetRole
from auditor.domain.evidence import Evidence, Item
from auditor.domain.feature_relations import evaluate_formula
from auditor.domain.json import Json
from auditor.domain.readings import Gap
from auditor.domain.row_evidence import RowEvidence, RowFigures
from auditor.domain.tasks import Array, Floats, InputSpace


@dataclass(frozen=True, slots=True, eq=False)
class TabularRun:
    """The attacked rows: ``sample`` are their numbers in ``dataset``.

    ``left_out`` are rows passed over because as they are they already break a relation.
    """

    table: TabularSetup
    dataset: Dataset
    sample: Rows
    left_out: tuple[str, ...]


NO_TABLE = "The rows are no table: the audit file declares no features."


def is_table(space: InputSpace, inputs: Array) -> bool:
    """Return whether rows have one value for each of the features that are declared."""
    return bool(space.features) and inputs.shape[1:] == (len(space.features),)


def prepare_tabular_run(
    subject: Subject, rows: int, label: str, decision: str, most_features: int
) -> TabularRun | str:
    """Take the first ``rows`` rows of the audit's permutation that the goal is about, or say why
    there are none.

    ``label`` and ``decision`` narrow the goal (``goals.goal_of``). A row that breaks a relation as
    it is is left out: it stands outside of what may be crafted. Raises ``TypeError`` where a need
    is not met, and ``PolicyError`` for a goal that the task does not have.
    """
    dataset, space = subject.datasets[DatasetRole.EVALUATION], subject.space
    if isinstance(space, Gap) or dataset.inputs is None:
        message = "the frame asks for needs first"
        raise TypeError(message)
    if not is_table(space, dataset.inputs):
        return NO_TABLE
    impossible = int((~satisfies_constraints(prepare_constraints(space), dataset.inputs)).sum())
    bout = prepare_attack_run(subject, rows + impossible, label=label, decision=decision)
    found = build_tabular_setup(bout.arena, most_features)
    possible = satisfies_constraints(found.constraints, bout.arena.rows)
    chosen = np.flatnonzero(possible)[:rows]
    if not len(chosen):
        return "No row that the goal is about keeps the relations."
    left_out = np.flatnonzero(~possible[: chosen[-1]])
    arena = replace(
        found.arena,
        rows=found.arena.rows[chosen],
        labels=found.arena.labels[chosen],
        probabilities=found.arena.probabilities[chosen],
    )
    names = tuple(dataset.ids[row] for row in bout.sample[left_out])
    return TabularRun(replace(found, arena=arena), dataset, bout.sample[chosen], names)


def describe_tabular_run(
    entered: TabularRun, found: TabularAttackResult, most_examples: int
) -> Evidence:
    """Return what was seen of the attacked rows: enough to count again without any model.

    ``crafted`` holds each broken row's candidate of the least budget, ``minimal`` one in which no
    moved unit can be put back; ``kept`` says of both which relation each of them keeps. Up to
    ``most_examples`` rows are kept clean and crafted: ask for none where the owner's rows must not
    leave.
    """
    attacked, dataset, standing = entered.table, entered.dataset, found.standing
    arena, constraints = attacked.arena, attacked.constraints
    wrong = arena.goal.reached(arena.probabilities, arena.labels)
    broken = np.flatnonzero(standing.broken & ~wrong)
    valid = np.flatnonzero(found.closed.minimal.valid)
    minimal = found.closed.minimal.points[valid]
    columns = dataset.groups.items()
    return {
        "settings": _settings(entered, found),
        "ids": [dataset.ids[row] for row in entered.sample],
        "labels": arena.labels,
        "groups": {name: [values[row] for row in entered.sample] for name, values in columns},
        "clean_probabilities": arena.probabilities,
        "adversarial_probabilities": standing.probabilities,
        "distance": attacked.distance(arena.rows, standing.crafted),
        "crafted": standing.crafted[broken],
        "crafted_rows": broken,
        "crafted_kept": check_relations(constraints, standing.crafted[broken]),
        "minimal": minimal,
        "minimal_rows": found.closed.rows[valid],
        "minimal_kept": check_relations(constraints, minimal),
        "minimal_probabilities": found.closed.probabilities[valid],
        "minimal_moved": found.closed.minimal.moved[valid],
        "minimal_certain": found.closed.certain[valid],
        **_changes(entered, found.closed.rows[valid], minimal),
        **_examples(entered, found, valid, most_examples),
    }


def check_relations(constraints: RowConstraints, rows: Array) -> Mask:
    """Return which relation each of ``[n, features]`` rows keeps, as ``[n, relations]``."""
    columns = constraints.columns(rows)
    found = [
        np.broadcast_to(evaluate_formula(relation.formula, columns), len(rows))
        for relation in constraints.relations
    ]
    return np.stack(found, axis=1) if found else np.zeros((len(rows), 0), dtype=np.bool_)


def _changes(entered: TabularRun, rows: Rows, minimal: Array) -> dict[str, Item]:
    """Return how far each column moves on average where it moves: no row can be read off."""
    arena, width = entered.table.arena, entered.table.constraints.width
    change = minimal.astype(np.float64) - arena.rows[rows].astype(np.float64)
    count = (change != 0).sum(axis=0)
    total = (change / np.where(width > 0, width, 1.0)).sum(axis=0)
    return {"mean_change": total / np.maximum(count, 1), "moved_rows": count}


def _examples(
    entered: TabularRun, found: TabularAttackResult, valid: Rows, most: int
) -> dict[str, Item]:
    """Return minimal counterexamples beside their clean rows, of each kind of move one first."""
    closed, arena, dataset = found.closed, entered.table.arena, entered.dataset
    # Order rows so that no set of moved units comes again before all others have come
    moved = closed.minimal.moved[valid]
    seen: Counter[bytes] = Counter()
    before = np.zeros(len(moved), dtype=np.int64)
    for row, units in enumerate(moved):
        before[row] = seen[units.tobytes()]
        seen[units.tobytes()] += 1
    various: Rows = np.lexsort((moved.sum(axis=1), before)).astype(np.int64)
    order = various[:most]
    chosen = valid[order]
    if not len(chosen):
        return {}
    rows, points = closed.rows[chosen], closed.minimal.points[chosen]
    clean = arena.rows[rows]
    return {
        "example_clean": clean,
        "example_adversarial": points,
        "example_places": order.astype(np.int64),
        "example_rows": [dataset.ids[entered.sample[row]] for row in rows],
        "example_clean_class": _said(arena.goal, arena.probabilities[rows]),
        "example_adversarial_class": _said(arena.goal, closed.probabilities[chosen]),
        "example_eps": [float(item) for item in entered.table.distance(clean, points)],
        "features": [feature.name for feature in arena.space.features],
    }


def _said(goal: object, probabilities: Floats) -> list[Json]:
    if not isinstance(goal, HarmfulDecisionGoal):
        raise TypeError(goal)
    return [goal.task.classes[index] for index in goal.task.decide(probabilities)]


def _settings(entered: TabularRun, found: TabularAttackResult) -> dict[str, Json]:
    """Return what figures need beside arrays: budgets, units, what counts, what it cost."""
    arena, constraints = entered.table.arena, entered.table.constraints
    left_out: Sequence[str] = entered.left_out
    told: dict[str, Json] = {
        "eps": list(found.budgets),
        "goal": write_goal(arena.goal),
        "most_features": entered.table.most_features,
        "columns": [feature.name for feature in constraints.features],
        "widths": [float(item) for item in constraints.width],
        "units": [
            {"name": unit.name, "columns": list(unit.columns), "choice": unit.choice}
            for unit in constraints.units
        ],
        "relations": [relation.text for relation in constraints.relations],
        "movable": list(found.movable),
        **list_still_budgets(found.budgets, found.movable),
        "left_out": list(left_out),
        "skipped": list(found.skipped),
        "log": [asdict(bill) for bill in found.log],
        "repeats": arena.repeats,
        "deterministic": arena.model.deterministic,
        **describe_fill(arena.space, entered.dataset),
    }
    if arena.twin is not None and any(bill.passes for bill in found.log):
        told["twin_distance"] = {name: float(item) for name, item in arena.twin.distance.items()}
        told["twin_source"] = dict(arena.twin.source)
    return told


def _adds(evidence: Evidence) -> tuple[RowFigures, ...]:
    """Return which rows are right without attack, and which stay right at each budget."""
    seen = recount_table(evidence)
    place = class_coordinates(cast("Mapping[str, Json]", evidence["settings"]))
    return (RowFigures("clean_accuracy", ~seen.wrong, place), *robust_row_figures(seen, place, {}))


TABLED = RowEvidence(each=SHARED | SAID, adds=_adds)
"""Settings name rows that were left out, and crafted rows are of some: these are withheld whole."""
