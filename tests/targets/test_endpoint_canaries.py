"""A server that comes back with another model under the same name is found out by its scores."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from endpoint_servers import Host, hang_up, hosting
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import Classes, Workshop

from auditor.domain.targets import EndpointSpec, TargetSpec
from auditor.domain.tasks import Array
from auditor.errors import EndpointLostError, TargetChangedError
from auditor.targets.endpoints.identity import CLOSE, ScoreCanary
from auditor.targets.session import open_model

FEATURES, CLASSES = 6, 4
Save = Callable[[Array], None]


@pytest.fixture
def weights(rng: np.random.Generator) -> Array:
    return rng.normal(size=(FEATURES, CLASSES))


@pytest.fixture
def host(workshop: Workshop, weights: Array) -> Iterator[Host]:
    workshop.linear(weights)
    with hosting(workshop.folder / "model.onnx") as found:
        found.behaviour.version = None  # it keeps no versions, as KServe's server does not
        yield found


@pytest.fixture
def rows(rng: np.random.Generator) -> Array:
    return rng.normal(size=(16, FEATURES)).astype(np.float32)


def spec_of(host: Host, **settings: object) -> TargetSpec:
    declared = EndpointSpec(**{"url": host.url, "model": "tiny", "retries": 1, **settings})
    return TargetSpec("prod", runtime="endpoint", time_limit=20.0, endpoint=declared)


def come_back(host: Host, workshop: Workshop, weights: Array) -> None:
    host.stop()
    workshop.linear(weights)
    host.start()


def test_another_model_under_the_same_name_ends_the_audit_of_the_first_for_good(
    host: Host, workshop: Workshop, classes: Classes, weights: Array, rows: Array, tmp_path: Path
) -> None:
    with open_model(spec_of(host), tmp_path, None, classes(CLASSES), rows) as model:
        model.predict(rows)
        come_back(host, workshop, weights * 1.01)
        for _ in range(2):
            with pytest.raises(TargetChangedError, match="are scored otherwise now"):
                model.predict(rows)


def test_the_same_model_is_recognised_for_a_few_rows(
    host: Host, workshop: Workshop, classes: Classes, weights: Array, rows: Array, tmp_path: Path
) -> None:
    with open_model(spec_of(host), tmp_path, None, classes(CLASSES), rows) as model:
        before = model.predict(rows)
        asked = sum(host.behaviour.rows)
        come_back(host, workshop, weights)
        assert np.array_equal(model.predict(rows), before)
        assert sum(host.behaviour.rows) - asked == len(rows) + 8


def test_a_server_that_hangs_up_again_and_again_is_lost_and_not_asked_for_ever(
    host: Host, classes: Classes, rows: Array, tmp_path: Path
) -> None:
    with open_model(spec_of(host, retries=2), tmp_path, None, classes(CLASSES), rows) as model:
        host.behaviour.mishaps.extend([hang_up] * 100)
        with pytest.raises(EndpointLostError):
            model.predict(rows)
        assert len(host.behaviour.mishaps) >= 100 - 3 * 3


def test_a_model_that_never_repeats_itself_is_not_asked_to(
    host: Host, workshop: Workshop, classes: Classes, weights: Array, rows: Array, tmp_path: Path,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    def shake(outputs: list[dict[str, object]]) -> None:
        for output in outputs:
            data = np.asarray(output["data"])
            output["data"] = data + rng.normal(size=data.shape).astype(data.dtype)

    host.behaviour.change = shake
    with open_model(spec_of(host), tmp_path, None, classes(CLASSES), rows) as model:
        assert not model.deterministic
        come_back(host, workshop, weights)
        assert len(model.predict(rows)) == len(rows)


@given(st.floats(-1.0, 1.0), st.sampled_from([1.0, 30.0]))
def test_rounding_is_forgiven_and_nothing_more(share: float, scale: float) -> None:
    canary, rows = ScoreCanary(), np.ones((3, 2), np.float32)
    scores = {"y": np.full((3, 2), scale)}
    for _ in range(2):
        canary.note("x", rows, ("y",), None, scores)
    moved = scores["y"].copy()
    moved[1, 1] += 2 * share * CLOSE * scale
    assert canary.asked is not None
    assert canary.agrees({"y": moved}) == (abs(moved[1, 1] - scale) <= CLOSE * scale)
