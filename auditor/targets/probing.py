"""A look at a target, without opening anything on it."""

from collections.abc import Mapping
from typing import Any

from auditor.domain.targets import TargetSpec
from auditor.targets.fingerprints import bounded
from auditor.targets.isolation import bounds_of
from auditor.targets.processes import Child


def probe_target(spec: TargetSpec) -> Mapping[str, Any]:
    """Return what a child on this target says of machine, runtime and conditions."""
    title = f"the process on the target {spec.name!r}"
    with Child("model", bounds_of(spec, None), title) as child:
        probed = child.ask({"op": "probe"}, seconds=spec.time_limit)
        return {
            "machine": bounded(probed.header.get("machine")),
            "runtime": bounded(probed.header.get("runtime")),
            "conditions": bounded(probed.header.get("conditions")),
            "isolation": child.level.value,
        }
