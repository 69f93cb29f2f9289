"""Traversal of parsed ONNX models, and node counts as the target's runtime places them."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias

import onnx

from auditor.domain.check_subject import Subject
from auditor.domain.json import Json
from auditor.domain.models import Model
from auditor.domain.operator_placement import OperatorPlacement, PlacementSource
from auditor.domain.readings import Gap, GapReason
from auditor.onnx.scan.unsafe_entries import printable_excerpt

STANDARD = "ai.onnx"
MOST = 2**53 - 1
"""Numbers beyond this have no place in canonical JSON."""


@dataclass(frozen=True, slots=True)
class PlacedTensor:
    """A tensor and where it stands; ``name`` is empty for one that no other part can refer to."""

    tensor: onnx.TensorProto
    name: str
    where: str


def decode_text(value: object) -> str:
    """Return a protobuf string; one that is not UTF-8 comes as bytes and is shown escaped."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def walk_nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Yield every node of the graph, its subgraphs, the functions, and the training part."""
    waiting = []
    waiting.extend(model.graph.node)
    for training in model.training_info:
        waiting.extend(training.initialization.node)
        waiting.extend(training.algorithm.node)
    for function in model.functions:
        waiting.extend(function.node)
        # A function's default attributes may hold graphs and tensors too: a node without operator.
        waiting.append(onnx.NodeProto(attribute=function.attribute_proto))
    while waiting:
        node = waiting.pop()
        yield node
        for attribute in node.attribute:
            for graph in chain([attribute.g], attribute.graphs):
                waiting.extend(graph.node)


def walk_graphs(model: onnx.ModelProto) -> Iterator[onnx.GraphProto]:
    """Yield every graph: the main one, those of training, and all subgraphs."""
    yield model.graph
    for training in model.training_info:
        yield training.initialization
        yield training.algorithm
    for node in walk_nodes(model):
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield attribute.g
            yield from attribute.graphs


def walk_tensors(model: onnx.ModelProto) -> Iterator[PlacedTensor]:
    """Yield every tensor: initializers, sparse ones, and those in attributes."""
    for graph in walk_graphs(model):
        for tensor in graph.initializer:
            name = decode_text(tensor.name)
            yield PlacedTensor(tensor, name, f"initializer {printable_excerpt(name)}")
        for sparse in graph.sparse_initializer:
            name = decode_text(sparse.values.name)
            yield PlacedTensor(sparse.values, name, f"sparse initializer {printable_excerpt(name)}")
            yield PlacedTensor(sparse.indices, "", f"sparse initializer {printable_excerpt(name)}")
    for node in walk_nodes(model):
        where = f"node {printable_excerpt(decode_text(node.name) or decode_text(node.op_type))}"
        for attribute in node.attribute:
            sparse_ones = chain([attribute.sparse_tensor], attribute.sparse_tensors)
            for tensor in chain([attribute.t], attribute.tensors):
                yield PlacedTensor(tensor, "", where)
            for sparse in sparse_ones:
                yield PlacedTensor(sparse.values, "", where)
                yield PlacedTensor(sparse.indices, "", where)


def count_operators(model: onnx.ModelProto) -> Counter[tuple[str, str]]:
    """Count operators by domain and name; the standard domain is spelled out."""
    named = (node for node in walk_nodes(model) if node.op_type)
    return Counter(
        (decode_text(node.domain) or STANDARD, decode_text(node.op_type)) for node in named
    )


def local_functions(model: onnx.ModelProto) -> frozenset[tuple[str, str]]:
    """Return the model's own functions by domain and name: their bodies are in the file."""
    return frozenset(
        (decode_text(item.domain) or STANDARD, decode_text(item.name)) for item in model.functions
    )


def opset_versions(model: onnx.ModelProto) -> dict[str, int]:
    """Return the version that the model asks of each domain."""
    return {
        decode_text(item.domain) or STANDARD: max(-MOST, min(item.version, MOST))
        for item in model.opset_import
    }


def used_names(model: onnx.ModelProto) -> frozenset[str]:
    """Return every value name that a node takes in or a graph gives out."""
    taken = {decode_text(name) for node in walk_nodes(model) for name in node.input}
    given = {decode_text(item.name) for graph in walk_graphs(model) for item in graph.output}
    return frozenset(taken | given)


def count_elements(tensor: onnx.TensorProto) -> int:
    """Return how many numbers a tensor's shape says it has; a negative size says none."""
    count = 1
    for size in tensor.dims:
        count = min(count * max(size, 0), MOST)
    return count


Kinds: TypeAlias = dict[str, int]
"""Nodes by kind of operator, without its domain."""
OPTIMISED = ("basic", "extended", "all")


def count_nodes(subject: Subject, placed: OperatorPlacement) -> tuple[Kinds, str] | Gap:
    """Count the nodes that the target's runtime should name, and say by whom they were counted.

    A runtime assigns what its basic optimisation leaves; the reference optimises the same file
    in the same way. Without optimisation, the file itself is the graph.
    """
    if placed.source is not PlacementSource.ASSIGNMENT:
        return _gap(f"the placement is {placed.source.value}, not the runtime's assignment")
    if subject.target.graph_optimization not in OPTIMISED:
        if isinstance(subject.structure, Gap):
            return _gap(subject.structure.detail.rstrip("."))
        found: Kinds = {}
        for operator, count in subject.structure.operators.items():
            kind = operator.rpartition("::")[2]
            found[kind] = found.get(kind, 0) + count
        return found, "the file, as the target optimises nothing"
    reference = subject.reference.model()
    if isinstance(reference, Gap):
        return _gap(f"there is no reference: {reference.detail}")
    alike = subject.reference.about.get("graph_optimization") in OPTIMISED
    if not alike or reference.placement.source is not PlacementSource.ASSIGNMENT:
        return _gap("the reference does not optimise the graph as this runtime does")
    runtimes = {_runtime(reference), _runtime(subject.model)} - {""}
    if len(runtimes) > 1:
        return _gap(f"the target and the reference run {' and '.join(sorted(runtimes))}")
    return sum_nodes_by_kind(reference.placement.nodes), "the reference, after basic optimisation"


def sum_nodes_by_kind(nodes: Mapping[str, Mapping[str, int]]) -> Kinds:
    """Add up the nodes of each kind over all providers."""
    found: Kinds = {}
    for counts in nodes.values():
        for kind, count in counts.items():
            found[kind] = found.get(kind, 0) + count
    return found


def node_differences(expected: Mapping[str, int], named: Mapping[str, int]) -> tuple[Kinds, Kinds]:
    """Return what is expected and not named, and what is named beyond that, by kind."""
    kinds = sorted(expected.keys() | named.keys())
    change = {kind: named.get(kind, 0) - expected.get(kind, 0) for kind in kinds}
    missing = {kind: -by for kind, by in change.items() if by < 0}
    return missing, {kind: by for kind, by in change.items() if by > 0}


def _runtime(model: Model | Gap) -> str:
    if isinstance(model, Gap):
        return ""
    facts: Json = model.fingerprint.identity_facts.get("runtime")
    return f"{facts.get('name')} {facts.get('version')}" if isinstance(facts, Mapping) else ""


def _gap(why: str) -> Gap:
    return Gap(
        reason=GapReason.NEEDS_REFERENCE,
        detail=f"The graph's nodes cannot be counted beside the target: {why}.",
        cure="Leave `reference` out of the audit file, or name a target of the same onnxruntime.",
        metric="unaccounted_nodes",
    )
