"""The twin: forward and backward passes of a differentiable equal of the artifact."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from auditor.domain.targets import Interface
from auditor.errors import MissingExtraError, TwinError
from auditor.targets.child.serving import Operation, RefusalError
from auditor.targets.frames import Frame
from auditor.twins.building import DifferentiableTwin, build_twin


def operations() -> Mapping[str, Operation]:
    """Return what a child of this role answers."""
    bench = TwinBench()
    return {"twin_open": bench.open, "twin_forward": bench.forward, "twin_backward": bench.backward}


class TwinBench:
    """Holds the one twin of this process, once it is built."""

    def __init__(self) -> None:
        self._twin: DifferentiableTwin | None = None

    def open(self, request: Frame) -> Frame:
        """Build the twin of the file at ``path`` for ``interface``."""
        path = Path(request.header["path"])
        try:
            self._twin = build_twin(path, _interface(request.header["interface"]))
        except (TwinError, MissingExtraError) as error:
            raise RefusalError("twin", error.problem, error.cure) from error
        return Frame({})

    def forward(self, request: Frame) -> Frame:
        """Return ``logits`` of the rows ``x``, laid out as the model takes them."""
        try:
            logits = self._built().forward(request.arrays["x"])
        except TwinError as error:
            raise RefusalError("twin", error.problem, error.cure) from error
        return Frame({}, {"logits": np.asarray(logits, dtype=np.float64)})

    def backward(self, request: Frame) -> Frame:
        """Return the ``gradient`` in the rows of the last forward pass."""
        gradient = self._built().backward(request.arrays["cotangent"])
        return Frame({}, {"gradient": np.asarray(gradient, dtype=np.float64)})

    def _built(self) -> DifferentiableTwin:
        if self._twin is None:
            raise RefusalError("protocol", "no twin is open", "Send twin_open first.")
        return self._twin


def _interface(said: Mapping[str, Any]) -> Interface:
    return Interface(**{**said, "input_shape": tuple(said["input_shape"])})
