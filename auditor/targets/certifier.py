"""Robustness certifier in a child process that starts on first use."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auditor.domain.artifacts import Artifact
from auditor.domain.isolation import IsolationLevel
from auditor.domain.models import Model
from auditor.domain.readings import Gap, GapReason
from auditor.domain.robustness_certificates import (
    NearestMisclassification,
    PerturbationBoxes,
    RobustnessCertifier,
)
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import ClassificationTask, Floats
from auditor.errors import ModelCrashedError, TwinError
from auditor.targets.child_process import ChildProcess
from auditor.targets.input_layout import arrange_float_rows, restore_gradient
from auditor.targets.isolation import build_sandbox_bounds
from auditor.targets.model import OpenedModel
from auditor.targets.protocol import Anything, MessageFrame
from auditor.targets.supervisor import ProcessSupervisor

MEMORY = 8 * 2**30
"""At least so much address space: torch's libraries alone map several GiB in some builds."""
EXACT_RUNTIME, EXACT_PROVIDER = "onnxruntime", "CPUExecutionProvider"
MOST_DIFFERENCE = 1e-3
"""Largest difference of a probability for a graph to count as what the target runs."""
PATIENCE = 0.25
"""Share of the time limit that one request may take, judged by the one before."""


class OpenedCertifier:
    """A certifier in its own child process; implements ``domain.certificates.Certifier``."""

    def __init__(
        self, keeper: ProcessSupervisor, model: OpenedModel, columns: NDArray[np.int64]
    ) -> None:
        self._keeper = keeper
        self._model = model
        self._columns = columns

    @property
    def kind(self) -> str:
        """See ``domain.certificates.Certifier``; raises ``SubjectLostError`` as well."""
        return str(self._keeper.child and self._keeper.opened.header.get("kind"))

    def margins(self, boxes: PerturbationBoxes) -> Mapping[str, Floats]:
        """Return lower bounds of leads; see ``domain.certificates.Certifier``.

        Raises ``TwinError`` where the graph is not what the target runs, ``SubjectLostError``
        where bounding takes the process down.
        """
        self._compare(boxes)
        found: dict[str, list[Floats]] = {}
        start, rows, count = 0, 1, len(boxes.labels)
        while start < count:
            part = slice(start, start + rows)
            began = time.monotonic()
            reply = self._ask("certifier_margins", _part(boxes, part))
            for name, array in reply.arrays.items():
                margin = _numbers(array, (len(boxes.labels[part]),))
                found.setdefault(name, []).append(margin)
            start += rows
            pace = max(time.monotonic() - began, 1e-3) / rows
            rows = max(1, min(2 * rows, int(PATIENCE * self._keeper.seconds / pace)))
        return {name: np.concatenate(parts) for name, parts in found.items()}

    def nearest(self, boxes: PerturbationBoxes, *, steps: int) -> NearestMisclassification:
        """Return the nearest wrong points; see ``domain.certificates.Certifier``.

        Raises what ``margins`` raises.
        """
        self._compare(boxes)
        parts = [
            self._nearest(_part(boxes, slice(row, row + 1)), steps)
            for row in range(len(boxes.labels))
        ]
        crafted = np.concatenate([part.crafted for part in parts])
        lower, distance = (
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("lower", "distance")
        )
        return NearestMisclassification(lower, crafted, distance)

    def _nearest(self, boxes: PerturbationBoxes, steps: int) -> NearestMisclassification:
        reply = self._ask("certifier_nearest", boxes, {"steps": steps})
        shape = self._model.interface.input_shape
        distance = _numbers(reply.arrays.get("distance"), (1, None))
        crafted = _numbers(reply.arrays.get("crafted"), (*distance.shape, *shape))
        row = boxes.clean.shape[1:]
        restored = restore_gradient(crafted.reshape(-1, *shape), self._model.interface, row)
        lower = _numbers(reply.arrays.get("lower"), (1,))
        return NearestMisclassification(lower, restored.reshape(*distance.shape, *row), distance)

    def _compare(self, boxes: PerturbationBoxes) -> None:
        """Refuse to prove anything of a graph that is not the function which the target runs."""
        theirs = self._model.probabilities(self._model.predict(boxes.clean))
        reply = self._ask("certifier_look", boxes)
        ours = _numbers(reply.arrays.get("probabilities"), theirs.shape)[:, self._columns]
        difference = float(np.abs(theirs - ours).max(initial=0.0))
        if difference > MOST_DIFFERENCE:
            raise TwinError(
                f"probabilities of the graph differ from the target's by up to {difference:.3g}, "
                f"where {MOST_DIFFERENCE:g} is allowed",
                cure="Judge by what attacks find on the target.",
            )

    def _ask(
        self, op: str, boxes: PerturbationBoxes, more: Mapping[str, int] | None = None
    ) -> MessageFrame:
        # In float64, because steps and limits would blur; rows are cast as the model casts them.
        wide = replace(self._model.interface, input_dtype="float64")
        cast = self._model.interface if op != "certifier_nearest" else wide
        arrays: dict[str, Anything] = {"labels": self._columns[boxes.labels]}
        for name in ("clean", "lower", "upper"):
            arrays[name] = arrange_float_rows(getattr(boxes, name), cast).astype(np.float64)
        for name in ("unit", "quantum", "origin"):
            arrays[name] = arrange_float_rows(getattr(boxes, name)[None], wide)[0]
        return self._keeper.ask({"op": op, **(more or {})}, arrays)


