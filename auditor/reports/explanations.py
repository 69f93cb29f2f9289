"""Explanations of check results in a report: causes, evidence and suggested remedies by topic.

Topics: 8-bit saturation on some processors, changed decisions between two runs, the artifact and
its signature, privacy and poisoning conclusions, and compressed variants compared with their source
model. ``build_explanations`` fixes the order of topics; a report contains each topic once.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

from auditor.domain.findings import Finding, Outcome
from auditor.domain.gaps import VERDICT
from auditor.domain.json import Json
from auditor.domain.readings import Measurement, Unit
from auditor.reports.doubts import suggest_doubt_cure
from auditor.reports.explanation_types import (
    ExplanationContext,
    ExplanationPart,
    FindingExplanation,
    SuggestedCure,
    Tell,
    read_count,
    read_number,
)
from auditor.reports.figures.panel import FigurePanel, interval_ends
from auditor.reports.inputs import ReportInputs
from auditor.reports.numbers import DASH, format_count, format_measurement, format_scalar
from auditor.reports.plots.intervals import IntervalRow, ShareBar, draw_bars, draw_interval_rows
from auditor.reports.wording import BOUNDS, format_coordinates, load_check_wordings

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
    panels = (_panel(scene, share, layers),) if layers else ()
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


def explain_saturation(
    scene: ExplanationContext,
) -> tuple[Sequence[ExplanationPart], Sequence[SuggestedCure]]:
    """Tell what the scan and the run with exact sums found."""
    risk = is_overflow_possible(scene)
    if risk is None:
        return (), ()
    if not risk:
        return (_safe(scene),), ()
    state = ExplanationPart(
        topic=f"here:{scene.target}",
        name=f"Overflow on {scene.target}",
        told=(describe_target_overflow(scene),),
    )
    good = scene.finding.outcome is Outcome.PASSED
    cures = () if good and not has_overflow(scene) else list_overflow_cures(scene)
    return (state, *build_overflow_parts(scene)), cures


def _safe(scene: ExplanationContext) -> ExplanationPart:
    share = scene.figure(SATURATION, "risky_share")
    pairs = 0 if share is None else share.n
    said = (
        f"The scan looked at all {format_count(pairs)} pairs of neighbouring 8-bit weights, and "
        "the products of each fit into 16 bits. Their sums are the same on every x86 processor."
        if pairs
        else "The scan found no 8-bit weights that are multiplied, so that no 8-bit sum arises."
    )
    return ExplanationPart(
        topic=f"here:{scene.target}", name=f"Overflow on {scene.target}", told=(said,)
    )


def _layers(share: Measurement) -> list[Mapping[str, object]]:
    listed = share.details.get("layers")
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        return []
    found = [item for item in listed if isinstance(item, Mapping) and read_count(item, "pairs")]
    return sorted(found, key=lambda item: (-_share(item), str(item.get("name"))))


def _name(layer: Mapping[str, object]) -> str:
    # The quantiser's own suffix says nothing, and leaves no room for the name.
    return str(layer.get("name", "")).removesuffix("_quantized")


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


def _panel(
    scene: ExplanationContext, share: Measurement, layers: Sequence[Mapping[str, object]]
) -> FigurePanel:
    shown = layers[:MOST_LAYERS]
    listed, known = read_count(share.details, "weights"), len(layers)
    bars = [
        ShareBar(_name(layer), _share(layer), f"{_share(layer) * 100:.1f} % of pairs")
        for layer in shown
    ]
    more = len(layers) - len(shown)
    return FigurePanel(
        title=TITLE,
        target=scene.target,
        caption=f"{known} of {listed} weights hold pairs that can overflow, "
        f"{format_measurement(share).value} of all {format_count(share.n)} pairs."
        + (f" {more} more layers are in the table only." if more else ""),
        drawing=draw_bars(f"{scene.key}-layers", TITLE, [("Share of pairs of weights", bars)]),
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


PARITY = "hardware.parity"
MOST_CLASSES = 14
WORST_HEADER = ("Row", "other run", "here", "score moved by")
CLASS_HEADER = ("", "Decisions that differ", "Interval", "Rows")
NOT_OVERFLOW = (
    "Overflow of 8-bit sums is not the reason: {why}. Processors and runtimes also differ in the "
    "precision that they choose, in which operators they fuse, and in the order in which they add."
)
LOOK = SuggestedCure(
    "Look at precision, session options and placement of the target under “How it was run”, and "
    "audit again without fusing, by a line under that target in targets.yaml: if the flips go, "
    "fusing made them.",
    "graph_optimization: none",
)
VALIDATE = SuggestedCure(
    "Or make the target itself the reference that is validated: what was tested elsewhere was not "
    "what runs here."
)


def explain_parity(
    scene: ExplanationContext,
) -> tuple[Sequence[ExplanationPart], Sequence[SuggestedCure]]:
    """Tell how the target's decisions differ from the reference's, and why."""
    rate = scene.figure(PARITY, "flip_rate")
    if rate is None:
        return (), ()
    counted = build_flip_part(scene, PARITY, rate, "the reference run")
    if not read_count(rate.details, "flips"):
        return (counted,), ()
    risk, seen = is_overflow_possible(scene), has_overflow(scene)
    if risk and seen:
        why = ExplanationPart(
            topic=f"here:{scene.target}",
            name=f"Overflow on {scene.target}",
            told=(describe_target_overflow(scene),),
        )
        return (counted, why, *build_overflow_parts(scene)), list_overflow_cures(scene)
    return (
        counted,
        ExplanationPart(topic=f"why:{scene.target}", name="Why", told=(_why(scene),)),
    ), (
        LOOK,
        VALIDATE,
    )


def _why(scene: ExplanationContext) -> str:
    risk, seen = is_overflow_possible(scene), has_overflow(scene)
    if risk is False:
        return NOT_OVERFLOW.format(
            why="the scan found no 8-bit weights whose products can overflow"
        )
    if risk and seen is False:
        return NOT_OVERFLOW.format(why="with exact sums, no decision changes on this target")
    return "Whether 8-bit sums overflow on this target was not measured, so the reason is open."


def build_flip_part(
    scene: ExplanationContext, check: str, rate: Measurement, other: str
) -> ExplanationPart:
    """Count the decisions that differ from another run; draw classes and list rows if any do."""
    flips = read_count(rate.details, "flips")
    name = f"Which decisions differ on {scene.target}"
    topic = f"flips:{check}:{scene.target}"
    if not flips:
        said = f"Each of {format_count(rate.n)} decisions on {scene.target} is the one of {other}."
        return ExplanationPart(topic=topic, name=name, told=(said,))
    verb = "decision differs" if flips == 1 else "decisions differ"
    told = [
        (
            f"{format_count(flips)} of {format_count(rate.n)} {verb} from {other}: "
            f"{format_measurement(rate).whole}."
        ),
        *_truth(scene, check),
    ]
    panels = [item for item in (_classes(scene, check), _worst(scene, rate, other)) if item]
    return ExplanationPart(topic=topic, name=name, told=tuple(told), panels=tuple(panels))


def _truth(scene: ExplanationContext, check: str) -> Iterator[str]:
    change = scene.figure(check, "accuracy_change")
    if change is None:
        return
    lost, gained = read_count(change.details, "lost"), read_count(change.details, "gained")
    before, after = (change.details.get(name) for name in ("before", "after"))
    said = (
        f"{format_count(lost)} that were right became wrong, and {format_count(gained)} wrong "
        "became right"
    )
    if isinstance(before, int | float) and isinstance(after, int | float):
        said += f": accuracy goes from {before * 100:.1f} % to {after * 100:.1f} %"
    yield f"{said}."


def _classes(scene: ExplanationContext, check: str) -> FigurePanel | None:
    found = [
        (str(m.params.get("class", "")), m, of)
        for m in scene.measured(check, "class_flip_rate")
        if (of := interval_ends(m)) is not None
    ]
    if not found:
        return None
    ranked = sorted(found, key=lambda item: (-item[2][0], item[0]))
    title = "Which classes are hit"
    rows = [IntervalRow(name, *of) for name, _, of in ranked[:MOST_CLASSES]]
    hidden = len(ranked) - len(rows)
    more = f" {hidden} more classes are in the table only." if hidden else ""
    apart = _apart([(name, of[0]) for name, _, of in ranked])
    return FigurePanel(
        title=title,
        target=scene.target,
        caption=f"Share of the decisions for a class that differ here, the worst first.{apart} The "
        f"intervals hold jointly.{more}",
        drawing=draw_interval_rows(f"{scene.key}-classes", title, rows, Unit.SHARE),
        header=CLASS_HEADER,
        rows=tuple(
            (name, words.value, words.interval, format_count(m.n))
            for name, m, _ in ranked
            for words in [format_measurement(m)]
        ),
    )


def _apart(ranked: Sequence[tuple[str, float]]) -> str:
    """Name the first and the last class, where they differ."""
    (worst, most), (least, fewest) = ranked[0], ranked[-1]
    if most <= fewest:
        return ""
    return (
        f" Class {worst} is hit hardest ({_percent(most)}), class {least} least "
        f"({_percent(fewest)})."
    )


def _worst(scene: ExplanationContext, rate: Measurement, other: str) -> FigurePanel | None:
    listed = rate.details.get("worst_rows")
    rows = listed if isinstance(listed, Sequence) and not isinstance(listed, str) else ()
    found = tuple(_moved(row) for row in rows if isinstance(row, Mapping))
    if not found:
        return None
    return FigurePanel(
        title="Which rows flip hardest",
        target=scene.target,
        caption=f"By row id of the evaluation data: the decision of {other}, the decision here, "
        "and how far a score moved.",
        header=WORST_HEADER,
        rows=found,
    )


def _moved(row: Mapping[str, object]) -> tuple[str, ...]:
    moved = row.get("moved")
    size = f"{moved:.3g}" if isinstance(moved, int | float) else DASH
    return str(row.get("id", "")), str(row.get("before", "")), str(row.get("after", "")), size


def _percent(value: float) -> str:
    return f"{value * 100:.0f} %"


LINEAGE, ARTIFACT, SIGNATURE = "provenance.lineage", "provenance.artifact", "provenance.signature"
MOST_TOLD = 10
Words: TypeAlias = "Callable[[ExplanationContext, Measurement], Iterator[str]]"
STANDINGS = {
    "verified": "under a signature that holds",
    "refused": "under a signature that does not hold for anybody whom the audit trusts",
    "not_verified": "under a signature that nobody could verify",
    "unsigned": "unsigned",
}
"""What is said of a document's signature."""


