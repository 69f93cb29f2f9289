"""`auditor init` tells labels, inputs, ids and people apart in tables as newcomers have them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression
from small_audits import POLICY, linear_model

Command = Callable[..., Any]
ROWS = 120


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def table(path: Path, header: str, row: Callable[[int], str], rows: int = ROWS) -> None:
    path.write_text("\n".join([header, *(row(at) for at in range(rows))]) + "\n")


def drafted(folder: Path) -> Any:  # noqa: ANN401 -- what YAML holds
    return yaml.safe_load((folder / "audit.yaml").read_text())


def said(at: int) -> bool:
    return at % 3 == 0


def true(at: int) -> bool:
    """What was said of four rows in five, and else its opposite."""
    return said(at) != (at % 5 == 0)


def test_labels_named_decision_are_found_by_agreement(auditor: Command, bare: Path) -> None:
    table(
        bare / "preds.csv",
        "decision,score",
        lambda at: f"{'yes' if true(at) else 'no'},{0.5 + (0.3 if said(at) else -0.3) + at / 1e4}",
    )
    ended = auditor("init", "--data", "preds.csv")
    assert ended.code == 0, ended.said
    data = drafted(bare)["data"]["evaluation"]
    assert (data["labels"], data["scores"], data.get("predictions")) == (
        "decision",
        ["score"],
        None,
    )
    assert "agrees with it in 80% of 120 rows" in (bare / "audit.yaml").read_text()


def test_labels_named_decision_beside_a_prediction_are_found(auditor: Command, bare: Path) -> None:
    words = ("denied", "approved")
    table(
        bare / "preds.csv",
        "decision,prediction",
        lambda at: f"{words[true(at)]},{words[said(at)]}",
    )
    assert auditor("init", "--data", "preds.csv").code == 0
    data = drafted(bare)["data"]["evaluation"]
    assert (data["labels"], data["predictions"]) == ("decision", "prediction")


def test_decisions_in_other_words_than_the_outcome_are_refused(
    auditor: Command, bare: Path
) -> None:
    words, outcomes = ("reject", "approve"), ("default", "repaid")
    table(
        bare / "preds.csv",
        "decision,outcome",
        lambda at: f"{words[said(at)]},{outcomes[true(at)]}",
    )
    ended = auditor("init", "--data", "preds.csv")
    assert ended.code == 2
    assert "no decision in column 'decision' (approve, reject) is among the labels" in ended.err
    assert "rename 'approve' to 'repaid' and 'reject' to 'default'" in " ".join(ended.err.split())
    assert not (bare / "audit.yaml").exists()


def test_beside_a_score_decisions_in_other_words_are_left_out(auditor: Command, bare: Path) -> None:
    words, outcomes = ("approve", "reject"), ("repaid", "default")
    table(
        bare / "preds.csv",
        "prob_default,decision,outcome",
        lambda at: f"{0.7 if said(at) else 0.2},{words[said(at)]},{outcomes[true(at)]}",
    )
    ended = auditor("init", "--data", "preds.csv")
    assert ended.code == 0, ended.said
    assert "Warning: Column 'decision' is left out, and the scores decide" in ended.out
    written = drafted(bare)
    assert written["task"]["positive"] == "default"
    assert written["task"]["classes"] == ["default", "repaid"]
    data = written["data"]["evaluation"]
    assert (data["scores"], data.get("predictions")) == (["prob_default"], None)
    assert data["slices"] == []
    assert "decisions in 'decision' are left out" in (bare / "audit.yaml").read_text()


def test_a_decision_that_is_a_class_too_many_is_named_with_the_cure(
    auditor: Command, bare: Path
) -> None:
    table(
        bare / "preds.csv",
        "prob_default,decision,outcome",
        lambda at: (
            f"{0.7 if said(at) else 0.2},{('default', 'review')[at % 2]},"
            f"{('repaid', 'default')[true(at)]}"
        ),
    )
    ended = auditor("init", "--data", "preds.csv")
    assert ended.code == 2
    assert "has 1 column of scores" in ended.err
    assert "drop or rename column 'decision'" in " ".join(ended.err.split())


def test_dates_are_the_time_and_names_of_files_the_ids_and_neither_is_a_slice(
    auditor: Command, bare: Path
) -> None:
    table(
        bare / "preds.csv",
        "file,taken,site,age,score,outcome",
        lambda at: (
            f"img/{at}.png,2026-0{at % 9 + 1}-11,{'ab'[at % 2]},{20 + at % 50},"
            f"{0.7 if said(at) else 0.2},{('no', 'yes')[true(at)]}"
        ),
    )
    ended = auditor("init", "--data", "preds.csv")
    assert ended.code == 0, ended.said
    data = drafted(bare)["data"]["evaluation"]
    assert (data["time"], data["id"], data["slices"]) == ("taken", "file", ["site"])
    text = (bare / "audit.yaml").read_text()
    assert '    time: "taken"   # guess: the one column of dates; remove it unless' in text
    assert '    id: "file"   # guess: no value stands twice\n' in text
    assert (
        "    groups: []   # guess: 'age': too many values to compare; add a column of bands" in text
    )
    (bare / "policy.yaml").write_text(POLICY)
    only = ("--only", "quality.accuracy", "--policy", "policy.yaml", "--out", "out")
    assert auditor("audit", "audit.yaml", *only).code == 0


def test_a_decision_that_repeats_the_scores_is_no_label(auditor: Command, bare: Path) -> None:
    table(
        bare / "preds.csv",
        "decision,score",
        lambda at: f"{'yes' if said(at) else 'no'},{0.5 + (0.3 if said(at) else -0.3) + at / 1e4}",
    )
    ended = auditor("init", "--data", "preds.csv")
    assert ended.code == 2
    assert "Name the column of true labels with --labels COLUMN" in ended.said
    assert auditor("init", "--data", "preds.csv", "--labels", "verdict").code == 2
    assert not (bare / "audit.yaml").exists()
    assert auditor("init", "--data", "preds.csv", "--labels", "decision").code == 0
    assert drafted(bare)["data"]["evaluation"]["labels"] == "decision"


def inputs(at: int) -> tuple[float, float, float]:
    return (at * 37 % 100) / 100, (at * 61 % 100) / 100, (at * 17 % 100) / 100


def test_columns_that_the_model_does_not_take_are_left_out(auditor: Command, bare: Path) -> None:
    linear_model(bare / "loan.onnx", [6.0, 4.0, 0.0], -5.0)

    def row(at: int) -> str:
        a, b, c = inputs(at)
        right = (6 * a + 4 * b > 5) != (at % 10 == 0)
        return f"{at // 2},{20 + at % 50},{a},{b},{c},{'yes' if right else 'no'}"

    table(bare / "loans.csv", "customer_id,age,income,debt,years,outcome", row)
    ended = auditor("init", "loan.onnx", "--data", "loans.csv")
    assert ended.code == 0, ended.said
    assert drafted(bare)["input"] == {"features": "schema.yaml"}
    schema = yaml.safe_load((bare / "schema.yaml").read_text())
    assert [it["name"] for it in schema["features"]] == ["income", "debt", "years"]
    left = "the model takes 3 numbers, and customer_id, age are left out"
    assert left in (bare / "audit.yaml").read_text()
    assert drafted(bare)["data"]["evaluation"]["labels"] == "outcome"
    assert "compare with training: income, debt, years" in ended.said
    assert "inputs are other columns" not in ended.said  # the model agrees with these
    planned = auditor("plan", "audit.yaml")
    assert planned.code == 0, planned.said


def test_a_foreign_column_is_told_from_one_that_looks_like_no_input(
    auditor: Command, bare: Path
) -> None:
    """The name of ``age`` says who people are, and yet the model was trained on it."""
    linear_model(bare / "loan.onnx", [0.1, 4.0, 0.0], -6.0)

    def row(at: int) -> str:
        a, b, c = inputs(at)
        age = 20 + at * 13 % 50
        return f"{age},{b},{c},{a},{'yes' if 0.1 * age + 4 * b > 6 else 'no'}"

    table(bare / "loans.csv", "age,debt,years,region_code,outcome", row)
    ended = auditor("init", "loan.onnx", "--data", "loans.csv")
    assert ended.code == 0, ended.said
    assert "compare with training: age, debt, years" in ended.said
    text = (bare / "audit.yaml").read_text()
    left = "the model takes 3 numbers, and region_code is left out: of the sets of columns"
    assert left in text
    assert "the model is best with these (agrees with it in 100% of 120 rows" in text
    # ``years`` has no weight, so that the answers cannot tell it from the foreign column
    said = "leaves out region_code. The model's answers are about as good if it leaves out years"
    assert said in " ".join(ended.said.split())


def test_columns_beyond_those_that_the_model_takes_are_found_without_names(
    auditor: Command, bare: Path
) -> None:
    linear_model(bare / "loan.onnx", [3.0, 4.0, 5.0], -6.0)

    def row(at: int) -> str:
        a, b, c = inputs(at)
        told = "yes" if 3 * a + 4 * b + 5 * c > 6 else "no"
        return f"{a},{at * 29 % 83 / 83},{b},{c},{at * 7 % 31},{told}"

    table(bare / "loans.csv", "income,batch,debt,years,branch,outcome", row)
    ended = auditor("init", "loan.onnx", "--data", "loans.csv")
    assert ended.code == 0, ended.said
    assert "compare with training: income, debt, years" in ended.said
    assert drafted(bare)["input"] == {"features": "schema.yaml"}
    assert "about as good if it" not in ended.said


def test_arrays_beside_the_inputs_are_never_taken_for_them(auditor: Command, bare: Path) -> None:
    """They follow the labels more closely than the array that the model takes."""
    linear_model(bare / "loan.onnx", [6.0, 4.0], -5.0)
    x = np.random.default_rng(0).random((200, 2), dtype=np.float32)
    y = (x @ [6, 4] > 5).astype(np.int64)
    y[::4] = 1 - y[::4]
    np.savez(bare / "loans.npz", x=x, y=y, paid=y * 1.0, late=1.0 - y, fee=x[:, 0] / 9)
    ended = auditor("init", "loan.onnx", "--data", "loans.npz")
    assert ended.code == 0, ended.said
    assert drafted(bare)["input"] == {"domain": [0, 1]}
    assert not (bare / "schema.yaml").exists()


@pytest.mark.parametrize(
    ("holes", "code", "told"),
    [
        ("years", 2, "Values of years are missing: fill them in as your service does"),
        ("outcome", 2, "column 'outcome' has no label in 12 rows of 120"),
    ],
)
def test_missing_values_and_labels_are_told_at_once(
    auditor: Command, bare: Path, holes: str, code: int, told: str
) -> None:
    linear_model(bare / "loan.onnx", [6.0, 4.0, 0.0], -5.0)

    def row(at: int) -> str:
        a, b, c = inputs(at)
        cells = {
            "income": a,
            "debt": b,
            "years": c,
            "outcome": "yes" if 6 * a + 4 * b > 5 else "no",
        }
        return ",".join("" if at % 10 == 0 and key == holes else f"{cells[key]}" for key in cells)

    table(bare / "loans.csv", "income,debt,years,outcome", row)
    ended = auditor("init", "loan.onnx", "--data", "loans.csv")
    assert (ended.code, told in " ".join(ended.said.split())) == (code, True), ended.said


def test_inputs_that_the_model_is_hardly_right_with_name_the_columns_left_out(
    auditor: Command, bare: Path
) -> None:
    """The labels follow no column, so that no set of inputs is better than another."""
    linear_model(bare / "loan.onnx", [0.1, 4.0, 0.0], -6.0)

    def row(at: int) -> str:
        a, b, c = inputs(at)
        age = 20 + at * 13 % 50
        return f"{age},{b},{c},{a},{('yes', 'no')[at * at * 7 % 11 % 2]}"

    table(bare / "loans.csv", "age,debt,years,region_code,outcome", row)
    ended = auditor("init", "loan.onnx", "--data", "loans.csv")
    assert ended.code == 0, ended.said
    said = "Or the inputs are other columns: the draft leaves out age. List those of the model in"
    assert said in ended.said


def test_a_column_of_other_values_than_the_models_classes_is_no_label(
    auditor: Command, bare: Path
) -> None:
    linear_model(bare / "loan.onnx", [6.0, 4.0, 0.0], -5.0)

    def row(at: int) -> str:
        a, b, c = inputs(at)
        return f"{a},{b},{c},{('car', 'house', 'study')[at * at % 7 % 3]}"

    table(bare / "loans.csv", "income,debt,years,purpose", row)
    ended = auditor("init", "loan.onnx", "--data", "loans.csv")
    assert ended.code == 2, ended.said
    assert "the last column, 'purpose', holds car, house, study" in ended.said
    assert "--labels COLUMN" in ended.said
    assert not (bare / "audit.yaml").exists()


def test_of_columns_that_tell_the_same_the_one_about_people_is_left_out(
    auditor: Command, bare: Path
) -> None:
    linear_model(bare / "model.onnx", [6.0, 0.0], -5.0)
    table(
        bare / "rows.csv",
        "a,birth_year,region_code,label",
        lambda at: f"{int(said(at)) * 2},{1950 + at % 7},{1950 + (at + 1) % 7},{int(said(at))}",
    )
    ended = auditor("init", "model.onnx", "--data", "rows.csv")
    assert ended.code == 0, ended.said
    names = [it["name"] for it in yaml.safe_load((bare / "schema.yaml").read_text())["features"]]
    assert names == ["a", "region_code"]
    assert "The draft leaves out birth_year." in ended.said


def test_a_truth_on_another_scale_is_told_from_none(auditor: Command, bare: Path) -> None:
    linear_model(bare / "model.onnx", [1.0, 0.0], 0.0)
    net = onnx.load(bare / "model.onnx")
    net.graph.node.pop()  # the sigmoid
    net.graph.output[0].name = "z"
    onnx.save(net, bare / "model.onnx")
    table(bare / "rows.csv", "a,b,price", lambda at: f"{at / 20},{at % 7},{np.exp(at / 20):.3f}")
    ended = auditor("init", "model.onnx", "--data", "rows.csv")
    assert ended.code == 0, ended.said
    said = " ".join(ended.said.split())
    assert "rise with column 'price' (rank correlation" in said
    assert "on another scale, such as its logarithm" in said


def test_a_score_that_is_missing_in_a_row_is_refused_with_its_row(
    auditor: Command, bare: Path
) -> None:
    table(
        bare / "preds.csv",
        "label,prob_no,prob_yes",
        lambda at: (
            f"{'yes' if said(at) else 'no'},{0.2 if said(at) else 0.7},"
            f"{'' if at == 4 else 0.8 if said(at) else 0.3}"
        ),
    )
    ended = auditor("init", "--data", "preds.csv")
    assert ended.code == 2, ended.said
    words = "column 'prob_yes' is named as a score and has no number in 1 row of 120; the first is"
    assert f"{words} row 5" in " ".join(ended.said.split())
    assert not (bare / "audit.yaml").exists()


def test_a_label_that_the_model_does_not_have_is_refused_with_its_row(
    auditor: Command, bare: Path
) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(ROWS, 2)).astype(np.float32)
    words = np.where(rows[:, 0] > 0.4, "high", np.where(rows[:, 0] < -0.4, "low", "mid"))
    model = LogisticRegression().fit(rows, words)
    exported = to_onnx(model, rows[:1], options={"zipmap": False})
    (bare / "model.onnx").write_bytes(exported.SerializeToString())
    labels = words.tolist()
    labels[7] = "urgent"
    table(bare / "t.csv", "a,b,level", lambda at: f"{rows[at, 0]},{rows[at, 1]},{labels[at]}")
    ended = auditor("init", "model.onnx", "--data", "t.csv")
    assert ended.code == 2, ended.said
    assert (
        "column 'level' holds 'urgent' in 1 row (the first is row 8), and the model has 3 scores a "
        "row, of high, low, mid"
    ) in " ".join(ended.said.split())
    assert not (bare / "audit.yaml").exists()
