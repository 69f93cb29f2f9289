"""Code that targets name is run where the operator says so, and never because a file says so."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_audits import write_example

from auditor.domain.json import compute_digest
from auditor.domain.record_json import read_record
from auditor.reports.folder import RECORD
from auditor.selftest.record_forgery import RecordForgery
from auditor.targets.isolation import find_strongest_isolation
from auditor.trust.keys.files import load_signer

Command = Callable[..., Any]
CANARY = "ran"
HEAD = "apiVersion: auditor/v1\nkind: Targets\ntargets:\n"
RECIPE = """\
open({canary!r}, "w")
def train(X, y, seed):
    raise ValueError
"""
OWN_PYTHON = '#!/bin/sh\n( echo free > {canary} ) 2> /dev/null\nexec {python} "$@"\n'


@pytest.fixture
def unconfined(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A machine without bubblewrap: there, whoever runs first could do as he likes."""
    bare = tmp_path / "bin"
    bare.mkdir()
    monkeypatch.setenv("PATH", str(bare))
    find_strongest_isolation.cache_clear()
    yield
    find_strongest_isolation.cache_clear()


def canary(folder: Path) -> Path:
    """Write a program that leaves a file behind when it runs, and is a Python otherwise."""
    program = folder / "evil.sh"
    program.write_text(OWN_PYTHON.format(canary=folder / CANARY, python=sys.executable))
    program.chmod(0o755)
    return program


def declare(folder: Path, name: str = "npu", **settings: object) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "targets.yaml").write_text(HEAD + f"  {name}: {json.dumps(settings)}\n")


def audit_on(folder: Path, targets: object, **more: object) -> Path:
    path = folder / "audit.yaml"
    written = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**written, "targets": targets, **more}))
    return path


PLAN = ("plan", "audit.yaml", "--only", "quality.accuracy")
AUDIT = ("audit", "audit.yaml", "--only", "quality.accuracy", "--out", "out")


@pytest.mark.usefixtures("unconfined")
@pytest.mark.parametrize("command", [PLAN, AUDIT], ids=["plan", "audit"])
@pytest.mark.parametrize("where", ["written out", "beside", "in place of cpu"])
def test_a_program_that_an_audit_file_names_is_not_run(
    auditor: Command, inside: Path, command: tuple[str, ...], where: str
) -> None:
    canary(inside)
    if where != "written out":
        name = "npu" if where == "beside" else "cpu"
        declare(inside, name, interpreter="./evil.sh")
        audit_on(inside, [name])
    else:
        audit_on(inside, [{"name": "npu", "interpreter": "./evil.sh"}])
    ended = auditor(*command)
    assert not (inside / CANARY).exists()
    assert ended.code == 2
    assert "interpreter: ./evil.sh" in ended.said  # the thing
    assert "audit.yaml:" in ended.said  # the place
    assert "--allow-target-code" in ended.said  # the cure


NAMING: Mapping[str, Mapping[str, Any]] = {
    "interpreter": {"interpreter": "./evil.sh"},
    "library by path": {"library": "./evil.so"},
    "library by package": {"library": "evil"},
    "backend": {
        "provider": "QNNExecutionProvider",
        "provider_options": {"backend_path": "evil.so"},
    },
    "plain word in an option of files": {"provider_options": {"backend_path": "htp"}},
    "library in a plain option": {"provider_options": {"backend_type": "libevil.so"}},
    "option that nobody knows": {"provider_options": {"evil": "1"}},
    "plugins of TensorRT": {"provider_options": {"trt_extra_plugin_lib_paths": "x"}},
    "cache of compiled code": {"provider_options": {"cache_dir": "here"}},
    "entry that sets an option": {"session": {"ep.qnn.backend_path": "evil.so"}},
    "entry with a file": {"session": {"session.custom_ops_library": "evil"}},
    "another kind of entry": {"session": {"evil": "1"}},
    "runtime of its own": {"runtime": "openvino", "provider_options": {"CONFIG_FILE": "x"}},
}


@pytest.mark.parametrize("settings", NAMING.values(), ids=NAMING)
@pytest.mark.parametrize("place", ["target", "edge", "cloud", "reference"])
def test_every_setting_that_may_name_code_needs_leave_wherever_it_stands(
    auditor: Command, inside: Path, settings: Mapping[str, Any], place: str
) -> None:
    named = {"name": "npu", **settings}
    if place == "target":
        audit_on(inside, ["cpu", named])
    elif place == "reference":
        audit_on(inside, ["cpu"], reference=named)
    else:
        other = "edge" if place == "cloud" else "cloud"
        audit_on(inside, [{"name": "pair", "cascade": {place: named, other: "cpu"}}])
    ended = auditor(*PLAN)
    assert (ended.code, "names code of this machine" in ended.said) == (2, True)