def explain_lineage(
    scene: ExplanationContext,
) -> tuple[Sequence[ExplanationPart], Sequence[SuggestedCure]]:
    """Tell which inputs or documents were counted, and in whose name the documents speak."""
    return _tell(scene, "What the documents say", _lineage)


def explain_artifact(
    scene: ExplanationContext,
) -> tuple[Sequence[ExplanationPart], Sequence[SuggestedCure]]:
    """Tell what was found in the artifact's files, and where."""
    return _tell(scene, "What was found", _found)


def explain_signature(
    scene: ExplanationContext,
) -> tuple[Sequence[ExplanationPart], Sequence[SuggestedCure]]:
    """Tell by which trust policy the signature was judged, and what stands against it."""
    return _tell(scene, "What was said of the signature", _signature)


def _tell(
    scene: ExplanationContext, name: str, words: Words
) -> tuple[Sequence[ExplanationPart], Sequence[SuggestedCure]]:
    for place in scene.finding.readings:
        m = scene.inputs.record.readings[place]
        told = tuple(words(scene, m)) if isinstance(m, Measurement) else ()
        if told:
            topic = f"{scene.finding.measure}:{scene.target}"
            return (ExplanationPart(topic=topic, name=name, told=told),), ()
    return (), ()


def _found(_: ExplanationContext, m: Measurement) -> Iterator[str]:
    listed = _entries(m.details.get("found"))
    for item in listed[:MOST_TOLD]:
        yield f"{_text(item, 'code')}: {_text(item, 'where')}: {_text(item, 'what')}."
    yield from _rest(len(listed))


