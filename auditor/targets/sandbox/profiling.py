"""Profiles one run of ONNX Runtime: kernels, their providers and times.

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

from auditor.targets.protocol import MessageFrame
from auditor.targets.sandbox.altered_models import read_input_rows
from auditor.targets.sandbox.ort_session import open_session
from auditor.targets.sandbox.request_loop import RefusalError
from auditor.targets.sandbox.runtime_errors import RUNTIME_ERRORS, build_refusal
from auditor.targets.sandbox.scoring import OpenedSession, run_batches
from auditor.targets.sandbox.trace_reader import capture_trace, start_trace_reader

KERNEL = "_kernel_time"
MICRO = 1e-6


def profile_kernels(request: MessageFrame) -> MessageFrame:
    """Score the rows of the one input array in a session of its own, and list its kernels.

    The array ``kernels`` holds JSON: ``node``, ``operator``, ``provider``, ``seconds`` and
    ``calls`` of each, in the order of their first calls.
    """
    # The trace of one run, as the profiler writes it
    opening, said = request.header["opening"], request.header
    path = Path(opening["path"])
    name, rows = read_input_rows(request)
    try:
        with capture_trace() as kept:
            into = f"/proc/self/fd/{start_trace_reader().written}\0"
            session = open_session(path, {**opening, "profile": into})
            opened = OpenedSession(session.run, (), {})
            run_batches(opened, said.get("outputs"), name, rows, said.get("fixed_batch"))
            session.end_profiling()
    except RUNTIME_ERRORS as error:
        raise build_refusal(path.name, "profile it", error) from error
    raw = kept[0]
    if not raw:
        raise RefusalError(
            "runtime",
            "the profiler wrote nothing to the pipe that it was given for a file",
            "Profile with ONNX Runtime 1.20 or newer, with /proc mounted, and at an isolation "
            "level above `limits`.",
        )
    events = [event for event in json.loads(raw) if isinstance(event, Mapping)]
    return MessageFrame(
        {}, {"kernels": np.frombuffer(json.dumps(sum_kernels(events)).encode(), dtype=np.uint8)}
    )


def sum_kernels(events: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
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
