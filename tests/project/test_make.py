"""Setting up and running everything by make."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TARGETS = ("audit", "test", "test-slow", "test-all", "check", "bench", "docs", "simulate", "house")


def make(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"}
    command = ["make", "--no-print-directory", *words]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("target", TARGETS)
def test_each_target_makes_its_environment_first(target: str) -> None:
    planned = make("--dry-run", "--always-make", target)
    assert planned.returncode == 0
    assert planned.stdout.startswith("scripts/make_venv.sh .venv")


@pytest.mark.parametrize("script", [".ci/run", "scripts/make_venv.sh", "scripts/audit_examples.sh"])
def test_a_script_can_be_run(script: str) -> None:
    assert (ROOT / script).stat().st_mode & stat.S_IXUSR
    subprocess.run(["bash", "-n", ROOT / script], check=True)


def test_an_interpreter_that_is_too_old_is_refused_with_a_cure(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    refused = subprocess.run(
        ["/bin/bash", ROOT / "scripts" / "make_venv.sh", tmp_path / "venv", ".", "python3"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode != 0
    assert "no Python 3.11 or newer" in refused.stderr
    assert "make PYTHON=" in refused.stderr
    assert not (tmp_path / "venv").exists()


def audit_examples(
    folder: Path, codes: dict[str, int], home: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the script over examples whose audits end with these exit codes and say their home."""
    environment = {name: value for name, value in os.environ.items() if name != "AUDITOR_HOME"}
    for name, code in codes.items():
        (folder / "examples" / name).mkdir(parents=True)
        (folder / "examples" / name / "audit.yaml").write_text(f"{code}\n")
    auditor = folder / "auditor"
    auditor.write_text('#!/bin/sh\necho "home: $AUDITOR_HOME"\nexit "$(cat "$2")"\n')
    auditor.chmod(0o755)
    return subprocess.run(
        [ROOT / "scripts" / "audit_examples.sh", auditor],
        cwd=folder,
        env=environment if home is None else {**environment, "AUDITOR_HOME": home},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_verdict_of_any_kind_lets_make_audit_go_on(tmp_path: Path) -> None:
    done = audit_examples(tmp_path, {"a": 1, "b": 3, "c": 0})
    assert done.returncode == 0
    lines = done.stdout.splitlines()[-3:]
    assert lines == [
        "examples/a: failed: examples/a/report/report.html",
        "examples/b: inconclusive: examples/b/report/report.html",
        "examples/c: passed: examples/c/report/report.html",
    ]


@pytest.mark.parametrize("code", [2, 4])
def test_an_audit_without_a_verdict_fails_make_audit_after_all_have_run(
    tmp_path: Path, code: int
) -> None:
    done = audit_examples(tmp_path, {"a": code, "b": 0})
    assert done.returncode == code
    assert "examples/b: passed" in done.stdout
    assert f"examples/a: no verdict (exit code {code})" in done.stdout


def test_make_audit_keeps_out_of_the_users_own_ledger(tmp_path: Path) -> None:
    done = audit_examples(tmp_path, {"a": 0})
    assert f"home: {tmp_path / 'examples' / '.home'}" in done.stdout.splitlines()


def test_make_audit_takes_the_home_that_is_named(tmp_path: Path) -> None:
    done = audit_examples(tmp_path, {"a": 0}, home="/elsewhere")
    assert "home: /elsewhere" in done.stdout.splitlines()


def test_git_ignores_the_home_of_the_examples() -> None:
    assert "/examples/.home/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
