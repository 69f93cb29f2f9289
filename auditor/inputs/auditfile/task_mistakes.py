"""Mistakes in the ``task`` section of an audit file beyond the type of each value."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from auditor._yaml import Place
from auditor.inputs.auditfile.schema import TaskSectionSchema

Mistake: TypeAlias = tuple[Place, str, str]
"""Where it stands, what is wrong with it, and the cure."""
Matrix: TypeAlias = tuple[tuple[float, ...], ...]
Costs: TypeAlias = "Mapping[str, Mapping[str, float]] | Matrix"

LEAST_CLASSES = 2
OF_CLASSES = ("classes", "output", "positive", "favourable", "threshold", "costs", "reject")
REGRESSION = "regression"


def find_task_mistakes(task: TaskSectionSchema) -> Iterator[Mistake]:
    """Name what has no meaning in a task, or names a class that is none."""
    if task.kind == REGRESSION:
        yield from _regression_mistakes(task)
        return
    if task.tolerance is not None:
        problem = "is set, but only a regression has a tolerance"
        yield ("task", "tolerance"), problem, "Set task.kind: regression, or remove it."
    if not 0 < task.threshold < 1:
        cure = "Set a probability between 0 and 1, or remove it."
        yield ("task", "threshold"), f"is {task.threshold:g}, which decides nothing", cure
    if task.classes is not None:
        yield from _class_mistakes(task, task.classes)
    if task.costs is not None:
        yield from _cost_mistakes(task, task.costs)


def _regression_mistakes(task: TaskSectionSchema) -> Iterator[Mistake]:
    if task.tolerance is None:
        cure = "Set task.tolerance: the largest error that does no harm, in the labels' unit."
        yield ("task", "kind"), "is regression, but task.tolerance is not set", cure
    elif task.tolerance <= 0:
        problem = f"is {task.tolerance:g}, by which every prediction is wrong"
        yield ("task", "tolerance"), problem, "Set a number above 0, in the labels' unit."
    for name in OF_CLASSES:
        if name in task.model_fields_set and getattr(task, name) is not None:
            problem = "is set, but a regression has no classes"
            yield ("task", name), problem, "Remove it, or set task.kind: classification."


def _class_mistakes(task: TaskSectionSchema, classes: tuple[str, ...]) -> Iterator[Mistake]:
    if len(classes) < LEAST_CLASSES:
        yield ("task", "classes"), "lists fewer than two classes", "List every class."
    if len(set(classes)) < len(classes):
        yield ("task", "classes"), "lists a class twice", "List every class once."
    for name in ("positive", "favourable", "reject"):
        label = getattr(task, name)
        if label is not None and label not in classes:
            problem = f"is {label!r}, which task.classes does not list"
            yield ("task", name), problem, f"Choose one of {', '.join(classes)}."
    if task.reject in classes and len(set(classes)) <= LEAST_CLASSES:
        problem = f"leaves one class beside {task.reject!r}, so there is nothing to decide"
        yield ("task", "reject"), problem, "List every class that the model can decide for."


def _cost_mistakes(task: TaskSectionSchema, costs: Costs) -> Iterator[Mistake]:
    if isinstance(costs, tuple):
        yield from _matrix_mistakes(costs, task.classes)
    else:
        yield from _name_mistakes(costs, task.classes)
    entries = list(_written(costs, task.classes))
    for entry in entries:
        place = ("task", "costs", *entry.place)
        if entry.cost < 0:
            yield place, f"is {entry.cost:g}, which is not a cost", "Write 0 or a positive number."
        elif entry.label == entry.decision and entry.cost:
            problem = f"is {entry.cost:g}, though the decision is right"
            yield place, problem, "Write 0 for the label itself, or remove it."
    if not any(entry.cost > 0 and entry.decision != task.reject for entry in entries):
        cure = "Give the wrong decisions that do harm a positive number, or remove task.costs."
        yield ("task", "costs"), "gives no decision a cost, so nothing could go wrong", cure


def _matrix_mistakes(costs: Matrix, classes: tuple[str, ...] | None) -> Iterator[Mistake]:
    if classes is None:
        cure = "List task.classes, or write {label: {decision: cost}}."
        problem = "is a matrix, but task.classes does not say in which order"
        yield ("task", "costs"), problem, cure
        return
    cure = f"Write one row a label and one number a decision, for {', '.join(classes)}."
    if len(costs) != len(classes):
        problem = f"has {len(costs)} rows for {len(classes)} classes"
        yield ("task", "costs"), problem, cure
    for index, row in enumerate(costs):
        if len(row) != len(classes):
            problem = f"has {len(row)} numbers for {len(classes)} classes"
            yield ("task", "costs", index), problem, cure


def _name_mistakes(
    costs: Mapping[str, Mapping[str, float]], classes: tuple[str, ...] | None
) -> Iterator[Mistake]:
    if classes is None:
        return  # the labels of the data will say what classes there are
    for label, decisions in costs.items():
        strangers = [(label,)] if label not in classes else []
        places = strangers + [(label, name) for name in decisions if name not in classes]
        for place in places:
            problem = f"names {place[-1]!r}, which task.classes does not list"
            yield ("task", "costs", *place), problem, f"Choose from {', '.join(classes)}."


@dataclass(frozen=True, slots=True)
class _CostEntry:
    place: Place
    label: str
    decision: str
    cost: float


def _written(costs: Costs, classes: tuple[str, ...] | None) -> Iterator[_CostEntry]:
    if not isinstance(costs, tuple):
        for label, decisions in costs.items():
            for decision, cost in decisions.items():
                yield _CostEntry((label, decision), label, decision, cost)
        return
    names = dict(enumerate(classes or ()))
    for index, row in enumerate(costs):
        for column, cost in enumerate(row):
            label, decision = names.get(index, str(index)), names.get(column, str(column))
            yield _CostEntry((index, column), label, decision, cost)
