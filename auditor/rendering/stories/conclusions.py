"""What stands behind a verdict on privacy or poison: the reasons, and what would have been seen."""

from collections.abc import Iterator, Mapping, Sequence

from auditor.domain.canonical import Json
from auditor.domain.conclusions import VERDICT
from auditor.domain.readings import Measurement
from auditor.rendering.numbers import count, scalar
from auditor.rendering.stories.story import Cure, Part, Scene

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


def tell_conclusion(scene: Scene) -> tuple[Sequence[Part], Sequence[Cure]]:
    """Tell why the verdict fell as it did, and how small an effect would have been seen."""
    for place in scene.finding.readings:
        m = scene.inputs.record.readings[place]
        told = tuple(_told(m)) if isinstance(m, Measurement) else ()
        if told:
            topic = f"{m.check}/{m.metric}:{scene.target}:{sorted(m.params.items())}"
            return (Part(topic=topic, name="What stands behind this", told=told),), ()
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
            yield f"{scalar(fault.get('code', ''))}: {scalar(fault.get('text', ''))}."


def _reasons(details: Mapping[str, Json]) -> Iterator[str]:
    one, many = details.get("reason"), details.get("reasons")
    for reason in (one, *(many if isinstance(many, list) else [many])):
        if isinstance(reason, str) and reason:
            yield f"{reason[0].upper()}{reason[1:].rstrip('.')}."


def _named(details: Mapping[str, Json]) -> Iterator[str]:
    """Say which class a backdoor leads to, who named it, and what a trigger does."""
    named, target = details.get("named"), details.get("target_class")
    if target is not None:
        yield f"Rows with the trigger are decided as class {scalar(target)}."
    if isinstance(named, Mapping) and named:
        told = ", ".join(f"{_words(who)}: {scalar(which)}" for who, which in named.items())
        yield f"Classes that detectors name: {told}."
    shown = details.get("shown_by")
    if isinstance(shown, list) and shown:
        yield f"Seen by {', '.join(_words(scalar(item)) for item in shown)}."


def _attacks(details: Mapping[str, Json]) -> Iterator[str]:
    listed = details.get("attacks")
    told = [
        f"{scalar(item['attack'])} ({_words(scalar(item.get('shadows', 'none')))} stand-ins) "
        f"{_share(item['auc'])}"
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
            SEEN[name].format(share=_share(value), number=_number(value))
            for name, value in power.items()
            if name in SEEN and isinstance(value, int | float)
        ]
        rest = [
            f"{_words(name)} {_number(value)}"
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
        return count(value)
    return f"{value:.3g}" if isinstance(value, float) else scalar(value)


def _share(value: Json) -> str:
    return f"{100 * value:.3g} %" if isinstance(value, int | float) else scalar(value)


def _words(name: str) -> str:
    return name.replace("_", " ")
