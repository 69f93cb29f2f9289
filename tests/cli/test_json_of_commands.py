"""``--format json``: one document a command, by its published schema, and nothing beside it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from jsonschema import Draft202012Validator

from auditor._resources import find_shipped_folder
from auditor.cli.console import summarize_steps
from auditor.domain.verification_steps import StepResult, VerificationStep
from auditor.reports.schemas import find_schema_errors
from auditor.trust.signatures.keys import read_public_key

Command = Callable[..., Any]
COMMANDS = ("audit", "compare", "gate", "init", "judge", "plan", "reproduce", "verify")
SCHEMAS = find_shipped_folder("reports") / "schemas"
AUDIT = ("audit", "audit.yaml", "--only", "quality.accuracy", "--out", "again")
GATE = ("gate", "--artifact", "model.onnx", "--policy", "policy.yaml", "--record", "out")
GATE_KEY = (*GATE, "--key", "out/signer.pub")


def read(command: str, ended: Any) -> Any:  # noqa: ANN401 -- JSON
    """Return what a command printed, which is one document that follows its schema."""
    document = json.loads(ended.out)
    assert find_schema_errors(f"{command}-output", document) == []  # type: ignore[arg-type]  # a name of ours
    return document


@pytest.mark.parametrize("command", COMMANDS)
def test_every_schema_of_an_output_is_a_schema_that_knows_its_fields(command: str) -> None:
    schema = json.loads((SCHEMAS / f"{command}-output-v1.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:auditor:schema:{command}-output:v1"
    assert schema["additionalProperties"] is not True
    assert find_schema_errors(f"{command}-output", {"cpu": {}}) != []  # type: ignore[arg-type]  # as above


def test_an_audit_prints_its_verdict_and_findings(
    auditor: Command, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A runner of CI obeys what is printed, and reads standard error as well.
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    ended = auditor(*AUDIT, "--format", "json")
    found = read("audit", ended)
    record = json.loads((finished / "again" / "record.json").read_text())
    assert (ended.code, found["exit_code"], found["verdict"]) == (0, 0, "pass")
    assert found["outcomes"] == {"passed": 1}
    assert [item["rule"] for item in found["findings"]] == ["accuracy"]
    assert found["record"]["id"] == record["id"]
    assert found["folder"] == "again"
    assert record["readings"][found["findings"][0]["readings"][0]]["metric"] == "accuracy"
    assert "quality.accuracy on cpu" in ended.err
    assert "::stop-commands::" in ended.err
    assert "Verdict" not in ended.err
    monkeypatch.delenv("GITHUB_ACTIONS")
    text = auditor(*AUDIT).out
    assert text.splitlines()[-1] == "Audited: PASS (1 passed)"


def test_a_judgement_prints_the_new_verdict(auditor: Command, finished: Path) -> None:
    policy = (finished / "policy.yaml").read_text().replace("at_least: 0.6", "at_least: 0.999")
    (finished / "strict.yaml").write_text(policy)
    judge = ("judge", "out", "--policy", "strict.yaml", "--key", "out/signer.pub")
    ended = auditor(*judge, "--format", "json")
    found = read("judge", ended)
    assert (ended.code, found["exit_code"], found["verdict"]) == (1, 1, "fail")
    assert found["findings"][0]["outcome"] == "failed"
    assert found["folder"] == "out-judged"
    assert auditor(*judge).out.splitlines()[-1] == "Judged: FAIL (1 failed)"


def test_a_verification_prints_its_steps(auditor: Command, finished: Path) -> None:
    verify = ("verify", "out", "--key", "out/signer.pub")
    ended = auditor(*verify, "--format", "json")
    found = read("verify", ended)
    assert (ended.code, found["exit_code"], found["holds"]) == (0, 0, True)
    passed = sum(step["result"] == "holds" for step in found["steps"])
    skipped = sum(step["result"] == "not checked" for step in found["steps"])
    closing = f"Verified: {passed} of {passed} steps passed, {skipped} not checked"
    assert auditor(*verify).out.splitlines()[-3] == closing

    report = finished / "out" / "record.json"
    report.write_bytes(report.read_bytes().replace(b'"seed":3', b'"seed":4'))
    ended = auditor(*verify, "--format", "json")
    found = read("verify", ended)
    assert (ended.code, found["exit_code"], found["holds"]) == (1, 1, False)
    assert auditor(*verify).out.splitlines()[-1].startswith("Not verified: ")


def test_a_verification_ends_with_what_the_record_says(auditor: Command, finished: Path) -> None:
    policy = (finished / "policy.yaml").read_text().replace("at_least: 0.6", "at_least: 0.999")
    (finished / "strict.yaml").write_text(policy)
    auditor("judge", "out", "--policy", "strict.yaml", "--key", "out/signer.pub")
    signer = read_public_key((finished / "out/signer.pub").read_bytes()).identity
    signed = f"signed by key {signer.removeprefix('key:sha256:')[:12]}. "
    for folder, verdict in (("out", "Approved for deployment"), ("out-judged", "Not approved")):
        ended = auditor("verify", folder, "--key", f"{folder}/signer.pub")
        assert ended.code == 0, ended.said
        said, note = ended.out.splitlines()[-2:]
        assert said.startswith(f"The record is intact, {signed}Its verdict on "), said
        assert said.endswith(f": {verdict}.")
        assert "not who signed it" in note
        again = [line for line in ended.out.splitlines() if line.startswith("Note: Judged again")]
        assert len(again) == (folder == "out-judged")
    (finished / "given.pub").write_bytes((finished / "out/signer.pub").read_bytes())
    apart = auditor("verify", "out-judged", "--key", "given.pub").out.splitlines()
    assert apart[-1].endswith(": Not approved.")
    assert not any("not who signed it" in line for line in apart)


def test_what_was_not_checked_is_counted_in_the_last_lines() -> None:
    steps = [
        VerificationStep("a", StepResult.HOLDS, ""),
        VerificationStep("b", StepResult.NOT_CHECKED, ""),
    ]
    assert summarize_steps("Verified", steps) == "Verified: 1 of 1 step passed, 1 not checked"


def test_a_gate_prints_whether_it_is_open(auditor: Command, finished: Path) -> None:
    ended = auditor(*GATE_KEY, "--format", "json")
    found = read("gate", ended)
    assert (ended.code, found["exit_code"], found["open"], found["holds"]) == (0, 0, True, True)
    assert found["verdict"] == "pass"
    assert found["record"] is not None
    assert "lies beside the record" in found["note"]
    (finished / "given.pub").write_bytes((finished / "out/signer.pub").read_bytes())
    ended = auditor(*GATE, "--key", "given.pub", "--format", "json")
    assert read("gate", ended)["note"] == ""

    other = finished / "other.onnx"
    model = onnx.load(finished / "model.onnx")
    model.doc_string = "other bytes"
    onnx.save(model, other)
    asked = [str(other) if word == "model.onnx" else word for word in GATE_KEY]
    ended = auditor(*asked, "--format", "json")
    found = read("gate", ended)
    assert (ended.code, found["exit_code"], found["open"]) == (1, 1, False)
    # An exit code that is excused opens nothing.
    ended = auditor(*asked, "--fail-on", "never", "--format", "json")
    found = read("gate", ended)
    assert (ended.code, found["exit_code"], found["open"]) == (0, 0, False)
    assert "--fail-on never" in found["note"]


def test_a_plan_prints_what_each_target_can_decide(auditor: Command, inside: Path) -> None:
    ended = auditor("plan", inside / "audit.yaml", "--only", "quality.accuracy", "--format", "json")
    found = read("plan", ended)["cpu"]
    assert (found["applicable"], found["decidable"]) == (1, 1)


def test_a_comparison_prints_what_moved(auditor: Command, finished: Path) -> None:
    assert auditor(*AUDIT).code == 0
    ended = auditor(
        "compare", "out", "again", "--key", finished / "out/signer.pub", "--format", "json"
    )
    assert read("compare", ended)["got_worse"] is False


def test_a_reproduction_prints_how_many_readings_are_equal(
    auditor: Command, finished: Path
) -> None:
    ended = auditor("reproduce", "out", "--format", "json")
    found = read("reproduce", ended)
    assert (ended.code, found["exit_code"], found["holds"]) == (0, 0, True)
    assert 0 < found["equal"] == found["compared"]
    assert found["schema"] == "auditor/reproduce-output/v1"
    assert "quality.accuracy on cpu" in ended.err
    assert auditor("reproduce", "out").out.splitlines()[-1] == found["summary"]


@pytest.mark.parametrize(
    "asked",
    [("audit", "no.yaml"), ("judge", "no"), ("verify", "no", "--key", "no.pub"), GATE],
    ids=lambda asked: asked[0],
)  # fmt: skip
def test_an_error_leaves_standard_output_empty(
    auditor: Command, inside: Path, asked: tuple[str, ...]
) -> None:
    ended = auditor(*asked, "--format", "json")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("Error: ") or "\nError: " in ended.err
