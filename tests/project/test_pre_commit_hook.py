"""The hook for pre-commit: which files it takes, and what it says of them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ci_papers import policy
from fetching import installed

ROOT = Path(__file__).parents[2]
(HOOK,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
GOOD = policy(0.5)
BAD = GOOD.replace("quality.accuracy/accuracy", "quality.accuracy/beauty")


@pytest.mark.parametrize(
    ("path", "taken"),
    [
        ("policy.yaml", True),
        ("models/policy-lending.yml", True),
        ("policies/ours.yaml", True),
        ("policies/catalogues/eu-ai-act.yaml", False),
        ("policies/tests/baseline.yaml", False),
        ("audit.yaml", False),
        ("metropolis.yaml", False),
    ],
)
def test_policies_are_taken_and_nothing_else(path: str, taken: bool) -> None:  # noqa: FBT001 -- a row
    found = re.search(HOOK["files"], path) and not re.search(HOOK["exclude"], path)
    assert bool(found) == taken


@pytest.mark.slow
@pytest.mark.fetches
def test_pre_commit_runs_the_hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run it with what is installed here: pip would fetch for minutes what the wheel's tests do."""
    monkeypatch.setenv("PRE_COMMIT_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    tools = installed(tmp_path / "venv", "pre-commit==4.7.0")
    project, source = tmp_path / "project", tmp_path / "source"
    for folder in (project, source):
        folder.mkdir()
        git(folder, "init", "--quiet")
    hooks = source / ".pre-commit-hooks.yaml"
    hooks.write_text(yaml.safe_dump([{**HOOK, "language": "system"}]))
    git(source, "add", ".")
    git(source, "commit", "--quiet", "--message", "hooks")
    command = [tools / "pre-commit", "try-repo", source, HOOK["id"], "--all-files", "--verbose"]
    (project / "policies").mkdir()
    (project / "policies" / "good.yaml").write_text(GOOD)
    for written, code in ((GOOD, 0), (BAD, 1)):
        (project / "policies" / "ours.yaml").write_text(written)
        git(project, "add", ".")
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        assert ("policies/ours.yaml:9: " in done.stdout) == bool(code)
    assert "beauty" in done.stdout


def git(folder: Path, *words: str) -> None:
    named = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    subprocess.run(["git", *named, *words], cwd=folder, check=True, capture_output=True)
