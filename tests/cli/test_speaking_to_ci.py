"""What CI systems are told of audits and gates, and when a command fails there."""

import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from runner_commands import obeyed

from auditor.reports.folder import RECORD

GOLDEN = Path(__file__).parents[1] / "golden" / "records" / "v1.zip"
ONLY = ("--only", "quality.accuracy")
AUDIT = ("audit", "audit.yaml", *ONLY, "--out", "out")
HARD = "at_least: 0.99"
OPEN = "at_least: 0.88"
Command = Callable[..., Any]


@pytest.fixture
def runner(inside: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment of a job's step on GitHub Actions."""
    (inside / ".git").mkdir()
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
        (inside / name).touch()
        monkeypatch.setenv(name, str(inside / name))
    return inside


def asking(folder: Path, bound: str, more: str = "") -> None:
    policy = folder / "policy.yaml"
    policy.write_text(policy.read_text().replace("at_least: 0.6", bound) + more)


def outputs(folder: Path) -> dict[str, str]:
    written = (folder / "GITHUB_OUTPUT").read_text()
    return dict(re.findall(r"^(\w+)<<(?:end_\w+)\n(.*)\nend_\w+$", written, re.MULTILINE))


def gate(auditor: Command, home: Path, *more: object) -> Any:  # noqa: ANN401 -- how it ended
    asked = ("--artifact", "model.onnx", "--policy", "policy.yaml", "--record", "out")
    key = () if "--key" in more else ("--key", home / "signer.pub")
    return auditor("gate", *asked, *key, *more)


ADVICE = """\
  - id: advice
    title: It is nearly always right
    severity: low
    effect: warn
    measure: quality.accuracy/accuracy
    at_least: 0.99
"""


def test_a_failing_audit_is_annotated_at_its_rule_summed_up_and_put_out(
    auditor: Command, runner: Path
) -> None:
    asking(runner, HARD)
    ended = auditor(*AUDIT)
    assert ended.code == 1
    (line,) = obeyed(ended.out)
    assert line.startswith("::error file=policy.yaml,line=7,title=accuracy%3A It is right")
    assert (runner / "GITHUB_STEP_SUMMARY").read_text() == (runner / "out/summary.md").read_text()
    told = outputs(runner)
    assert told["verdict"] == "fail"
    assert told["record"].startswith("sha256:")
    assert Path(told["report"]).read_bytes() == (runner / "out/report.html").read_bytes()


def test_a_passing_audit_has_no_annotation(auditor: Command, runner: Path) -> None:
    ended = auditor(*AUDIT)
    assert (ended.code, obeyed(ended.out)) == (0, [])
    assert outputs(runner)["verdict"] == "pass"


def test_an_audit_that_cannot_run_is_an_error_and_has_no_verdict(
    auditor: Command, runner: Path
) -> None:
    (runner / "audit.yaml").write_text("kind: Audit\n")
    ended = auditor(*AUDIT)
    assert ended.code == 2
    (line,) = obeyed(ended.out)
    assert line.startswith("::error title=auditor::")
    assert outputs(runner) == {"verdict": "error"}
    assert "Nothing was decided" in (runner / "GITHUB_STEP_SUMMARY").read_text()


def test_a_name_of_others_gives_the_runner_no_order(auditor: Command, runner: Path) -> None:
    audit = runner / "audit.yaml"
    audit.write_text(audit.read_text().replace("name: line,", 'name: "::add-path::evil",'))
    ended = auditor(*AUDIT)
    assert "::add-path::evil" in ended.out
    assert obeyed(ended.out) == []


def test_nobody_is_told_anything_where_that_is_asked(auditor: Command, runner: Path) -> None:
    ended = auditor(*AUDIT, "--ci", "none")
    assert "::" not in ended.out
    assert outputs(runner) == {}


def test_gitlab_gets_variables_for_later_jobs(
    auditor: Command, inside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITLAB_CI", "true")
    monkeypatch.setenv("CI_PROJECT_DIR", str(inside))
    assert auditor(*AUDIT).code == 0
    told = dict(line.split("=", 1) for line in (inside / "auditor.env").read_text().splitlines())
    assert told["AUDITOR_VERDICT"] == "pass"
    assert told["AUDITOR_REPORT"] == "out/report.html"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bound", "codes"),
    [
        (HARD, {None: 1, "failed": 1, "unknown": 1, "warn": 1, "never": 0}),
        (OPEN, {None: 3, "failed": 0, "unknown": 3, "warn": 3, "never": 0}),
        ("at_least: 0.6", {None: 0, "failed": 0, "unknown": 0, "warn": 1, "never": 0}),
    ],
)
def test_a_command_fails_from_what_on_it_is_told_to_and_says_where_that_is_laxer(
    auditor: Command, runner: Path, bound: str, codes: dict[str | None, int]
) -> None:
    asking(runner, bound, ADVICE)
    usual = codes[None]
    for fail_on, code in codes.items():
        (runner / "GITHUB_STEP_SUMMARY").write_text("")
        ended = auditor(*AUDIT, *(() if fail_on is None else ("--fail-on", fail_on)))
        assert ended.code == code, fail_on
        odd = fail_on is not None and code != usual
        assert (f"--fail-on {fail_on}" in ended.said) == odd
        assert (f"--fail-on {fail_on}" in (runner / "GITHUB_STEP_SUMMARY").read_text()) == odd


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["observe", "warn"])
def test_a_policy_that_stops_nothing_fails_only_where_the_caller_says_so(
    auditor: Command, runner: Path, mode: str
) -> None:
    policy = runner / "policy.yaml"
    asking(runner, HARD)
    policy.write_text(policy.read_text().replace("least_budget", f"mode: {mode}, least_budget"))
    lax = auditor(*AUDIT)
    assert lax.code == 0
    assert f"the policy's mode is {mode}" in lax.said
    assert not any(line.startswith("::error") for line in obeyed(lax.out))
    assert "Not approved" in (runner / "GITHUB_STEP_SUMMARY").read_text()
    assert auditor(*AUDIT, "--fail-on", "failed").code == 1