def _signature(_: ExplanationContext, m: Measurement) -> Iterator[str]:
    trust = m.details.get("trust")
    if isinstance(trust, Mapping):
        named = f"{_text(trust, 'name')} {_text(trust, 'version')}"
        rule = _text(trust, "rule") or "none of its rules is for this model"
        yield f"Judged by the trust policy {named} ({_words(trust, 'standing')} here): {rule}."
    listed = _entries(m.details.get("findings"))
    for item in listed[:MOST_TOLD]:
        yield f"{_text(item, 'code')}: {_text(item, 'text')}."
    yield from _rest(len(listed))


def _lineage(scene: ExplanationContext, m: Measurement) -> Iterator[str]:
    listed = _entries(m.details.get("inputs"))
    papers = _entries(m.details.get("documents"))
    for item in listed[:MOST_TOLD]:
        yield _input(item) if "why" in item else f"{_text(item, 'part')}: {_text(item, 'name')}."
    for paper in papers[:MOST_TOLD]:
        said = _entries(paper.get("says")) or [paper]
        yield from (_paper(item) for item in said[:MOST_TOLD])
    total = m.details.get("in_all")
    yield from _rest(total if isinstance(total, int) else 0)
    if not papers:
        yield from _nobody(scene)


def _input(item: Mapping[str, Json]) -> str:
    part = f" as {_words(item, 'part')}" if item.get("part") else ""
    standing = STANDINGS.get(_text(item, "signature"), "unsigned")
    return (
        f"{_text(item, 'document')} ({standing}) declares {_text(item, 'name') or 'an input'}{part}"
        f" at {_text(item, 'where')}: {_text(item, 'why')}."
    )


