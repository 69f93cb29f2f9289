"""Request loop of the child process: one request in, one answer out, until the pipe closes."""

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias, cast

from auditor._gc import pause_collection, resume_collection
from auditor.targets.protocol import PROTOCOL, MessageFrame, encode_frame, receive_frame
from auditor.targets.sandbox.confinement import FrameChannel

MOST_BYTES = 2**31
"""Of one request. The parent is trusted; this only catches a stream that fell out of step."""

Operation: TypeAlias = Callable[[MessageFrame], MessageFrame]
UNMEASURED = "sandbox."
"""Programs that work on files or train; a driver runs the model, whose memory is measured."""
CURE = "Install the runtime that the target names there, with numpy, or name another interpreter."


class RefusalError(Exception):
    """A request that cannot be met, in words for the user; ``kind`` says whose fault it is."""

    def __init__(self, kind: str, problem: str, cure: str) -> None:
        super().__init__(problem)
        self.kind = kind
        self.problem = problem
        self.cure = cure


def serve_requests(channel: FrameChannel, role: str, level: str) -> None:
    """Load the program whose ``operations()`` answer, say hello, then answer until the pipe ends.

    ``role`` is a module below ``auditor.targets``, or the path of a driver's file. Garbage is
    collected from the first answer on, since opening loads libraries; with a driver, always.
    """
    if role.startswith(UNMEASURED):
        pause_collection()
    try:
        module = load_program(role)
    except (ImportError, OSError, SyntaxError) as error:
        name = Path(role).stem if role.startswith("/") else role.rpartition(".")[2]
        _send(channel, _refused("runtime", f"{sys.executable} cannot load {name}: {error}", CURE))
        return
    operations = cast("Mapping[str, Operation]", module.operations())
    _send(
        channel, MessageFrame({"ok": True, "protocol": PROTOCOL, "role": role, "isolation": level})
    )
    while True:
        try:
            request = receive_frame(lambda view: _fill(channel.incoming, view), MOST_BYTES)
        except EOFError:
            return
        _send(channel, _answer(operations, request))
        resume_collection()


def load_program(role: str) -> ModuleType:
    """Import a program of ours by its name, or a driver of another package by its path."""
    if not role.startswith("/"):
        return importlib.import_module(f"auditor.targets.{role}")
    spec = importlib.util.spec_from_file_location(Path(role).stem, role)
    if spec is None or spec.loader is None:
        raise ImportError(f"{role} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)
    return module


def _answer(operations: Mapping[str, Operation], request: MessageFrame) -> MessageFrame:
    name = str(request.header.get("op"))
    if name not in operations:
        return _refused("protocol", f"there is no request {name!r}", "Update the auditor.")
    try:
        reply = operations[name](request)
    except RefusalError as refusal:
        return _refused(refusal.kind, refusal.problem, refusal.cure)
    except MemoryError as error:
        return _refused("memory", f"out of memory: {error}".rstrip(": "), "")
    return MessageFrame({"ok": True, **reply.header}, reply.arrays)


def _refused(kind: str, problem: str, cure: str) -> MessageFrame:
    said: dict[str, Any] = {"kind": kind, "problem": problem[:4000], "cure": cure[:1000]}
    return MessageFrame({"ok": False, "error": said})


def _send(channel: FrameChannel, frame: MessageFrame) -> None:
    for part in encode_frame(frame):
        view = memoryview(part)
        while view:
            view = view[os.write(channel.outgoing, view) :]


def _fill(source: int, view: memoryview) -> None:
    while view:
        count = os.readv(source, [view])
        if count == 0:
            raise EOFError
        view = view[count:]
