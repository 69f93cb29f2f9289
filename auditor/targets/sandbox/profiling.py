"""One run with the runtime's profiler on: which kernels ran, where, and for how long.

The profiler writes a file, whose name it ends with the time; no file may be written here. So the
file is one end of a pipe, named up to a zero byte: the runtime opens its file as C does, and the
time after that byte is not part of the name. Another process reads the pipe, since the profiler
lets no thread of this process run meanwhile.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from auditor.targets.child.altering import rows_of
from auditor.targets.child.opened import open_session
from auditor.targets.child.refusals import RUNTIME_ERRORS, refuse
from auditor.targets.child.scoring import Opened, run
from auditor.targets.child.serving import RefusalError
from auditor.targets.child.traces import reader, traced
from auditor.targets.frames import Anything, Frame

KERNEL = "_kernel_time"
MICRO = 1e-6


def profile(request: Frame) -> Frame:
    """Score the rows of the one input array in a session of its own, and list its kernels.

    The array ``kernels`` holds JSON: ``node``, ``operator``, ``provider``, ``seconds`` and
    ``calls`` of each, in the order of their first calls.
    """
    return Frame({}, {"kernels": _as_bytes(kernels(_events(_traced(request))))})


def _traced(request: Frame) -> bytes:
    """Return the trace of one run, as the profiler writes it."""
    opening, said = request.header["opening"], request.header
    path = Path(opening["path"])
    name, rows = rows_of(request)
    try:
        with traced() as kept:
            into = f"/proc/self/fd/{reader().written}\0"
            session = open_session(path, {**opening, "profile": into})
            opened = Opened(session.run, (), {})
            run(opened, said.get("outputs"), name, rows, said.get("fixed_batch"))
            session.end_profiling()
    except RUNTIME_ERRORS as error:
        raise refuse(path.name, "profile it", error) from error
    raw = kept[0]
    if not raw:
        raise RefusalError(
            "runtime",
            "the profiler wrote nothing to the pipe that it was given for a file",
            "Profile with ONNX Runtime 1.20 or newer, with /proc mounted, and at an isolation "
            "level above `limits`.",
        )
    return raw


def kernels(events: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Add up the calls of each kernel in a list of trace events."""
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for event in events:
        name, about = str(event.get("name")), event.get("args") or {}
        if event.get("cat") != "Node" or not name.endswith(KERNEL):
            continue
        key = (name.removesuffix(KERNEL), str(about.get("op_name")), str(about.get("provider")))
        node, operator, provider = key
        kernel = found.setdefault(
            key,
            {"node": node, "operator": operator, "provider": provider, "seconds": 0.0, "calls": 0},
        )
        kernel["seconds"] += float(event["dur"]) * MICRO
        kernel["calls"] += 1
    return list(found.values())


def _events(raw: bytes) -> list[Mapping[str, Any]]:
    return [event for event in json.loads(raw) if isinstance(event, Mapping)]


def _as_bytes(listed: list[dict[str, Any]]) -> Anything:
    return np.frombuffer(json.dumps(listed).encode(), dtype=np.uint8)