PLAIN: Mapping[str, Mapping[str, Any]] = {
    "backend": {"provider_options": {"backend_type": "htp", "htp_arch": "73"}},
    "precision": {"runtime": "openvino", "provider_options": {"INFERENCE_PRECISION_HINT": "f32"}},
    "session": {"session": {"session.set_denormal_as_zero": "1"}},
    "emulator": {"emulated": "Haswell"},
}


@pytest.mark.parametrize("settings", PLAIN.values(), ids=PLAIN)
def test_a_setting_that_names_no_code_needs_none(
    auditor: Command, inside: Path, settings: Mapping[str, Any]
) -> None:
    audit_on(inside, [{"name": "npu", **settings}])
    ended = auditor(*PLAN)
    assert "names code" not in ended.said
    assert ended.code == 0, ended.said


def accuracy(out: Path) -> list[Mapping[str, Any]]:
    readings = json.loads((out / "record.json").read_bytes())["readings"]
    return [item for item in readings if item.get("metric") == "accuracy"]


@pytest.mark.usefixtures("unconfined")
def test_leave_on_the_command_line_lets_it_run_within_limits(
    auditor: Command, inside: Path
) -> None:
    canary(inside)
    audit_on(inside, [{"name": "npu", "interpreter": "./evil.sh"}])
    assert auditor(*AUDIT, "--allow-target-code").code == 0
    assert accuracy(inside / "out")
    assert not (inside / CANARY).exists()  # the limits held when it began: it wrote nothing


def test_the_operators_own_file_lets_the_same_settings_run(
    auditor: Command, inside: Path, home: Path
) -> None:
    program = canary(inside)
    declare(home, interpreter=str(program))
    audit_on(inside, [{"name": "other", "interpreter": str(program)}])
    assert auditor(*AUDIT).code == 0
    audit_on(inside, ["npu"])  # a name that the operator's file alone declares
    assert auditor(*PLAN).code == 0
    audit_on(inside, [{"name": "npu", "interpreter": "./evil.sh"}])
    assert auditor(*PLAN).code == 2
    audit_on(inside, [{"name": "npu", "interpreter": str(program), "library": "more"}])
    assert auditor(*PLAN).code == 2