def _paper(item: Mapping[str, Json]) -> str:
    standing = STANDINGS.get(_text(item, "signature"), "unsigned")
    remarks = [
        f"{_text(one, 'code')}: {_text(one, 'text')}" for one in _entries(item.get("remarks"))
    ]
    said = f"; {'; '.join(remarks)}" if remarks else ""
    return f"{_text(item, 'name')} ({_text(item, 'kind')}), {standing}{said}."


def _nobody(scene: ExplanationContext) -> Iterator[str]:
    """Say that documents without a signature that holds speak for nobody in particular."""
    m = scene.figure(LINEAGE, "unsigned")
    unsigned = read_number(m)
    if m is not None and unsigned:
        yield (
            f"Of {format_count(m.n)} documents, {format_count(int(unsigned))} stand under no "
            "signature that was found to hold: what they declare is declared by nobody in "
            "particular."
        )


def _rest(total: int) -> Iterator[str]:
    if total > MOST_TOLD:
        yield f"And {format_count(total - MOST_TOLD)} more, which the record lists."


def _entries(value: Json) -> list[Mapping[str, Json]]:
    listed = value if isinstance(value, list) else []
    return [item for item in listed if isinstance(item, Mapping)]


def _text(item: Mapping[str, Json], name: str) -> str:
    value = item.get(name)
    return "" if value is None else format_scalar(value)


def _words(item: Mapping[str, Json], name: str) -> str:
    return _text(item, name).replace("_", " ")


FAMILIES = ("privacy.", "poisoning.")
FAULTS = "findings"
SEEN: Mapping[str, str] = {
    "smallest_auc": "an attack that tells members from others with an area of {share}",
    "smallest_tpr_at_fpr_0_01": "one that recognises {share} of members at 1 % false alarms",
    "least_success": "a trigger that turns {share} of held-out rows",
    "least_share": "poison in {share} of the rows",
    "noise_factor": "noise {number} times too weak",
}
"""What is said of the smallest effects that a check would have seen, by their names."""
MOST_ATTACKS = 8


def explain_conclusion(
    scene: ExplanationContext,
) -> tuple[Sequence[ExplanationPart], Sequence[SuggestedCure]]:
    """Tell why the verdict fell as it did, and how small an effect would have been seen."""
    for place in scene.finding.readings:
        m = scene.inputs.record.readings[place]
        told = tuple(_told(m)) if isinstance(m, Measurement) else ()
        if told:
            topic = f"{m.check}/{m.metric}:{scene.target}:{sorted(m.params.items())}"
            return (ExplanationPart(topic=topic, name="What stands behind this", told=told),), ()
    return (), ()


def _told(m: Measurement) -> Iterator[str]:
    if FAULTS in m.details:
        yield from _faults(m.details[FAULTS])
    if m.metric != VERDICT:
        return
    yield from _reasons(m.details)
    yield from _named(m.details)
    yield from _attacks(m.details)
    yield from _power(m.details.get("power"))


def _faults(listed: Json) -> Iterator[str]:
    for fault in listed if isinstance(listed, list) else ():
        if isinstance(fault, Mapping):
            yield f"{format_scalar(fault.get('code', ''))}: {format_scalar(fault.get('text', ''))}."


def _reasons(details: Mapping[str, Json]) -> Iterator[str]:
    one, many = details.get("reason"), details.get("reasons")
    for reason in (one, *(many if isinstance(many, list) else [many])):
        if isinstance(reason, str) and reason:
            yield f"{reason[0].upper()}{reason[1:].rstrip('.')}."


def _named(details: Mapping[str, Json]) -> Iterator[str]:
    """Say which class a backdoor leads to, who named it, and what a trigger does."""
    named, target = details.get("named"), details.get("target_class")
    if target is not None:
        yield f"Rows with the trigger are decided as class {format_scalar(target)}."
    if isinstance(named, Mapping) and named:
        told = ", ".join(
            f"{_words_conclusions(who)}: {format_scalar(which)}" for who, which in named.items()
        )
        yield f"Classes that detectors name: {told}."
    shown = details.get("shown_by")
    if isinstance(shown, list) and shown:
        yield f"Seen by {', '.join(_words_conclusions(format_scalar(item)) for item in shown)}."


