"""Usage errors and help answer from declarations, which are true and load little."""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest

from auditor.cli.declarations import declare_command
from auditor.cli.input_paths import RequiredInput
from auditor.cli.main import COMMANDS

AUDITOR = Path(sys.executable).with_name("auditor")
NAMES = sorted(path.stem for path in COMMANDS.glob("*.py") if path.stem != "__init__")
HEAVY = ("numpy", "polars", "sqlalchemy", "onnx", "cryptography", "jinja2", "auditor.workflows")
RUN = """
import contextlib, io, json, sys
from auditor.cli.main import run
heavy, calls = json.load(sys.stdin)
ended = []
for call in calls:
    with contextlib.redirect_stderr(io.StringIO()) as error, contextlib.redirect_stdout(error):
        code = run(call)
    ended.append([code, error.getvalue(), sorted(set(heavy) & set(sys.modules))])
print(json.dumps(ended))
"""
ABSENT = "nosuch"
WRITTEN = {
    ("audit", "--out"), ("backup", "folder"), ("comment", "--out"), ("compare", "--out"),
    ("disclose", "--out"), ("export", "--out"), ("init", "--out"), ("judge", "--out"),
    ("keys new", "--home"), ("ledger checkpoint", "--out"), ("ledger prove", "--out"),
    ("projects key", "--out"), ("projects new", "--out"), ("render", "--pdf"),
    ("selftest", "--keep"), ("selftest", "--rows"), ("sign", "--out"), ("targets probe", "--out"),
    ("timestamp request", "--out"), ("trust sign", "--out"), ("waive", "--out"),
}  # fmt: skip
"""Files and folders that a command writes."""
ASKED = {
    ("comment", "--base"): "writes the comment without it, and says so",
    ("ledger prove", "event_id"): "asks the store",
    ("ledger show", "event_id"): "asks the store",
    ("ledger witness", "url"): "asks the witness",
    ("projects key", "name"): "asks the store",
    ("projects new", "name"): "asks the store",
    ("schedule end", "schedule"): "asks the service",
    ("schedule pause", "schedule"): "asks the service",
    ("schedule resume", "schedule"): "asks the service",
    ("schedule runs", "schedule"): "asks the service",
    ("schedule show", "schedule"): "asks the service",
    ("targets emulate", "cpu"): "asks the emulator",
}
"""Inputs that may be missing, or of which only something else knows whether they exist."""


def load_again(name: str) -> ModuleType:
    """Return a module as it is loaded now, whatever was run and installed by earlier tests."""
    importlib.import_module(name)
    spec = find_spec(name)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def leaves(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[Any, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, below in sorted(command.commands.items()):
            yield from leaves(below, (*path, name))


def describe(command: click.Command) -> list[Any]:
    """Return all that a declaration has to say: what parses, and what help shows."""
    context = click.Context(command, info_name="x")
    return [command.get_help(context), [describe_parameter(it) for it in command.params]]


def describe_parameter(param: click.Parameter) -> dict[str, Any]:
    return {
        **param.to_info_dict(),
        "default": repr(param.default),
        "envvar": param.envvar,
        "callback": param.callback is None,
        "multiple": param.multiple,
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_declaration_is_its_command_in_every_option_and_word_of_help(name: str) -> None:
    module = f"auditor.cli.commands.{name}"
    declared = dict(leaves(declare_command(module), ()))
    real = dict(leaves(load_again(module).command, ()))
    assert declared.keys() == real.keys()
    for path, command in real.items():
        assert describe(declared[path]) == describe(command), path


def test_a_declaration_runs_nothing() -> None:
    command = declare_command("auditor.cli.commands.gate")
    asked = ["--artifact", "a", "--policy", "p", "--record", "absent", "--key", "absent"]
    assert command.main(asked, standalone_mode=False) is None


def give(param: click.Parameter) -> list[str]:
    """Return the words that give a parameter; for an input, the name of none."""
    value = str(param.type.choices[0]) if isinstance(param.type, click.Choice) else ABSENT
    words = [value] * max(param.nargs, 1)
    if isinstance(param, click.Option):
        return [param.opts[0]] if param.is_flag else [param.opts[0], *words]
    return words


def list_wrong_calls() -> Iterator[list[str]]:
    """Yield calls of every command that are wrong, and how."""
    for name in NAMES:
        command = declare_command(f"auditor.cli.commands.{name}")
        for path, leaf in leaves(command, (name.rstrip("_"),)):
            yield [*path, "--nosuch"]
            if isinstance(leaf, click.Group):
                yield [*path, ABSENT]
                continue
            needed = [it for it in leaf.params if it.required]
            if needed:
                yield [*path]
            words = [word for it in needed for word in give(it)]
            inputs = [it for it in leaf.params if isinstance(it.type, RequiredInput)]
            if any(it in needed for it in inputs):
                yield [*path, *words]
            yield from ([*path, *words, *give(it)] for it in inputs if it not in needed)


def test_a_usage_error_of_any_command_loads_nothing_that_a_command_works_with(
    tmp_path: Path,
) -> None:
    calls = [["nosuch"], ["audit", "--help"], ["export", "--help"], *list_wrong_calls()]
    assert {call[0] for call in calls} >= {name.rstrip("_") for name in NAMES}
    ended = subprocess.run(
        [sys.executable, "-c", RUN], input=json.dumps([HEAVY, calls]),
        cwd=tmp_path, env={**os.environ, "AUDITOR_HOME": str(tmp_path / "home"), "CI": ""},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    for call, (code, error, loaded) in zip(calls, json.loads(ended.stdout), strict=True):
        helped = call[-1] == "--help"
        assert code == (0 if helped else 2), (call, error)
        assert helped or "Error: " in error, call
        assert not loaded, (call, error)
    assert not (tmp_path / "home").exists()


def test_every_argument_that_names_an_input_is_looked_for_before_all_else() -> None:
    found = set()
    for name in NAMES:
        command = declare_command(f"auditor.cli.commands.{name}")
        for path, leaf in leaves(command, (name.rstrip("_"),)):
            for param in leaf.params:
                path_of_input = isinstance(param.type, click.Path) and not param.type.exists
                known = isinstance(param.type, RequiredInput)
                if not known and (path_of_input or isinstance(param, click.Argument)):
                    found.add((" ".join(path), param.opts[0]))
    assert found == {*WRITTEN, *ASKED}


def test_a_missing_audit_file_is_told_to_ci_all_the_same(tmp_path: Path) -> None:
    ended = subprocess.run(
        [AUDITOR, "audit", "nosuch.yaml", "--ci", "github"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    assert "::error" in ended.stdout
    assert "nosuch.yaml cannot be read" in ended.stderr
