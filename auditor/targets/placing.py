"""Where operators run, from what a child said when it opened the artifact."""

from collections.abc import Mapping

from auditor.domain.placements import Placement, Source
from auditor.domain.targets import TargetSpec
from auditor.targets.fingerprints import bounded
from auditor.targets.frames import Frame


def placement_of(spec: TargetSpec, opened: Frame) -> Placement:
    """Read the placement; unknown where the other end cannot say, or says what is none."""
    said = bounded(opened.header.get("placement"))
    declared = str(opened.header.get("placed_on") or spec.provider)
    source = Source.ASSIGNMENT
    if opened.header.get("placement_source") == Source.VENDOR.value:
        source = Source.VENDOR
    nodes = _counts(said)
    if not nodes:
        return Placement(declared, Source.UNKNOWN)
    return Placement(declared, source, nodes)


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
