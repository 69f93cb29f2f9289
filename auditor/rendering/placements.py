"""Where a target really ran, and what may therefore be said of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from auditor.domain.canonical import Json
from auditor.domain.readings import Measurement
from auditor.domain.targets import CascadeSpec, Fingerprint, TargetSpec
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.numbers import count

MOST_KINDS = 12
SERVED = "a served model does not say where its operators run"
SILENT = "nobody says where the operators run"
PLAYED = "plays the processor, so that numbers are those of the chip; it is never timed"


class Level(StrEnum):
    """How far what was measured speaks of the declared target."""

    VERIFIED = "verified on target"
    MEASURED = "measured"
    EMULATED = "emulated: numbers only, never timed"
    UNOPENED = "not opened"


@dataclass(frozen=True, slots=True)
class Standing:
    """A level, and what it rests on."""

    level: Level
    because: str

    @property
    def sentence(self) -> str:
        """Both, as a sentence."""
        word = self.level.value.partition(":")[0].capitalize()
        return f"{word}: {self.because}." if self.because else f"{word}."


def standing(inputs: RenderedInputs, spec: TargetSpec) -> Standing:
    """Say what a target's figures may be called: verified only where every operator is accounted.

    An emulated target is never called verified: its operators did not run on the chip.
    """
    found = inputs.record.fingerprints.get(spec.name)
    if found is None:
        return Standing(Level.UNOPENED, "nothing was measured on it")
    played = sorted({name for name in _played(spec) if name})
    if found.emulated or played:
        return Standing(Level.EMULATED, f"an emulator ({', '.join(played) or 'unnamed'}) {PLAYED}")
    if spec.cascade is None:
        return _placed(inputs, spec, found.identity_facts)
    return _of_halves(inputs, spec.cascade, found)


def provider_lines(placement: Json) -> Iterator[tuple[str, str]]:
    """Yield each provider with its operators on one line, the most frequent first."""
    for provider, kinds in sorted(_counts(placement).items()):
        ranked = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
        listed = ", ".join(f"{count(number)} {kind}" for kind, number in ranked[:MOST_KINDS])
        hidden = len(ranked) - MOST_KINDS
        more = f" and {hidden} kinds more" if hidden > 0 else ""
        yield provider, f"{count(sum(kinds.values()))} operators: {listed}{more}"


def _of_halves(inputs: RenderedInputs, cascade: CascadeSpec, found: Fingerprint) -> Standing:
    halves = []
    for name, half in (("edge", cascade.edge), ("cloud", cascade.cloud)):
        facts = found.identity_facts.get(name)
        halves.append((name, _placed(inputs, half, facts if isinstance(facts, Mapping) else {})))
    verified = all(stands.level is Level.VERIFIED for _, stands in halves)
    level = Level.VERIFIED if verified else Level.MEASURED
    return Standing(level, "; ".join(f"{name}: {stands.because}" for name, stands in halves))


def _placed(inputs: RenderedInputs, spec: TargetSpec, facts: Mapping[str, Json]) -> Standing:
    if spec.endpoint is not None:
        return Standing(Level.MEASURED, SERVED)
    counts = {name: sum(kinds.values()) for name, kinds in _counts(facts.get("placement")).items()}
    total = sum(counts.values())
    if not total:
        return Standing(Level.MEASURED, SILENT)
    declared = _declared(inputs, spec, counts)
    elsewhere = {name: number for name, number in counts.items() if name != declared and number}
    if elsewhere:
        where = ", ".join(f"{number} on {name}" for name, number in sorted(elsewhere.items()))
        leave = ", as allow_fallback permits" if spec.allow_fallback else ""
        away = f"{sum(elsewhere.values())} of {total} operators run elsewhere ({where}){leave}"
        return Standing(Level.MEASURED, away)
    lost = _told(inputs, spec, "unaccounted_nodes")
    if lost is not None and lost.value:
        return Standing(Level.MEASURED, f"nobody says where {lost.value:g} more operators run")
    allowed = ", although allow_fallback would let them run elsewhere" * spec.allow_fallback
    said = f"the runtime says that all {total} operators run on {declared}{allowed}"
    return Standing(Level.VERIFIED, said)


def _declared(inputs: RenderedInputs, spec: TargetSpec, counts: Mapping[str, int]) -> str:
    """Return the provider that the target means, by the name that the runtime gives it."""
    told = _told(inputs, spec, "share_on_target")
    named = None if told is None else told.details.get("declared")
    if isinstance(named, str):
        return named
    if spec.runtime == "openvino" or spec.library is not None:
        # Such a runtime has names of its own; a target that allows no fallback opens on one alone.
        return next(iter(counts)) if len(counts) == 1 and not spec.allow_fallback else ""
    return spec.provider


def _told(inputs: RenderedInputs, spec: TargetSpec, metric: str) -> Measurement | None:
    return next(
        (
            item
            for item in inputs.record.readings
            if isinstance(item, Measurement) and item.check == "hardware.placement"
            if item.metric == metric and item.target == spec.name
        ),
        None,
    )


def _played(spec: TargetSpec) -> tuple[str | None, ...]:
    if spec.cascade is None:
        return (spec.emulated,)
    return spec.cascade.edge.emulated, spec.cascade.cloud.emulated


def _counts(placement: Json) -> dict[str, dict[str, int]]:
    if not isinstance(placement, Mapping):
        return {}
    return {
        provider: {kind: number for kind, number in kinds.items() if isinstance(number, int)}
        for provider, kinds in placement.items()
        if isinstance(kinds, Mapping)
    }