def _attacks(details: Mapping[str, Json]) -> Iterator[str]:
    listed = details.get("attacks")
    told = [
        f"{format_scalar(item['attack'])} "
        f"({_words_conclusions(format_scalar(item.get('shadows', 'none')))} stand-ins) "
        f"{_share_conclusions(item['auc'])}"
        for item in (listed if isinstance(listed, list) else ())
        if isinstance(item, Mapping) and {"attack", "auc"} <= set(item)
    ]
    if told:
        yield f"Areas by attack, of which half is chance: {', '.join(told[:MOST_ATTACKS])}."


def _power(power: Json) -> Iterator[str]:
    """Say the smallest effects that would have been seen, in a sentence where they have one."""
    if isinstance(power, str) and power:
        yield f"Power: {power.rstrip('.')}."
    elif isinstance(power, int | float) and not isinstance(power, bool):
        yield f"The smallest effect that would have been seen is {_number(power)}."
    elif isinstance(power, Mapping):
        told = [
            SEEN[name].format(share=_share_conclusions(value), number=_number(value))
            for name, value in power.items()
            if name in SEEN and isinstance(value, int | float)
        ]
        rest = [
            f"{_words_conclusions(name)} {_number(value)}"
            for name, value in power.items()
            if name not in SEEN and isinstance(value, int | float)
        ]
        if told:
            yield f"What would have been seen: {'; '.join(told)}."
        if rest:
            yield f"How far this audit sees: {', '.join(rest)}."


def _number(value: Json) -> str:
    """Return a number in few digits."""
    if isinstance(value, int) and not isinstance(value, bool):
        return format_count(value)
    return f"{value:.3g}" if isinstance(value, float) else format_scalar(value)


def _share_conclusions(value: Json) -> str:
    return f"{100 * value:.3g} %" if isinstance(value, int | float) else format_scalar(value)


def _words_conclusions(name: str) -> str:
    return name.replace("_", " ")


VARIANT = "hardware.variant"
ABOUT = (
    "The deployed file was made from another model, its parent: quantised, pruned, distilled or "
    "compiled. Tests of the parent say nothing of what was made of it, so that both were run here, "
    "row by row."
)
CHANGES = {
    "nll_change": ("log loss", "it is surer than it should be, or less sure"),
    "brier_change": ("the Brier score", "its stated confidence is worth less"),
    "smece_change": ("the smooth calibration error", "what it states comes true less reliably"),
}
MADE_AGAIN = SuggestedCure(
    "Quantise again with more calibration rows, weights quantised per channel, and the layers that "
    "move most left in floating point; or train with quantisation in the loop. Then audit again."
)
PARENT = SuggestedCure("Or deploy the parent where its answers matter more than speed and size.")
TRIGGER = SuggestedCure(
    "Do not deploy this file before its origin is known: a trigger that only the variant obeys is "
    "what a backdoor looks like that awakes when a model is quantised."
)


def explain_variant(
    scene: ExplanationContext,
) -> tuple[Sequence[ExplanationPart], Sequence[SuggestedCure]]:
    """Tell how the variant differs from its parent: decisions, certainty, groups, under attack."""
    rate = scene.figure(VARIANT, "flip_rate")
    if rate is None:
        return (), ()
    counted = build_flip_part(scene, VARIANT, rate, "its parent")
    told = (ABOUT, *_certainty(scene), *_attacked(scene))
    about = ExplanationPart(topic=f"variant:{scene.target}", name="Variant and parent", told=told)
    return (about, counted), tuple(_cures(scene))


def _certainty(scene: ExplanationContext) -> Iterator[str]:
    for metric, (name, meaning) in CHANGES.items():
        m = scene.figure(VARIANT, metric)
        if m is not None and m.low is not None and m.low > 0:
            yield f"By {name} it got worse ({format_measurement(m).whole}): {meaning}."
    for grown in scene.measured(VARIANT, "selection_change_gap"):
        if grown.low is not None and grown.low > 0:
            yield (
                f"Groups of {grown.params.get('column', 'people')} are treated less alike than by "
                f"the parent: the gap in selection rates grew by {format_measurement(grown).whole}."
            )


