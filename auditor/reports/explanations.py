"""Why one 8-bit file gives other answers on another processor, told from what the scan found."""

from collections.abc import Iterator, Mapping, Sequence

from auditor.domain.readings import Measurement
from auditor.domain.verdicts import Outcome
from auditor.rendering.figures.panel import Panel
from auditor.rendering.numbers import count, figure
from auditor.rendering.plots.strips import Bar, bar_plot
from auditor.rendering.stories.story import Cure, Part, Scene, number_of, whole

SATURATION = "hardware.saturation"
BOX, INPUT = 32_767, 255
"""The largest number that 16 bits hold, and the largest 8-bit input of a layer."""
MOST_LAYERS = 12
TITLE = "Where this file can overflow, layer by layer"
HEADER = ("Weights", "Operator", "Share of pairs that can overflow", "Pairs", "Largest pair")
MECHANISM = (
    (
        "The weights of this file are whole numbers of 8 bits. To be fast, older x86 processors "
        "(those with AVX2 but without VNNI) multiply two neighbouring inputs by their weights at "
        "once, and add the two products in a box of 16 bits. The box holds numbers up to "
        f"{count(BOX)}. A sum that does not fit is cut off there (it “saturates”), and the rest of "
        "it is lost."
    ),
    (
        "Processors with VNNI add the same products in 32 bits, where nothing is lost. So one and "
        "the same file gives other answers on the older processor, and no error tells anybody."
    ),
)
CURES = (
    Cure(
        "Quantise again with weights of 7 bits. Two products then always fit, on every processor; "
        "accuracy may drop a little, so audit again.",
        "quantize_static(…, reduce_range=True)",
    ),
    Cure(
        "Or quantise with unsigned weights: their products are widened before they are added.",
        "quantize_static(…, activation_type=QuantType.QUInt8, weight_type=QuantType.QUInt8)",
    ),
)
EXACT = Cure(
    "Or keep the file and let this target add exactly, which costs some speed: write it under the "
    "target in targets.yaml, and wherever the model is deployed.",
    'session: {session.x64quantprecision: "1"}',
)
NAME_THEM = Cure(
    "Or keep the file, and name the processors that it is for in its instructions for use: x86 "
    "with VNNI. Then refuse to start on any other."
)


def at_risk(scene: Scene) -> bool | None:
    """Whether the scan found pairs that can overflow; ``None`` where it did not look."""
    found = scene.figure(SATURATION, "at_risk")
    return found.value if found is not None and isinstance(found.value, bool) else None


def overflows(scene: Scene) -> bool | None:
    """Whether decisions changed on this target once sums were exact; ``None``: not run."""
    value = number_of(scene.figure(SATURATION, "saturated_flip_rate"))
    return None if value is None else value > 0


def overflow_parts(scene: Scene) -> Iterator[Part]:
    """Tell what happens in the processor, and which layers of the file it can happen in."""
    share = scene.figure(SATURATION, "risky_share")
    if share is None or not at_risk(scene):
        return
    layers = _layers(share)
    told = MECHANISM + _example(layers)
    panels = (_panel(scene, share, layers),) if layers else ()
    yield Part(topic="overflow", name="How 8-bit sums overflow", told=told, panels=panels)


def here(scene: Scene) -> str:
    """Say what overflow does to decisions on this target."""
    found = scene.figure(SATURATION, "saturated_flip_rate")
    if found is None:
        gap = scene.gap(SATURATION, "saturated_flip_rate")
        why = f" ({gap.detail.rstrip('.')})" if gap is not None else ""
        return f"Whether overflow changes decisions on {scene.target} is not known{why}."
    where, rows = scene.target, count(found.n)
    if overflows(scene):
        return (
            f"8-bit sums overflow on {where}: of {rows} decisions, {figure(found).value} change as "
            "soon as the same rows are run again with exact sums."
        )
    return (
        f"Overflow changes nothing on {where}: of {rows} decisions, none changes when sums are "
        "exact. It may change some where this file is installed elsewhere."
    )


