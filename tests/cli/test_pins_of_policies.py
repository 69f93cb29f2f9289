"""A policy can fix what is judged, and a gate can ask which rows were."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]
AUDITED = ("audit", "audit.yaml", "--only", "quality.accuracy", "--out", "out")
EASED = 'task: {kind: classification, classes: ["no", "yes"], threshold: 0.2}'


def pin(place: Path, pins: str) -> None:
    text = (place / "policy.yaml").read_text()
    text = text.replace("least_budget: smoke}", f"least_budget: smoke, pins: {pins}}}")
    assert "pins" in text
    (place / "policy.yaml").write_text(text)


def ease(place: Path) -> None:
    lines = (place / "audit.yaml").read_text().splitlines()
    lines = [EASED if line.startswith("task:") else line for line in lines]
    (place / "audit.yaml").write_text("\n".join(lines) + "\n")


def record(place: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((place / "out" / "record.json").read_bytes())
    return found


def outcomes(place: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for item in record(place)["findings"]:
        found.setdefault(item["rule"], set()).add(item["outcome"])
    return found


def test_an_audit_that_declares_nothing_easier_says_nothing_of_it(
    auditor: Command, finished: Path, home: Path
) -> None:
    assert "declared" not in record(finished)["request"]
    gate = [
        *("gate", "--artifact", "model.onnx", "--policy", "policy.yaml", "--record", "out"),
        *("--key", str(home / "signer.pub")),
    ]
    (data,) = record(finished)["request"]["datasets"]
    for named in ("test.csv", data["digest"]):
        held = auditor(*gate, "--data", named)
        assert (held.code, "Gate: open" in held.said) == (0, True), held.said
    shut = auditor(*gate, "--data", "model.onnx")
    assert (shut.code, "Gate: closed (data)" in shut.said) == (1, True)
    assert auditor(*gate, "--data", "sha256:" + "0" * 64).code == 1


def test_a_column_that_looks_like_a_group_and_is_named_none_stands_in_the_request(
    auditor: Command, inside: Path
) -> None:
    head, *rows = (inside / "test.csv").read_text().splitlines()
    table = [f"{head},gender", *(f"{row},{'fm'[at % 2]}" for at, row in enumerate(rows))]
    (inside / "test.csv").write_text("\n".join(table) + "\n")
    text = (inside / "audit.yaml").read_text()
    assert "groups: [town]" in text
    for named, there in (("[town], slices: [gender]", ["gender"]), ("[town, gender]", None)):
        (inside / "audit.yaml").write_text(text.replace("[town]", named, 1))
        ended = auditor(*AUDITED)
        assert ended.code == 0, ended.said
        assert record(inside)["request"].get("uncompared") == there


def test_what_makes_rules_easier_stands_beside_the_verdict(
    auditor: Command, inside: Path, home: Path
) -> None:
    ease(inside)
    ended = auditor(*AUDITED)
    assert ended.code == 0
    assert record(inside)["request"]["declared"] == {"task.threshold": 0.2}
    said = "decision threshold (task.threshold): 0.2"
    assert said in ended.said
    assert auditor("comment", "out", "--key", home / "signer.pub", "--out", "note.md").code == 0
    for name in ("out/summary.md", "out/report.html", "note.md"):
        assert said in (inside / name).read_text(), name


@pytest.mark.parametrize(
    "pins",
    [
        f"{{evaluation: ['sha256:{'0' * 64}']}}",
        "{least_rows: 241}",
        "{sets: [credit]}",
        "{settings: {}}",
        "{settings: {task.threshold: 0.2, task.classes: ['no', 'yes'], input.domain: [0, 1]}}",
    ],
)
def test_what_is_not_as_pinned_is_undecided_and_shuts_the_gate(
    auditor: Command, inside: Path, home: Path, pins: str
) -> None:
    ease(inside)
    pin(inside, pins)
    assert auditor(*AUDITED).code == 3
    assert outcomes(inside) == {"accuracy": {"passed"}, "policy.pins": {"unknown"}}
    assert auditor("verify", "out", "--key", home / "signer.pub").code == 0
    gate = ("gate", "--artifact", "model.onnx", "--policy", "policy.yaml", "--record", "out")
    shut = auditor(*gate, "--key", home / "signer.pub")
    assert (shut.code, "Gate: closed (verdict, pins)" in shut.said) == (1, True), shut.said


def test_what_is_as_pinned_passes(auditor: Command, inside: Path, home: Path) -> None:
    ease(inside)
    pin(
        inside,
        "{least_rows: 240, settings: {task.threshold: 0.2, task.classes: ['no', 'yes'], "
        "input.domain: [0, 1], data.evaluation.labels: 'y', data.evaluation.groups: [town], "
        "data.evaluation.id: id}}",
    )
    assert auditor(*AUDITED).code == 0
    gate = ("gate", "--artifact", "model.onnx", "--policy", "policy.yaml", "--record", "out")
    held = auditor(*gate, "--key", home / "signer.pub")
    assert (held.code, "Gate: open" in held.said) == (0, True), held.said


def test_a_pinned_default_is_kept_by_who_writes_it_and_by_who_leaves_it_out(
    auditor: Command, inside: Path
) -> None:
    pin(
        inside,
        "{settings: {task.threshold: 0.5, task.output: auto, input.immutable: [], "
        "task.classes: ['no', 'yes'], input.domain: [0, 1], data.evaluation.labels: 'y', "
        "data.evaluation.groups: [town], data.evaluation.id: id, model.twin: auto}}",
    )
    assert auditor(*AUDITED).code == 0
    written = (inside / "audit.yaml").read_text()
    (inside / "audit.yaml").write_text(written.replace('"yes"]}', '"yes"], threshold: 0.5}'))
    assert auditor(*AUDITED).code == 0
    ease(inside)
    assert auditor(*AUDITED).code == 3
