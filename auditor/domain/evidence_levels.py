"""Evidence levels: whether figures of a target are verified, measured, simulated or emulated.

Everything that shows, judges or forbids by where a model ran (reports, gates, policies, timings,
attestations) takes it from here. What cannot be told apart from something weaker is called that.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from auditor.domain.execution_providers import PROVIDERS, ProviderFacts, find_provider
from auditor.domain.json import Json
from auditor.domain.readings import Gap, GapReason, Measurement, Reading
from auditor.domain.targets import EvidenceLevel, Fingerprint, TargetSpec

PLACEMENT = "hardware.placement"
BACKENDS: Mapping[str, tuple[str, ...]] = {"htp": ("NPU",), "gpu": ("GPU",)}
"""QNN's backends that run on a chip of their own; ``cpu``, ``saver`` and ``ir`` run on none."""
VENDOR_IDS: Mapping[str, tuple[int, ...]] = {
    "nvidia": (0x10DE,),
    "amd": (0x1002, 0x1022),
    "qualcomm": (0x5143, 0x17CB, 0x4D4F4351),
}
"""No sets: a forged record may say a list, of which no set can be asked."""
SOFTWARE_VENDORS = ("mesa", "llvmpipe", "swiftshader", "microsoft")
SOFTWARE_IDS = (0x10005, 0x1AE0, 0x1414)
"""Who makes GPUs out of software: Mesa, SwiftShader, and Microsoft's basic renderer."""
CHOOSING = frozenset({"AUTO", "HETERO", "MULTI", "BATCH"})
"""OpenVINO's devices that stand for several, of which it takes what it likes."""
_NUMBER = re.compile(r"[0-9]{0,3}")
_LIBRARY = re.compile(r"(?:lib)?qnn(\w+)\.(?:so|dll|dylib)", re.IGNORECASE)

SERVED = "a served model does not say where its operators run"
FUNCTION = "a Python function stands for the model, and nothing shows what it runs on"
SILENT = "nobody says where the operators run"
PLAYED = "plays the processor, so that numbers are those of the chip; it is never timed"
KIND = "Measure on a device of the kind that the provider stands for."
EXPORT = "Export the model to ONNX, and audit that file on its target."
UNTIMED = "numbers are those of a simulation, and times are never taken"


@dataclass(frozen=True, slots=True)
class TargetEvidence:
    """A level, and what it rests on."""

    level: EvidenceLevel
    because: str


def assess_evidence(
    spec: TargetSpec, found: Fingerprint | None, readings: Iterable[Reading] = ()
) -> TargetEvidence:
    """Say how far figures speak of a target, from what it turned out to be and where nodes ran.

    A level that the fingerprint carries already is never raised: whoever was there saw no more.
    """
    if found is None:
        return TargetEvidence(EvidenceLevel.UNOPENED, "nothing was measured on it")
    told_readings = tuple(readings)
    if spec.cascade is not None:
        halves = []
        for name, half in (("edge", spec.cascade.edge), ("cloud", spec.cascade.cloud)):
            facts = found.identity_facts.get(name)
            known = facts if isinstance(facts, Mapping) else {}
            halves.append((name, _placed(half, known, told_readings)))
        level = halves[0][1].level.or_less(halves[1][1].level)
        if found.emulated:
            level = level.or_less(EvidenceLevel.EMULATED)
        told = TargetEvidence(level, "; ".join(f"{name}: {told.because}" for name, told in halves))
    elif found.emulated and spec.emulated is None:
        told = TargetEvidence(EvidenceLevel.EMULATED, f"an emulator (unnamed) {PLAYED}")
    else:
        told = _placed(spec, found.identity_facts, told_readings)
    carried = found.evidence
    if carried is None or told.level.or_less(carried) is told.level:
        return told
    return TargetEvidence(carried, f"the record itself calls it {carried.value}")


def assess_evidence_levels(
    specs: Iterable[TargetSpec], found: Mapping[str, Fingerprint], readings: Sequence[Reading]
) -> Mapping[str, EvidenceLevel]:
    """Return the level of each target by its name."""
    return {
        spec.name: assess_evidence(spec, found.get(spec.name), readings).level for spec in specs
    }


def find_timing_gap(spec: TargetSpec, found: Fingerprint, metric: str = "") -> Gap | None:
    """Return the Gap of times and memory on a target that ran on no chip of its kind, if so."""
    told = assess_evidence(spec, found)
    if told.level is EvidenceLevel.EMULATED:
        return Gap(
            reason=GapReason.EMULATED,
            detail="The processor is emulated: its numbers are those of the chip, its times and "
            "its memory are not.",
            cure="Measure on the chip itself.",
            metric=metric,
        )
    if told.level is EvidenceLevel.SIMULATED:
        return Gap(
            reason=GapReason.SIMULATED,
            detail=f"The device is simulated: {told.because}.",
            cure=EXPORT if told.because == FUNCTION else KIND,
            metric=metric,
        )
    return None