def _attacked(scene: ExplanationContext) -> Iterator[str]:
    by_place: dict[str, dict[str, Measurement]] = {}
    for m in scene.measured(VARIANT, "robust_accuracy"):
        place = format_coordinates(
            {name: value for name, value in m.params.items() if name == "eps"}
        )
        by_place.setdefault(place, {})[str(m.params.get("of", ""))] = m
    for place, of in by_place.items():
        if of.keys() >= {"variant", "parent"}:
            ours, theirs = (format_measurement(of[name]).value for name in ("variant", "parent"))
            yield (
                f"Under attack ({place}), each by an attack of its own, the variant is right in "
                f"{BOUNDS[of['variant'].bound]}{ours} of rows, the parent in "
                f"{BOUNDS[of['parent'].bound]}{theirs}."
            )
    for m in _triggers(scene):
        yield (
            f"One and the same small pattern turns rows into class {m.params.get('class', '?')} "
            f"more often on the variant than on the parent: {format_measurement(m).whole}."
        )


def _triggers(scene: ExplanationContext) -> list[Measurement]:
    """Return the triggers that the variant obeys more than its parent, beyond doubt."""
    found = scene.measured(VARIANT, "trigger_gap")
    return [m for m in found if m.low is not None and m.low > 0]


def _cures(scene: ExplanationContext) -> Iterator[SuggestedCure]:
    if scene.finding.outcome is Outcome.PASSED:
        return
    if _triggers(scene):
        yield TRIGGER
    if read_number(scene.figure(VARIANT, "flip_rate")):
        yield MADE_AGAIN
        yield PARENT


HARDWARE = "hardware."
TELLERS: Mapping[str, Tell] = MappingProxyType(
    {
        PARITY: explain_parity,
        SATURATION: explain_saturation,
        VARIANT: explain_variant,
        LINEAGE: explain_lineage,
        ARTIFACT: explain_artifact,
        SIGNATURE: explain_signature,
    }
)
DECIDED = frozenset({Outcome.PASSED, Outcome.FAILED, Outcome.UNKNOWN, Outcome.WITHSTOOD})


def build_explanations(
    inputs: ReportInputs, ordered: Sequence[Finding]
) -> Mapping[int, FindingExplanation]:
    """Return the story of each finding that has one, by its place in ``ordered``.

    The first card of a topic tells it, later ones point there.
    """
    told: dict[str, tuple[str, str]] = {}
    advised: dict[tuple[SuggestedCure, ...], tuple[str, str]] = {}
    found: dict[int, FindingExplanation] = {}
    for place, finding in enumerate(ordered, start=1):
        check = finding.measure.split("/", 1)[0]
        told_of = check in TELLERS or check.startswith((HARDWARE, *FAMILIES))
        if not told_of or finding.outcome not in DECIDED:
            continue
        anchor = f"finding-{place}"
        other = explain_conclusion if check.startswith(FAMILIES) else _tell_plainly
        parts, cures = TELLERS.get(check, other)(
            ExplanationContext(inputs, finding, f"story-{place}")
        )
        new = tuple(part for part in parts if part.topic not in told)
        links = [told[part.topic] for part in parts if part.topic in told]
        told.update({part.topic: (anchor, part.name) for part in new})
        cures = tuple(cures)
        if cures in advised:
            links.append(advised[cures])
            cures = ()
        elif cures:
            advised[cures] = (anchor, "What to do")
        if parts or cures:
            found[place] = FindingExplanation(
                parts=new, links=tuple(dict.fromkeys(links)), cures=cures
            )
    return found


def _tell_plainly(
    scene: ExplanationContext,
) -> tuple[Sequence[ExplanationPart], Sequence[SuggestedCure]]:
    """Say in plain words what a check looks at, and what helps where it found something bad."""
    check = scene.finding.measure.split("/", 1)[0]
    words = load_check_wordings().get(check)
    readings = [scene.inputs.record.readings[place] for place in scene.finding.readings[:1]]
    measured = [item for item in readings if isinstance(item, Measurement)]
    if words is None or not measured:
        return (), ()  # nothing was looked at: the Gap says why, and what would help
    bad = scene.finding.outcome in {Outcome.FAILED, Outcome.UNKNOWN}
    doubted = any(suggest_doubt_cure(scene.inputs.record, item) for item in measured)
    # A doubted figure shows no fault of the target: its own cure is the card's remedy.
    cures = tuple(SuggestedCure(text) for text in words.cures) if bad and not doubted else ()
    part = ExplanationPart(topic=f"about:{check}", name="What was looked at", told=(words.about,))
    return (part,), cures