def overflow_cures(scene: Scene) -> tuple[Cure, ...]:
    """Return what helps: everything where it happens, and for elsewhere what the file needs."""
    if not at_risk(scene):
        return ()
    spec = scene.spec
    ours = spec is not None and spec.runtime == "onnxruntime"
    if overflows(scene) and ours and spec is not None and spec.provider == "CPUExecutionProvider":
        return (*CURES, EXACT, NAME_THEM)
    return (*CURES, NAME_THEM)


def tell_saturation(scene: Scene) -> tuple[Sequence[Part], Sequence[Cure]]:
    """Tell what the scan and the run with exact sums found."""
    risk = at_risk(scene)
    if risk is None:
        return (), ()
    if not risk:
        return (_safe(scene),), ()
    state = Part(
        topic=f"here:{scene.target}", name=f"Overflow on {scene.target}", told=(here(scene),)
    )
    good = scene.finding.outcome is Outcome.PASSED
    cures = () if good and not overflows(scene) else overflow_cures(scene)
    return (state, *overflow_parts(scene)), cures


def _safe(scene: Scene) -> Part:
    share = scene.figure(SATURATION, "risky_share")
    pairs = 0 if share is None else share.n
    said = (
        f"The scan looked at all {count(pairs)} pairs of neighbouring 8-bit weights, and the "
        "products of each fit into 16 bits. Their sums are the same on every x86 processor."
        if pairs
        else "The scan found no 8-bit weights that are multiplied, so that no 8-bit sum arises."
    )
    return Part(topic=f"here:{scene.target}", name=f"Overflow on {scene.target}", told=(said,))


def _layers(share: Measurement) -> list[Mapping[str, object]]:
    listed = share.details.get("layers")
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        return []
    found = [item for item in listed if isinstance(item, Mapping) and whole(item, "pairs")]
    return sorted(found, key=lambda item: (-_share(item), str(item.get("name"))))


def _name(layer: Mapping[str, object]) -> str:
    # The quantiser's own suffix says nothing, and leaves no room for the name.
    return str(layer.get("name", "")).removesuffix("_quantized")


def _share(layer: Mapping[str, object]) -> float:
    return whole(layer, "over") / whole(layer, "pairs")


def _example(layers: Sequence[Mapping[str, object]]) -> tuple[str, ...]:
    largest = max((whole(layer, "largest") for layer in layers), default=0)
    if largest * INPUT <= BOX:
        return ()
    said = (
        f"An example from this file: the sizes of its two largest neighbouring weights add up to "
        f"{largest}. Times an input of {INPUT} that is {count(largest * INPUT)}; the box keeps "
        f"{count(BOX)}."
    )
    return (said,)


def _panel(scene: Scene, share: Measurement, layers: Sequence[Mapping[str, object]]) -> Panel:
    shown = layers[:MOST_LAYERS]
    listed, known = whole(share.details, "weights"), len(layers)
    bars = [
        Bar(_name(layer), _share(layer), f"{_share(layer) * 100:.1f} % of pairs") for layer in shown
    ]
    more = len(layers) - len(shown)
    return Panel(
        title=TITLE,
        target=scene.target,
        caption=f"{known} of {listed} weights hold pairs that can overflow, "
        f"{figure(share).value} of all {count(share.n)} pairs."
        + (f" {more} more layers are in the table only." if more else ""),
        drawing=bar_plot(f"{scene.key}-layers", TITLE, [("Share of pairs of weights", bars)]),
        header=HEADER,
        rows=tuple(
            (
                str(layer.get("name", "")),
                str(layer.get("operator", "")),
                f"{_share(layer) * 100:.1f} %",
                count(whole(layer, "pairs")),
                str(whole(layer, "largest")),
            )
            for layer in layers
        ),
    )
