"""Explains how 8-bit sums overflow on some processors, in which layers, and what helps."""

from collections.abc import Iterator, Mapping, Sequence

from auditor.domain.explanations import (
    ExplanationContext,
    ExplanationPart,
    SuggestedCure,
    read_count,
    read_number,
)
from auditor.domain.number_text import format_count, format_measurement
from auditor.domain.readings import Measurement
from auditor.domain.report_panels import BlockPanel, ShareBar, ShareBarChart

SATURATION = "hardware.saturation"
BOX, INPUT = 32_767, 255
"""The largest number that 16 bits hold, and the largest 8-bit input of a layer."""
MOST_LAYERS = 12
TITLE = "Possible overflow of this file by layer"
HEADER = ("Weights", "Operator", "Share of pairs that can overflow", "Pairs", "Largest pair")
MECHANISM = (
    (
        "The weights of this file are whole numbers of 8 bits. To be fast, older x86 processors "
        "(those with AVX2 but without VNNI) multiply two neighbouring inputs by their weights at "
        "once, and add the two products in a box of 16 bits. The box holds numbers up to "
        f"{format_count(BOX)}. A sum that does not fit is cut off there (it “saturates”), and the "
        "rest of it is lost."
    ),
    (
        "Processors with VNNI add the same products in 32 bits, where nothing is lost. So one and "
        "the same file gives other answers on the older processor, and no error tells anybody."
    ),
)
CURES = (
    SuggestedCure(
        "Quantise again with weights of 7 bits. Two products then always fit, on every processor; "
        "accuracy may drop a little, so audit again.",
        "quantize_static(…, reduce_range=True)",
    ),
    SuggestedCure(
        "Or quantise with unsigned weights: their products are widened before they are added.",
        "quantize_static(…, activation_type=QuantType.QUInt8, weight_type=QuantType.QUInt8)",
    ),
)
EXACT = SuggestedCure(
    "Or keep the file and let this target add exactly, which costs some speed: write it under the "
    "target in targets.yaml, and wherever the model is deployed.",
    'session: {session.x64quantprecision: "1"}',
)
NAME_THEM = SuggestedCure(
    "Or keep the file, and name the processors that it is for in its instructions for use: x86 "
    "with VNNI. Then refuse to start on any other."
)


def is_overflow_possible(scene: ExplanationContext) -> bool | None:
    """Whether the scan found pairs that can overflow; ``None`` where it did not look."""
    found = scene.figure(SATURATION, "at_risk")
    return found.value if found is not None and isinstance(found.value, bool) else None


def has_overflow(scene: ExplanationContext) -> bool | None:
    """Whether decisions changed on this target once sums were exact; ``None``: not run."""
    value = read_number(scene.figure(SATURATION, "saturated_flip_rate"))
    return None if value is None else value > 0


def build_overflow_parts(scene: ExplanationContext) -> Iterator[ExplanationPart]:
    """Tell what happens in the processor, and which layers of the file it can happen in."""
    share = scene.figure(SATURATION, "risky_share")
    if share is None or not is_overflow_possible(scene):
        return
    layers = _layers(share)
    told = MECHANISM + _example(layers)
    panels = (_panel(share, layers),) if layers else ()
    yield ExplanationPart(
        topic="overflow", name="How 8-bit sums overflow", told=told, panels=panels
    )


def describe_target_overflow(scene: ExplanationContext) -> str:
    """Say what overflow does to decisions on this target."""
    found = scene.figure(SATURATION, "saturated_flip_rate")
    if found is None:
        gap = scene.gap(SATURATION, "saturated_flip_rate")
        why = f" ({gap.detail.rstrip('.')})" if gap is not None else ""
        return f"Whether overflow changes decisions on {scene.target} is not known{why}."
    where, rows = scene.target, format_count(found.n)
    if has_overflow(scene):
        return (
            f"8-bit sums overflow on {where}: of {rows} decisions, "
            f"{format_measurement(found).value} change as soon as the same rows are run again with "
            "exact sums."
        )
    return (
        f"Overflow changes nothing on {where}: of {rows} decisions, none changes when sums are "
        "exact. It may change some where this file is installed elsewhere."
    )


def list_overflow_cures(scene: ExplanationContext) -> tuple[SuggestedCure, ...]:
    """Return what helps: everything where it happens, and for elsewhere what the file needs."""
    if not is_overflow_possible(scene):
        return ()
    spec = scene.spec
    ours = spec is not None and spec.runtime == "onnxruntime"
    if (
        has_overflow(scene)
        and ours
        and spec is not None
        and spec.provider == "CPUExecutionProvider"
    ):
        return (*CURES, EXACT, NAME_THEM)
    return (*CURES, NAME_THEM)


def _layers(share: Measurement) -> list[Mapping[str, object]]:
    listed = share.details.get("layers")
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        return []
    found = [item for item in listed if isinstance(item, Mapping) and read_count(item, "pairs")]
    return sorted(found, key=lambda item: (-_share(item), str(item.get("name"))))


def _share(layer: Mapping[str, object]) -> float:
    return read_count(layer, "over") / read_count(layer, "pairs")


def _example(layers: Sequence[Mapping[str, object]]) -> tuple[str, ...]:
    largest = max((read_count(layer, "largest") for layer in layers), default=0)
    if largest * INPUT <= BOX:
        return ()
    said = (
        f"An example from this file: the sizes of its two largest neighbouring weights add up to "
        f"{largest}. Times an input of {INPUT} that is {format_count(largest * INPUT)}; the box "
        f"keeps {format_count(BOX)}."
    )
    return (said,)


def _panel(share: Measurement, layers: Sequence[Mapping[str, object]]) -> BlockPanel:
    shown = layers[:MOST_LAYERS]
    listed, known = read_count(share.details, "weights"), len(layers)
    bars = [
        ShareBar(
            # The quantiser's own suffix says nothing, and leaves no room for the name
            str(layer.get("name", "")).removesuffix("_quantized"),
            _share(layer),
            f"{_share(layer) * 100:.1f} % of pairs",
        )
        for layer in shown
    ]
    more = len(layers) - len(shown)
    return BlockPanel(
        title=TITLE,
        caption=f"{known} of {listed} weights hold pairs that can overflow, "
        f"{format_measurement(share).value} of all {format_count(share.n)} pairs."
        + (f" {more} more layers are in the table only." if more else ""),
        chart=ShareBarChart((("Share of pairs of weights", tuple(bars)),)),
        header=HEADER,
        rows=tuple(
            (
                str(layer.get("name", "")),
                str(layer.get("operator", "")),
                f"{_share(layer) * 100:.1f} %",
                format_count(read_count(layer, "pairs")),
                str(read_count(layer, "largest")),
            )
            for layer in layers
        ),
    )
