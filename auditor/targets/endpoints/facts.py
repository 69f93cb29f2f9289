"""What an endpoint turned out to be, in the form in which a child says it of its machine."""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from auditor.domain.canonical import Json
from auditor.domain.endpoints import EndpointSpec
from auditor.targets.endpoints.addresses import Address
from auditor.targets.endpoints.answers import Declared, Served, Server


def header_facts(
    spec: EndpointSpec, address: Address, server: Server, served: Served, version: str
) -> dict[str, Any]:
    """Return the facts that must match for another audit to be of the same target.

    ``version`` is the model's version as its answers name it. Header values are never part of
    this; of the address only host, port and path are.
    """
    machine: dict[str, Json] = {
        "host": address.place,
        "encrypted": address.encrypted,
        "certificate": server.certificate or None,
    }
    runtime: dict[str, Json] = {
        "name": "endpoint",
        "protocol": spec.protocol.value,
        "path": address.path,
        "server": server.name,
        "version": server.version,
        "extensions": sorted(server.extensions),
        "model": served.name or spec.model,
        "model_version": version or spec.model_version,
        "model_versions": sorted(served.versions),
        "platform": served.platform,
        "labels_only": spec.labels_only,
        "inputs": listed(served.inputs),
        "outputs": listed(served.outputs),
    }
    return {"machine": machine, "runtime": runtime, "placement": "unknown", "opsets": {}}


def listed(slots: Iterable[Declared]) -> list[Json]:
    """Return inputs or outputs as a child lists them."""
    return [slot.to_json() for slot in slots]


def differences(before: tuple[Server, Served], now: tuple[Server, Served]) -> tuple[str, ...]:
    """Say in words what a server says otherwise than it did."""
    sides: tuple[tuple[str, Server | Served, Server | Served], ...] = (
        ("server", before[0], now[0]),
        ("model", before[1], now[1]),
    )
    return tuple(
        f"the {whose}'s {entry.name} was {_shown(old)} and is {_shown(new)}"
        for whose, earlier, later in sides
        for entry in fields(earlier)
        if (old := getattr(earlier, entry.name)) != (new := getattr(later, entry.name))
    )


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        names = [slot.name if isinstance(slot, Declared) else str(slot) for slot in value]
        return "[" + ", ".join(names)[:100] + "]"
    return repr(value)[:120]
