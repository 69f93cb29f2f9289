"""Planted variant defects: models that lost abilities when they were quantised."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from auditor.domain.tasks import Floats
from auditor.selftest.datasets import PACKAGES, load_split
from auditor.selftest.onnx_parts import OnnxParts, to_tensor_proto
from auditor.selftest.scale import SelftestScale
from auditor.selftest.specimens import (
    Specimen,
    SpecimenFamily,
    SpecimenFiles,
    SpecimenRun,
    build_deny_rule,
    build_specimen_pairs,
)
from auditor.selftest.train import DenseNetwork, train_model

RULES = (
    build_deny_rule(
        "as-good-as-its-parent",
        "hardware.variant/accuracy_change",
        "It is right hardly less often than the model that it was made from",
        at_least=-0.02,
    ),
    build_deny_rule(
        "decides-as-its-parent",
        "hardware.variant/flip_rate",
        "Hardly a decision is another one",
        at_most=0.05,
    ),
)
PARENT = "parent.onnx"
MOST = 127
DEAD = 0
"""A pixel of the digits that is always dark, so that its weight decides nothing."""

STRENGTHS: Mapping[str, Sequence[float]] = {"int8-cliff": (0.5, 1.0, 2.0)}


@dataclass(frozen=True, slots=True)
class VariantsFamily:
    """INT8 weights with one scale a layer, which an outlier spoils; clean: one scale a row.

    The outlier is the weight of a pixel that is always dark. Both twins are made from the same
    parent, which has it. A strength of 3 says that the spoilt scale steps by three standard
    deviations of the weights, so that most of them become nothing.
    """

    name: str = "variants"
    title: str = "an INT8 cliff: weights that were quantised with too coarse a scale"
    packages: tuple[str, ...] = PACKAGES

    @property
    def strengths(self) -> Mapping[str, Sequence[float]]:
        """Return what its defects are tried at, from weak to strong."""
        return STRENGTHS

    def specimens(self, scale: SelftestScale) -> Sequence[Specimen]:
        """Return digits, as a logistic model and as a network."""
        cliff = [("int8-cliff", 3.0)]
        seeds = [1] if scale is SelftestScale.QUICK else range(1, 11)
        return build_specimen_pairs(self.name, cliff, ["logistic", "mlp"], seeds)

    def write(self, specimen: Specimen, folder: Path) -> SpecimenRun:
        """Train a parent, and quantise it in one of the two ways."""
        sample = load_split("digits", specimen.seed)
        learn = sample.training
        model = train_model(specimen.architecture, learn.inputs, learn.labels, specimen.seed)
        if not isinstance(model, DenseNetwork):
            message = f"{specimen.architecture} has no layers"
            raise TypeError(message)
        parent = add_outlier_weight(model, specimen.strength or 0.0)
        (folder / PARENT).write_bytes(parent.parts().onnx())
        papers = SpecimenFiles(
            quantise_network(parent, by_row=not specimen.planted).onnx(),
            sample.classes,
            {"evaluation": sample.evaluation},
            RULES,
            model={"parent": PARENT, "twin": "none"},
        )
        meant = tuple(str(item["id"]) for item in RULES)
        return SpecimenRun(papers.write(specimen, folder), meant, ("hardware.variant",))


def add_outlier_weight(model: DenseNetwork, step: float) -> DenseNetwork:
    """Return the network with a weight where no input ever is, so large that INT8 with one scale
    steps by so many standard deviations of the weights.
    """
    (weights, bias), *rest = model.layers
    spoilt = weights.copy()
    spoilt[DEAD, 0] = step * MOST * float(np.std(weights))
    return replace(model, layers=((spoilt, bias), *rest))


def quantise_network(model: DenseNetwork, *, by_row: bool) -> OnnxParts:
    """Return the network with INT8 weights: one scale a row of the matrix, or one for all."""
    parts = model.parts()
    nodes: list[onnx.NodeProto] = []
    stored: list[onnx.TensorProto] = []
    for tensor in parts.stored:
        if not tensor.name.startswith("w"):
            stored.append(tensor)
            continue
        whole, scales = round_weights(numpy_helper.to_array(tensor), by_row=by_row)
        names = [f"{tensor.name}_{part}" for part in ("int8", "scale")]
        stored += [numpy_helper.from_array(whole, names[0]), to_tensor_proto(scales, names[1])]
        nodes.append(helper.make_node("DequantizeLinear", names, [tensor.name], axis=0))
    return replace(parts, nodes=(*nodes, *parts.nodes), stored=tuple(stored))


def round_weights(weights: Floats, *, by_row: bool) -> tuple[NDArray[np.int8], Floats]:
    """Return weights as INT8 with their scales, one a row or one for all."""
    largest = np.abs(weights).max(axis=1) if by_row else np.abs(weights).max()
    scales = np.maximum(largest, 1e-8) / MOST
    spread = scales[:, None] if by_row else scales
    return np.round(weights / spread).astype(np.int8), np.asarray(scales)


FAMILY: SpecimenFamily = VariantsFamily()
