"""The action for GitHub, as it is written and as a runner carries it out."""

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Any

import pytest
import yaml
from ci_papers import FAKE, policy
from runner_commands import obeyed
from simulated_runner import Job, Runner

ROOT = Path(__file__).parents[2]
ACTION = ROOT / "action.yml"
CONTENT: dict[str, Any] = yaml.safe_load(ACTION.read_text(encoding="utf-8"))
STEPS = CONTENT["runs"]["steps"]
USED = re.compile(r"\b(inputs|steps|github)\.([\w.-]+)")
PINNED = re.compile(r"^[\w-]+/[\w/-]+@[0-9a-f]{40}$")
GH = """\
#!/usr/bin/env python3
import json, os, sys
said = sys.argv[1:]
with open(os.environ["GH_LOG"], "a") as log:
    log.write(json.dumps(said) + "\\n")
if "--jq" in said:
    print(os.environ.get("GH_FOUND", ""))
"""


@pytest.mark.parametrize("step", STEPS, ids=[step["name"] for step in STEPS])
def test_no_expression_stands_in_a_script(step: dict[str, Any]) -> None:
    assert "${{" not in step.get("run", "")


@pytest.mark.parametrize("step", STEPS, ids=[step["name"] for step in STEPS])
def test_other_actions_are_pinned(step: dict[str, Any]) -> None:
    assert "uses" not in step or PINNED.match(step["uses"])


def test_every_input_is_declared_described_and_used() -> None:
    used = {name for kind, name in USED.findall(ACTION.read_text()) if kind == "inputs"}
    assert used == set(CONTENT["inputs"])
    assert all(item["description"] for item in CONTENT["inputs"].values())
    assert all(item["description"] for item in CONTENT["outputs"].values())


def test_what_opens_withheld_rows_is_not_kept_with_the_record() -> None:
    (kept,) = [step for step in STEPS if "upload-artifact" in step.get("uses", "")]
    assert "!${{ steps.audit.outputs.folder }}/disclosure.key" in kept["with"]["path"]
    assert "!${{ steps.audit.outputs.folder }}/rows" in kept["with"]["path"]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A repository with the digits in it and a policy of its own."""
    folder = tmp_path / "workspace"
    kept = ignore_patterns("report*", "__pycache__")
    copytree(ROOT / "examples" / "digits", folder / "models" / "digits", ignore=kept)
    (folder / "models" / "digits" / "ours.yaml").write_text(policy(0.5))
    subprocess.run(["git", "init", "--quiet", folder], check=True)
    return folder


@pytest.fixture
def runner(workspace: Path, tmp_path: Path) -> Runner:
    (tools := tmp_path / "tools").mkdir()
    (tools / "gh").write_text(GH)
    (tools / "gh").chmod(stat.S_IRWXU)
    (temp := tmp_path / "temp").mkdir()
    kept = {name: os.environ[name] for name in ("PATH", "OMP_NUM_THREADS") if name in os.environ}
    environment = {**kept, "HOME": str(tmp_path), "GH_LOG": str(tmp_path / "gh.log")}
    github = {
        "event_name": "pull_request",
        "repository": "octo/models",
        "event.pull_request.number": "7",
        "token": "not-a-token",
    }
    here = str(Path(sys.executable).parent)
    return Runner(ACTION, workspace, temp, environment, github, [str(tools), here])


def audited(runner: Runner, **more: str) -> Job:
    asked = {
        "audit_file": "models/digits/audit.yaml",
        "policy": "ours.yaml",
        "budget": "smoke",
        "only": "quality.accuracy provenance.artifact",
        "install": "false",
    }
    return runner.run(**{**asked, **more})


def made_key(folder: Path) -> Path:
    auditor = Path(sys.executable).with_name("auditor")
    subprocess.run([auditor, "keys", "new", "--home", folder], check=True, capture_output=True)
    return folder / "signer.key"


def asked_of_gh(runner: Runner) -> list[list[str]]:
    return [
        json.loads(line) for line in Path(runner.environment["GH_LOG"]).read_text().splitlines()
    ]


@pytest.mark.slow
@pytest.mark.parametrize("folder", [".", "models/digits"])
@pytest.mark.parametrize("leave", ["false", "true"])
def test_a_targets_file_of_a_pull_request_runs_no_code_without_leave(
    runner: Runner, workspace: Path, folder: str, leave: str
) -> None:
    program = workspace / "evil.sh"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    program.chmod(0o755)
    settings = json.dumps({"interpreter": str(program)})
    declared = f"apiVersion: auditor/v1\nkind: Targets\ntargets:\n  npu: {settings}\n"
    (workspace / folder / "targets.yaml").write_text(declared)
    audit = workspace / "models" / "digits" / "audit.yaml"
    target = "npu" if folder != "." else json.dumps([{"name": "npu", "interpreter": str(program)}])
    audit.write_text(
        audit.read_text().replace("targets: [cpu]", f"targets: [{target.strip('[]')}]")
    )
    job = audited(runner, allow_target_code=leave)
    assert ("names code of this machine" in job.said) is (leave == "false")
    assert job.outputs.get("verdict") == ("error" if leave == "false" else "pass")


@pytest.mark.slow
def test_a_model_that_passes(runner: Runner, workspace: Path, tmp_path: Path) -> None:
    runner.environment = {**runner.environment, "GH_FOUND": "4711"}
    key, decider = made_key(tmp_path / "keys"), made_key(tmp_path / "deciders")
    named = f"{decider.with_name('signer.pub')}\n"
    job = audited(
        runner, comment="true", key=key.read_text(), waiver_keys=named, approvals_keys=named
    )
    assert not job.failed, job.said
    assert obeyed(job.said) == []
    assert "# Approved for deployment" in job.summary
    assert job.outputs["verdict"] == "pass"
    assert job.outputs["record"].startswith("sha256:")
    assert (workspace / job.outputs["report"]).is_file()
    shown = job.use("github/codeql-action/upload-sarif")
    log = json.loads((workspace / shown["sarif_file"]).read_text())
    assert log["runs"][0]["results"] == []
    kept = workspace / job.use("actions/upload-artifact")["path"].split()[0]
    assert (kept / "record.json").is_file()
    assert not any(name.startswith("actions/setup-python") for name in job.used)
    # The key given signed it, and is gone.
    assert (kept / "signer.pub").read_bytes() == key.with_name("signer.pub").read_bytes()
    assert not list(runner.temp.rglob("signer.key"))
    assert "PRIVATE KEY" not in job.said
    # A comment of ours that is there is written anew.
    place = ["--method", "PATCH", "repos/octo/models/issues/comments/4711"]
    written = asked_of_gh(runner)[-1]
    assert written[2:5] == place
    # Those who are named may approve, and nobody did.
    assert "0 of 1 approvals" in Path(written[-1].removeprefix("body=@")).read_text()


@pytest.mark.slow
def test_a_model_that_fails_is_shown_all_the_same(runner: Runner, workspace: Path) -> None:
    ours = workspace / "models" / "digits" / "ours.yaml"
    ours.write_text(policy(0.999))
    job = audited(runner, comment="true")
    assert job.codes["Audit"] == 1
    (line,) = obeyed(job.said)
    assert line.startswith("::error file=models/digits/ours.yaml,line=5,title=accurate%3A ")
    assert "# Not approved" in job.summary
    assert job.outputs["verdict"] == "fail"
    shown = job.use("github/codeql-action/upload-sarif")
    (result,) = json.loads((workspace / shown["sarif_file"]).read_text())["runs"][0]["results"]
    place = result["locations"][0]["physicalLocation"]
    assert (workspace / place["artifactLocation"]["uri"]) == ours
    assert place["region"]["startLine"] == 5
    assert job.use("actions/upload-artifact")
    asked, written = asked_of_gh(runner)
    assert asked[2] == "repos/octo/models/issues/7/comments"
    assert written[2:5] == ["--method", "POST", "repos/octo/models/issues/7/comments"]
    comment = Path(written[-1].removeprefix("body=@")).read_text()
    assert "not approved" in comment


@pytest.mark.slow
def test_an_audit_file_that_is_not_there_is_an_error_and_nothing_is_uploaded(
    runner: Runner,
) -> None:
    job = audited(runner, audit_file="absent.yaml", comment="true")
    assert job.codes == {"Audit": 2}
    assert obeyed(job.said)[0].startswith("::error title=auditor::")
    assert job.outputs["verdict"] == "error"
    assert job.used == {}


COMMENTS = """\
#!/usr/bin/env python3
import os, sys
if sys.argv[1] == "audit":
    open(os.environ["GITHUB_OUTPUT"], "a").write("folder=out")
