"""Which emulator a declared processor gets, what is refused, and where it is never used."""

import os
import platform
import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from tiny_models import Classes, Workshop

from auditor.cli.commands.targets import command as targets_command
from auditor.domain.isolation import IsolationLevel
from auditor.domain.readings import GapReason
from auditor.domain.targets import ModelInterface, TargetSpec
from auditor.errors import ModelCrashedError, RuntimeMissingError, TargetError
from auditor.targets.child_process import ChildProcess
from auditor.targets.emulated_python import ForeignPython
from auditor.targets.emulation import Emulator, architecture_of_cpu, find_emulator, prepare_emulator
from auditor.targets.fingerprint import make_fingerprint
from auditor.targets.isolation import (
    EMULATOR_ROOM,
    build_child_command,
    build_child_environment,
    build_sandbox_bounds,
)
from auditor.targets.protocol import MessageFrame
from auditor.targets.session import inspect_artifact, open_model
from auditor.workflows.engine.local import convert_error_to_gap

HASWELL = TargetSpec("haswell", emulated="Haswell")
WARNING = "qemu: warning: TCG doesn't support requested feature: CPUID.{} [bit 4]"
Qemu = Callable[..., Path]

x86_only = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="a script cannot stand for another machine's Python"
)


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Leave no program on the path: no qemu, no apt."""
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))


@pytest.fixture
def qemu(home: Path) -> Qemu:
    """Return a function that puts a script in the place of qemu, which warns as qemu does."""

    def make(*lacking: str, status: int = 0) -> Path:
        folder = home / "emulators" / "x86_64"
        folder.mkdir(parents=True)
        said = "\n".join(f'echo "{WARNING.format(name)}" >&2' for name in lacking)
        script = folder / "qemu-x86_64"
        script.write_text(
            f'#!/bin/sh\n[ "$1" = --version ] && echo "qemu-x86_64 version 10.0" && exit 0\n'
            f'case "$2" in *enforce*) exit 0;; esac\n{said}\nexit {status}\n'
        )
        script.chmod(0o755)
        return script

    return make


@pytest.mark.parametrize(
    ("cpu", "expected"),
    [
        ("Haswell", "x86_64"),
        ("EPYC-Rome", "x86_64"),
        ("Cortex-A72", "aarch64"),
        ("neoverse-n1", "aarch64"),
        ("a64fx", "aarch64"),
    ],
)
def test_the_name_of_a_processor_tells_its_architecture(cpu: str, expected: str) -> None:
    assert architecture_of_cpu(cpu) == expected


@pytest.mark.parametrize("cpu", ["", "Haswell,avx2=off", "-cpu", "../x", "Has well", "x" * 65])
def test_what_would_be_more_than_a_name_is_refused(cpu: str, home: Path) -> None:
    with pytest.raises(TargetError, match="is not a name of a processor"):
        find_emulator(cpu, home)


@pytest.mark.usefixtures("nothing_installed")
@pytest.mark.parametrize("cpu", ["Haswell", "Cortex-A72"])
def test_an_emulator_that_is_not_here_is_told_with_the_command_that_fetches_it(
    cpu: str, home: Path
) -> None:
    with pytest.raises(TargetError, match="what it needs is not here") as caught:
        find_emulator(cpu, home)
    assert f"`auditor targets emulate {cpu}`" in caught.value.cure


@pytest.mark.usefixtures("nothing_installed")
def test_a_target_whose_emulator_cannot_be_fetched_is_a_gap_and_ends_no_audit(
    workshop: Workshop, classes: Classes
) -> None:
    artifact, rows = workshop.linear(np.eye(3)), np.full((4, 3), 5.0)
    with (
        pytest.raises(RuntimeMissingError, match="apt-get is not here") as caught,
        open_model(HASWELL, workshop.folder, artifact, classes(3), rows),
    ):
        pass
    gap = convert_error_to_gap(caught.value)
    assert gap.reason is GapReason.NEEDS_RUNTIME
    assert "qemu-user" in gap.cure


@pytest.mark.usefixtures("nothing_installed")
def test_fetching_without_apt_ends_the_command_with_what_to_install() -> None:
    done = CliRunner().invoke(targets_command, ["emulate", "Haswell"])
    assert isinstance(done.exception, RuntimeMissingError)
    assert "Install qemu-user" in done.exception.cure


def test_a_failing_apt_is_told_in_its_own_words(
    monkeypatch: pytest.MonkeyPatch, home: Path, tmp_path: Path
) -> None:
    for name in ("apt-get", "dpkg"):
        tool = tmp_path / "bin" / name
        tool.parent.mkdir(exist_ok=True)
        tool.write_text("#!/bin/sh\necho 'E: Could not resolve deb.example' >&2; exit 100\n")
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin")
    if (Path("/bin") / "qemu-x86_64").exists():
        pytest.skip("qemu is installed here, so that nothing is fetched")
    with pytest.raises(RuntimeMissingError, match="Could not resolve deb"):
        prepare_emulator("Haswell", home)
    assert list((home / "emulators" / "x86_64").iterdir()) == []


@x86_only
def test_what_the_emulator_cannot_play_and_no_number_depends_on_is_left_out(
    qemu: Qemu, home: Path
) -> None:
    program = qemu("07H:EBX.hle", "07H:EBX.rtm", "0DH:EAX.xsavec")
    emulator = find_emulator("Haswell", home)
    played = "Haswell,hle=off,rtm=off,xsavec=off,enforce"
    assert emulator.prefix == (str(program), "-cpu", played)
    assert emulator.version == "qemu-x86_64 version 10.0"


@x86_only
@pytest.mark.parametrize("lacking", ["07H:EBX.avx512f", "07H:EAX.avx-vnni", "07H:EDX.amx-int8"])
def test_a_processor_without_the_instructions_that_make_its_numbers_is_refused(
    qemu: Qemu, home: Path, lacking: str
) -> None:
    qemu("07H:EBX.hle", lacking)
    with pytest.raises(TargetError, match=rf"it lacks {lacking.partition('.')[2]}, on which"):
        find_emulator("SapphireRapids", home)


@x86_only
def test_an_emulator_that_does_not_start_is_named(qemu: Qemu, home: Path) -> None:
    program = qemu(status=127)
    with pytest.raises(TargetError, match="does not start") as caught:
        find_emulator("Haswell", home)
    assert str(program) in caught.value.cure


@pytest.mark.usefixtures("nothing_installed")
def test_what_is_about_the_file_needs_no_emulator(workshop: Workshop) -> None:
    artifact = workshop.linear(np.eye(3))
    assert inspect_artifact(workshop.folder, artifact, HASWELL).operators == {"ai.onnx::MatMul": 1}


@pytest.mark.usefixtures("nothing_installed")
@pytest.mark.parametrize("role", ["sandbox.differentiable_twin", "sandbox.certifier"])
def test_twins_and_proofs_need_no_emulator(role: str) -> None:
    with ChildProcess(role, build_sandbox_bounds(HASWELL, None), "the child") as child:
        assert child.level in IsolationLevel


def test_the_limits_are_taken_on_before_the_emulator_and_leave_it_room() -> None:
    emulator = Emulator("Haswell", "qemu 10", ("/opt/qemu", "-cpu", "Haswell"), (Path("/opt"),))
    bounds = replace(
        build_sandbox_bounds(HASWELL, None, isolation=IsolationLevel.LIMITS), emulator=emulator
    )
    started = build_child_command("drivers.onnxruntime", bounds)
    under = started.index("--under")
    assert started[0] == sys.executable
    assert started[started.index("--memory-limit") + 1] == str(4 * 2**30 + EMULATOR_ROOM)
    assert started[under + 1 : under + 5] == ["/opt/qemu", "-cpu", "Haswell", sys.executable]
    assert build_child_environment(bounds)["AUDITOR_EMULATED"] == "Haswell"


def test_another_kind_of_processor_brings_its_own_python_and_packages() -> None:
    foreign = ForeignPython(Path("/r"), Path("/r/usr/bin/python3.13"), Path("/r-packages"))
    emulator = Emulator("Cortex-A72", "qemu 10", ("/q",), (Path("/r"),), foreign)
    bounds = replace(build_sandbox_bounds(HASWELL, None), emulator=emulator)
    started = build_child_command("drivers.onnxruntime", bounds)
    assert started[started.index("--under") + 1 :][:2] == ["/q", "/r/usr/bin/python3.13"]
    assert build_child_environment(bounds)["PYTHONPATH"] == "/r-packages"


@pytest.mark.parametrize(("declared", "played"), [("Haswell", None), (None, "Haswell")])
def test_a_child_that_is_not_emulated_as_declared_is_not_believed(
    declared: str | None, played: str | None
) -> None:
    opened = MessageFrame({"machine": {"cpu": {"emulated": played}}})
    there = ModelInterface("x", (3,), "float32", None, "as_is", "y", "logits", "")
    with pytest.raises(ModelCrashedError, match="is declared with emulated"):
        make_fingerprint(TargetSpec("t", emulated=declared), opened, there, "limits")


def test_an_interpreter_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="nowhere/python, which is not there"):
        build_sandbox_bounds(
            TargetSpec("t", interpreter=str(tmp_path / "nowhere" / "python")), None
        )


@pytest.fixture
def worker(tmp_path: Path) -> Path:
    """Make an environment of its own, with nothing in it; return its interpreter."""
    venv.create(tmp_path / "worker", symlinks=True)
    return tmp_path / "worker" / "bin" / "python"


def test_a_worker_environment_borrows_no_package_of_the_auditors(worker: Path) -> None:
    bounds = build_sandbox_bounds(TargetSpec("t", interpreter=str(worker)), None)
    with pytest.raises(ModelCrashedError, match="No module named 'numpy'"):
        ChildProcess("drivers.onnxruntime", bounds, "the worker")


def test_a_worker_environment_runs_the_same_child_with_its_own_packages(worker: Path) -> None:
    ask = [str(worker), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(ask, capture_output=True, check=True, text=True).stdout.strip())
    borrowed = Path(np.__file__).parents[1]
    for package in ("numpy", "onnxruntime"):
        (site / package).symlink_to(borrowed / package)
    for libraries in borrowed.glob("numpy.libs"):
        (site / libraries.name).symlink_to(libraries)
    spec = TargetSpec("t", interpreter=str(worker))
    with ChildProcess(
        "drivers.onnxruntime", build_sandbox_bounds(spec, borrowed), "the worker"
    ) as child:
        runtime = child.ask({"op": "probe"}, seconds=60).header["runtime"]
    assert runtime["name"] == "onnxruntime"


def test_bubblewrap_shows_a_worker_its_environment_and_where_that_came_from(worker: Path) -> None:
    bounds = build_sandbox_bounds(TargetSpec("t", interpreter=str(worker)), None)
    started = build_child_command(
        "drivers.onnxruntime", replace(bounds, level=IsolationLevel.BUBBLEWRAP)
    )
    shown = [started[index + 1] for index, part in enumerate(started) if part == "--ro-bind"]
    assert str(worker.parents[1]) in shown
    made_from = str(Path(os.path.realpath(worker)).parents[1])
    assert made_from == "/usr" or made_from in shown
