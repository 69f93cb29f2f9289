"""Who tells which check's findings, and the order in which a report tells them, each topic once."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from auditor.domain.findings import Finding
from auditor.domain.readings import Measurement
from auditor.domain.verdicts import Outcome
from auditor.rendering.doubting import doubt_cure
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.stories.conclusions import FAMILIES, tell_conclusion
from auditor.rendering.stories.flips import PARITY, tell_parity
from auditor.rendering.stories.overflow import SATURATION, tell_saturation
from auditor.rendering.stories.story import Cure, Part, Scene, Story, Tell
from auditor.rendering.stories.supplies import (
    ARTIFACT,
    LINEAGE,
    SIGNATURE,
    tell_artifact,
    tell_lineage,
    tell_signature,
)
from auditor.rendering.stories.variants import VARIANT, tell_variant
from auditor.rendering.texts import plain_words

HARDWARE = "hardware."
TELLERS: Mapping[str, Tell] = MappingProxyType(
    {
        PARITY: tell_parity,
        SATURATION: tell_saturation,
        VARIANT: tell_variant,
        LINEAGE: tell_lineage,
        ARTIFACT: tell_artifact,
        SIGNATURE: tell_signature,
    }
)
DECIDED = frozenset({Outcome.PASSED, Outcome.FAILED, Outcome.UNKNOWN, Outcome.WITHSTOOD})


def stories(inputs: RenderedInputs, ordered: Sequence[Finding]) -> Mapping[int, Story]:
    """Return the story of each finding that has one, by its place in ``ordered``.

    The first card of a topic tells it, later ones point there.
    """
    told: dict[str, tuple[str, str]] = {}
    advised: dict[tuple[Cure, ...], tuple[str, str]] = {}
    found: dict[int, Story] = {}
    for place, finding in enumerate(ordered, start=1):
        check = finding.measure.split("/", 1)[0]
        told_of = check in TELLERS or check.startswith((HARDWARE, *FAMILIES))
        if not told_of or finding.outcome not in DECIDED:
            continue
        anchor = f"finding-{place}"
        other = tell_conclusion if check.startswith(FAMILIES) else _tell_plainly
        parts, cures = TELLERS.get(check, other)(Scene(inputs, finding, f"story-{place}"))
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
            found[place] = Story(parts=new, links=tuple(dict.fromkeys(links)), cures=cures)
    return found


def _tell_plainly(scene: Scene) -> tuple[Sequence[Part], Sequence[Cure]]:
    """Say in plain words what a check looks at, and what helps where it found something bad."""
    check = scene.finding.measure.split("/", 1)[0]
    words = plain_words().get(check)
    readings = [scene.inputs.record.readings[place] for place in scene.finding.readings[:1]]
    measured = [item for item in readings if isinstance(item, Measurement)]
    if words is None or not measured:
        return (), ()  # nothing was looked at: the Gap says why, and what would help
    bad = scene.finding.outcome in {Outcome.FAILED, Outcome.UNKNOWN}
    doubted = any(doubt_cure(scene.inputs.record, item) for item in measured)
    # A doubted figure shows no fault of the target: its own cure is the card's remedy.
    cures = tuple(Cure(text) for text in words.cures) if bad and not doubted else ()
    part = Part(topic=f"about:{check}", name="What was looked at", told=(words.about,))
    return (part,), cures
