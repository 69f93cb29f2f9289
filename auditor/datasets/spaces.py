"""The input space: where attacks may move, or why nobody can say."""

import numpy as np

from auditor.datasets.inputs import BRIGHTEST
from auditor.datasets.schemas import Schema
from auditor.domain.auditfiles import InputSection
from auditor.domain.datasets import TEXT
from auditor.domain.readings import Gap, Reason
from auditor.domain.tasks import Array, FeatureKind, InputSpace

MOVABLE = frozenset({FeatureKind.NUMERIC, FeatureKind.INTEGER})


def input_space(
    declared: InputSection, schema: Schema, inputs: Array | None, *, pictures: bool
) -> InputSpace | Gap:
    """Return the space of one input of ``inputs`` (``[n, ...]``).

    It comes from the schema, from ``input.domain``, or is 0..255 in whole steps for pictures.
    A domain over whole numbers or pictures has their steps unless ``input.quantum`` says more.
    """
    if inputs is None:
        return Gap(
            reason=Reason.NEEDS_EVALUATION_DATA,
            detail="There are no inputs that an attack could start from.",
            cure="Name evaluation data with inputs in the audit file.",
        )
    if inputs.dtype.kind == TEXT:
        return Gap(
            reason=Reason.NEEDS_NUMERIC_INPUT,
            detail="The inputs are texts, which have no range that a number could move in.",
            cure="Read evasion.text, which changes words.",
        )
    if schema.features:
        return _from_schema(schema, inputs)
    if declared.domain is not None:
        return _box(declared.domain, _quantum(declared, inputs, pictures=pictures), inputs)
    if pictures:
        return _box((0.0, float(BRIGHTEST)), 1.0, inputs)
    return Gap(
        reason=Reason.NEEDS_NUMERIC_INPUT,
        detail="The audit file does not say which values the inputs may take.",
        cure="Set input.domain: [low, high], or input.features: schema.yaml for a table.",
    )


def _quantum(declared: InputSection, inputs: Array, *, pictures: bool) -> float:
    if declared.quantum is not None:
        return declared.quantum
    if pictures and declared.domain is not None:
        return (declared.domain[1] - declared.domain[0]) / BRIGHTEST
    return 1.0 if inputs.dtype.kind in "iu" else 0.0


def _box(domain: tuple[float, float], quantum: float, inputs: Array) -> InputSpace:
    shape = inputs.shape[1:]
    return InputSpace(
        low=np.full(shape, domain[0]),
        high=np.full(shape, domain[1]),
        quantum=np.full(shape, quantum),
        mutable=np.ones(shape, dtype=np.bool_),
    )


def _from_schema(schema: Schema, inputs: Array) -> InputSpace | Gap:
    features = schema.features
    boundless = [item.name for item in features if item.low is None or item.high is None]
    if boundless:
        return Gap(
            reason=Reason.NEEDS_NUMERIC_INPUT,
            detail=f"The schema gives no range for {', '.join(boundless)}.",
            cure="Write range: [low, high] for each of them in the schema.",
        )
    missing = int(np.isnan(inputs).any(axis=1).sum()) if inputs.dtype.kind == "f" else 0
    if missing:
        return Gap(
            reason=Reason.UNSUPPORTED,
            detail=f"{missing} of {len(inputs)} rows have missing values, which no attack handles.",
            cure="Evaluate on complete rows to have attacks measured.",
        )
    return InputSpace(
        low=np.array([item.low for item in features], dtype=np.float64),
        high=np.array([item.high for item in features], dtype=np.float64),
        quantum=np.array([0.0 if item.kind is FeatureKind.NUMERIC else 1.0 for item in features]),
        mutable=np.array([item.kind in MOVABLE and not item.immutable for item in features]),
        features=features,
        relations=schema.relations,
    )
