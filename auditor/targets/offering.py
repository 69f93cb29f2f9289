"""What this machine can offer as a target, and what a team declared."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from auditor.domain.canonical import Json
from auditor.domain.providers import PROVIDERS, UNTESTED, support_of
from auditor.domain.targets import TargetSpec
from auditor.targets.emulators import find_program, is_ready
from auditor.targets.probing import probe_target

RUNTIMES = re.compile(r"((?:onnxruntime|openvino|nxrt_ep)[a-z0-9_]*)-(\d[^-]*)\.dist-info")
PLAYED = ("Haswell", "Nehalem", "Cortex-A72")
"""Processors that are worth an emulator, one a kind."""


@dataclass(frozen=True, slots=True)
class Offer:
    """One thing that there is: ``kind`` says what, ``state`` how it stands, ``support`` how far it
    can be relied on.
    """

    name: str
    kind: str
    state: str
    support: str = ""

    def to_json(self) -> dict[str, Json]:
        """Return the form that `--format json` prints."""
        return {
            "name": self.name,
            "kind": self.kind,
            "state": self.state,
            "support": self.support,
        }


def offers(declared: Mapping[str, TargetSpec], base: Path, home: Path) -> tuple[Offer, ...]:
    """Return declared targets, providers, devices, emulators and worker environments.

    The runtime of this environment is asked in a child; nothing is fetched. ``base`` is the
    folder that may hold worker environments, ``home`` the one that holds emulators.
    """
    probed = probe_target(TargetSpec("this environment"))
    available = [str(name) for name in probed["runtime"].get("providers", ())]
    return (
        *(
            Offer(spec.name, "target", _declared(spec), support_of(spec))
            for spec in declared.values()
        ),
        *_providers(available),
        *_devices(probed["devices"]),
        *_emulators(home),
        *_workers(base),
    )


def _declared(spec: TargetSpec) -> str:
    if spec.endpoint is not None:
        return f"endpoint {spec.endpoint.url}"
    if spec.cascade is not None:
        return f"cascade of {spec.cascade.edge.name} and {spec.cascade.cloud.name}"
    parts = [spec.runtime, spec.library or spec.provider, *([spec.device] if spec.device else [])]
    return ", ".join([*parts, *([f"emulated {spec.emulated}"] if spec.emulated else [])])


def _providers(available: list[str]) -> Iterator[Offer]:
    for name in dict.fromkeys([*available, *PROVIDERS]):
        facts = PROVIDERS.get(name)
        state = "here" if name in available or facts is None else f"needs {facts.package}"
        yield Offer(name, "provider", state, UNTESTED if facts is None else facts.support)


def _devices(discovered: object) -> Iterator[Offer]:
    for device in discovered if isinstance(discovered, list) else ():
        if isinstance(device, Mapping):
            vendor = device.get("hardware_vendor") or "unknown vendor"
            state = f"{vendor}, by {device.get('provider')}"
            yield Offer(str(device.get("kind")), "device", state)


def _emulators(home: Path) -> Iterator[Offer]:
    for cpu in PLAYED:
        if is_ready(cpu, home):
            state = f"ready: {find_program(cpu, home)}"
        else:
            state = f"fetch it: auditor targets emulate {cpu}"
        yield Offer(cpu, "emulator", state, "tested: its numbers, never its times")


def _workers(base: Path) -> Iterator[Offer]:
    named = os.environ.get("AUDITOR_WORKERS")
    folders = [*sorted(base.glob(".venv-*")), *(sorted(Path(named).glob("*")) if named else [])]
    for folder in folders:
        found = sorted(
            f"{match[1].replace('_', '-')} {match[2]}"
            for place in folder.glob("lib/python3*/site-packages/*.dist-info")
            if (match := RUNTIMES.fullmatch(place.name))
        )
        if found and (folder / "bin" / "python").exists():
            yield Offer(str(folder / "bin" / "python"), "worker", ", ".join(found))
