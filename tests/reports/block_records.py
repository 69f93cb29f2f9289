"""A check of another package with a block of its own, and a record of what it saw."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
from PIL import Image
from rendering_records import BLOBS, CHECKS, PASSING, POLICY

from auditor.domain.checks import Check, Metric
from auditor.domain.evidence import Item, encode_evidence
from auditor.domain.readings import Measurement, Unit
from auditor.domain.records import CheckObservation
from auditor.domain.report_blocks import (
    BarChart,
    BlockImage,
    BlockNumber,
    BlockParagraph,
    BlockTable,
    ChartBar,
    ChartPoint,
    CheckOrigin,
    LineChart,
    Reads,
    ReportBlock,
)
from auditor.reports.rendering_inputs import ReportInputs

TOY = "toy.margins"
TOYCHECKS = CheckOrigin("toychecks", "1.2.0")
SEEN: Mapping[str, Item] = {
    "margins": np.linspace(0.05, 0.9, 12),
    "classes": ["cat", "dog"],
    "example_rows": ["a row of a person"],
}
FIGURE = Measurement(
    metric="margin",
    value=0.475,
    low=0.4,
    high=0.55,
    confidence=0.95,
    method="bootstrap",
    n=12,
    unit=Unit.SHARE,
    params={"part": "all"},
    target="cpu",
    check=TOY,
    version=1,
    details={"listed": [1, 2]},
)


def png(size: tuple[int, int] = (48, 32), **more: Any) -> bytes:  # noqa: ANN401 -- what Pillow takes
    """A small picture with a slope of grey."""
    levels = np.linspace(0, 255, size[0] * size[1]).astype(np.uint8).reshape(size[1], size[0])
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, format="PNG", **more)
    return buffer.getvalue()


def every_part(measurements: Sequence[Measurement], evidence: Reads) -> ReportBlock:
    """A block that has a part of every kind."""
    margins = evidence("margins")
    assert isinstance(margins, np.ndarray)
    points = [ChartPoint(i / 10, m, m - 0.05, m + 0.05) for i, m in enumerate(margins.tolist())]
    bars = (
        ChartBar("north", 0.7, 0.6, 0.8),
        ChartBar("south by the river, beyond the mill", 0.4, 0.2, 0.6),
    )
    return ReportBlock(
        "How far the decisions lie from their border",
        f"The mean margin is {measurements[0].value}.",
        (
            BlockParagraph("A margin is the distance between the two largest probabilities. " * 4),
            BarChart(
                title="Margin by town",
                name="Mean margin",
                bars=bars,
                unit=Unit.SHARE,
                reference=0.5,
                reference_name="what the vendor promises",
            ),
            LineChart(
                title="Margin by noise",
                x_name="noise, in deviations",
                y_name="mean margin",
                points=tuple(points),
                y_unit=Unit.SHARE,
            ),
            BarChart(
                title="Change by town",
                name="Change of the margin",
                bars=(ChartBar("north", -0.12, -0.2, -0.04), ChartBar("south", 0.03)),
                unit=Unit.SHARE,
                reference=0.0,
            ),
            LineChart(
                title="Requests that waited",
                x_name="rows",
                y_name="requests",
                points=(ChartPoint(1000, 1_234_567_890), ChartPoint(2_000_000, 9_876_543_210)),
                x_unit=Unit.COUNT,
                y_unit=Unit.COUNT,
            ),
            BarChart(
                title="Served",
                name="Rows served",
                bars=(ChartBar("fast", 123_456_789, 1e8, 2e8), ChartBar("slow", 99)),
                unit=Unit.PER_SECOND,
            ),
            BlockTable(
                "The worst rows of each class",
                ("Class", "Rows", "Margin", "Time", "Remark"),
                (
                    ("cat", BlockNumber(12_345, Unit.COUNT),
                     BlockNumber(0.31, Unit.SHARE, 0.2, 0.42),
                     BlockNumber(0.0123, Unit.SECOND), "often taken for a small dog"),
                    ("dog", BlockNumber(77, Unit.COUNT), BlockNumber(0.6, Unit.SHARE, 0.55, 0.65),
                     BlockNumber(0.4, Unit.SECOND), ""),
                ),
            ),
            BlockTable(
                "Two columns", ("Class", "Rows"),
                (("cat", BlockNumber(3)), ("dog", BlockNumber(4))),
            ),
            BlockImage(png(), "A slope from black to white", "What the check saw."),
        ),
    )  # fmt: skip


def toy(block: object, *, version: int = 1, module: str = "toychecks.margins") -> type[Check]:
    """Return a check of another package; ``block`` is what its class has under that name."""
    told = {
        "id": TOY,
        "version": version,
        "title": "Margins",
        "needs": frozenset(),
        "emits": {"margin": Metric("Mean margin", Unit.SHARE)},
        "block": staticmethod(block) if callable(block) else block,
        "__module__": module,
    }
    return cast("type[Check]", type("Toy", (Check,), told))


def inputs_with(
    block: object,
    *,
    committed: bool = False,
    seen: Mapping[str, Item] = SEEN,
    times: int = 1,
    **more: Any,  # noqa: ANN401 -- any field of the inputs
) -> ReportInputs:
    """Return a record in which the toy check saw something, on one target or several."""
    blobs = {name: encode_evidence(item) for name, item in seen.items()}
    names = ["cpu", *(f"cpu-{place}" for place in range(1, times))]
    (spec,) = PASSING.request.targets
    targets = tuple(replace(spec, name=name) for name in names)
    observations = tuple(
        CheckObservation(
            target=name,
            check=TOY,
            version=1,
            params={},
            seed=1,
            evidence={key: blob.digest for key, blob in blobs.items()},
            committed=committed,
        )
        for name in names
    )
    record = replace(
        PASSING,
        request=replace(PASSING.request, targets=targets),
        observations=(*PASSING.observations, *observations),
        readings=(*PASSING.readings, *(replace(FIGURE, target=name) for name in names)),
    )
    raw = {**BLOBS, **{blob.digest: blob.raw for blob in blobs.values()}}
    given: dict[str, Any] = {
        "checks": {**CHECKS, TOY: toy(block)},
        "origins": {TOY: TOYCHECKS},
        "show_examples": True,
    }
    return ReportInputs(record=record, policy=POLICY, blob=raw.__getitem__, **{**given, **more})
