"""Servers with a JSON shape of their own."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from endpoint_servers import Host, hosting
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import Classes, Workshop

from auditor.domain.targets import EndpointProtocol, EndpointSpec, TargetSpec
from auditor.domain.tasks import Array, RegressionTask
from auditor.errors import ArtifactError, ModelFailedError
from auditor.targets.endpoints.http import put_at_path, read_at_path
from auditor.targets.session import open_model

FEATURES, CLASSES = 6, 3


@pytest.fixture
def host(workshop: Workshop, rng: np.random.Generator) -> Iterator[Host]:
    workshop.linear(rng.normal(size=(FEATURES, CLASSES)))
    with hosting(workshop.folder / "model.onnx") as found:
        yield found


@pytest.fixture
def rows(rng: np.random.Generator) -> Array:
    return rng.normal(size=(16, FEATURES)).astype(np.float32)


def target(host: Host, **settings: object) -> TargetSpec:
    declared = EndpointSpec(
        **{"url": f"{host.url}/predict?v=1", "protocol": EndpointProtocol.HTTP_JSON, **settings}
    )
    return TargetSpec("prod", runtime="endpoint", time_limit=20.0, endpoint=declared)


def logits(host: Host, rows: Array) -> Array:
    return onnxruntime.InferenceSession(str(host.model)).run(None, {"x": rows})[0].astype(float)


def test_scores_in_lists_are_those_of_the_model(
    host: Host, rows: Array, classes: Classes, tmp_path: Path
) -> None:
    with open_model(target(host), tmp_path, None, classes(CLASSES), rows) as model:
        assert np.array_equal(model.predict(rows), logits(host, rows))
        assert model.scores_are_logits
        assert model.fingerprint.identity_facts["runtime"]["path"] == "/predict"


def test_scores_may_lie_deep_in_the_answer(
    host: Host, rows: Array, classes: Classes, tmp_path: Path
) -> None:
    host.behaviour.reply = lambda scores: {"out": [{"name": "a"}, {"values": scores}]}
    spec = target(host, scores_at="out.1.values")
    with open_model(spec, tmp_path, None, classes(CLASSES), rows) as model:
        assert np.array_equal(model.predict(rows), logits(host, rows))
    with (
        pytest.raises(ModelFailedError, match=r"no 'vals' at out\.1 \(values\)"),
        open_model(target(host, scores_at="out.1.vals"), tmp_path, None, classes(CLASSES), rows),
    ):
        pass


@pytest.mark.parametrize(
    ("kind", "declared"),
    [(str, ["yes"]), (str, []), (int, ["yes"]), (int, []), (float, ["yes"])],
    ids=str,
)
def test_labels_alone_become_one_hot_rows(
    host: Host, rows: Array, classes: Classes, tmp_path: Path, kind: type, declared: list[str]
) -> None:
    host.behaviour.reply = lambda scores: {
        "predictions": [kind(int(np.argmax(row))) for row in scores]
    }
    spec = target(host, labels_only=bool(declared))
    with open_model(spec, tmp_path, None, classes(CLASSES), rows) as model:
        found = model.predict(rows)
    assert np.array_equal(found, np.eye(CLASSES)[np.argmax(logits(host, rows), axis=1)])


def test_classes_by_name_come_in_the_order_of_the_task(
    host: Host, rows: Array, classes: Classes, tmp_path: Path
) -> None:
    def named(scores: list[list[float]]) -> dict[str, Any]:
        shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        keys = [str(CLASSES - 1 - column) for column in range(CLASSES)]
        return {"predictions": [dict(zip(keys, row[::-1], strict=True)) for row in shares.tolist()]}

    host.behaviour.reply = named
    with open_model(target(host), tmp_path, None, classes(CLASSES), rows) as model:
        found = model.predict(rows)
    truth = np.exp(logits(host, rows))
    assert found == pytest.approx(truth / truth.sum(axis=1, keepdims=True), rel=1e-12)


def test_scores_of_an_endpoint_that_gives_labels_only_are_refused(
    host: Host, rows: Array, classes: Classes, tmp_path: Path
) -> None:
    with (
        pytest.raises(
            ModelFailedError, match="`labels_only`, but its output 'scores' holds scores"
        ),
        open_model(target(host, labels_only=True), tmp_path, None, classes(CLASSES), rows),
    ):
        pass


def test_one_number_a_row_is_a_regression(host: Host, rows: Array, tmp_path: Path) -> None:
    host.behaviour.reply = lambda scores: {"predictions": [row[0] for row in scores]}
    with open_model(target(host), tmp_path, None, RegressionTask(0.1), rows) as model:
        assert np.array_equal(model.predict(rows), logits(host, rows)[:, :1])


def each(value: object) -> Callable[[list[Any]], object]:
    return lambda scores: {"predictions": [value] * len(scores)}


@pytest.mark.parametrize(
    ("reply", "error", "match"),
    [
        (lambda scores: {"predictions": scores[:-1]}, ModelFailedError, "16 rows with 15 entries"),
        (lambda scores: {"predictions": "abc"}, ModelFailedError, "16 rows with no list"),
        (lambda scores: {"scores": scores}, ModelFailedError, r"no 'predictions' at its top"),
        (lambda scores: scores, ModelFailedError, "no 'predictions'"),
        (
            lambda scores: {"predictions": [*scores[:-1], scores[0][:2]]},
            ModelFailedError,
            "lists of different lengths",
        ),
        (each([0.1, None, 0.2]), ModelFailedError, "holds null at place 1"),
        (each([0.1, "0.2", 0.7]), ModelFailedError, "holds a str at place 1"),
        (each([0.1, True, 0.7]), ModelFailedError, "holds a bool at place 1"),
        (each([0.1, float("nan"), 0.7]), ModelFailedError, "row 0 with nan"),
        (each([10**400, 1, 1]), ModelFailedError, "holds a number that"),
        (each([0.1, 0.9]), ArtifactError, "3 classes"),
        (each({"0": 0.1, "1": 0.9}), ArtifactError, "3 classes"),
        (each({}), ModelFailedError, "same classes"),
        (
            lambda scores: {"predictions": [{"0": 1.0}, *[{"1": 1.0}] * 15]},
            ModelFailedError,
            "same classes",
        ),
    ],
)
def test_an_answer_that_is_not_one_is_refused(
    host: Host,
    rows: Array,
    classes: Classes,
    tmp_path: Path,
    reply: Callable[[list[Any]], object],
    error: type[Exception],
    match: str,
) -> None:
    host.behaviour.reply = reply
    with (
        pytest.raises(error, match=match),
        open_model(target(host), tmp_path, None, classes(CLASSES), rows),
    ):
        pass


def test_a_label_that_is_no_class_is_refused(
    host: Host, rows: Array, classes: Classes, tmp_path: Path
) -> None:
    host.behaviour.reply = each("cat")
    with (
        pytest.raises(ModelFailedError, match="'cat', which is none of the classes"),
        open_model(target(host), tmp_path, None, classes(CLASSES), rows) as model,
    ):
        model.predict(rows)


def test_a_missing_value_cannot_travel_as_json(
    host: Host, rows: Array, classes: Classes, tmp_path: Path
) -> None:
    with open_model(target(host), tmp_path, None, classes(CLASSES), rows) as model:
        rows[5, 0] = np.nan
        with pytest.raises(ModelFailedError, match=r"row 5 of the input 'rows'"):
            model.predict(rows)


KEYS = st.lists(st.text("abcxyz", min_size=1, max_size=4), max_size=5)


@given(KEYS, st.integers())
def test_what_is_put_at_a_path_is_reached_by_it(keys: list[str], value: int) -> None:
    path = ".".join(keys)
    assert read_at_path("it", put_at_path(path, value), path) == value