def test_an_open_gate_says_so(auditor: Command, finished: Path, runner: Path, home: Path) -> None:
    ended = gate(auditor, home)
    assert (ended.code, obeyed(ended.out)) == (0, [])
    assert outputs(runner)["verdict"] == "pass"
    assert "# Gate: open" in (runner / "GITHUB_STEP_SUMMARY").read_text()


def test_a_gate_that_is_shut_by_the_verdict_annotates_the_rules(
    auditor: Command, runner: Path, home: Path
) -> None:
    asking(runner, HARD)
    assert auditor(*AUDIT, "--ci", "none").code == 1
    ended = gate(auditor, home)
    assert ended.code == 1
    found = obeyed(ended.out)
    assert found[0].startswith("::error file=audit.yaml,line=3,title=auditor gate%3A verdict::")
    assert found[1].startswith("::error file=policy.yaml,line=7,title=accuracy%3A ")
    assert outputs(runner)["verdict"] == "fail"


def unsigned(folder: Path) -> None:
    (folder / "out" / "record.sigstore.json").write_text("{}")


def changed(folder: Path) -> None:
    record = json.loads((folder / "out" / RECORD).read_text())
    record["findings"][0]["message"] = "All is well."
    (folder / "out" / RECORD).write_text(json.dumps(record))


def emptied(folder: Path) -> None:
    record = json.loads((folder / "out" / RECORD).read_text())
    record["findings"] = []
    (folder / "out" / RECORD).write_text(json.dumps(record))


def another_model(folder: Path) -> None:
    model = onnx.load(folder / "model.onnx")
    model.producer_name = "somebody else"
    onnx.save(model, folder / "model.onnx")


def another_policy(folder: Path) -> None:
    asking(folder, "at_least: 0.7")


