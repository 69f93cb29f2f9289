"""Parsing an artifact's files without running them."""

from collections.abc import Mapping
from pathlib import Path

from auditor.errors import AuditorError
from auditor.scanning.structure import scan_artifact
from auditor.targets.child.serving import Operation, RefusalError
from auditor.targets.frames import Frame


def operations() -> Mapping[str, Operation]:
    """Return what a child of this role answers."""
    return {"inspect": inspect}


def inspect(request: Frame) -> Frame:
    """Say what parsing ``main`` in ``folder`` shows."""
    try:
        found = scan_artifact(Path(request.header["folder"]), request.header["main"])
    except AuditorError as error:
        raise RefusalError("artifact", error.problem, error.cure) from error
    return Frame({"structure": found.to_json()})
