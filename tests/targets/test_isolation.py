"""What a child cannot reach, at each level of isolation; and what its parent believes of it."""

import errno
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from tiny_models import Classes, Workshop

from auditor.domain.isolation import IsolationLevel
from auditor.domain.targets import TargetSpec
from auditor.errors import ModelCrashedError, ModelTimeoutError
from auditor.targets.child_process import ChildProcess
from auditor.targets.isolation import (
    SandboxBounds,
    build_base_environment,
    build_child_command,
    build_child_environment,
    build_sandbox_bounds,
    find_strongest_isolation,
)
from auditor.targets.protocol import MessageFrame, encode_frame
from auditor.targets.session import open_model

CPU = TargetSpec("cpu")
Inside: TypeAlias = Callable[[IsolationLevel], dict[str, object]]
Impostor: TypeAlias = Callable[..., ChildProcess]

LEVELS = [
    level
    for level in IsolationLevel
    if level is not IsolationLevel.BUBBLEWRAP
    or find_strongest_isolation() is IsolationLevel.BUBBLEWRAP
]
CONFINED = """
import json, os, socket, sys
from auditor.targets.sandbox.confinement import (
    SandboxLimits,
    confine_process,
    drop_system_calls,
)
level, port, folder, secret = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
asked = SandboxLimits(level=level, memory_limit=2**31, parent=os.getppid(), alone=True,
                      readable=tuple(sys.argv[5:]))
found = {"level": drop_system_calls(confine_process(asked), alone=True)}
def attempt(name, action):
    try:
        action(); found[name] = 0
    except OSError as error:
        found[name] = error.errno
attempt("network", lambda: socket.create_connection(("127.0.0.1", port), timeout=2))
attempt("staged", lambda: open(folder + "/model.onnx", "rb").read())
attempt("writing", lambda: open(folder + "/new", "wb", 0).write(b"x"))
attempt("outside", lambda: open(secret, "rb").read())
attempt("memory", lambda: found.update(size=len(bytearray(2**28))))
try:
    bytearray(2**31)
except MemoryError:
    found["memory"] = "refused"
found["environment"] = sorted(os.environ)
attempt("processes", lambda: os.listdir("/proc"))
if not found["processes"]:
    found["processes"] = -len([name for name in os.listdir("/proc") if name.isdigit()])
print(json.dumps(found))
"""


@pytest.fixture
def inside(workshop: Workshop, tmp_path: Path) -> Inside:
    """Return a function that says what a process can do at a level."""
    workshop.linear(np.eye(3))
    secret = tmp_path / "secret"
    secret.write_text("a key")

    def look(level: IsolationLevel) -> dict[str, object]:
        bounds = build_sandbox_bounds(CPU, workshop.folder, isolation=level)
        program = build_child_command("drivers.onnxruntime", bounds)
        start = program.index(sys.executable)
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = str(server.getsockname()[1])
            places = [item for flag, item in pairwise(program) if flag == "--readable"]
            wanted = [level.value, port, str(workshop.folder), str(secret), *places]
            done = subprocess.run(
                [*program[: start + 1], "-P", "-s", "-B", "-c", CONFINED, *wanted],
                env=build_base_environment(1),
                capture_output=True,
                check=True,
            )
        return json.loads(done.stdout)

    return look


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_reads_the_artifact_and_writes_nothing(
    inside: Inside, level: IsolationLevel
) -> None:
    found = inside(level)
    assert found["staged"] == 0
    assert found["writing"] in {errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM}
    assert found["memory"] == "refused"
    assert "HOME" in found["environment"]
    assert not {"PATH_TO_KEY", "AWS_SECRET_ACCESS_KEY", "USER"} & set(found["environment"])


@pytest.mark.parametrize("level", LEVELS)
def test_no_level_has_a_network(inside: Inside, level: IsolationLevel) -> None:
    assert inside(level)["network"] == errno.EPERM