def test_another_policy_is_annotated_at_its_own_file_with_both_names_and_a_cure(
    auditor: Command, finished: Path, runner: Path, home: Path
) -> None:
    another_policy(finished)
    (line,) = obeyed(gate(auditor, home).out)
    assert line.startswith("::error file=policy.yaml,line=1,title=auditor gate%3A policy::")
    said = line.partition(", not by ")[2]
    assert re.match(r"\S+ \S+ \(sha256:\w+\): judge the record by it \(auditor judge DIR", said)
    judged = auditor("judge", "out", "--policy", "policy.yaml", "--out", "anew")
    assert judged.code == 0
    assert gate(auditor, home, "--record", "anew").code == 0


@pytest.mark.parametrize("spoil", [unsigned, changed, emptied, another_model, another_policy])
@pytest.mark.parametrize("fail_on", [None, "failed", "unknown", "warn"])
def test_a_record_that_is_not_believed_is_red_whatever_may_fail(
    auditor: Command,
    finished: Path,
    runner: Path,
    home: Path,
    spoil: Callable[[Path], None],
    fail_on: str | None,
) -> None:
    spoil(finished)
    ended = gate(auditor, home, *(() if fail_on is None else ("--fail-on", fail_on)))
    assert ended.code == 1
    assert any(line.startswith("::error ") for line in obeyed(ended.out))
    assert outputs(runner)["verdict"] == "fail"
    assert "# Gate: closed" in (runner / "GITHUB_STEP_SUMMARY").read_text()


def test_a_record_that_is_not_believed_is_red_even_where_nothing_fails(
    auditor: Command, finished: Path, runner: Path, home: Path
) -> None:
    unsigned(finished)
    ended = gate(auditor, home, "--fail-on", "never")
    assert ended.code == 0
    assert "but the exit code is 0: --fail-on never" in ended.said
    assert any(line.startswith("::error ") for line in obeyed(ended.out))
    assert outputs(runner)["verdict"] == "fail"


@pytest.fixture
def old(inside: Path) -> Path:
    """The folder of a record that was signed long ago."""
    with zipfile.ZipFile(GOLDEN) as packed:
        packed.extractall(inside / "old")
    return inside / "old"


def test_a_stale_record_is_red(auditor: Command, old: Path, runner: Path, home: Path) -> None:
    record = ("--record", old / "out", "--key", old / "signer.pub")
    ended = gate(auditor, home, *record, "--max-age", "1h", "--fail-on", "failed")
    assert ended.code == 1
    titles = [line.partition("title=")[2] for line in obeyed(ended.out)]
    assert any(
        title.startswith("auditor gate%3A freshness::it was measured at ") for title in titles
    )
    assert outputs(runner)["verdict"] == "fail"


def test_the_comment_of_a_stale_record_is_red(auditor: Command, old: Path) -> None:
    key = ("--key", old / "signer.pub")
    fresh = auditor("comment", old / "out", *key)
    assert "golden 1.0.0: approved for deployment" in fresh.out
    stale = auditor("comment", old / "out", *key, "--max-age", "1h")
    assert "golden 1.0.0: approved for deployment" not in stale.out
    assert "freshness: it was measured at " in stale.out


def test_a_comment_is_green_only_for_a_record_that_is_believed(
    auditor: Command, finished: Path, home: Path
) -> None:
    key = ("--key", home / "signer.pub")
    good = auditor("comment", "out", *key)
    assert (good.code, "approved for deployment" in good.out) == (0, True)
    unsigned(finished)
    bad = auditor("comment", "out", *key, "--out", "comment.md")
    assert bad.code == 1
    written = (finished / "comment.md").read_text()
    assert "approved for deployment" not in written
    assert "not believed" in written


def test_a_comment_compares_with_a_base_that_verifies(
    auditor: Command, finished: Path, home: Path
) -> None:
    key = ("--key", home / "signer.pub")
    asking(finished, HARD)
    assert auditor("audit", "audit.yaml", *ONLY, "--out", "new").code == 1
    said = auditor("comment", "new", "--base", "out", *key).out
    assert "| accuracy | cpu | Passed | Failed |" in said
    (finished / "out" / RECORD).unlink()
    said = auditor("comment", "new", "--base", "out", *key).out
    assert "Nothing is compared" in said
