"""`auditor init` as a person and as a program call it."""

import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from auditor.reports.schemas import find_schema_errors

Command = Callable[..., Any]
DRAFT = ("init", "model.onnx", "--data", "test.csv")


@pytest.fixture
def bare(inside: Path) -> Path:
    """The small example without an audit file."""
    (inside / "audit.yaml").unlink()
    return inside


def answer(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))


def test_json_lists_every_guess_with_its_evidence(auditor: Command, bare: Path) -> None:
    ended = auditor(*DRAFT, "--format", "json")
    found = json.loads(ended.out)
    assert find_schema_errors("init-output", found) == []
    assert (ended.code, found["written"]) == (0, ["audit.yaml", "schema.yaml"])
    guesses = {item["setting"]: item for item in found["guesses"]}
    assert guesses["data.evaluation.labels"]["value"] == "y"
    assert guesses["data.evaluation.labels"]["confidence"] == "high"
    assert guesses["data.evaluation.labels"]["evidence"].startswith("the model agrees with it in ")
    assert guesses["task.favourable"]["confidence"] == "low"
    assert guesses["schema.yaml: features.a"]["value"] == {"kind": "numeric", "range": [0, 1]}
    written = yaml.safe_load((bare / "audit.yaml").read_text())
    assert written["input"] == {"features": "schema.yaml"}


def test_a_schema_that_is_there_is_never_replaced(auditor: Command, bare: Path) -> None:
    (bare / "schema.yaml").write_text("features: []\n")
    ended = auditor(*DRAFT)
    assert ended.code == 2
    assert "schema.yaml exists" in ended.said
    assert not (bare / "audit.yaml").exists()
    assert (bare / "schema.yaml").read_text() == "features: []\n"


