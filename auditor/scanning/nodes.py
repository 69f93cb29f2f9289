"""How many nodes a graph has when a runtime places them, counted beside the target."""

from collections.abc import Mapping
from typing import TypeAlias

from auditor.domain.canonical import Json
from auditor.domain.models import Model
from auditor.domain.placements import Placement, Source
from auditor.domain.readings import Gap, Reason
from auditor.domain.subjects import Subject

Kinds: TypeAlias = dict[str, int]
"""Nodes by kind of operator, without its domain."""
OPTIMISED = ("basic", "extended", "all")


def count_nodes(subject: Subject, placed: Placement) -> tuple[Kinds, str] | Gap:
    """Count the nodes that the target's runtime should name, and say by whom they were counted.

    A runtime assigns what its basic optimisation leaves; the reference optimises the same file
    in the same way. Without optimisation, the file itself is the graph.
    """
    if placed.source is not Source.ASSIGNMENT:
        return _gap(f"the placement is {placed.source.value}, not the runtime's assignment")
    if subject.target.graph_optimization not in OPTIMISED:
        return _in_file(subject)
    reference = subject.reference.model()
    if isinstance(reference, Gap):
        return _gap(f"there is no reference: {reference.detail}")
    alike = subject.reference.about.get("graph_optimization") in OPTIMISED
    if not alike or reference.placement.source is not Source.ASSIGNMENT:
        return _gap("the reference does not optimise the graph as this runtime does")
    runtimes = {_runtime(reference), _runtime(subject.model)} - {""}
    if len(runtimes) > 1:
        return _gap(f"the target and the reference run {' and '.join(sorted(runtimes))}")
    return by_kind(reference.placement.nodes), "the reference, after basic optimisation"


def by_kind(nodes: Mapping[str, Mapping[str, int]]) -> Kinds:
    """Add up the nodes of each kind over all providers."""
    found: Kinds = {}
    for counts in nodes.values():
        for kind, count in counts.items():
            found[kind] = found.get(kind, 0) + count
    return found


def moved(expected: Mapping[str, int], named: Mapping[str, int]) -> tuple[Kinds, Kinds]:
    """Return what is expected and not named, and what is named beyond that, by kind."""
    kinds = sorted(expected.keys() | named.keys())
    change = {kind: named.get(kind, 0) - expected.get(kind, 0) for kind in kinds}
    missing = {kind: -by for kind, by in change.items() if by < 0}
    return missing, {kind: by for kind, by in change.items() if by > 0}


def _in_file(subject: Subject) -> tuple[Kinds, str] | Gap:
    if isinstance(subject.structure, Gap):
        return _gap(subject.structure.detail.rstrip("."))
    found: Kinds = {}
    for operator, count in subject.structure.operators.items():
        kind = operator.rpartition("::")[2]
        found[kind] = found.get(kind, 0) + count
    return found, "the file, as the target optimises nothing"


def _runtime(model: Model | Gap) -> str:
    if isinstance(model, Gap):
        return ""
    facts: Json = model.fingerprint.identity_facts.get("runtime")
    return f"{facts.get('name')} {facts.get('version')}" if isinstance(facts, Mapping) else ""


def _gap(why: str) -> Gap:
    return Gap(
        reason=Reason.NEEDS_REFERENCE,
        detail=f"The graph's nodes cannot be counted beside the target: {why}.",
        cure="Leave `reference` out of the audit file, or name a target of the same onnxruntime.",
        metric="unaccounted_nodes",
    )
