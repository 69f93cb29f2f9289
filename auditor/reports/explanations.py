"""Explanations of findings in a report: each check's own, once a topic, and what helps.

A check explains its findings or says what it looks at; conclusions about privacy and poisoning are
told from the reasons and the power that their details hold.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from auditor.domain.checks import Check
from auditor.domain.explanations import (
    NOTHING_TOLD,
    Explanation,
    ExplanationContext,
    ExplanationPart,
    SuggestedCure,
)
from auditor.domain.findings import Finding, Outcome
from auditor.domain.gaps import VERDICT
from auditor.domain.json import Json
from auditor.domain.number_text import format_count, format_scalar
from auditor.domain.readings import Measurement
from auditor.reports.doubts import suggest_doubt_cure
from auditor.reports.figures.panel import FigurePanel, to_figure_panel
from auditor.reports.rendering_inputs import ReportInputs, is_ours


@dataclass(frozen=True, slots=True)
class ExplanationTopic:
    """One topic on a card: its name, paragraphs, and drawings."""

    name: str
    told: tuple[str, ...]
    panels: tuple[FigurePanel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingExplanation:
    """The topics of a card, links to those told before, and what to do."""

    parts: tuple[ExplanationTopic, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    cures: tuple[SuggestedCure, ...] = ()

    @property
    def lists_rows(self) -> bool:
        """Whether rows are listed here, so that the card need not name them again."""
        return any(panel.drawing is None for part in self.parts for panel in part.panels)


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


def explain_conclusion(scene: ExplanationContext) -> Explanation:
    """Tell why the verdict fell as it did, and how small an effect would have been seen."""
    for place in scene.finding.readings:
        m = scene.readings[place]
        told = tuple(_told(m)) if isinstance(m, Measurement) else ()
        if told:
            topic = f"{m.check}/{m.metric}:{scene.target}:{sorted(m.params.items())}"
            return (ExplanationPart(topic=topic, name="Basis", told=told),), ()
    return NOTHING_TOLD


def _told(m: Measurement) -> Iterator[str]:
    if FAULTS in m.details:
        yield from _faults(m.details[FAULTS])
    if m.metric != VERDICT:
        return
    one, many = m.details.get("reason"), m.details.get("reasons")
    for reason in (one, *(many if isinstance(many, list) else [many])):
        if isinstance(reason, str) and reason:
            yield f"{reason[0].upper()}{reason[1:].rstrip('.')}."
    named, target = m.details.get("named"), m.details.get("target_class")
    if target is not None:
        yield f"Rows with the trigger are decided as class {format_scalar(target)}."
    if isinstance(named, Mapping) and named:
        told = ", ".join(
            f"{_words_conclusions(who)}: {format_scalar(which)}" for who, which in named.items()
        )
        yield f"Classes that detectors name: {told}."
    shown = m.details.get("shown_by")
    if isinstance(shown, list) and shown:
        yield f"Seen by {', '.join(_words_conclusions(format_scalar(item)) for item in shown)}."
    listed = m.details.get("attacks")
    areas = [
        f"{format_scalar(item['attack'])} "
        f"({_words_conclusions(format_scalar(item.get('shadows', 'none')))} stand-ins) "
        f"{_share_conclusions(item['auc'])}"
        for item in (listed if isinstance(listed, list) else ())
        if isinstance(item, Mapping) and {"attack", "auc"} <= set(item)
    ]
    if areas:
        yield f"Areas by attack, of which half is chance: {', '.join(areas[:MOST_ATTACKS])}."
    yield from _power(m.details.get("power"))


def _faults(listed: Json) -> Iterator[str]:
    for fault in listed if isinstance(listed, list) else ():
        if isinstance(fault, Mapping):
            yield f"{format_scalar(fault.get('code', ''))}: {format_scalar(fault.get('text', ''))}."


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
        if finding.outcome not in DECIDED:
            continue
        anchor = f"finding-{place}"
        parts, listed = _explain(inputs, finding)
        new = tuple(part for part in parts if part.topic not in told)
        links = [told[part.topic] for part in parts if part.topic in told]
        told.update({part.topic: (anchor, part.name) for part in new})
        cures = tuple(listed)
        if cures in advised:
            links.append(advised[cures])
            cures = ()
        elif cures:
            advised[cures] = (anchor, "What to do")
        if parts or cures:
            topics = [
                _topic(part, finding.target, f"story-{place}-{at}") for at, part in enumerate(new)
            ]
            found[place] = FindingExplanation(
                parts=tuple(topics), links=tuple(dict.fromkeys(links)), cures=cures
            )
    return found


def _topic(part: ExplanationPart, target: str, key: str) -> ExplanationTopic:
    panels = (to_figure_panel(it, target, f"{key}-{at}") for at, it in enumerate(part.panels))
    return ExplanationTopic(part.name, part.told, tuple(panels))


def _explain(inputs: ReportInputs, finding: Finding) -> Explanation:
    """Return what a check of ours says of its finding: no other explains the verdict."""
    name = finding.measure.split("/", 1)[0]
    check, specs = inputs.checks.get(name), inputs.record.request.targets
    spec = next((spec for spec in specs if spec.name == finding.target), None)
    scene = ExplanationContext(finding, spec, inputs.record.readings)
    if name.startswith(FAMILIES):
        return explain_conclusion(scene)
    if check is None or not is_ours(inputs, check):
        return NOTHING_TOLD
    return _tell_plainly(inputs, check, scene) if check.about else check.explain(scene)


def _tell_plainly(
    inputs: ReportInputs, check: type[Check], scene: ExplanationContext
) -> Explanation:
    """Say in plain words what a check looks at, and what helps where it found something bad."""
    readings = [scene.readings[place] for place in scene.finding.readings[:1]]
    measured = [item for item in readings if isinstance(item, Measurement)]
    if not measured:
        return NOTHING_TOLD  # nothing was looked at: the Gap says why, and what would help
    bad = scene.finding.outcome in {Outcome.FAILED, Outcome.UNKNOWN}
    doubted = any(suggest_doubt_cure(inputs.record, item) for item in measured)
    # A doubted figure shows no fault of the target: its own cure is the card's remedy.
    cures = tuple(SuggestedCure(text) for text in check.cures) if bad and not doubted else ()
    part = ExplanationPart(topic=f"about:{check.id}", name="Scope", told=(check.about,))
    return (part,), cures
