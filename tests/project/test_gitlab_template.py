"""The component for GitLab, as it is written and as a job carries it out."""

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Any

import pytest
import yaml
from ci_papers import FAKE, policy

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "templates" / "auditor" / "template.yml"
WRITTEN = TEMPLATE.read_text(encoding="utf-8")
SPEC, _ = yaml.safe_load_all(WRITTEN)
INPUT = re.compile(r"\$\[\[ inputs\.([\w-]+) \]\]")


def job_of(given: Mapping[str, str]) -> dict[str, Any]:
    """Fill in the inputs, value by value as GitLab does, and return the one job."""
    inputs = {name: it.get("default", "") for name, it in SPEC["spec"]["inputs"].items()} | given

    def filled(value: Any) -> Any:  # noqa: ANN401 -- YAML
        if isinstance(value, str):
            return INPUT.sub(lambda match: inputs[match[1]], value)
        if isinstance(value, list):
            return [filled(item) for item in value]
        if isinstance(value, dict):
            return {filled(key): filled(item) for key, item in value.items()}
        return value

    (job,) = filled(list(yaml.safe_load_all(WRITTEN))[1]).values()
    return job  # type: ignore[no-any-return]


def carried_out(
    job: Mapping[str, Any], project: Path, tools: Path
) -> subprocess.CompletedProcess[str]:
    """Run the lines of a job in one POSIX shell, which stops at the first that fails."""
    lines = "\n".join(["set -e", *job["before_script"], *job["script"]])
    environment = {
        "PATH": os.pathsep.join([str(tools), os.environ["PATH"]]),
        "GITLAB_CI": "true",
        "CI_PROJECT_DIR": str(project),
        **job["variables"],
    }
    return subprocess.run(
        ["sh", "-c", lines],
        cwd=project,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def test_no_input_stands_in_a_script() -> None:
    (job,) = list(yaml.safe_load_all(WRITTEN))[1].values()
    assert not INPUT.search("\n".join([*job["before_script"], *job["script"]]))


def test_every_input_is_used() -> None:
    assert set(INPUT.findall(WRITTEN)) == set(SPEC["spec"]["inputs"])


@pytest.mark.parametrize("hostile", ['"; touch ran; echo "', "$(touch ran)", "*", "--help"])
def test_what_is_written_into_an_input_is_never_run(tmp_path: Path, hostile: str) -> None:
    fake = tmp_path / "auditor"
    fake.write_text(FAKE)
    fake.chmod(stat.S_IRWXU)
    names = (
        "audit-file", "policy", "target", "budget", "only", "fail-on", "out", "allow-target-code",
    )  # fmt: skip
    job = job_of({"requirement": "", **dict.fromkeys(names, hostile)})
    done = carried_out(job, tmp_path, tmp_path)
    assert done.returncode == 0, done.stdout
    assert not (tmp_path / "ran").exists()
    said = json.loads(done.stdout)
    assert said[-2:] == ["--", hostile]
    assert f"--policy={hostile}" in said
    assert "--allow-target-code" not in said
    assert f"--only={hostile.split(maxsplit=1)[0]}" in said


def test_leave_to_run_code_is_passed_on_where_it_is_given(tmp_path: Path) -> None:
    fake = tmp_path / "auditor"
    fake.write_text(FAKE)
    fake.chmod(stat.S_IRWXU)
    for given, expected in (("true", True), ("false", False)):
        job = job_of({"requirement": "", "allow-target-code": given})
        said = json.loads(carried_out(job, tmp_path, tmp_path).stdout)
        assert ("--allow-target-code" in said) is expected


def test_nothing_is_installed_that_nobody_named(tmp_path: Path) -> None:
    """An index may hold anything under our name, and the job holds a key."""
    (tmp_path / "python").write_text("#!/bin/sh\necho ran > ran\n")
    (tmp_path / "python").chmod(stat.S_IRWXU)
    job = job_of({})
    lines = "\n".join(["set -e", *job["before_script"], *job["script"]])
    done = subprocess.run(
        ["/bin/sh", "-c", lines],
        cwd=tmp_path,
        env={"PATH": str(tmp_path), **job["variables"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Give the component a requirement" in done.stderr
    assert not (tmp_path / "ran").exists()


@pytest.mark.slow
def test_a_model_that_fails(tmp_path: Path) -> None:
    project = tmp_path / "project"
    kept = ignore_patterns("report*", "__pycache__")
    copytree(ROOT / "examples" / "digits", project, ignore=kept)
    (project / "ours.yaml").write_text(policy(0.999))
    subprocess.run(["git", "init", "--quiet", project], check=True)
    given = {
        "requirement": "",
        "policy": "ours.yaml",
        "budget": "smoke",
        "only": "quality.accuracy",
    }
    job = job_of(given)
    job["variables"]["AUDITOR_HOME"] = str(tmp_path / "home")
    done = carried_out(job, project, Path(sys.executable).parent)
    assert done.returncode == 1, done.stdout
    reports = job["artifacts"]["reports"]
    (issue,) = json.loads((project / reports["codequality"]).read_text())
    assert issue["location"] == {"path": "ours.yaml", "lines": {"begin": 5}}
    assert issue["severity"] == "critical"
    assert 'failures="1"' in (project / reports["junit"]).read_text()
    assert "AUDITOR_VERDICT=fail\n" in (project / reports["dotenv"]).read_text()
    assert (project / job["artifacts"]["paths"][0] / "record.json").is_file()
