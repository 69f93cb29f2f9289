import csv
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benched_subjects import ABSENT, BOX, benched, rows, save
from onnx import helper
from scored_subjects import measured, read, stored
from sklearn.datasets import load_digits

from auditor.checks.fairness.clusters import ErrorClusterCheck
from auditor.domain.artifacts import Artifact, FileDigest
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import DatasetRole, TextColumn
from auditor.domain.evidence import Evidence, encode_evidence
from auditor.domain.model_instrumentation import NO_BENCH, NO_LAYER
from auditor.domain.readings import BoundKind, Gap, GapReason, Measurement, Reading
from auditor.domain.tasks import ClassificationTask
from auditor.metrics.performance.embedding_clusters import COLUMN, RowClusters
from auditor.metrics.performance.error_slices import SliceSearchSettings

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
DOCSTRINGS = DIGITS.parent / "docstrings"
CLASSES = tuple("0123456789")
INVERTED = 160


@contextmanager
def digits(inverted: int = INVERTED) -> Iterator[Subject]:
    """The example's network on digits, of which some are white on black: no column says which."""
    found = load_digits()
    images = (found.images / 16).astype(np.float32)[:, None]
    rng = np.random.default_rng(1)
    images[rng.permutation(len(images))[:inverted]] *= -1
    images[images < 0] += 1
    artifact = Artifact("digits", "1", (FileDigest("model.onnx", 1, "0" * 64),))
    task = ClassificationTask(CLASSES, "9", "9")
    with benched(DIGITS, artifact, images, found.target, task=task, space=ABSENT) as subject:
        yield subject


@pytest.fixture(scope="module")
def seen() -> Evidence:
    """What a third party reads back of digits."""
    with digits() as subject:
        return stored(ErrorClusterCheck(), subject)


def sliced(readings: tuple[Reading, ...]) -> list[Measurement]:
    return [item for item in readings if isinstance(item, Measurement) and item.slice]


def test_what_only_the_pictures_show_is_found_and_confirmed_on_the_rows_held_out(
    seen: Evidence,
) -> None:
    readings = ErrorClusterCheck().figures(seen, 0.95)
    worst, *_ = sorted(sliced(readings), key=lambda item: -float(item.value or 0))
    assert list(worst.slice) == [COLUMN]
    assert worst.value is not None
    assert float(worst.value) > 0.5
    assert worst.low is not None
    assert worst.low > 0.2
    held_out = ~np.asarray(seen["searched"])
    columns = seen["columns"]
    assert isinstance(columns, list)
    inside = next(
        np.asarray(seen["codes"])[at] == column["levels"].index(worst.slice[COLUMN])
        for at, column in enumerate(columns)
        if worst.slice[COLUMN] in column["levels"]
    )
    assert worst.value == np.asarray(seen["wrong"])[inside & held_out].mean()
    assert worst.n == (inside & held_out).sum()
    bound = measured(readings, "worst_slice_error")
    assert bound.bound is BoundKind.AT_LEAST
    assert bound.value == worst.value
    labels = worst.details["labels"]
    assert isinstance(labels, list)
    assert sum(item["n"] for item in labels if isinstance(item, dict)) == worst.n


def test_the_same_digits_as_they_are_have_no_bad_cluster() -> None:
    with digits(inverted=0) as subject:
        readings = read(ErrorClusterCheck(), subject)
    assert sliced(readings) == []
    assert measured(readings, "slices_looked_at").value == 8 + 16 + 32


def test_the_power_that_these_rows_have_is_told(seen: Evidence) -> None:
    table = measured(ErrorClusterCheck().figures(seen, 0.95), "worst_slice_error").details
    assert table["power"] == 0.8
    assert isinstance(table["would_be_confirmed"], list)


def test_the_same_seed_gives_the_same_bytes_and_pictures_come_with_leave_alone(
    seen: Evidence,
) -> None:
    with digits() as subject:
        subject.show_examples = True
        again = stored(ErrorClusterCheck(), subject)
    assert set(again) - set(seen) == {"sheet_inputs"}
    assert all(encode_evidence(again[name]) == encode_evidence(seen[name]) for name in seen)
    pictures, listed = np.asarray(again["sheet_inputs"]), again["sheet"]
    assert isinstance(listed, list)
    assert pictures.shape == (len(listed), 1, 8, 8)
    distances = [entry["distance"] for entry in listed if entry["cluster"] == listed[0]["cluster"]]
    assert distances == sorted(distances)


