"""One run with the runtime's profiler on: which kernels ran, where, and for how long.

The profiler writes a file, and here nothing may be written: so the file is a pipe, and another
process reads it, since the profiler lets no thread of this one run meanwhile. The file's name ends
with the time, so a link to the pipe stands ready for each of the next milliseconds.
"""

import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from auditor.targets.child.altering import rows_of
from auditor.targets.child.confinement import SCRATCH
from auditor.targets.child.opened import open_session
from auditor.targets.child.refusals import RUNTIME_ERRORS, refuse
from auditor.targets.child.scoring import Opened, run
from auditor.targets.child.serving import RefusalError
from auditor.targets.frames import Anything, Frame

AHEAD = 3000
"""Milliseconds for which links stand ready; a session says its name at once when it is made."""
PLACES = ("/tmp", SCRATCH)  # noqa: S108 -- asking tempfile would write a file to find out
STAMP = "%Y-%m-%d_%H-%M-%S"
KERNEL = "_kernel_time"
MICRO = 1e-6
TRIES = 3


def profile(request: Frame) -> Frame:
    """Score the rows of the one input array in a session of its own, and list its kernels.

    The array ``kernels`` holds JSON: ``node``, ``operator``, ``provider``, ``seconds`` and
    ``calls`` of each, in the order of their first calls.
    """
    for _ in range(TRIES):
        raw = _profiled(request)
        if raw is not None:
            return Frame({}, {"kernels": _as_bytes(kernels(_events(raw)))})
    raise RefusalError(
        "runtime",
        f"in {TRIES} tries the profiler named its file by a time for which no pipe stood ready",
        "Try again when the machine is less busy.",
    )


def _profiled(request: Frame) -> bytes | None:
    """Return the trace of one run, ``None`` where the file's name was none of those prepared."""
    opening, said = request.header["opening"], request.header
    path = Path(opening["path"])
    name, rows = rows_of(request)
    with _pipe() as pipe, _reader(pipe) as told:
        try:
            session = open_session(path, {**opening, "profile": str(pipe.parent / "p")})
            opened = Opened(session.run, (), {})
            run(opened, said.get("outputs"), name, rows, said.get("fixed_batch"))
            written = Path(session.end_profiling())
        except RUNTIME_ERRORS as error:
            raise refuse(path.name, "profile it", error) from error
        if not written.is_symlink():
            return None
        with os.fdopen(os.dup(told), "rb") as stream:
            return stream.read()


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


@contextmanager
def _pipe() -> Iterator[Path]:
    """Make a pipe in a folder of its own, and a link to it for every name it may be given."""
    folder = _folder()
    try:
        pipe = folder / "pipe"
        os.mkfifo(pipe)
        now = time.time_ns() // 1_000_000
        for moment in range(now - 1, now + AHEAD):
            seconds, milliseconds = divmod(moment, 1000)
            stamp = time.strftime(STAMP, time.localtime(seconds))
            (folder / f"p_{stamp}_{milliseconds:03d}.json").symlink_to(pipe.name)
        for seconds in range(
            now // 1000 - 1, now // 1000 + 1 + AHEAD // 1000
        ):  # onnxruntime < 1.22
            stamp = time.strftime(STAMP, time.localtime(seconds))
            (folder / f"p_{stamp}.json").symlink_to(pipe.name)
        yield pipe
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _folder() -> Path:
    """Make a folder where this process may write; at some levels of isolation that is one place."""
    refusals: list[OSError] = []
    for place in PLACES:
        try:
            return Path(tempfile.mkdtemp(dir=place))
        except OSError as error:
            refusals.append(error)
    raise RefusalError(
        "runtime",
        f"the profiler needs a folder for a pipe, and there is none here: {refusals[0]}",
        "Install bubblewrap, or profile on a target of this machine's own processor.",
    )


@contextmanager
def _reader(pipe: Path) -> Iterator[int]:
    """Start a process that reads the pipe to its end; give where it then tells what it read."""
    told, tell = os.pipe()
    reader = os.fork()
    if reader == 0:
        _read_all(pipe, tell)
    os.close(tell)
    try:
        yield told
    finally:
        os.close(told)
        os.kill(reader, signal.SIGKILL)
        os.waitpid(reader, 0)


def _read_all(pipe: Path, tell: int) -> NoReturn:
    try:
        with pipe.open("rb") as stream, os.fdopen(tell, "wb") as out:
            out.write(stream.read())
    finally:
        os._exit(0)


def _events(raw: bytes) -> list[Mapping[str, Any]]:
    return [event for event in json.loads(raw) if isinstance(event, Mapping)]


def _as_bytes(listed: list[dict[str, Any]]) -> Anything:
    return np.frombuffer(json.dumps(listed).encode(), dtype=np.uint8)
