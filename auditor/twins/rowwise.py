"""A program of a fixed batch run on any number of rows at once, whatever its shapes fix."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from auditor.twins.interpreting import Program, Values


@dataclass(frozen=True, slots=True, eq=False)
class BatchedProgram(Program):
    """Runs the program for each ``fixed`` rows, all of them in one pass of ``torch.func.vmap``.

    The last rows are filled up by repeating the last one. Control flow that values decide cannot
    be run so, and raises ``TwinError`` that names the operator.
    """

    fixed: int = 1

    def run(self, feeds: Mapping[str, Any]) -> Values:
        """Return the program's outputs for all rows of its one input.

        Where no gradient comes back, the values of the first rows alone, all of them, so that who
        looks for what cut it off finds it.
        """
        ((name, rows),) = feeds.items()
        lacking = -len(rows) % self.fixed
        full = torch.cat([rows, rows[-1:].expand(lacking, *rows.shape[1:])]) if lacking else rows
        parts = full.reshape(-1, self.fixed, *rows.shape[1:])

        def run_one(part: torch.Tensor) -> tuple[torch.Tensor, ...]:
            values = super(BatchedProgram, self).run({name: part})
            return tuple(values[output] for output in self.graph.outputs)

        found = torch.func.vmap(run_one)(parts)
        if rows.requires_grad and not any(value.requires_grad for value in found):
            return super(BatchedProgram, self).run({name: parts[0]})
        pairs = zip(self.graph.outputs, found, strict=True)
        return {**feeds, **{output: value.flatten(0, 1)[: len(rows)] for output, value in pairs}}


def batched(program: Program, fixed: int) -> BatchedProgram:
    """Return a program for any number of rows from one that takes exactly ``fixed``."""
    return BatchedProgram(program.graph, program.steps, program.constants, fixed)
