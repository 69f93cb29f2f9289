"""A look at a target, without opening anything on it."""

import os
from collections.abc import Mapping
from typing import Any

from auditor.domain.isolation import Isolation
from auditor.domain.targets import TargetSpec
from auditor.targets.fingerprints import bounded
from auditor.targets.isolation import REQUIRED, bounds_of
from auditor.targets.processes import Child

ROLES: Mapping[str, str] = {"onnxruntime": "model", "openvino": "openvino"}
"""The role of the child that opens a file for each runtime."""


def probe_target(spec: TargetSpec) -> Mapping[str, Any]:
    """Return what a child on this target says of machine, runtime, devices and conditions.

    For a target that runs a file. Raises ``TargetError``, ``RuntimeMissingError`` and
    ``SubjectLostError``.
    """
    title = f"the process on the target {spec.name!r}"
    with Child(ROLES[spec.runtime], bounds_of(spec, None), title) as child:
        probed = child.ask({"op": "probe"}, seconds=spec.time_limit)
        return {
            "machine": bounded(probed.header.get("machine")),
            "runtime": bounded(probed.header.get("runtime")),
            "devices": bounded(probed.header.get("devices")) or [],
            "conditions": bounded(probed.header.get("conditions")),
            "isolation": child.level.value,
        }


def require_isolation(least: Isolation) -> None:
    """Hold all children of this process, and of those that it starts, to a level.

    Raises ``TargetError`` where this machine cannot give it: a child is started to see that.
    """
    os.environ[REQUIRED] = least.value
    with Child("structure", bounds_of(TargetSpec("this machine"), None), "a trial process"):
        pass
