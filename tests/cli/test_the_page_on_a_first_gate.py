"""The page for newcomers is carried out, line by line, as a newcomer would."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "first-gate.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(sh|yaml)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
WORKFLOW = ".github/workflows/audit.yml"
EXITS = re.compile(r"# exits (\d)$")


def written(text: str, folder: Path) -> None:
    """Write a file of the page under the name in its first line."""
    name = text.partition("\n")[0].removeprefix("# ")
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")


def run(line: str, folder: Path) -> str:
    """Run a line of the page in a shell, and hold that it ends as the page says."""
    here = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    home = str(folder.with_name("home"))
    environment = {**os.environ, "PATH": here, "AUDITOR_HOME": home, "COLUMNS": "200"}
    done = subprocess.run(
        ["bash", "-c", line], cwd=folder, env=environment, capture_output=True, text=True,
        check=False, timeout=600,
    )  # fmt: skip
    expected = EXITS.search(line)
    said = done.stdout + done.stderr
    assert done.returncode == int(expected[1] if expected else 0), f"{line}: {said}"
    return said


@pytest.mark.slow
def test_a_newcomer_comes_from_nothing_to_a_gate(tmp_path: Path) -> None:
    (folder := tmp_path / "repository").mkdir()
    for name in ("model.onnx", "test.npz"):
        shutil.copy(ROOT / "examples" / "digits" / name, folder)
    said = {}
    for language, text in BLOCKS:
        if language == "yaml":
            written(text, folder)
        for line in text.splitlines() if language == "sh" else ():
            said[line] = run(line, folder)
    audited = next(text for line, text in said.items() if line.startswith("auditor audit "))
    assert "Verdict: PASS under digits-gate 1.0.0, budget ci" in audited
    shut = [text for line, text in said.items() if EXITS.search(line)]
    assert len(shut) == 2
    assert "no warnings" in said["auditor policies lint gate.yaml"]
    assert (folder / "report" / "report.html").is_file()
    assert (folder / "ci-keys" / "signer.pub").is_file()


def test_the_workflow_gives_the_action_what_it_takes() -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    (text,) = [text for _, text in BLOCKS if text.startswith(f"# {WORKFLOW}")]
    workflow: dict[str, Any] = yaml.safe_load(text)
    (step,) = [it for it in workflow["jobs"]["audit"]["steps"] if "/auditor@" in it["uses"]]
    assert set(step["with"]) <= set(action["inputs"])
    (audited,) = [line for _, text in BLOCKS for line in text.splitlines() if "--only" in line]
    checks = re.findall(r"--only (\S+)", audited)
    assert step["with"]["only"].split() == checks
