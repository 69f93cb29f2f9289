"""One program that tries everything it should not, at each level of isolation."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from auditor.domain.isolation import IsolationLevel
from auditor.domain.targets import TargetSpec
from auditor.targets.isolation import (
    build_child_command,
    build_child_environment,
    build_sandbox_bounds,
    find_strongest_isolation,
)

CPU = TargetSpec("cpu")
LEVELS = [
    level
    for level in IsolationLevel
    if level is not IsolationLevel.BUBBLEWRAP
    or find_strongest_isolation() is IsolationLevel.BUBBLEWRAP
]
HOSTILE = """
import ctypes, json, os, resource, shutil, signal, socket, sys, threading
from pathlib import Path
outside, port, parent = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
library = ctypes.CDLL(None, use_errno=True)
found = {}

def attempt(name, action):
    try:
        action()
        found[name] = "done"
    except (OSError, MemoryError, RuntimeError) as error:
        found[name] = "refused"

def called(name, *arguments):
    def ask():
        if getattr(library, name)(*arguments) < 0:
            raise OSError(ctypes.get_errno(), name)
    return ask

def system(number, *arguments):
    return called("syscall", ctypes.c_long(number), *arguments)

def connected(kind, place, family):
    def ask():
        with socket.socket(family, kind) as end:
            end.connect(place)
    return ask

def started():
    if (child := os.fork()) == 0:
        os._exit(0)
    os.waitpid(child, 0)

def left():
    if (child := os.fork()) == 0:
        try:
            os.setsid()
        except OSError:
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        raise OSError

def threaded():
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()

inet, unix, stream = socket.AF_INET, socket.AF_UNIX, socket.SOCK_STREAM
attempt("read a file", lambda: (outside / "secret").read_text())
attempt("list a folder", lambda: os.listdir(outside))
attempt("empty a file", lambda: os.open(outside / "secret", os.O_WRONLY | os.O_TRUNC))
attempt("empty a file by truncate", lambda: os.truncate(outside / "secret", 0))
attempt("empty a file that is opened to read",
        lambda: os.open(outside / "secret", os.O_RDONLY | os.O_TRUNC))
attempt("append to a file", lambda: os.open(outside / "secret", os.O_WRONLY | os.O_APPEND))
attempt("make a file", lambda: os.open(outside / "new", os.O_WRONLY | os.O_CREAT))
attempt("make a folder", lambda: os.mkdir(outside / "folder"))
attempt("make a link", lambda: os.symlink("/etc", outside / "link"))
attempt("make a second name", lambda: os.link(outside / "secret", outside / "twin"))
attempt("make a pipe", lambda: os.mkfifo(outside / "pipe"))
attempt("rename a file", lambda: os.rename(outside / "other", outside / "else"))
attempt("delete a file", lambda: os.unlink(outside / "gone"))
attempt("delete a folder", lambda: os.rmdir(outside / "empty"))
attempt("change a mode", lambda: os.chmod(outside / "secret", 0o777))
attempt("change a time", lambda: os.utime(outside / "secret", (0, 0)))
attempt("set an attribute", lambda: os.setxattr(outside / "secret", "user.x", b"x"))
attempt("reach a port", connected(stream, ("127.0.0.1", port), inet))
attempt("send a datagram", connected(socket.SOCK_DGRAM, ("127.0.0.1", port), inet))
attempt("reach a UNIX socket", connected(stream, str(outside / "socket"), unix))
attempt("reach an abstract socket", connected(stream, "\\0auditor-%d" % port, unix))
attempt("send on half of a pair", lambda: socket.socketpair(unix, socket.SOCK_DGRAM))
attempt("signal the parent", lambda: os.kill(parent, 0))
attempt("signal all", lambda: os.kill(-1, 0))
attempt("limit the parent", lambda: resource.prlimit(parent, resource.RLIMIT_NOFILE))
attempt("trace the parent", called("ptrace", 16, parent, 0, 0))
attempt("start a process", started)
attempt("leave the group", left)
attempt("become another program", lambda: os.execv("/nonexistent", ["x"]))
attempt("become another user", lambda: os.setuid(12345))
attempt("have a namespace", called("unshare", 0x10000000))
attempt("have an io_uring", system(425, 1, ctypes.create_string_buffer(120)))
attempt("call what is newer", system(499))
attempt("take memory", lambda: bytearray(2**32))
attempt("open many files", lambda: [os.open("/dev/null", os.O_RDONLY) for _ in range(300)])
os.closerange(3, 400)
attempt("fill a memory file", lambda: os.write(os.memfd_create("x"), b"x"))
attempt("start a thread", threaded)
with open("/proc/self/status") as file:
    masks = [line.split()[1] for line in file if line.startswith(("CapPrm", "CapEff", "CapBnd"))]
