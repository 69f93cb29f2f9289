"""Parses an artifact's files in the sandbox, without running them."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from auditor.errors import AuditorError
from auditor.onnx.declared_identity import read_declared_identity
from auditor.onnx.scan.artifact import scan_artifact
from auditor.targets.protocol import MessageFrame
from auditor.targets.sandbox.request_loop import Operation, RefusalError


def operations() -> Mapping[str, Operation]:
    """Return what a child of this role answers."""
    return {"inspect": inspect_files, "identify": identify_model}


def inspect_files(request: MessageFrame) -> MessageFrame:
    """Say what parsing ``main`` in ``folder`` shows."""
    try:
        found = scan_artifact(Path(request.header["folder"]), request.header["main"])
    except AuditorError as error:
        raise RefusalError("artifact", error.problem, error.cure) from error
    return MessageFrame({"structure": found.to_json()})


def identify_model(request: MessageFrame) -> MessageFrame:
    """Say what the ONNX file ``main`` in ``folder`` calls its model and its classes."""
    path = Path(request.header["folder"]) / request.header["main"]
    return MessageFrame({"identity": asdict(read_declared_identity(path))})