def _placed(
    spec: TargetSpec, facts: Mapping[str, Json], readings: Sequence[Reading]
) -> TargetEvidence:
    """Look for what speaks against the target first, and for what speaks for it last."""
    if spec.callable is not None:
        return TargetEvidence(EvidenceLevel.SIMULATED, FUNCTION)
    if spec.endpoint is not None:
        return TargetEvidence(EvidenceLevel.MEASURED, SERVED)
    played = spec.emulated or _processor(facts, "emulated") or _processor(facts, "translated")
    if played:
        return TargetEvidence(EvidenceLevel.EMULATED, f"an emulator ({played}) {PLAYED}")
    device = _device(spec, facts)
    # What `hardware.placement` measured on a target, by metric, the first of each.
    found: dict[str, Measurement] = {}
    for item in readings:
        if isinstance(item, Measurement) and (item.check, item.target) == (PLACEMENT, spec.name):
            found.setdefault(item.metric, item)
    nodes = _nodes(spec, facts, found)
    # Where operators ran is said first: without that, no device says anything.
    return device if nodes.level.or_less(device.level) is not nodes.level else nodes


def _nodes(
    spec: TargetSpec, facts: Mapping[str, Json], placements: Mapping[str, Measurement]
) -> TargetEvidence:
    """Say whether every operator is known to have run on the provider that the target means."""
    placed = read_operator_counts(facts.get("placement"))
    counts = {name: sum(kinds.values()) for name, kinds in placed.items()}
    total = sum(counts.values())
    if not total:
        return TargetEvidence(EvidenceLevel.MEASURED, SILENT)
    declared = _declared(spec, counts, placements)
    elsewhere = {name: number for name, number in counts.items() if name != declared and number}
    if elsewhere:
        where = ", ".join(f"{number} on {name}" for name, number in sorted(elsewhere.items()))
        leave = ", as allow_fallback permits" if spec.allow_fallback else ""
        away = f"{sum(elsewhere.values())} of {total} operators run elsewhere ({where}){leave}"
        return TargetEvidence(EvidenceLevel.MEASURED, away)
    lost = placements.get("unaccounted_nodes")
    if lost is not None and lost.value:
        count = str(lost.value).removesuffix(".0")
        because = f"nobody says where {count} more operators run"
        return TargetEvidence(EvidenceLevel.MEASURED, because)
    allowed = ", although allow_fallback would let them run elsewhere" * spec.allow_fallback
    said = f"the runtime says that all {total} operators run on {declared}{allowed}"
    return TargetEvidence(EvidenceLevel.VERIFIED, said)


def _declared(
    spec: TargetSpec, counts: Mapping[str, int], placements: Mapping[str, Measurement]
) -> str:
    """Return the provider that the target means, by the name that the runtime gives it."""
    told = placements.get("share_on_target")
    named = None if told is None else told.details.get("declared")
    if isinstance(named, str):
        return named
    if spec.runtime != "onnxruntime" or spec.library is not None:
        # Such a runtime has names of its own; a target that allows no fallback opens on one alone.
        return next(iter(counts)) if len(counts) == 1 and not spec.allow_fallback else ""
    return spec.provider


def _device(spec: TargetSpec, facts: Mapping[str, Json]) -> TargetEvidence:
    """Say whether the device that was used is of the kind that the target names."""
    if spec.runtime == "openvino":
        asked = _kind(spec.device or "CPU")
        ran = sorted({_kind(name) for name in read_operator_counts(facts.get("placement"))})
        if asked in CHOOSING:
            because = f"{asked} chooses among devices by itself"
            return TargetEvidence(EvidenceLevel.MEASURED, because)
        if ran and asked not in ran:
            because = f"the target names {asked}, and OpenVINO ran on {', '.join(ran)}"
            return TargetEvidence(EvidenceLevel.SIMULATED, f"{because}; {UNTIMED}")
        return TargetEvidence(EvidenceLevel.VERIFIED, "")
    said = facts.get("devices")
    every = [item for item in said if isinstance(item, Mapping)] if isinstance(said, list) else []
    # The device that the session was opened on; all that may be it, where none is named
    if spec.library is None and spec.device is None:
        used = every
    else:
        kind, _, number = (spec.device or "").partition(":")
        fitting = [item for item in every if not kind or item.get("kind") == kind.upper()]
        if not _NUMBER.fullmatch(number):
            used = []
        else:
            at = int(number or 0)
            used = fitting[at : at + 1]
    # Every provider that anything says this is: a name may be a slip or a pretence
    named = find_provider(spec)
    made = [device.get("vendor") for device in every]
    by_maker = [facts for facts in PROVIDERS.values() if facts.maker and facts.maker in made]
    by_name = [PROVIDERS[spec.provider]] if spec.provider in PROVIDERS else []
    found = [*([] if named is None else [named]), *by_maker]
    found += [facts for facts in by_name if not facts.runs_in_process]
    listed, known = used, list({facts.name: facts for facts in found}.values())
    here = find_provider(spec)
    if here is not None and here.runs_in_process and spec.device is None and known == [here]:
        return TargetEvidence(EvidenceLevel.VERIFIED, "it is the processor of this machine")
    kinds = _stands_for(spec, known)
    wrong = [why for device in listed if (why := _other(device, kinds, known))]
    if listed and len(wrong) == len(listed):
        return TargetEvidence(EvidenceLevel.SIMULATED, f"{wrong[0]}; {UNTIMED}")
    doubt = next(_doubts(spec, here, known, listed), "")
    if wrong or doubt:
        return TargetEvidence(EvidenceLevel.MEASURED, doubt or wrong[0])
    return TargetEvidence(EvidenceLevel.VERIFIED, "")


