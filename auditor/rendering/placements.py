"""Where a target really ran, in words."""

from collections.abc import Iterator, Mapping

from auditor.domain.canonical import Json
from auditor.domain.evidence_levels import TargetEvidence, counts_of, evidence_of
from auditor.domain.targets import EvidenceLevel, TargetSpec
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.numbers import count

MOST_KINDS = 12
LEVELS: Mapping[EvidenceLevel, str] = {
    EvidenceLevel.VERIFIED: "verified on target",
    EvidenceLevel.MEASURED: "measured",
    EvidenceLevel.SIMULATED: "simulated: numbers only, never timed",
    EvidenceLevel.EMULATED: "emulated: numbers only, never timed",
    EvidenceLevel.UNOPENED: "not opened",
}


def target_evidence(inputs: RenderedInputs, spec: TargetSpec) -> TargetEvidence:
    """Return how far the figures of a record speak of one of its targets."""
    record = inputs.record
    return evidence_of(spec, record.fingerprints.get(spec.name), record.readings)


def level_words(inputs: RenderedInputs, spec: TargetSpec) -> str:
    """Name the level of a target's figures."""
    return LEVELS[target_evidence(inputs, spec).level]


def untimed_targets(inputs: RenderedInputs) -> Mapping[str, EvidenceLevel]:
    """Return the targets that ran on no chip of their kind, with their levels."""
    levels = {
        spec.name: target_evidence(inputs, spec).level for spec in inputs.record.request.targets
    }
    played = {EvidenceLevel.SIMULATED, EvidenceLevel.EMULATED}
    return {name: level for name, level in levels.items() if level in played}


def evidence_sentence(evidence: TargetEvidence) -> str:
    """Say a level and what it rests on."""
    word = LEVELS[evidence.level].partition(":")[0].capitalize()
    return f"{word}: {evidence.because}." if evidence.because else f"{word}."


def provider_lines(placement: Json) -> Iterator[tuple[str, str]]:
    """Yield each provider with its operators on one line, the most frequent first."""
    for provider, kinds in sorted(counts_of(placement).items()):
        ranked = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
        listed = ", ".join(f"{count(number)} {kind}" for kind, number in ranked[:MOST_KINDS])
        hidden = len(ranked) - MOST_KINDS
        more = f" and {hidden} kinds more" if hidden > 0 else ""
        yield provider, f"{count(sum(kinds.values()))} operators: {listed}{more}"
