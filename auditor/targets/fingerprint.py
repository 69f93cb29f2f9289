"""Fingerprint of a target: identity facts, conditions, and the placement of operators.

Identity facts must match between runs; conditions may differ. All facts come from the child process
and are sanitized.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from auditor.domain.execution_providers import describe_support, find_provider
from auditor.domain.json import Json, JsonObject
from auditor.domain.operator_placement import OperatorPlacement, PlacementSource
from auditor.domain.targets import Fingerprint, ModelInterface, TargetSpec
from auditor.errors import ModelCrashedError
from auditor.targets.protocol import MessageFrame, to_plain_text

OF_THE_MODEL = frozenset({"placement", "opsets", "precision", "free_dimensions"})
"""Identity facts that depend on what is open."""
CGROUP_LIMITS = ("cpu.max", "memory.max")
CGROUP = Path("/sys/fs/cgroup")
MOST_ITEMS = 4096
MOST_TEXT = 500
DEEPEST = 6


def make_fingerprint(
    spec: TargetSpec, opened: MessageFrame, interface: ModelInterface, level: str
) -> Fingerprint:
    """Put together what the child said of its machine, runtime and session.

    ``opened`` is its answer to ``open``. Raises ``ModelCrashedError`` where it is not emulated
    as declared: such figures would be taken for those of another processor.
    """
    machine = opened.header.get("machine")
    cpu = machine.get("cpu") if isinstance(machine, Mapping) else None
    played = cpu.get("emulated") if isinstance(cpu, Mapping) else None
    if played != spec.emulated:
        raise ModelCrashedError(
            f"the target {spec.name!r} is declared with emulated: "
            f"{to_plain_text(str(spec.emulated))}, but runs with {to_plain_text(str(played))}",
            cure="Update the auditor on that target.",
        )
    identity: dict[str, Json] = {
        "machine": sanitise_facts(opened.header.get("machine")),
        "runtime": sanitise_facts(opened.header.get("runtime")),
        **(
            {
                "provider": spec.provider,
                "session_providers": sanitise_facts(opened.header.get("providers")),
                "placement": sanitise_facts(opened.header.get("placement")),
                "opsets": sanitise_facts(opened.header.get("opsets")),
                "threads": spec.threads,
                "graph_optimization": spec.graph_optimization,
                **_where_set(spec, opened),
            }
            if spec.opens_file
            else {}
        ),
    }
    seen = sanitise_facts(opened.header.get("conditions"))
    conditions: dict[str, Json] = {
        **(seen if isinstance(seen, Mapping) else {}),
        "isolation": level,
        "cgroup": read_cgroup_limits(),
        "memory_limit": spec.memory_limit,
        "time_limit": spec.time_limit,
        "support": describe_support(spec),
    }
    return Fingerprint(
        identity, conditions, emulated=spec.emulated is not None, interface=interface
    )


def select_platform_facts(identity: JsonObject) -> JsonObject:
    """Return the identity facts that speak of the place alone, whatever model is open on it."""
    return {name: fact for name, fact in identity.items() if name not in OF_THE_MODEL}


def _where_set(spec: TargetSpec, opened: MessageFrame) -> dict[str, Json]:
    """Return the rarer facts: settings passed on, the provider's devices, the precision in use."""
    provider = opened.header.get("placed_on") or spec.provider
    said = sanitise_facts(opened.header.get("devices"))
    listed = (
        [device for device in said if isinstance(device, dict)] if isinstance(said, list) else []
    )
    devices = [device for device in listed if device.get("provider") == provider]
    found: dict[str, Json] = {
        "device": spec.device,
        "devices": devices if spec.library or spec.device or not _in_process(spec) else None,
        # Where it lies is no part of what it is: its digest tells that.
        "library": spec.library and Path(spec.library).name,
        "plugin": sanitise_facts(opened.header.get("plugin")),
        "provider_options": dict(spec.provider_options),
        "session": dict(spec.session),
        "free_dimensions": dict(spec.free_dimensions),
        "precision": sanitise_facts(opened.header.get("precision")),
    }
    return {name: fact for name, fact in found.items() if fact}


def _in_process(spec: TargetSpec) -> bool:
    """Whether the provider is the processor itself, which the machine's facts tell already."""
    known = find_provider(spec)
    return known is not None and known.runs_in_process


def sanitise_facts(said: Any, depth: int = DEEPEST) -> Any:  # noqa: ANN401 -- whatever JSON a child sent
    """Return what a child said, with long texts and lists cut and control characters removed."""
    if isinstance(said, str):
        return to_plain_text(said, MOST_TEXT)
    if said is None or isinstance(said, bool | float):
        return said
    if isinstance(said, int):
        return said if abs(said) < 2**53 else str(said)[:MOST_TEXT]
    if depth == 0 or not isinstance(said, list | dict):
        return to_plain_text(str(said), MOST_TEXT)
    if isinstance(said, list):
        return [sanitise_facts(item, depth - 1) for item in said[:MOST_ITEMS]]
    pairs = list(said.items())[:MOST_ITEMS]
    return {
        to_plain_text(str(key), MOST_TEXT): sanitise_facts(item, depth - 1) for key, item in pairs
    }


def read_cgroup_limits() -> dict[str, Json]:
    """Return the limits of the control group that this process lives in, where it has any."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    own = next((line[3:] for line in lines if line.startswith("0::")), "/").lstrip("/")
    found: dict[str, Json] = {}
    for name in CGROUP_LIMITS:
        place = CGROUP / own / name
        if place.is_file():
            found[name] = place.read_text(encoding="utf-8").strip()
    return found


def read_placement(spec: TargetSpec, opened: MessageFrame) -> OperatorPlacement:
    """Read the placement; unknown where the other end cannot say, or says what is none."""
    said = sanitise_facts(opened.header.get("placement"))
    declared = str(opened.header.get("placed_on") or spec.provider)
    source = PlacementSource.ASSIGNMENT
    if opened.header.get("placement_source") == PlacementSource.VENDOR.value:
        source = PlacementSource.VENDOR
    nodes = _counts(said)
    if not nodes:
        return OperatorPlacement(declared, PlacementSource.UNKNOWN)
    return OperatorPlacement(declared, source, nodes)


def _counts(said: object) -> dict[str, dict[str, int]]:
    if not isinstance(said, Mapping):
        return {}
    found: dict[str, dict[str, int]] = {}
    for provider, counts in said.items():
        if not isinstance(counts, Mapping):
            return {}
        for operator, count in counts.items():
            if type(count) is not int or count < 0:
                return {}
            found.setdefault(str(provider), {})[str(operator)] = count
    return found