def _stands_for(spec: TargetSpec, known: Sequence[ProviderFacts]) -> frozenset[str] | None:
    """Return the kinds of device that the target stands for, by all that it says of itself.

    ``None`` where nothing is known of the provider, so that any kind may be meant.
    """
    found: frozenset[str] | None = None
    for facts in known:
        if facts.kinds:
            found = frozenset(facts.kinds) if found is None else found & frozenset(facts.kinds)
    asked = [_kind(name) for name in (spec.device, *_options(spec, "device_type")) if name]
    narrowed = [frozenset({kind}) for kind in asked if kind not in CHOOSING]
    if any(facts.maker == "Qualcomm" for facts in known):
        narrowed += [frozenset(BACKENDS.get(name, ())) for name in _backends(spec)]
    for kinds in narrowed:
        found = kinds if found is None else found & kinds
    return found


def _other(
    device: Mapping[str, Json], kinds: frozenset[str] | None, known: Sequence[ProviderFacts]
) -> str:
    """Say why a device is not of the kind that the provider stands for; nothing where it may be."""
    kind, vendor = str(device.get("kind") or "").upper(), str(device.get("hardware_vendor") or "")
    shown = f"{kind} of {vendor}" if vendor else kind
    if kinds is not None and kind and kind not in kinds:
        stands = " or ".join(sorted(kinds)) or "no device of its own"
        return f"the provider stands for {stands}, and the device that it reports is {shown}"
    number = device.get("vendor_id")
    if kind == "GPU" and (
        any(name in vendor.lower() for name in SOFTWARE_VENDORS) or number in SOFTWARE_IDS
    ):
        return f"the device that the provider reports is software ({shown})"
    for facts in known:
        if (vendor or number) and not _made_by(facts.vendor, vendor, number):
            return (
                f"the provider stands for hardware of {facts.vendor.upper()}, and the device "
                f"that it reports is {shown}"
            )
    return ""


def _doubts(
    spec: TargetSpec,
    here: ProviderFacts | None,
    known: Sequence[ProviderFacts],
    listed: Sequence[Mapping[str, Json]],
) -> Iterator[str]:
    """Yield why nothing shows that the device is the one that the target names."""
    if here is None or not here.kinds:
        yield "it is not known for which kind of device the provider stands"
    if any(not facts.reports_device for facts in known):
        yield "the provider does not say which device it uses"
    if any(_kind(name) in CHOOSING for name in _options(spec, "device_type")):
        yield "the provider chooses among devices by itself"
    if not listed or not all(device.get("kind") for device in listed):
        yield "the runtime does not report the device that was used"
    unnamed = any(not (item.get("hardware_vendor") or item.get("vendor_id")) for item in listed)
    if unnamed and any(facts.vendor for facts in known):
        yield "the runtime does not report who made the device"


def _backends(spec: TargetSpec) -> Iterator[str]:
    """Yield the QNN backends that the target's settings name; the usual one where none is."""
    named = [*_options(spec, "backend_type")]
    for path in _options(spec, "backend_path"):
        match = _LIBRARY.fullmatch(re.split(r"[/\\]", path)[-1])
        named.append(match[1] if match else "")
    yield from (name.lower() for name in named)


def _options(spec: TargetSpec, name: str) -> list[str]:
    """Return a provider's option, which a session entry ``ep.PROVIDER.OPTION`` may set too."""
    own = [said for key, said in spec.provider_options.items() if key.lower() == name]
    entries = [said for key, said in spec.session.items() if key.lower().endswith(f".{name}")]
    return [*own, *entries]


def _kind(name: str) -> str:
    return re.split(r"[:.(,]", name)[0].strip().upper()


def _made_by(name: str, vendor: str, number: Json) -> bool:
    """Whether a device is of the maker ``name``; where that is empty, anybody's is."""
    by_name = name in vendor.lower() or (name == "amd" and "advanced micro" in vendor.lower())
    return by_name or number in VENDOR_IDS.get(name, ())


def _processor(facts: Mapping[str, Json], fact: str) -> str:
    machine = facts.get("machine")
    cpu = machine.get("cpu") if isinstance(machine, Mapping) else None
    said = cpu.get(fact) if isinstance(cpu, Mapping) else None
    return said if isinstance(said, str) else ""


def read_operator_counts(placement: Json) -> dict[str, dict[str, int]]:
    """Return the operators by provider and kind, out of a fingerprint's fact."""
    if not isinstance(placement, Mapping):
        return {}
    return {
        provider: {kind: number for kind, number in kinds.items() if isinstance(number, int)}
        for provider, kinds in placement.items()
        if isinstance(kinds, Mapping)
    }
