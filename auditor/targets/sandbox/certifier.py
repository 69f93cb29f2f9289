"""Robustness certificates in the sandbox: bounds of networks, nearest points of trees."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from auditor.domain.robustness_certificates import PerturbationBoxes
from auditor.domain.targets import ModelInterface
from auditor.errors import MissingExtraError, TwinError, suggest_install
from auditor.onnx.decision_margins import ScoreRule
from auditor.onnx.trees.forest import TreeEnsemble
from auditor.onnx.trees.nearest_point import EnsembleSearch, open_ensemble_search
from auditor.targets.protocol import Anything, MessageFrame
from auditor.targets.sandbox.request_loop import Operation, RefusalError

if TYPE_CHECKING:
    from auditor.onnx.bounds.network import BoundedNetwork


def operations() -> Mapping[str, Operation]:
    """Return what a child of this role answers."""
    # torch imports dill where it is installed, which asks for a folder that can be written to.
    # Nothing can be written here, and nothing is.
    tempfile.tempdir = "/tmp"  # noqa: S108 -- a name that is never opened
    bench = CertifierHost()
    return {
        "certifier_open": _telling(bench.open),
        "certifier_look": _telling(bench.look),
        "certifier_margins": _telling(bench.margins),
        "certifier_nearest": _telling(bench.nearest),
    }


def _telling(operation: Operation) -> Operation:
    """Answer with a refusal where an operation meets what it cannot bound."""

    def told(request: MessageFrame) -> MessageFrame:
        try:
            return operation(request)
        except TwinError as error:
            raise RefusalError("twin", error.problem, error.cure) from error
        except MissingExtraError as error:
            raise RefusalError("extra", error.problem, error.cure) from error
        except ImportError as error:
            cure = f"{suggest_install('attacks,certify')}."
            raise RefusalError("extra", f"a library is missing: {error}", cure) from error

    return told


class CertifierHost:
    """Holds the one network or forest of this process, once it is read."""

    def __init__(self) -> None:
        self._network: BoundedNetwork | None = None
        self._forest: TreeEnsemble | None = None
        self._searched: dict[bytes, EnsembleSearch] = {}
        self._rule = ScoreRule()

    def open(self, request: MessageFrame) -> MessageFrame:
        """Read the file at ``path``: as trees if its scores come from trees, else as a network."""
        said = request.header
        path, interface = Path(said["path"]), _interface(said["interface"])
        self._rule = ScoreRule(int(said["positive"]), float(said["threshold"]))
        self._forest = open_ensemble_search(path, interface, self._rule)
        if self._forest is None:
            self._network = _network(path, interface, self._rule)
        return MessageFrame({"kind": "network" if self._forest is None else "trees"})

    def look(self, request: MessageFrame) -> MessageFrame:
        """Return ``probabilities`` of the rows ``clean``, to be compared with the target's."""
        boxes = _boxes(request.arrays)
        if self._network is not None:
            found = self._network.probabilities(boxes.clean)
        else:
            found = self._trees(boxes).probabilities(boxes.clean.astype(np.float64))
        return MessageFrame({}, {"probabilities": np.asarray(found, dtype=np.float64)})

    def margins(self, request: MessageFrame) -> MessageFrame:
        """Return a network's lower bounds over boxes, an array a method."""
        boxes = _boxes(request.arrays)
        if self._network is None:
            raise RefusalError("protocol", "no network is open", "Ask for nearest points.")
        return MessageFrame({}, self._network.margins(boxes.lower, boxes.upper, boxes.labels))

    def nearest(self, request: MessageFrame) -> MessageFrame:
        """Return the nearest wrong points of a forest's rows."""
        boxes = _boxes(request.arrays)
        found = self._trees(boxes).nearest(boxes, int(request.header["steps"]))
        arrays = {"lower": found.lower, "crafted": found.crafted, "distance": found.distance}
        return MessageFrame({}, arrays)

    def _trees(self, boxes: PerturbationBoxes) -> EnsembleSearch:
        if self._forest is None:
            raise RefusalError("protocol", "no trees are open", "Ask for margins.")
        key = boxes.quantum.tobytes() + boxes.origin.tobytes()
        if key not in self._searched:
            self._searched[key] = EnsembleSearch(self._forest, self._rule, boxes)
        return self._searched[key]


def _network(path: Path, interface: ModelInterface, rule: ScoreRule) -> "BoundedNetwork":
    from auditor.onnx.bounds.network import bound_network, single_thread  # noqa: PLC0415 -- torch

    single_thread()
    return bound_network(path, interface, rule)


def _interface(said: Mapping[str, Any]) -> ModelInterface:
    return ModelInterface(**{**said, "input_shape": tuple(said["input_shape"])})


def _boxes(arrays: Mapping[str, Anything]) -> PerturbationBoxes:
    return PerturbationBoxes(**{name: arrays[name] for name in PerturbationBoxes.__slots__})
