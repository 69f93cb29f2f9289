"""Runs the twin in the sandbox: forward and backward passes."""

import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from auditor.domain.models import TwinKind
from auditor.domain.targets import ModelInterface
from auditor.domain.tasks import Array, Floats
from auditor.errors import MissingExtraError, TwinError
from auditor.onnx.twin.build import DifferentiableTwin, TwinPlan, build_planned_twin, find_cut
from auditor.targets.protocol import MessageFrame
from auditor.targets.sandbox.request_loop import Operation, RefusalError

HELD_NUMBERS, LEAST_HELD = 2**20, 8
"""Of how many numbers of the input the passes are held at once; what a network makes of them may
be a thousand times as much. Of larger batches the forward pass is done again for the gradient."""


def operations() -> Mapping[str, Operation]:
    """Return what a child of this role answers."""
    # torch imports dill where it is installed, which asks for a folder that can be written to.
    # Nothing can be written here, and nothing is.
    tempfile.tempdir = "/tmp"  # noqa: S108 -- a name that is never opened
    bench = TwinHost()
    return {
        "twin_open": bench.open,
        "twin_forward": bench.forward,
        "twin_backward": bench.backward,
        "twin_pull": bench.pull,
        "twin_cut": bench.cut,
    }


class TwinHost:
    """Holds the one twin of this process, once it is built, and the rows of its last pass."""

    def __init__(self) -> None:
        self._twin: DifferentiableTwin | None = None
        self._plan: TwinPlan | None = None
        self._rows: tuple[Array, ...] = ()

    def open(self, request: MessageFrame) -> MessageFrame:
        """Build the twin that the request plans."""
        plan = _plan(request.header)
        try:
            self._twin, self._plan = build_planned_twin(plan), plan
        except (TwinError, MissingExtraError) as error:
            raise RefusalError("twin", error.problem, error.cure) from error
        return MessageFrame({})

    def forward(self, request: MessageFrame) -> MessageFrame:
        """Return ``logits`` of the rows ``x``, laid out as the model takes them."""
        self._rows = _split(request.arrays["x"])
        try:
            parts = [self._built().forward(rows) for rows in self._rows]
        except TwinError as error:
            raise RefusalError("twin", error.problem, error.cure) from error
        return MessageFrame({}, {"logits": np.concatenate(parts, dtype=np.float64)})

    def backward(self, request: MessageFrame) -> MessageFrame:
        """Return the ``gradient`` in the rows of the last forward pass."""
        twin, cotangent = self._built(), request.arrays["cotangent"]
        parts: list[Floats] = []
        start = 0
        for rows in self._rows:
            if len(self._rows) > 1:
                twin.forward(rows)
            parts.append(twin.backward(cotangent[start : start + len(rows)]))
            start += len(rows)
        return MessageFrame({}, {"gradient": np.concatenate(parts, dtype=np.float64)})

    def pull(self, request: MessageFrame) -> MessageFrame:
        """Return the ``gradient`` in the rows ``x``: both passes, of which the first stays here."""
        twin, start, parts = self._built(), 0, []
        self._rows = ()
        try:
            for rows in _split(request.arrays["x"]):
                twin.forward(rows)
                cotangent = request.arrays["cotangent"][start : start + len(rows)]
                parts.append(twin.backward(cotangent))
                start += len(rows)
        except TwinError as error:
            raise RefusalError("twin", error.problem, error.cure) from error
        return MessageFrame({}, {"gradient": np.concatenate(parts, dtype=np.float64)})

    def cut(self, request: MessageFrame) -> MessageFrame:
        """Say which ``operators`` let no gradient through on the rows ``x``."""
        if self._plan is None:
            raise _closed()
        return MessageFrame({"operators": list(find_cut(self._plan, request.arrays["x"]))})

    def _built(self) -> DifferentiableTwin:
        if self._twin is None:
            raise _closed()
        return self._twin


def _closed() -> RefusalError:
    return RefusalError("protocol", "no twin is open", "Send twin_open first.")


def _split(rows: Array) -> tuple[Array, ...]:
    size = max(LEAST_HELD, HELD_NUMBERS // max(1, math.prod(rows.shape[1:])))
    return tuple(rows[start : start + size] for start in range(0, max(1, len(rows)), size))


def _plan(said: Mapping[str, Any]) -> TwinPlan:
    interface, program = said["interface"], said.get("program")
    return TwinPlan(
        path=Path(said["path"]),
        interface=ModelInterface(**{**interface, "input_shape": tuple(interface["input_shape"])}),
        kind=TwinKind(said.get("kind", TwinKind.AUTO)),
        program=None if program is None else Path(program),
    )