def test_ask_confirms_changes_and_asks_again(
    auditor: Command, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # name, version, favourable (first one that is no class), groups, then the three columns
    answer(monkeypatch, "line", "", "maybe", "no", "city", "town", "0, 5", "immutable", "")
    ended = auditor(*DRAFT, "--ask")
    assert ended.code == 0, ended.said
    assert "'maybe' is not there. Choose from no, yes." in ended.said
    text = (bare / "audit.yaml").read_text()
    assert 'name: "line"   # confirmed: your answer' in text
    assert 'version: "0"   # confirmed: no file states one' in text
    assert yaml.safe_load(text)["task"]["favourable"] == "no"
    assert "'city' is not there. Choose from id, a, b, c, town. Or write not-about-p" in ended.said
    evaluation = yaml.safe_load(text)["data"]["evaluation"]
    assert (evaluation["groups"], evaluation["slices"]) == (["town"], [])
    assert yaml.safe_load(text)["model"]["tags"] == []
    a, b, c = yaml.safe_load((bare / "schema.yaml").read_text())["features"]
    assert (a["range"], b.get("immutable"), c.get("immutable")) == ([0, 5], True, None)


def test_only_an_answer_declares_a_model_that_decides_about_no_people(
    auditor: Command, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, "", "", "", "not-about-people", "", "", "")
    assert auditor(*DRAFT, "--ask").code == 0
    text = (bare / "audit.yaml").read_text()
    assert yaml.safe_load(text)["model"]["tags"] == ["not-about-people"]
    assert 'tags: ["not-about-people"]   # confirmed: your answer' in text
    (bare / "audit.yaml").unlink()
    (bare / "schema.yaml").unlink()
    assert "data.evaluation.groups" in auditor(*DRAFT).said
    assert yaml.safe_load((bare / "audit.yaml").read_text())["model"]["tags"] == []


def test_columns_of_scores_and_decisions_that_are_guesses_are_asked_about(
    auditor: Command, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ["risk,second,decision,y"]
    lines += [f"0.{at % 10}5,0.{9 - at % 10}5,{at % 10 > 4:d},{at % 10 > 4:d}" for at in range(60)]
    (bare / "scored.csv").write_text("\n".join(lines))
    facts = json.loads(auditor("init", "--data", "scored.csv", "--format", "json").out)
    (bare / "audit.yaml").unlink()
    asked = {it["setting"] for it in facts["guesses"] if it["confidence"] in {"low", "medium"}}
    place = "data.evaluation"
    assert asked > {f"{place}.scores", f"{place}.predictions", f"{place}.groups"}
    answer(monkeypatch, "risk, thrid", *[""] * len(asked))  # a column that is not there
    ended = auditor("init", "--data", "scored.csv", "--ask")
    assert ended.code == 0, ended.said
    assert "'thrid' is not there. Choose from risk, second, decision." in ended.said
    assert all(f"{setting}:" in ended.said for setting in asked), asked
    text = (bare / "audit.yaml").read_text()
    assert 'scores: ["risk", "second"]   # confirmed: 2 columns between 0 and 1' in text


def test_ask_without_a_person_writes_nothing(
    auditor: Command, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch)
    ended = auditor(*DRAFT, "--ask")
    assert ended.code == 2
    assert "--ask got no answer" in ended.said
    assert not (bare / "audit.yaml").exists()


def test_without_ask_no_one_is_asked(
    auditor: Command, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch)
    ended = auditor(*DRAFT)
    assert ended.code == 0
    assert "Guesses without evidence: model.version, task.favourable" in ended.said


def test_a_pickle_exits_with_the_lines_that_export_it(auditor: Command, bare: Path) -> None:
    (bare / "model.pkl").write_bytes(pickle.dumps({"a": 1}))
    ended = auditor("init", "model.pkl", "--data", "test.csv")
    assert ended.code == 2
    assert '    open("model.onnx", "wb").write(onnx.SerializeToString())\n' in ended.err
    assert not (bare / "audit.yaml").exists()


def test_predictions_without_a_model_are_audited_as_drafted(auditor: Command, bare: Path) -> None:
    lines = (bare / "test.csv").read_text().splitlines()
    rows = [line.rpartition(",")[2] for line in lines[1:]]
    scored = [f"{0.9 if (at % 10 == 0) != (truth == 'yes') else 0.2},{truth}"
              for at, truth in enumerate(rows)]  # fmt: skip
    (bare / "said.csv").write_text("\n".join(["score,y", *scored]) + "\n")
    ended = auditor("init", "--data", "said.csv")
    assert ended.code == 0, ended.said
    assert yaml.safe_load((bare / "audit.yaml").read_text())["task"]["positive"] == "yes"
    only = ("--only", "quality.accuracy", "--policy", "policy.yaml", "--out", "out")
    assert auditor("audit", "audit.yaml", *only).code == 0
    readings = json.loads((bare / "out" / "record.json").read_text())["readings"]
    (accuracy,) = [it["value"] for it in readings if it.get("metric") == "accuracy"]
    assert accuracy == pytest.approx(1 - len(rows[::10]) / len(rows))


def test_a_score_that_contradicts_its_name_is_warned_of(auditor: Command, bare: Path) -> None:
    lines = [f"0.{7 if at % 5 else 2},{'repaid' if at % 5 else 'default'}" for at in range(100)]
    (bare / "scored.csv").write_text("\n".join(["prob_default,label", *lines]))
    ended = auditor("init", "--data", "scored.csv")
    assert (
        "Warning: By their names, the scores are right for 0% of rows; the other way" in ended.out
    )
    assert "Guesses without evidence: model.name, model.version, task.positive, " in ended.out
    assert '  positive: "default"   # guess: ' in (bare / "audit.yaml").read_text()


def test_scores_whose_classes_only_the_rows_tell_are_listed(auditor: Command, bare: Path) -> None:
    lines = [f"0.{at % 5},0.{10 - at % 5:d},{at % 5 > 2}" for at in range(100)]
    lines = [line.replace("0.10,", "1.0,") for line in lines]
    (bare / "scored.csv").write_text("\n".join(["s1,s2,label", *lines]))
    ended = auditor("init", "--data", "scored.csv")
    line = "Guesses that every figure rests on: task.classes, data.evaluation.scores"
    assert line in ended.out, ended.said


def test_ranges_that_are_guessed_are_listed(auditor: Command, bare: Path) -> None:
    ended = auditor("init", "model.onnx", "--data", "test.csv")
    schema = yaml.safe_load((bare / "schema.yaml").read_text())["features"]
    ranged = ", ".join(it["name"] for it in schema if "range" in it)
    assert ranged
    line = "Ranges guessed from these rows (others beyond them are refused, such as training rows)"
    assert f"{line}: {ranged}\n" in ended.out


def test_a_task_that_is_a_guess_is_listed(auditor: Command, bare: Path) -> None:
    lines = [f"{100 + at},{101 + at * 1.01}" for at in range(100)]
    (bare / "said.csv").write_text("\n".join(["price,predicted_price", *lines]))
    ended = auditor("init", "--data", "said.csv")
    assert "Guesses that every figure rests on: task.kind" in ended.out, ended.said


def test_a_score_of_0_to_100_is_no_probability_of_two_labels(auditor: Command, bare: Path) -> None:
    lines = [f"{at * 97 % 1000 / 10},{int(at * 97 % 1000 > 400)}" for at in range(100)]
    (bare / "scored.csv").write_text("\n".join(["risk_score,default", *lines]))
    ended = auditor("init", "--data", "scored.csv")
    assert (ended.code, (bare / "audit.yaml").exists()) == (2, False)
    assert "is no probability. Store probabilities between 0 and 1: " in ended.err
    assert "divide them by 100" in ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("init", "--data", "test.csv", "--out", "new.yaml"),
        ("init", "model.onnx", "--data", "test.csv", "--out", "new.yaml"),
        ("plan", "kept.yaml"),
        ("audit", "kept.yaml"),
    ],
)
def test_data_that_commas_do_not_separate_are_refused(
    auditor: Command, inside: Path, arguments: tuple[str, ...]
) -> None:
    (inside / "audit.yaml").rename(inside / "kept.yaml")
    data = inside / "test.csv"
    data.write_text(data.read_text().replace(",", ";"))
    ended = auditor(*arguments)
    assert (ended.code, (inside / "new.yaml").exists()) == (2, False)
    assert "test.csv is separated by ';', not by commas. Save it with commas." in ended.err


def test_data_in_the_place_of_the_model_are_told_from_one(auditor: Command, bare: Path) -> None:
    (bare / "scored.csv").write_text("score,label\n0.5,a\n")
    for arguments in (("scored.csv",), ("scored.csv", "--data", "test.csv")):
        ended = auditor("init", *arguments)
        assert ended.code == 2
        assert "For predictions without a model: auditor init --data scored.csv" in ended.said


class Interrupted(io.StringIO):
    def readline(self, size: int | None = -1, /) -> str:
        raise KeyboardInterrupt


def test_a_stopped_command_says_how_to_go_on(
    auditor: Command, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", Interrupted())
    ended = auditor(*DRAFT, "--ask")
    assert ended.code == 4
    assert "the same command goes on where it stopped" in ended.said
    assert not (bare / "audit.yaml").exists()