@pytest.mark.skipif(
    find_strongest_isolation() is not IsolationLevel.BUBBLEWRAP,
    reason="bubblewrap does not work here",
)
def test_bubblewrap_shows_neither_other_files_nor_other_processes(inside: Inside) -> None:
    found = inside(IsolationLevel.BUBBLEWRAP)
    assert found["outside"] == errno.ENOENT
    assert -2 <= found["processes"] < 0


def test_landlock_shows_neither_other_files_nor_other_processes(inside: Inside) -> None:
    found = inside(IsolationLevel.LANDLOCK)
    if found["level"] != "landlock":
        pytest.skip("this kernel has no Landlock")
    assert found["outside"] == found["processes"] == errno.EACCES


def test_the_environment_of_a_child_holds_nothing_of_the_users(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    assert "x" not in build_base_environment(1).values()


def test_a_child_keeps_the_memory_that_it_frees_and_a_target_does_not() -> None:
    """A gradient of pictures frees hundreds of megabytes; to fault them in anew costs as much."""
    pages = f"""
import resource
for round in range(12):
    if round == 2:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    held = [b"x" * {20 * 2**20} for _ in range(4)]
    del held
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    program = [sys.executable, "-P", "-s", "-B", "-c", pages]
    target = SandboxBounds(IsolationLevel.LIMITS, (), 2**30, 1)
    own, deployed = (
        int(subprocess.check_output(program, env=build_child_environment(bounds), text=True))
        for bounds in (target.on_auditor(), target)
    )
    once = 4 * 20 * 2**20 // os.sysconf("SC_PAGESIZE")
    assert own < once, "each of ten rounds touched its pages for the first time"
    assert deployed > own, "a target is measured with the memory that a deployment has"


@pytest.mark.parametrize("level", LEVELS)
def test_the_level_stands_in_the_fingerprints_conditions(
    workshop: Workshop, classes: Classes, level: IsolationLevel
) -> None:
    artifact, rows = workshop.linear(np.eye(3)), np.full((4, 3), 5.0)
    with open_model(CPU, workshop.folder, artifact, classes(3), rows, isolation=level) as model:
        said = model.fingerprint.conditions_facts["isolation"]
        assert said in list(IsolationLevel)[list(IsolationLevel).index(level) :]


def test_what_libraries_print_does_not_get_into_the_frames() -> None:
    program = """
import os, sys
from auditor.targets.sandbox.confinement import take_channel
channel = take_channel()
print("from python", flush=True)
os.system("echo from a program")
os.write(1, b"from a library")
assert sys.stdin.read() == ""
os.write(channel.outgoing, os.read(channel.incoming, 100))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], input=b"frame", capture_output=True, check=True
    )
    assert done.stdout == b"frame"
    assert done.stderr.splitlines() == [b"from python", b"from a program", b"from a library"]


@pytest.fixture
def impostor(tmp_path: Path) -> Impostor:
    """Return a function that starts a child whose program is a shell script."""
    script = tmp_path / "impostor"

    def start(body: str, level: IsolationLevel = IsolationLevel.LIMITS) -> ChildProcess:
        script.write_text(f"#!/bin/sh\n{body}\n")
        script.chmod(0o755)
        bounds = build_sandbox_bounds(CPU, tmp_path, isolation=level)
        return ChildProcess(
            "drivers.onnxruntime", replace(bounds, interpreter=str(script)), "the impostor"
        )

    return start


def told(header: dict[str, object]) -> str:
    """Return shell text that writes a frame."""
    raw = b"".join(map(bytes, encode_frame(MessageFrame(header))))
    return "printf '" + "".join(f"\\{byte:03o}" for byte in raw) + "'\n"


HELLO = told({"ok": True, "protocol": 1, "role": "model", "isolation": "limits"})


def test_garbage_instead_of_a_frame_is_a_broken_protocol(impostor: Impostor) -> None:
    with pytest.raises(ModelCrashedError, match="the impostor broke the protocol: a header of"):
        impostor("echo hello world, this is no frame")