found["hold a capability"] = "refused" if all(int(item, 16) == 0 for item in masks) else "done"
"""
CONFINED = f"""
import sys
from auditor.targets.sandbox.confinement import (
    SandboxLimits,
    confine_process,
    drop_system_calls,
)
level, alone, readable = sys.argv[4], sys.argv[5] == "alone", tuple(sys.argv[6:])
asked = SandboxLimits(level=level, memory_limit=2**31, parent=int(sys.argv[3]), alone=alone,
                      readable=readable)
held = drop_system_calls(confine_process(asked), alone=alone)
{HOSTILE}
found["level"] = held
print(json.dumps(found))
"""
OPEN_TO_ALL = {"start a thread"}
READS = {"read a file", "list a folder"}
MAY: Mapping[IsolationLevel, set[str]] = {
    IsolationLevel.BUBBLEWRAP: OPEN_TO_ALL,
    IsolationLevel.LANDLOCK: OPEN_TO_ALL,
    IsolationLevel.NAMESPACES: OPEN_TO_ALL | READS,
    IsolationLevel.LIMITS: OPEN_TO_ALL | READS,
}
"""What succeeds at a level; all else is refused."""


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of the user's that the program has no business in."""
    folder = tmp_path / "outside"
    (folder / "empty").mkdir(parents=True)
    for name in ("secret", "other", "gone"):
        (folder / name).write_text("a key")
    return folder


def tried(level: IsolationLevel, outside: Path, *, alone: bool) -> dict[str, Any]:
    """Return what the program says that it could do."""
    bounds = build_sandbox_bounds(CPU, None, isolation=level)
    program = build_child_command("drivers.onnxruntime", bounds)
    start = program.index(sys.executable)
    readable = [item for flag, item in pairwise(program) if flag == "--readable"]
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX) as named,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        port = server.getsockname()[1]
        named.bind(str(outside / "socket"))
        abstract.bind(f"\0auditor-{port}")
        named.listen()
        abstract.listen()
        said = [str(outside), str(port), str(os.getpid()), level.value]
        done = subprocess.run(
            [*program[: start + 1], "-P", "-s", "-B", "-c", CONFINED, *said,
             "alone" if alone else "", *readable],
            env=build_child_environment(bounds),
            start_new_session=True,
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def untouched(folder: Path) -> bool:
    names = {"empty", "secret", "other", "gone", "socket"}
    about = (folder / "secret").stat()
    return (
        {path.name for path in folder.iterdir()} == names
        and (folder / "secret").read_text() == "a key"
        and about.st_mode & 0o777 != 0o777
        and about.st_mtime > 0
    )


@pytest.mark.parametrize("level", LEVELS)
def test_a_hostile_model_can_do_nothing_but_what_its_level_lets_it(
    level: IsolationLevel, outside: Path
) -> None:
    found = tried(level, outside, alone=True)
    if found.pop("level") != level:
        pytest.skip(f"{level} does not work here")
    assert {deed for deed, outcome in found.items() if outcome == "done"} == MAY[level]
    assert untouched(outside)


@pytest.mark.parametrize("level", LEVELS)
def test_a_program_that_may_start_others_does_nothing_else_beside(
    level: IsolationLevel, outside: Path
) -> None:
    found = tried(level, outside, alone=False)
    if found.pop("level") != level:
        pytest.skip(f"{level} does not work here")
    # other programs can be started; the one of the test is not there
    assert {deed for deed, outcome in found.items() if outcome == "done"} == MAY[level] | {
        "start a process"
    }
    assert untouched(outside)
