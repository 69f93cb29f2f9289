"""Probes a target without opening a model on it."""

import os
from collections.abc import Mapping
from typing import Any

from auditor.domain.isolation import REQUIRED, IsolationLevel
from auditor.domain.targets import TargetSpec
from auditor.targets.child_process import ChildProcess
from auditor.targets.fingerprint import sanitise_facts
from auditor.targets.isolation import build_sandbox_bounds
from auditor.targets.runtimes import find_driver


def probe_target(spec: TargetSpec) -> Mapping[str, Any]:
    """Return what a child on this target says of machine, runtime, devices and conditions.

    For a target that runs a file. Raises ``TargetError``, ``RuntimeMissingError`` and
    ``SubjectLostError``.
    """
    title = f"the process on the target {spec.name!r}"
    with ChildProcess(find_driver(spec.runtime), build_sandbox_bounds(spec, None), title) as child:
        probed = child.ask({"op": "probe"}, seconds=spec.time_limit)
        return {
            "machine": sanitise_facts(probed.header.get("machine")),
            "runtime": sanitise_facts(probed.header.get("runtime")),
            "devices": sanitise_facts(probed.header.get("devices")) or [],
            "conditions": sanitise_facts(probed.header.get("conditions")),
            "isolation": child.level.value,
        }


def set_required_isolation(least: IsolationLevel) -> None:
    """Hold all children of this process, and of those that it starts, to a level.

    Raises ``TargetError`` where this machine cannot give it: a child is started to see that.
    """
    os.environ[REQUIRED] = least.value
    bounds = build_sandbox_bounds(TargetSpec("this machine"), None)
    with ChildProcess("sandbox.artifact_parser", bounds, "a trial process"):
        pass
