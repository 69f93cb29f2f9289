"""Builds a model's twin: a differentiable equal of an ONNX file."""

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from auditor.domain.targets import Interface
from auditor.domain.tasks import Array, Floats
from auditor.errors import MissingExtraError, TwinError
from auditor.twins.batches import free_batch
from auditor.twins.graphs import Graph, load_graph
from auditor.twins.heads import Head, find_head

if TYPE_CHECKING:
    from auditor.twins.differentiable import TorchTwin

PROBES = 3
SAME = 1e-4


class DifferentiableTwin(Protocol):
    """Logits of rows laid out as the model takes them, and the gradient in those rows."""

    def forward(self, x: Array) -> Floats:
        """Return ``[n, classes]`` logits, up to a constant a row."""
        ...

    def backward(self, cotangent: Floats) -> Floats:
        """Pull ``[n, classes]`` back through the last ``forward``."""
        ...


def build_twin(path: Path, interface: Interface) -> DifferentiableTwin:
    """Return the twin of the ONNX file at ``path``, computing in float32 on one thread.

    One probability or logit column gives two columns of logits, the second one for what the
    column speaks of. Raises ``TwinError`` that names the operator which has no differentiable
    form or cuts the gradient, and ``MissingExtraError`` where torch is not installed.
    """
    graph = load_graph(path)
    head = find_head(graph, interface.output, interface.scores)
    head = Head(_part(head.graph, head.value, interface.input), head.value, head.finish)
    try:
        import torch  # noqa: PLC0415 -- heavy and optional: only a twin needs it
    except ImportError as missing:
        raise MissingExtraError(
            "a differentiable twin needs torch, which is not installed",
            cure="Install it: pip install 'auditor[attacks]'.",
        ) from missing
    torch.set_num_threads(1)
    return _twin(head, interface)


def _part(graph: Graph, value: str, name: str) -> Graph:
    part = graph.needed_for(value)
    if set(part.inputs) != {name}:
        found = ", ".join(part.inputs) or "nothing"
        raise TwinError(
            f"the scores depend on {found}, and not on the input {name!r} alone",
            cure="Give the model one input tensor.",
        )
    return part


def _twin(head: Head, interface: Interface) -> "TorchTwin":
    from auditor.twins.differentiable import TorchTwin, agree  # noqa: PLC0415 -- needs torch
    from auditor.twins.interpreting import compile_graph  # noqa: PLC0415 -- needs torch

    program = compile_graph(head.graph)
    fixed = interface.fixed_batch
    exact = TorchTwin(program, value=head.value, finish=head.finish, batch=fixed)
    if fixed is None:
        return exact
    freed = compile_graph(free_batch(program.graph, fixed))
    quick = TorchTwin(freed, value=head.value, finish=head.finish, batch=None)
    probe = np.random.default_rng(0).random((PROBES * fixed, *interface.input_shape))
    try:
        same = agree(quick.forward(probe), exact.forward(probe), SAME)
    except TwinError:
        return exact
    return quick if same else exact
