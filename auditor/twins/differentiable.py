"""The twin: logits of rows, and the gradient in them."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from auditor.domain.tasks import Array, Floats
from auditor.errors import TwinError
from auditor.twins.heads import Finish
from auditor.twins.interpreting import Program, cut_between

FLOOR = 1e-30
"""The smallest probability that a logarithm is taken of."""
AXES_OF_AN_IMAGE_BATCH = 4


def _log(scores: Tensor) -> Tensor:
    return torch.log(torch.clamp(scores, min=FLOOR))


def _log_odds(column: Tensor) -> Tensor:
    return torch.cat([_log(1 - column), _log(column)], 1)


def _beside_zero(column: Tensor) -> Tensor:
    return torch.cat([torch.zeros_like(column), column], 1)


FINISHES: Mapping[Finish, Callable[[Tensor], Tensor]] = {
    Finish.AS_IS: lambda values: values,
    Finish.LOG: _log,
    Finish.LOG_SIGMOID: functional.logsigmoid,
    Finish.BINARY_AS_IS: _beside_zero,
    Finish.BINARY_LOG_ODDS: _log_odds,
}


class TorchTwin:
    """A compiled graph with one input, and what turns its value into logits.

    ``batch`` is the number of rows that one run takes; ``None`` means any, of which ``run`` at a
    time.
    """

    def __init__(
        self, program: Program, *, value: str, finish: Finish, batch: int | None, run: int = 1024
    ) -> None:
        self.program = program
        self.value = value
        self._input = next(iter(program.graph.inputs))
        self._finish = finish
        self._batch = batch
        self._run = run
        self._rows: Tensor | None = None
        self._logits: Tensor | None = None

    def forward(self, x: Array) -> Floats:
        """Return ``[n, classes]`` logits, up to a constant a row, of rows as the model takes them.

        Raises ``TwinError`` where an operator fails, or where no gradient would come back.
        """
        self._rows = _as_rows(x).requires_grad_(True)  # noqa: FBT003 -- as torch
        parts = [self.logits(part) for part in _parts(self._rows, self._batch, self._run)]
        # Each further operator is one more to go back through: a run of its own needs none.
        self._logits = parts[0] if len(parts) == 1 else torch.cat(parts)
        if len(self._logits) > len(self._rows):
            self._logits = self._logits[: len(self._rows)]
        logits: Floats = self._logits.detach().to(torch.float64).numpy()
        return logits

    def backward(self, cotangent: Floats) -> Floats:
        """Return the gradient of ``sum(cotangent * logits)`` in the rows of the last forward pass.

        Raises ``TwinError`` when there was none.
        """
        if self._rows is None or self._logits is None:
            raise TwinError("a gradient was asked for before a forward pass", cure="Call forward.")
        pulled = torch.from_numpy(np.ascontiguousarray(cotangent, dtype=np.float32))
        # The slope of this number is the cotangent itself. Handing it over beside the logits would
        # have torch bring in its symbolic shapes: a quarter of a second, for nothing.
        value = torch.dot(self._logits.reshape(-1), pulled.reshape(-1))
        (gradient,) = torch.autograd.grad(value, self._rows, retain_graph=True)
        found: Floats = gradient.to(torch.float64).contiguous().numpy()
        return found

    def logits(self, rows: Tensor) -> Tensor:
        """Return the logits of a tensor of rows, with the graph that gradients come back through.

        Raises ``TwinError`` as ``forward`` does.
        """
        values = self.program.run({self._input: rows})
        scores = values[self.value]
        wanted = rows.requires_grad and torch.is_grad_enabled()
        if wanted and not scores.requires_grad:
            raise _no_gradient(self.program, values)
        if scores.numel() % len(rows):
            raise TwinError(
                f"{scores.numel()} scores came out for {len(rows)} rows",
                cure="Export the model with an open batch axis.",
            )
        return FINISHES[self._finish](scores.reshape(len(rows), -1))


def _no_gradient(program: Program, values: dict[str, Tensor]) -> TwinError:
    node = cut_between(program, values)
    where = "the scores do not depend on the input" if node is None else f"{node.label} cuts it off"
    return TwinError(
        f"no gradient reaches the input: {where}",
        cure="Attack the target directly (evasion.linf_query).",
    )


def _as_rows(x: Array) -> Tensor:
    rows = torch.from_numpy(np.array(x, dtype=np.float32, order="C", copy=True))
    if rows.dim() == AXES_OF_AN_IMAGE_BATCH:
        # Convolutions on the CPU are markedly faster with the channels innermost.
        return rows.contiguous(memory_format=torch.channels_last)
    return rows


def _parts(rows: Tensor, batch: int | None, run: int) -> list[Tensor]:
    if batch is None:
        return [rows] if len(rows) <= run else list(torch.split(rows, run))
    lacking = -len(rows) % batch
    full = torch.cat([rows, rows[-1:].expand(lacking, *rows.shape[1:])]) if lacking else rows
    return list(torch.split(full, batch))


def agree(left: NDArray[np.float64], right: NDArray[np.float64], tolerance: float) -> bool:
    """Whether two sets of logits say the same, relative to their size."""
    scale = max(1.0, float(np.abs(right).max(initial=0.0)))
    return left.shape == right.shape and bool(np.abs(left - right).max() <= tolerance * scale)
