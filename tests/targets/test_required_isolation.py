"""A machine that must isolate models to a level refuses a weaker process before it opens one."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_models import Workshop

from auditor.domain.isolation import REQUIRED, IsolationLevel
from auditor.domain.targets import TargetSpec
from auditor.errors import TargetError, UsageError
from auditor.targets.child_process import ChildProcess
from auditor.targets.isolation import (
    SandboxBounds,
    build_sandbox_bounds,
    find_strongest_isolation,
)
from auditor.targets.probe import set_required_isolation
from auditor.targets.session import inspect_artifact

CPU = TargetSpec("cpu")
AUDITOR = str(Path(sys.executable).with_name("auditor"))
Without = Callable[..., "subprocess.CompletedProcess[str]"]


def test_levels_reach_those_that_are_weaker_and_themselves() -> None:
    for at, level in enumerate(IsolationLevel):
        assert [level.reaches(other) for other in IsolationLevel] == [at <= to for to in range(4)]
    assert list(IsolationLevel)[-1] is IsolationLevel.LIMITS


@pytest.mark.parametrize("least", [it for it in IsolationLevel if it is not IsolationLevel.LIMITS])
def test_a_process_that_is_isolated_less_than_required_opens_nothing(
    least: IsolationLevel, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = workshop.linear(np.eye(3))
    asked = workshop.folder, artifact, CPU
    inspect_artifact(*asked, isolation=IsolationLevel.LIMITS)
    monkeypatch.setenv(REQUIRED, least.value)
    with pytest.raises(TargetError, match=f"level limits, and .* require {least}") as caught:
        inspect_artifact(*asked, isolation=IsolationLevel.LIMITS)
    assert "--require-isolation" in caught.value.cure


def test_another_program_is_refused_before_it_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\nsleep 600\n")
    script.chmod(0o755)
    monkeypatch.setenv(REQUIRED, "namespaces")
    bounds = replace(
        build_sandbox_bounds(CPU, tmp_path, isolation=IsolationLevel.LIMITS),
        interpreter=str(script),
    )
    with pytest.raises(TargetError, match="the stranger has the isolation level limits"):
        ChildProcess("drivers.onnxruntime", bounds, "the stranger")


def test_a_level_that_is_not_known_is_no_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRED, "bubble wrap")
    with pytest.raises(UsageError, match="'bubble wrap', which is not an isolation level"):
        build_sandbox_bounds(CPU, None)
    monkeypatch.setenv(REQUIRED, "")  # as a deployment sets what it leaves open
    assert build_sandbox_bounds(CPU, None).least is IsolationLevel.LIMITS


def test_bounds_require_it_whoever_makes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRED, "landlock")
    made = SandboxBounds(IsolationLevel.LIMITS, (), 2**30, 1)
    assert made.least is made.on_auditor().least is IsolationLevel.LANDLOCK


@pytest.fixture
def without_bubblewrap(tmp_path: Path) -> Without:
    """Return a function that runs auditor where bubblewrap is not installed."""
    (tmp_path / "agent.key").touch()

    def run(*arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
        given = {**os.environ, "PATH": str(tmp_path), "AUDITOR_HOME": str(tmp_path), **more}
        return subprocess.run(
            [AUDITOR, *arguments], env=given, cwd=tmp_path, capture_output=True, text=True,
            check=False, timeout=120,
        )  # fmt: skip

    return run


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ("serve", "--port", "0"),
        ("worker", "--target", "cpu"),
        ("worker", "--target", "cpu", "--server", "https://localhost:1", "--key", "agent.key"),
    ],
    ids=["serve", "worker", "agent"],
)
def test_nothing_starts_on_a_machine_that_cannot_give_the_level(
    command: tuple[str, ...], without_bubblewrap: Without
) -> None:
    done = without_bubblewrap(*command, "--require-isolation", "bubblewrap")
    said = " ".join(done.stderr.split())
    assert done.returncode == 2, said
    assert "this machine is set to require bubblewrap" in said
    assert "Install bubblewrap" in said
    assert "serving" not in said


def test_every_command_is_held_to_the_environment(without_bubblewrap: Without) -> None:
    done = without_bubblewrap("targets", "probe", "cpu", **{REQUIRED: "bubblewrap"})
    assert done.returncode == 2, done.stderr
    assert "this machine is set to require bubblewrap" in " ".join(done.stderr.split())


def test_a_level_that_is_required_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRED, "limits")
    find_strongest_isolation.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    try:
        with pytest.raises(TargetError, match=r"a trial process .* require bubblewrap"):
            set_required_isolation(IsolationLevel.BUBBLEWRAP)
        set_required_isolation(IsolationLevel.LIMITS)
        assert build_sandbox_bounds(CPU, None).least is IsolationLevel.LIMITS
    finally:
        find_strongest_isolation.cache_clear()
