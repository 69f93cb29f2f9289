"""What a target turned out to be: the facts that must match, and those that may differ."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from auditor.domain.canonical import Json
from auditor.domain.targets import Fingerprint, Interface, TargetSpec
from auditor.targets.frames import Frame
from auditor.targets.isolation import Isolation
from auditor.targets.messages import plain

CGROUP_LIMITS = ("cpu.max", "memory.max")
CGROUP = Path("/sys/fs/cgroup")
MOST_ITEMS = 4096
MOST_TEXT = 500
DEEPEST = 6


def make_fingerprint(
    spec: TargetSpec, opened: Frame, interface: Interface, level: Isolation
) -> Fingerprint:
    """Put together what the child said of its machine, runtime and session.

    ``opened`` is its answer to ``open``.
    """
    identity: dict[str, Json] = {
        "machine": bounded(opened.header.get("machine")),
        "runtime": bounded(opened.header.get("runtime")),
        "provider": spec.provider,
        "session_providers": bounded(opened.header.get("providers")),
        "placement": bounded(opened.header.get("placement")),
        "opsets": bounded(opened.header.get("opsets")),
        "threads": spec.threads,
        "graph_optimization": spec.graph_optimization,
    }
    seen = bounded(opened.header.get("conditions"))
    conditions: dict[str, Json] = {
        **(seen if isinstance(seen, Mapping) else {}),
        "isolation": level.value,
        "cgroup": cgroup_limits(),
        "memory_limit": spec.memory_limit,
        "time_limit": spec.time_limit,
    }
    return Fingerprint(identity, conditions, emulated=False, interface=interface)


def bounded(said: Any, depth: int = DEEPEST) -> Any:  # noqa: ANN401 -- whatever JSON a child sent
    """Return what a child said, with long texts and lists cut and control characters removed."""
    if isinstance(said, str):
        return plain(said, MOST_TEXT)
    if said is None or isinstance(said, bool | float):
        return said
    if isinstance(said, int):
        return said if abs(said) < 2**53 else str(said)[:MOST_TEXT]
    if depth == 0 or not isinstance(said, list | dict):
        return plain(str(said), MOST_TEXT)
    if isinstance(said, list):
        return [bounded(item, depth - 1) for item in said[:MOST_ITEMS]]
    pairs = list(said.items())[:MOST_ITEMS]
    return {plain(str(key), MOST_TEXT): bounded(item, depth - 1) for key, item in pairs}


def cgroup_limits() -> dict[str, Json]:
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