else:
    print("asked", *sys.argv[1:])
    (out,) = [word[6:] for word in sys.argv if word.startswith("--out=")]
    open(out, "w").write("<!-- mark -->\\n")
"""


@pytest.mark.parametrize("server", ["", "https://auditor.example.org"])
def test_a_comment_believes_as_much_as_who_audited_may_claim(
    runner: Runner, tmp_path: Path, server: str
) -> None:
    fake = tmp_path / "tools" / "auditor"
    fake.write_text(COMMENTS)
    fake.chmod(stat.S_IRWXU)
    runner.environment = {**runner.environment, "AUDITOR_SERVER": server}
    job = audited(runner, comment="true", upload_sarif="false", artifact="")
    assert not job.failed, job.said
    (asked,) = [line for line in job.said.splitlines() if line.startswith("asked comment")]
    assert ("--assurance=A1" in asked) is bool(server)


HOSTILE = ('"; touch ran; echo "', "$(touch ran)", "`touch ran`", "--help\n'; touch ran")
INPUTS = ("audit_file", "policy", "target", "budget", "only", "fail_on", "out", "key")


@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_is_written_into_an_input_is_never_run(
    runner: Runner, tmp_path: Path, hostile: str
) -> None:
    fake = tmp_path / "tools" / "auditor"
    fake.write_text(FAKE)
    fake.chmod(stat.S_IRWXU)
    job = audited(runner, **dict.fromkeys(INPUTS, hostile))
    assert job.codes == {"Audit": 0}
    assert not list(tmp_path.rglob("ran"))
    said = json.loads(job.said)
    assert said[-2:] == ["--", hostile]
    for option in ("policy", "budget", "fail-on", "out"):
        assert f"--{option}={hostile}" in said
    for option in ("target", "only"):
        for word in hostile.split():
            assert f"--{option}={word}" in said


@pytest.mark.slow
@pytest.mark.fetches
def test_it_installs_itself_and_audits_with_that(runner: Runner) -> None:
    runner.path = [runner.path[0]]
    job = audited(runner, install="true", requirement=str(ROOT), python_version="")
    assert not job.failed, job.said
    assert runner.path[0] == str(runner.temp / "auditor" / "venv" / "bin")
    assert job.outputs["verdict"] == "pass"
