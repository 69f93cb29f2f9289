"""Builds a model's twin: a differentiable equal of an ONNX file."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from auditor.domain.models import TwinKind
from auditor.domain.targets import ModelInterface
from auditor.domain.tasks import Array, Floats
from auditor.errors import MissingExtraError, TwinError, suggest_install
from auditor.onnx.graph import load_graph
from auditor.onnx.output_heads import OutputHead, find_output_head
from auditor.onnx.twin.fixed_batch import free_batch

if TYPE_CHECKING:
    from collections.abc import Callable

    from auditor.onnx.twin.torch_twin import TorchProgram, TorchTwin

PROBES = 3
SAME = 1e-4
ALL_ROWS = 2**31
RUN_NUMBERS, LEAST_RUN = 2**16, 2
"""How many numbers of the input one run takes: what a network makes of them then stays in the
processor's caches. Of 512 rows at once, convolutions took 74 ms on 28x28 pixels and 176 ms on
3x32x32; by this rule 58 and 123 ms. It goes by size alone and not by the clock, so that runs
repeat exactly: float sums of one row differ from those of eight rows and more. Several runs go side
by side; of 3x224x224 pixels, two rows a run take no longer a row than eight."""


class DifferentiableTwin(Protocol):
    """Logits of rows laid out as the model takes them, and the gradient in those rows."""

    def forward(self, x: Array) -> Floats:
        """Return ``[n, classes]`` logits, up to a constant a row."""
        ...

    def backward(self, cotangent: Floats) -> Floats:
        """Pull ``[n, classes]`` back through the last ``forward``."""
        ...


@dataclass(frozen=True, slots=True)
class TwinPlan:
    """What a twin is made from: an artifact's main file, or the owner's ``program`` beside it."""

    path: Path
    interface: ModelInterface
    kind: TwinKind = TwinKind.AUTO
    program: Path | None = None


def build_planned_twin(plan: TwinPlan) -> DifferentiableTwin:
    """Return the twin that ``plan`` asks for, computing in float32 on one thread.

    One probability or logit column gives two columns of logits, the second one for what the
    column speaks of. Raises ``TwinError`` that names the operator which has no differentiable
    form or cuts the gradient, and ``MissingExtraError`` where a library is not installed.
    """
    if plan.kind is TwinKind.ADJOINT:
        from auditor.onnx.twin.adjoint import open_adjoint_twin  # noqa: PLC0415 -- brings a runtime

        return open_adjoint_twin(plan.path, plan.interface)
    if plan.kind is TwinKind.EXPORTED:
        return _exported(plan)
    return build_twin(plan.path, plan.interface)


def build_twin(path: Path, interface: ModelInterface) -> DifferentiableTwin:
    """Return the twin of the ONNX file at ``path``, its operators in torch; see
    ``build_planned_twin``.
    """
    head = _head(path, interface)
    _start_torch()
    from auditor.onnx.twin.torch_twin import (  # noqa: PLC0415 -- needs torch
        MISTAKES,
        TorchTwin,
        batch_program,
        compile_graph,
        logits_agree,
    )

    program = compile_graph(head.graph)
    # How many rows one run takes: all, where their common range decides how they round
    if any(node.operator.startswith("DynamicQuantize") for node in head.graph.nodes):
        run_of = ALL_ROWS
    else:
        run_of = rows_per_run(interface.input_shape)
    fixed, run = interface.fixed_batch, run_of
    exact = TorchTwin(program, value=head.value, finish=head.finish, batch=fixed, run=run)
    if fixed is None:
        return exact
    probe = np.random.default_rng(0).random((PROBES * fixed, *interface.input_shape))
    wanted = exact.forward(probe)
    ways: tuple[Callable[[], TorchProgram], ...] = (
        lambda: compile_graph(free_batch(program.graph, fixed)),
        lambda: batch_program(program, fixed),
    )
    for free in ways:
        try:
            quick = TorchTwin(free(), value=head.value, finish=head.finish, batch=None, run=run)
            if logits_agree(quick.forward(probe), wanted, SAME):
                return quick
        except (TwinError, *MISTAKES):
            continue
    return exact


def find_cut(plan: TwinPlan, rows: Array) -> tuple[str, ...]:
    """Return the operators that let no gradient through on ``rows`` laid out for the model.

    Empty where there is none, or where torch, which looks for it, is not installed or does not
    know the operators.
    """
    try:
        _start_torch()
        from auditor.onnx.twin.blocked_gradient import find_gradient_cut  # noqa: PLC0415 -- needs torch
        from auditor.onnx.twin.torch_twin import compile_graph  # noqa: PLC0415 -- needs torch

        if plan.kind is TwinKind.EXPORTED:
            twin = _exported(plan)
            return find_gradient_cut(twin.program, twin.value, rows)
        head = _head(plan.path, plan.interface)
        return find_gradient_cut(compile_graph(head.graph), head.value, rows)
    except (TwinError, MissingExtraError):
        return ()


def rows_per_run(shape: tuple[int, ...]) -> int:
    """Return how many rows of a shape one run takes."""
    return max(LEAST_RUN, RUN_NUMBERS // max(1, math.prod(shape)))


def _start_torch() -> None:
    try:
        import torch  # noqa: PLC0415 -- heavy and optional: only a twin needs it
    except ImportError as missing:
        raise MissingExtraError(
            "a differentiable twin needs torch, which is not installed",
            cure=f"{suggest_install('attacks')}.",
        ) from missing
    torch.set_num_threads(1)


def _exported(plan: TwinPlan) -> "TorchTwin":
    if plan.program is None:
        raise TwinError("no exported program was given", cure="Name it in model.twin.")
    _start_torch()
    from auditor.onnx.twin.exported_program import open_exported_twin  # noqa: PLC0415 -- needs torch

    return open_exported_twin(
        plan.program, plan.interface, rows_per_run(plan.interface.input_shape)
    )


def _head(path: Path, interface: ModelInterface) -> OutputHead:
    graph = load_graph(path)
    head = find_output_head(graph, interface.output, interface.scores)
    part = head.graph.needed_for(head.value)
    if set(part.inputs) != {interface.input}:
        found = ", ".join(part.inputs) or "nothing"
        raise TwinError(
            f"the scores depend on {found}, and not on the input {interface.input!r} alone",
            cure="Give the model one input tensor.",
        )
    return OutputHead(part, head.value, head.finish)