def test_another_protocol_version_is_refused(impostor: Impostor) -> None:
    with pytest.raises(ModelCrashedError, match=r"it greets with .*'protocol': 2"):
        impostor(told({"ok": True, "protocol": 2, "isolation": "limits"}) + "sleep 60")


def test_a_program_that_ends_at_once_is_told_with_its_last_words(impostor: Impostor) -> None:
    flood = (
        "head -c 300000 /dev/zero | tr '\\0' 'x' >&2; echo >&2; printf 'a \\033[31mreason\\n' >&2"
    )
    with pytest.raises(ModelCrashedError, match=r"died \(exit status 3\).*a reason") as caught:
        impostor(f"{flood}; exit 3")
    assert "\033" not in str(caught.value)
    assert len(str(caught.value)) < 1500


def test_an_answer_larger_than_allowed_is_refused_before_it_is_read(impostor: Impostor) -> None:
    huge = json.dumps({"ok": True, "arrays": [{"name": "x", "dtype": "<f8", "shape": [2**40]}]})
    answer = f"printf '\\000\\000\\000\\{len(huge):03o}%s' '{huge}'\nsleep 60"
    with (
        impostor(HELLO + answer) as child,
        pytest.raises(ModelCrashedError, match="arrays of 8796093022208 bytes were announced"),
    ):
        child.ask({"op": "infer"}, seconds=20)


def test_a_process_that_never_reads_is_ended_in_time(impostor: Impostor) -> None:
    with impostor(HELLO + "sleep 60") as child, pytest.raises(ModelTimeoutError):
        child.ask({"op": "infer"}, {"x": np.zeros(10**6)}, seconds=0.5)


@pytest.mark.parametrize("level", LEVELS)
def test_another_python_is_limited_before_it_begins(level: IsolationLevel, tmp_path: Path) -> None:
    """It need not take on a limit by itself: whatever the target names runs within them."""
    program = tmp_path / "env" / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.write_text(
        "#!/bin/sh\nulimit -v; ulimit -f; ulimit -n; exec grep NoNewPrivs /proc/self/status\n"
    )
    program.chmod(0o755)
    spec = TargetSpec("npu", interpreter=str(program), memory_limit=2**30)
    bounds = build_sandbox_bounds(spec, None, isolation=level)
    done = subprocess.run(
        build_child_command("drivers.onnxruntime", bounds), env=build_child_environment(bounds),
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    first, said = done.stdout.rsplit("}", 1)
    assert f'"isolation": "{level}"' in first
    assert said.split() == [str(2**20), "0", "256", "NoNewPrivs:", "1"]


@pytest.mark.parametrize("level", LEVELS)
def test_another_python_cannot_say_that_it_is_cut_off_further(
    level: IsolationLevel, impostor: Impostor
) -> None:
    """The level is what our own program said before it became that one."""
    boast = told({"ok": True, "protocol": 1, "role": "model", "isolation": "bubblewrap"})
    with impostor(boast + "sleep 60", level) as child:
        assert child.level is level


def test_an_unknown_request_is_refused_and_the_child_lives_on() -> None:
    with ChildProcess("drivers.onnxruntime", build_sandbox_bounds(CPU, None), "the child") as child:
        with pytest.raises(ModelCrashedError, match="no request 'dance'"):
            child.ask({"op": "dance"}, seconds=20)
        assert child.ask({"op": "probe"}, seconds=20).header["runtime"]["name"] == "onnxruntime"


def test_a_child_has_no_open_file_of_its_parent(
    tmp_path: Path,
) -> None:
    marker = tmp_path / "open in the parent"
    marker.touch()
    with marker.open() as stream:
        os.set_inheritable(stream.fileno(), True)  # noqa: FBT003 -- as os has it
        with ChildProcess(
            "drivers.onnxruntime",
            build_sandbox_bounds(CPU, None, isolation=IsolationLevel.LIMITS),
            "it",
        ) as child:
            links = [str(link.readlink()) for link in Path(f"/proc/{child.pid}/fd").iterdir()]
    assert str(marker) not in links
