"""The command that puts two records side by side."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

Command = Callable[..., Any]
Once = Callable[[str, Callable[[], None]], None]
ONLY = ("--only", "quality.accuracy")


@pytest.fixture
def two(auditor: Command, inside: Path, once: Once) -> Path:
    """A folder with two audits of one model, and one of a model that errs more often."""

    def make() -> None:
        for name in ("old", "again"):
            auditor("audit", "audit.yaml", *ONLY, "--out", name)
        turn(inside / "model.onnx")
        audit = (inside / "audit.yaml").read_text()
        (inside / "audit.yaml").write_text(audit.replace("version: 1.0.0", "version: 2.0.0"))
        auditor("audit", "audit.yaml", *ONLY, "--out", "new")

    once("two", make)
    return inside


def turn(path: Path) -> None:
    """Make the model weigh its features otherwise."""
    model = onnx.load(path)
    (weights,) = (item for item in model.graph.initializer if item.name == "w")
    fresh = np.array([[1.0], [-4.0], [0.0]], np.float32)
    weights.CopyFrom(numpy_helper.from_array(fresh, "w"))
    onnx.save(model, path)


@pytest.fixture
def key(two: Path) -> Path:
    return two / "old" / "signer.pub"


def test_a_model_that_got_worse_ends_with_one_and_one_that_did_not_with_zero(
    auditor: Command, two: Path, key: Path
) -> None:
    same = auditor("compare", "old", "again", "--key", key)
    assert same.code == 0, same.said
    assert "none moved" in same.said
    worse = auditor("compare", "old", "new", "--key", key)
    assert worse.code == 1, worse.said
    assert "quality.accuracy/accuracy" in worse.said
    assert "1.0.0" in worse.said
    assert "1 required rule that was kept is not kept any more" in worse.said
    assert auditor("compare", "new", "old", "--key", key).code == 0


@pytest.mark.slow
def test_without_a_key_it_says_that_nobody_vouches(auditor: Command, two: Path) -> None:
    assert "NOT VERIFIED" in auditor("compare", "old", "again").said


def test_what_did_not_move_is_folded_to_a_count(auditor: Command, two: Path, key: Path) -> None:
    folded = auditor("compare", "old", "again", "--key", key).said
    shown = auditor("compare", "old", "again", "--key", key, "--all").said
    assert "--all shows them" in folded
    assert "quality.accuracy/brier" not in folded
    assert "quality.accuracy/brier" in shown


def test_json_holds_every_figure_and_both_counts(auditor: Command, two: Path, key: Path) -> None:
    ended = auditor("compare", "old", "new", "--key", key, "--format", "json")
    told = json.loads(ended.out)
    assert ended.code == 1
    assert told["got_worse"] is told["verified"] is True
    assert told["correction"] == "holm"
    assert told["compared"] >= told["moved_alone"] >= told["moved_after_correction"] > 0
    (accuracy,) = (item for item in told["figures"] if item["metric"] == "accuracy")
    assert (accuracy["basis"], accuracy["way"]) == ("row_by_row", "worse")
    assert accuracy["change"]["high"] < 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["page.html", "page.md"])
def test_a_page_says_what_moved(auditor: Command, two: Path, key: Path, name: str) -> None:
    assert auditor("compare", "old", "new", "--key", key, "--out", name).code == 1
    page = (two / name).read_text()
    assert "quality.accuracy/accuracy" in page
    assert "Got worse" in page
    assert "<script" not in page


def test_a_record_that_was_changed_is_not_compared(auditor: Command, two: Path, key: Path) -> None:
    record = two / "new" / "record.json"
    record.write_bytes(record.read_bytes().replace(b'"seed":3', b'"seed":4'))
    ended = auditor("compare", "old", "new", "--key", key)
    assert ended.code == 2
    assert "does not verify" in ended.said


@pytest.mark.slow
def test_records_without_a_figure_in_common_are_refused(
    auditor: Command, two: Path, key: Path
) -> None:
    auditor("audit", "audit.yaml", "--only", "provenance.artifact", "--out", "other")
    ended = auditor("compare", "old", "other", "--key", key, "--key", "other/signer.pub")
    assert ended.code == 2
    assert "have no figure in common" in ended.said


def test_a_page_has_a_known_ending(auditor: Command, two: Path) -> None:
    assert auditor("compare", "old", "new", "--out", "page.pdf").code == 2


def test_another_key_vouches_for_nothing(auditor: Command, two: Path, tmp_path: Path) -> None:
    auditor("keys", "new", "--home", tmp_path / "else")
    other = tmp_path / "else" / "signer.pub"
    assert auditor("compare", "old", "again", "--key", other).code == 2


def test_withheld_rows_leave_signed_figures_to_compare_and_that_is_said(
    auditor: Command, disclosed: Path, home: Path
) -> None:
    ended = auditor("compare", "full", "part", "--key", home / "signer.pub")
    assert ended.code == 0, ended.said
    assert "not recomputed part withholds evidence of" in ended.said
    assert "count as they are signed" in ended.said
    assert "none moved" in ended.said