def test_another_seed_clusters_otherwise() -> None:
    pixels = load_digits().data.astype(np.float32)
    searched = np.arange(len(pixels)) % 2 == 0
    one, other = (RowClusters.of(pixels, searched, (8,), seed) for seed in (7, 8))
    assert not np.array_equal(one.codes, other.codes)


def test_evidence_holds_no_embedding(seen: Evidence) -> None:
    kept = {"gap", "codes", "wrong", "searched", "columns", "task", "labels", "decided", "sheet"}
    assert set(seen) == kept
    assert np.asarray(seen["codes"]).dtype == np.uint8


def test_errors_that_strike_at_random_are_rarely_called_a_cluster() -> None:
    # One row in ten, drawn anew 200 times over clusters of digits as they lie.
    pixels = load_digits().data.astype(np.float32)
    rng, repeats, alarms, tried = np.random.default_rng(2), 200, 0, 0
    searched = rng.permutation(len(pixels)) < len(pixels) // 2
    found = RowClusters.of(pixels, searched, (8, 16, 32), 3)
    rules = SliceSearchSettings(1, 20, 0.005, 20, 0.05, "holm")
    for _ in range(repeats):
        outcome = rules.outcome(
            {
                "codes": found.codes,
                "wrong": rng.random(len(pixels)) < 0.1,
                "searched": searched,
                "columns": found.columns(),
                "task": {"clusters": len(pixels)},
            }
        )
        assert not isinstance(outcome, Gap)
        tried += len(outcome.tried)
        alarms += bool(outcome.confirmed)
    assert tried > repeats / 2
    assert alarms / repeats <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / repeats)


def test_texts_that_share_their_words_are_found_and_shown_by_their_openings() -> None:
    with (DOCSTRINGS / "test.csv").open(encoding="utf-8") as stream:
        listed = list(csv.DictReader(stream))
    classes = ("files", "network")
    labels = np.array([classes.index(row["topic"]) for row in listed])
    texts = np.array([row["text"] for row in listed])
    planted = np.random.default_rng(4).permutation(len(texts))[:120]
    texts = np.array(
        [f"server host port {text}" if at in planted else text for at, text in enumerate(texts)]
    )
    labels[planted] = 0  # of files, whatever the words say
    artifact = Artifact("texts", "1", (FileDigest("model.onnx", 1, "0" * 64),))
    task = ClassificationTask(classes, "network", "network")
    with benched(DOCSTRINGS, artifact, texts, labels, task=task, space=ABSENT) as subject:
        subject.show_examples = True
        evidence = stored(ErrorClusterCheck(), subject)
    (worst, *_) = sliced(ErrorClusterCheck().figures(evidence, 0.95))
    assert float(worst.value or 0) > 0.5
    view = worst.details["view"]
    assert isinstance(view, dict)
    assert view["operator"] == "LinearClassifier"
    shown = evidence["sheet_texts"]
    assert isinstance(shown, list)
    assert shown[0].startswith("server host port")
    assert max(map(len, shown)) <= 160


def hidden_layer(folder: Path) -> Artifact:
    """``relu(x a) w``: the first feature decides, the last one opens a hidden unit of no weight."""
    first = np.eye(4, 5, dtype=np.float32)
    first[:, 4] = [-1, 0, 0, 0]
    last = np.zeros((5, 2), dtype=np.float32)
    last[0, 1], last[4, 0] = 1, 1
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["h"], name="hidden"),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Gemm", ["r", "w"], ["z"], name="scores"),
        helper.make_node("Softmax", ["z"], ["y"]),
    ]
    return save(folder, nodes, {"a": first, "w": last})