@contextmanager
def open_certifier(
    spec: TargetSpec,
    folder: Path,
    artifact: Artifact,
    model: Model,
    *,
    isolation: IsolationLevel | None = None,
) -> Iterator[RobustnessCertifier | Gap]:
    """Return what proves bounds of an artifact, and end its process afterwards.

    Nothing is started before it is asked. Yields a ``Gap`` where there is no classifier to read.
    """
    if not isinstance(model, OpenedModel) or not isinstance(model.task, ClassificationTask):
        yield Gap(
            reason=GapReason.UNSUPPORTED,
            detail="Bounds are proved of classifiers whose file is at hand.",
            cure="Judge by what attacks find on the target.",
        )
        return
    if (spec.runtime, spec.provider) != (EXACT_RUNTIME, EXACT_PROVIDER):
        runs = spec.provider if spec.runtime == EXACT_RUNTIME else f"the runtime {spec.runtime}"
        yield Gap(
            reason=GapReason.UNSUPPORTED,
            detail=f"Proofs allow for the rounding of single precision, and {runs} may compute in "
            "less.",
            cure=f"Prove bounds on a target of this machine with the provider {EXACT_PROVIDER}.",
        )
        return
    keeper = _keeper(spec, folder, artifact, model, isolation)
    try:
        yield OpenedCertifier(keeper, model, model.columns)
    finally:
        keeper.close()


def _keeper(
    spec: TargetSpec, folder: Path, artifact: Artifact, model: OpenedModel,
    isolation: IsolationLevel | None,
) -> ProcessSupervisor:  # fmt: skip
    memory = max(spec.memory_limit, MEMORY)
    bounds = build_sandbox_bounds(spec, folder, memory_limit=memory, isolation=isolation)
    title = f"the process that proves bounds of {artifact.name!r}"
    asked = {
        "op": "certifier_open",
        "path": str(folder.resolve() / artifact.files[0].name),
        "interface": model.interface.to_json(),
        **_rule(model),
    }
    return ProcessSupervisor(
        partial(ChildProcess, "sandbox.certifier", bounds, title), asked, spec.time_limit
    )


def _rule(model: OpenedModel) -> dict[str, float]:
    task = model.task
    if not isinstance(task, ClassificationTask) or not task.binary:
        return {"positive": -1, "threshold": 0.5}
    column = int(model.columns[task.positive_index])
    return {"positive": column, "threshold": task.threshold}


def _part(boxes: PerturbationBoxes, part: slice) -> PerturbationBoxes:
    return replace(
        boxes,
        clean=boxes.clean[part],
        labels=boxes.labels[part],
        lower=boxes.lower[part],
        upper=boxes.upper[part],
    )


def _numbers(array: Anything | None, shape: tuple[int | None, ...]) -> Floats:
    if array is None or array.dtype != np.float64 or not _fits(array.shape, shape):
        raise ModelCrashedError(
            f"bounds came back that are not numbers of shape {shape}",
            cure="Update the auditor on that target.",
        )
    numbers: Floats = array.astype(np.float64, copy=False)
    if np.isnan(numbers).any():
        raise TwinError("bounds came back that are not numbers", cure="Report this model to us.")
    return numbers


def _fits(found: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(found) == len(wanted) and all(
        want in {None, size} for want, size in zip(wanted, found, strict=True)
    )