def test_a_file_in_a_working_folder_of_ones_own_counts(
    auditor: Command, example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, mine = canary(tmp_path), tmp_path / "mine"
    declare(mine, interpreter=str(program))
    path = audit_on(example, [{"name": "npu", "interpreter": str(program)}])
    monkeypatch.chdir(mine)
    assert auditor("plan", path, "--only", "quality.accuracy").code == 0
    (mine / "targets.yaml").chmod(0o666)  # others may have written it
    assert auditor("plan", path, "--only", "quality.accuracy").code == 2


@pytest.mark.parametrize("how", ["below", "above", "linked in", "linked out", "one repository"])
def test_a_working_folder_that_came_with_the_audit_file_does_not_count(
    auditor: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    cloned, program = tmp_path / "cloned", canary(tmp_path)
    inner = cloned / "models"
    inner.mkdir(parents=True)
    write_example(inner)
    path = audit_on(inner, [{"name": "npu", "interpreter": str(program)}])
    here = cloned
    if how == "above":
        here = inner / "ci"
    elif how == "linked in":
        here = tmp_path / "elsewhere"
        here.symlink_to(cloned)
    elif how == "linked out":
        shutil.move(inner, tmp_path / "moved")
        inner.symlink_to(tmp_path / "moved")
    elif how == "one repository":
        (cloned / ".git").mkdir()
        here = cloned / "ci"
    here.mkdir(exist_ok=True)
    declare(here, interpreter=str(program))
    monkeypatch.chdir(here)
    ended = auditor("plan", path, "--only", "quality.accuracy")
    assert (ended.code, "names code of this machine" in ended.said) == (2, True)
    assert str(here) not in ended.said.partition("Declare npu")[2]  # no cure that does not help


def test_code_in_the_operators_file_is_named_by_its_whole_path(
    auditor: Command, inside: Path, home: Path
) -> None:
    declare(home, interpreter="./evil.sh")
    ended = auditor(*PLAN)
    assert (ended.code, "another file in each working folder" in ended.said) == (2, True)


@pytest.mark.usefixtures("unconfined")
def test_targets_of_a_file_that_others_can_write_are_not_opened(
    auditor: Command, inside: Path
) -> None:
    canary(inside)
    declare(inside, interpreter="./evil.sh")
    (inside / "targets.yaml").chmod(0o646)
    for command in (("probe", "npu"), ("show", "npu")):
        assert auditor("targets", *command).code == 2
    tried = json.loads(auditor("targets", "list", "--try", "--format", "json").out)
    (state,) = (item["state"] for item in tried if item["name"] == "npu")
    assert "names code of this machine" in state
    assert not (inside / CANARY).exists()
    assert auditor("targets", "probe", "npu", "--allow-target-code").code == 0


def test_a_service_takes_no_code_from_the_command_line(auditor: Command, inside: Path) -> None:
    ended = auditor(*AUDIT, "--server", "http://127.0.0.1:9", "--allow-target-code")
    assert (ended.code, "--allow-target-code does not work with a service" in ended.said) == (
        2,
        True,
    )


@pytest.mark.usefixtures("unconfined")
def test_a_plan_runs_no_recipe(auditor: Command, inside: Path) -> None:
    (inside / "train.csv").write_bytes((inside / "test.csv").read_bytes())
    (inside / "recipe.py").write_text(RECIPE.format(canary=str(inside / CANARY)))
    data = {"path": "train.csv", "labels": "y", "id": "id", "groups": ["town"]}
    written = yaml.safe_load((inside / "audit.yaml").read_text())
    recipe = {"path": "recipe.py", "function": "train", "allow": "unsandboxed"}
    audit_on(inside, ["cpu"], recipe=recipe, data={**written["data"], "training": data})
    assert auditor("plan", "audit.yaml").code == 0
    assert not (inside / CANARY).exists()


def test_an_audit_file_cannot_take_the_sandbox_of_a_recipe_away(
    auditor: Command, inside: Path
) -> None:
    (inside / "train.csv").write_bytes((inside / "test.csv").read_bytes())
    (inside / "recipe.py").write_text(RECIPE.format(canary=str(inside / CANARY)))
    data = {"path": "train.csv", "labels": "y", "id": "id", "groups": ["town"]}
    written = yaml.safe_load((inside / "audit.yaml").read_text())
    recipe = {"path": "recipe.py", "function": "train", "allow": "unsandboxed"}
    audit_on(inside, ["cpu"], recipe=recipe, data={**written["data"], "training": data})
    ended = auditor(*AUDIT)
    assert (ended.code, "recipe.allow lets code run outside" in ended.said) == (2, True)
    assert "--allow-unsandboxed" in ended.said
    assert auditor(*AUDIT, "--allow-unsandboxed").code == 0
    there = auditor(*AUDIT, "--server", "http://127.0.0.1:9", "--allow-unsandboxed")
    assert (there.code, "--allow-unsandboxed does not work with a service" in there.said) == (
        2,
        True,
    )


CODE = st.sampled_from([dict(item) for item in NAMING.values() if "runtime" not in item])
HARMLESS = st.sampled_from([{}, {"threads": 2}, {"provider_options": {"backend_type": "htp"}}])


@st.composite
def targets_with_code(draw: st.DrawFn) -> tuple[list[Any], object]:
    """Draw targets and a reference of an audit file, with code somewhere among them."""
    count = draw(st.integers(1, 4))
    guilty = draw(st.integers(0, count))
    written: list[Any] = []
    for index in range(count + 1):
        settings_ = draw(CODE) if index == guilty else draw(HARMLESS)
        if "interpreter" in settings_ or draw(st.booleans()):
            settings_ = {**settings_, **({"interpreter": "./evil.sh"} if index == guilty else {})}
        target: Any = {"name": f"t{index}", **settings_}
        if draw(st.booleans()):
            half, other = draw(st.permutations(["edge", "cloud"]))
            target = {"name": f"c{index}", "cascade": {half: target, other: "cpu"}}
        written.append(target)
    return written[:count], written[count]


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=targets_with_code(), command=st.sampled_from([PLAN, AUDIT]))
def test_no_audit_file_runs_a_canary_wherever_it_names_it(
    auditor: Command,
    inside: Path,
    unconfined: None,
    drawn: tuple[list[Any], object],
    command: tuple[str, ...],
) -> None:
    canary(inside)
    targets, reference = drawn
    audit_on(inside, targets, reference=reference)
    assert auditor(*command).code == 2
    assert not (inside / CANARY).exists()


def traced(folder: Path, *arguments: str) -> tuple[int, set[str]]:
    """Run the command; return its exit code, and each program that it or a child of it ran."""
    strace = shutil.which("strace")
    if strace is None:
        reason = "strace is not installed: apt-get install strace"
        if os.environ.get("AUDITOR_REQUIRE_SERVICES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    log, auditor = folder / "trace", Path(sys.executable).with_name("auditor")
    watch = [strace, "-f", "-qq", "-v", "-s", "999", "-e", "trace=execve,execveat", "-o", str(log)]
    done = subprocess.run(
        [*watch, str(auditor), *arguments], cwd=folder, capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip
    if "PTRACE" in done.stderr or "ptrace" in done.stderr:
        pytest.skip(f"strace may not trace here: {done.stderr[:200]}")
    lines = log.read_text(errors="replace").splitlines()
    started = [line for line in lines if "exec" in line and "ENOENT" not in line]
    assert started, done.stderr
    # of a call that another cut in two, the second line names no program
    paths = {line.partition('"')[2].partition('"')[0] for line in started if '"' in line}
    return done.returncode, {os.path.realpath(path) for path in paths}


def own_programs() -> set[str]:
    """Our command, our Python, and what launches it."""
    auditor = Path(sys.executable).with_name("auditor")
    launchers = [shutil.which(name) for name in ("bwrap", "qemu-x86_64-static", "qemu-x86_64")]
    return {os.path.realpath(path) for path in (auditor, sys.executable, *launchers) if path}


def evil_files(folder: Path) -> None:
    """Name a canary in every way that a file beside the model can."""
    program = canary(folder)
    declare(folder, interpreter="./evil.sh", library="./evil.sh")
    for name in ("qemu-x86_64", "qemu-x86_64-static", "bwrap", "python", "python3", "git"):
        shutil.copy(program, folder / name)
    (folder / "recipe.py").write_text(RECIPE.format(canary=str(folder / CANARY)))


@pytest.mark.slow
@pytest.mark.parametrize("evil", ["target", "recipe", "names", "emulator"])
def test_a_plan_starts_no_program_but_our_own(example: Path, evil: str) -> None:
    evil_files(example)
    if evil == "target":
        audit_on(example, ["npu"])
    elif evil == "emulator":
        audit_on(example, [{"name": "haswell", "emulated": "Haswell"}])
    elif evil == "recipe":
        recipe = {"path": "recipe.py", "function": "train", "allow": True}
        written = yaml.safe_load((example / "audit.yaml").read_text())
        training = {"path": "test.csv", "labels": "y", "id": "id", "groups": ["town"]}
        data = {**written["data"], "training": training}
        audit_on(example, ["cpu"], recipe=recipe, data=data)
    code, found = traced(example, "plan", "audit.yaml")
    assert code == (2 if evil == "target" else 0)
    assert found <= own_programs()
    assert '"recipe"' not in (example / "trace").read_text(errors="replace")  # a child's role
    assert not (example / CANARY).exists()


@pytest.mark.slow
def test_a_draft_starts_no_program_but_our_own(example: Path) -> None:
    evil_files(example)
    drafting = ("init", "model.onnx", "--data", "test.csv", "--out", "new.yaml")
    code, found = traced(example, *drafting)
    assert (code, (example / "new.yaml").exists()) == (0, True)
    assert found <= own_programs()
    assert not (example / CANARY).exists()


@pytest.mark.usefixtures("unconfined")
@pytest.mark.parametrize(
    "evil",
    [
        {"interpreter": "./evil.sh"},
        {"endpoint": {"url": "http://127.0.0.1:9", "model": "m", "retries": 0}},
    ],
    ids=["code", "rows"],
)
def test_a_record_whose_audit_file_says_otherwise_than_it_does_runs_and_sends_nothing(
    auditor: Command, inside: Path, home: Path, evil: Mapping[str, Any]
) -> None:
    """Whoever signs a record may name harmless targets in it, and others in its audit file."""
    assert auditor(*AUDIT).code == 0
    canary(inside)
    raw = audit_on(inside, [{"name": "cpu", **evil}]).read_bytes()
    record = read_record((inside / "out" / RECORD).read_bytes())
    request = replace(record.request, audit_file=compute_digest(raw))
    forged = RecordForgery(facts={"request": request})
    forged.put(inside / "out", load_signer(home / "signer.key"))
    ended = auditor("reproduce", "out", "--inputs", inside)
    assert not (inside / CANARY).exists()
    said = "names code of this machine" if "interpreter" in evil else "sends rows to 127.0.0.1"
    assert (ended.code, said in ended.said) == (2, True), ended.said
