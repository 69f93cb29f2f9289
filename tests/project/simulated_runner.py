"""A runner that carries out a composite action as GitHub's does, as far as ours goes.

Source: docs.github.com, "Metadata syntax for GitHub Actions", "Evaluate expressions in workflows
and actions" and "Workflow commands". Steps that use other actions are noted, with what they are
given, and count as done.
"""

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")
OUTPUT = re.compile(r"^([\w-]+)<<(\S+)\n(.*?)\n\2$|^([\w-]+)=(.*)$", re.MULTILINE | re.DOTALL)
BASH = ("bash", "--noprofile", "--norc", "-eo", "pipefail")


@dataclass
class Job:
    """What came of an action: each step's exit code or uses, outputs, and what was printed."""

    codes: dict[str, int] = field(default_factory=dict)
    used: dict[str, Mapping[str, str]] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    said: str = ""
    summary: str = ""

    @property
    def failed(self) -> bool:
        return any(self.codes.values())

    def use(self, action: str) -> Mapping[str, str]:
        """What an action of others was given, whatever commit of it is pinned."""
        (given,) = [it for name, it in self.used.items() if name.split("@")[0] == action]
        return given


@dataclass
class Runner:
    """A runner with its workspace, its folder for temporary files, and what called it."""

    action: Path
    workspace: Path
    temp: Path
    environment: Mapping[str, str]
    github: Mapping[str, str]
    path: list[str] = field(default_factory=list)

    def run(self, **given: str) -> Job:
        """Carry out the action with these inputs, written with underscores for hyphens."""
        content = yaml.safe_load(self.action.read_text(encoding="utf-8"))
        known = self._inputs(content, {name.replace("_", "-"): it for name, it in given.items()})
        names = {f"github.{name}": value for name, value in self.github.items()}
        names["github.action_path"] = str(self.action.parent)
        names |= {f"inputs.{name}": value for name, value in known.items()}
        job = Job()
        for number, step in enumerate(content["runs"]["steps"]):
            if not holds(step.get("if", ""), names, failed=job.failed):
                continue
            if "uses" in step:
                given_to = step.get("with", {}).items()
                job.used[step["uses"]] = {key: filled(str(it), names) for key, it in given_to}
                continue
            put_out = self._step(step, names, job, self.temp / f"step-{number}")
            prefix = f"steps.{step.get('id', number)}.outputs"
            names |= {f"{prefix}.{name}": value for name, value in put_out.items()}
        declared = content.get("outputs", {}).items()
        job.outputs = {name: filled(item["value"], names) for name, item in declared}
        return job

    def _inputs(self, content: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
        declared = content["inputs"]
        assert set(given) <= set(declared), "an input that the action does not have"
        missing = [n for n, it in declared.items() if it.get("required") and n not in given]
        assert not missing, f"the action needs {missing}"
        defaults = {name: str(item.get("default", "")) for name, item in declared.items()}
        return {**defaults, **given}

    def _step(
        self, step: Mapping[str, Any], names: Mapping[str, str], job: Job, folder: Path
    ) -> dict[str, str]:
        assert step["shell"] == "bash"
        folder.mkdir(parents=True)
        files = {name: folder / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        files["GITHUB_PATH"] = folder / "GITHUB_PATH"
        for path in files.values():
            path.touch()
        (script := folder / "script.sh").write_text(step["run"], encoding="utf-8")
        own = {name: filled(str(value), names) for name, value in step.get("env", {}).items()}
        environment = {
            **self.environment,
            "PATH": os.pathsep.join([*self.path, self.environment["PATH"]]),
            "GITHUB_ACTIONS": "true",
            "CI": "true",
            "GITHUB_WORKSPACE": str(self.workspace),
            "RUNNER_TEMP": str(self.temp),
            **{name: str(path) for name, path in files.items()},
            **own,
        }
        done = subprocess.run(
            [*BASH, script],
            cwd=self.workspace,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        job.codes[step["name"]] = done.returncode
        job.said += done.stdout
        job.summary += files["GITHUB_STEP_SUMMARY"].read_text(encoding="utf-8")
        self.path = [*files["GITHUB_PATH"].read_text().split(), *self.path]
        return put_out(files["GITHUB_OUTPUT"].read_text(encoding="utf-8"))


def put_out(written: str) -> dict[str, str]:
    """Read the outputs of a step."""
    found = OUTPUT.finditer(written)
    return {it[1]: it[3] if it[1] else it[5] for it in found if it[1]} | {
        it[4]: it[5].rstrip("\n") for it in OUTPUT.finditer(written) if it[4]
    }


def filled(text: str, names: Mapping[str, str]) -> str:
    """Put values in the place of expressions; what is not there is empty, as with GitHub."""
    return EXPRESSION.sub(lambda match: names.get(match[1], ""), text)


def holds(condition: str, names: Mapping[str, str], *, failed: bool) -> bool:
    """Whether a step is carried out: after a failure only where its condition says always()."""
    parts = [part.strip() for part in condition.split("&&")] if condition else []
    if failed and "always()" not in parts:
        return False
    return all(_part(part, names) for part in parts if part != "always()")


def _part(part: str, names: Mapping[str, str]) -> bool:
    left, sign, right = part.partition(" == ") if " == " in part else part.partition(" != ")
    assert sign, f"{part} is no comparison"
    equal = names.get(left.strip(), "") == right.strip().strip("'")
    return equal if sign == " == " else not equal
