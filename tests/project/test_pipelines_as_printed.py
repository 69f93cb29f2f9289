"""The pipelines of the pages run as they are printed: what they install lies where they say."""

import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(?:yaml|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGE = re.compile(r"\{% set (?:shell|workflow) %\}\n(.*?)\{% endset %\}", re.DOTALL)
SECRET = re.compile(r'\{\{ "(\$\{\{.*?\}\})" \}\}')
ORIGIN = "https://auditor.example.org"
REAL = Path(sys.executable).with_name("auditor")
TOOLS = {
    # A folder that pip is given is one with our sources in it, and is there.
    "pip": """\
        case "$2" in ./auditor\\[*\\]) exec test -f auditor/pyproject.toml;; esac; exit 9""",
    "git": """\
        case "$1" in clone) mkdir auditor && cp "$SOURCES/pyproject.toml" auditor/;; esac""",
    "curl": 'echo \'{"value": "t"}\'',
    "jq": "cat > /dev/null; echo t",  # what reads no input can end before curl writes it
    # Every option is known: an unknown one ends with 2 before the help is shown.
    "auditor": 'echo "$*" >> "$CALLED"; exec "$REAL" "$@" --help > /dev/null',
}


def printed() -> list[tuple[str, str]]:
    page = (ROOT / "auditor/service/web/templates/start.html.j2").read_text(encoding="utf-8")
    found = [("start", SECRET.sub(r"\1", text)) for text in PAGE.findall(page)]
    for name in ("ci", "tokens"):
        text = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
        found += [(name, block) for block in BLOCK.findall(text) if "pip install" in block]
    return [(name, text.replace("{{ origin }}", ORIGIN)) for name, text in found]


def copied(step: dict[str, Any], workspace: Path) -> None:
    """Do what `actions/checkout` does with another repository."""
    asked = step.get("with", {})
    if asked.get("repository") == "OWNER/auditor":
        assert asked["ref"] == "COMMIT"
        (workspace / asked["path"]).mkdir()
        text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        (workspace / asked["path"] / "pyproject.toml").write_text(text)


def scripts(text: str, workspace: Path) -> list[str]:
    """Return what a snippet runs, one script a step, once its checkouts are made."""
    if not re.search(r"^\w+:", text, re.MULTILINE):
        (workspace / "auditor").mkdir()
        (workspace / "auditor" / "pyproject.toml").touch()
        return [text]
    found: list[str] = []
    content = yaml.safe_load(text)
    for job in content.get("jobs", content).values():
        for step in job.get("steps", []):
            copied(step, workspace)
        found += [step["run"] for step in job.get("steps", []) if "run" in step]
        found += ["\n".join(job["script"])] if "script" in job else []
    return found


SNIPPETS = printed()


@pytest.mark.slow
@pytest.mark.parametrize("text", [text for _, text in SNIPPETS], ids=[name for name, _ in SNIPPETS])
def test_a_pipeline_runs_as_it_is_printed(tmp_path: Path, text: str) -> None:
    (tools := tmp_path / "tools").mkdir()
    for name, does in TOOLS.items():
        (tools / name).write_text(f"#!/bin/sh\n{does}\n")
        (tools / name).chmod(stat.S_IRWXU)
    (workspace := tmp_path / "workspace").mkdir()
    called = tmp_path / "called"
    environment = {
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path), "SOURCES": str(ROOT), "REAL": str(REAL), "CALLED": str(called),
        "AUDITOR_SERVER": ORIGIN, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "t",
        "ACTIONS_ID_TOKEN_REQUEST_URL": f"{ORIGIN}/t?a=b",
    }  # fmt: skip
    for script in scripts(text, workspace):
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", script],
            cwd=workspace, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{script}: {done.stdout}{done.stderr}"
    assert "audit audit.yaml" in called.read_text()


def test_every_page_with_a_pipeline_is_tried() -> None:
    assert [name for name, _ in SNIPPETS] == ["start", "start", "ci", "tokens", "tokens"]