def mislabelled(count: int = 1200) -> tuple[Any, Any]:
    """Rows of which those with a large last feature have the wrong label."""
    inputs = rows(count).copy()
    labels = inputs[:, 0] > 0
    inputs[: count // 8, 3] = 40.0
    return inputs, np.where(inputs[:, 3] > 20, ~labels, labels).astype(np.int64)


def test_rows_are_seen_as_the_last_layer_is_given_them(tmp_path: Path) -> None:
    inputs, labels = mislabelled()
    with benched(tmp_path, hidden_layer(tmp_path), inputs, labels, space=BOX) as subject:
        readings = read(ErrorClusterCheck(clusters=(8,)), subject)
    bad = sliced(readings)
    assert bad
    assert all(float(item.value or 0) > 0.5 for item in bad)
    assert bad[0].details["view"] == {
        "layer": "scores", "operator": "Gemm", "inputs": False, "width": 5, "axes": 4,
    }  # fmt: skip


def test_its_clean_twin_has_no_bad_cluster(tmp_path: Path) -> None:
    inputs, _ = mislabelled()
    right = (inputs[:, 0] > 0).astype(np.int64)
    with benched(tmp_path, hidden_layer(tmp_path), inputs, right, space=BOX) as subject:
        readings = read(ErrorClusterCheck(clusters=(8,)), subject)
    assert sliced(readings) == []
    assert measured(readings, "slices_confirmed").value == 0


def test_a_target_that_cannot_be_opened_otherwise_is_a_gap_with_its_cure(tmp_path: Path) -> None:
    inputs, labels = mislabelled()
    with benched(tmp_path, hidden_layer(tmp_path), inputs, labels) as subject:
        subject.bench = NO_BENCH
        (gap,) = read(ErrorClusterCheck(), subject)
    assert isinstance(gap, Gap)
    assert (gap.reason, gap.cure) == (NO_BENCH.reason, NO_BENCH.cure)


def test_a_graph_without_a_last_layer_is_a_gap(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Slice", ["x", "from", "to", "axis"], ["s"]),
        helper.make_node("Abs", ["s"], ["y"]),
    ]
    ends = {"from": np.array([0]), "to": np.array([2]), "axis": np.array([1])}
    inputs, labels = mislabelled()
    with benched(tmp_path, save(tmp_path, nodes, ends), inputs, labels) as subject:
        (gap,) = read(ErrorClusterCheck(), subject)
    assert isinstance(gap, Gap)
    assert gap.detail == NO_LAYER.detail


def test_too_few_rows_are_a_gap_and_the_model_is_not_asked_again(tmp_path: Path) -> None:
    inputs, labels = mislabelled(64)
    with benched(tmp_path, hidden_layer(tmp_path), inputs, labels) as subject:
        (gap,) = read(ErrorClusterCheck(), subject)
        assert not isinstance(subject.bench, Gap)
        assert subject.bench.queries == 0
    assert isinstance(gap, Gap)
    assert gap.reason is GapReason.TOO_FEW_ROWS


def test_rows_that_are_all_alike_have_no_clusters(tmp_path: Path) -> None:
    inputs = np.ones((200, 4), dtype=np.float32)
    with benched(tmp_path, hidden_layer(tmp_path), inputs, np.arange(200) % 2) as subject:
        (gap,) = read(ErrorClusterCheck(), subject)
    assert isinstance(gap, Gap)
    assert "all rows are alike" in gap.detail


def test_rows_of_one_person_stay_in_one_half_and_readings_are_doubted(tmp_path: Path) -> None:
    inputs, labels = mislabelled()
    persons = np.random.default_rng(5).integers(0, 200, len(inputs)).astype(str).tolist()
    with benched(tmp_path, hidden_layer(tmp_path), inputs, labels) as subject:
        data = replace(subject.datasets[DatasetRole.EVALUATION], cluster=TextColumn.of(persons))
        subject.datasets = {DatasetRole.EVALUATION: data}
        evidence = stored(ErrorClusterCheck(), subject)
    halves = set(zip(persons, np.asarray(evidence["searched"]).tolist(), strict=True))
    assert len(halves) == 200
    readings = ErrorClusterCheck().figures(evidence, 0.95)
    assert all(isinstance(item, Measurement) and item.doubted for item in readings)


@pytest.mark.parametrize(
    ("wrong", "about"),
    [
        ({"clusters": ()}, "from 2 to 255"),
        ({"clusters": (1,)}, "from 2 to 255"),
        ({"rows": 0}, "at least 1"),
        ({"level": 1.0}, "shares below 1"),
    ],
)
def test_parameters_without_meaning_are_refused(wrong: dict[str, Any], about: str) -> None:
    with pytest.raises(ValueError, match=about):
        ErrorClusterCheck(**wrong)
