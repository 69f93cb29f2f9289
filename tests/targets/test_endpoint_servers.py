"""The same verdict from real model servers, which disagree on just the parts that matter."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import served_models
from served_models import Served, running
from tiny_models import Workshop

from auditor.domain.targets import EndpointProtocol, EndpointSpec, TargetSpec, TensorEncoding
from auditor.domain.tasks import Array, ClassificationTask
from auditor.errors import EndpointLostError, SubjectLostError, TargetError
from auditor.targets.session import open_model

pytestmark = pytest.mark.slow

FEATURES, CLASSES, ROWS = 20, 10, 200
TASK = ClassificationTask(tuple("0123456789"), positive="9", favourable="9")
SLOTS = {
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, FEATURES]}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, CLASSES]}],
}
PATHS = {
    "JSON": (EndpointProtocol.OIP_HTTP, TensorEncoding.JSON),
    "binary": (EndpointProtocol.OIP_HTTP, TensorEncoding.BINARY),
    "auto": (EndpointProtocol.OIP_HTTP, TensorEncoding.AUTO),
    "gRPC": (EndpointProtocol.OIP_GRPC, TensorEncoding.AUTO),
}
WORKING = [
    ("mlserver", "JSON"), ("mlserver", "auto"), ("mlserver", "gRPC"),
    ("kserve", "JSON"), ("kserve", "binary"), ("kserve", "auto"), ("kserve", "gRPC"),
]  # fmt: skip
Start = Callable[[str], Served]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    workshop = Workshop(tmp_path_factory.mktemp("model"))
    workshop.linear(np.random.default_rng(7).normal(size=(FEATURES, CLASSES)))
    return workshop.folder / "model.onnx"


@pytest.fixture
def rows(rng: np.random.Generator) -> Array:
    return rng.normal(size=(ROWS, FEATURES)).astype(np.float32)


@pytest.fixture(scope="module")
def serve(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start each server once, when a test first asks for it."""
    made: dict[str, Served] = {}

    def start(name: str) -> Served:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            served = (
                served_models.kserve(model, folder)
                if name == "kserve"
                else served_models.mlserver(model, folder, SLOTS, version="3")
            )
            made[name] = served
            served.start()
        return made[name]

    yield start
    for served in made.values():
        served.kill()


def target(served: Served, path: str, **settings: object) -> TargetSpec:
    protocol, encoding = PATHS[path]
    url = served.grpc if protocol is EndpointProtocol.OIP_GRPC else served.http
    declared = {"url": url, "protocol": protocol, "encoding": encoding, "model": "tiny"}
    return TargetSpec(
        "prod", runtime="endpoint", time_limit=60.0, endpoint=EndpointSpec(**declared | settings)
    )


def truth(model: Path, rows: Array) -> Array:
    session = onnxruntime.InferenceSession(str(model))
    return session.run(None, {"x": rows})[0].astype(np.float64)


@pytest.mark.parametrize(("server", "path"), WORKING)
def test_scores_over_every_path_are_those_in_process_to_the_bit(
    serve: Start, model: Path, rows: Array, tmp_path: Path, server: str, path: str
) -> None:
    spec = target(serve(server), path, batch_limit=64)
    with open_model(spec, tmp_path, None, TASK, rows) as opened:
        assert np.array_equal(opened.predict(rows), truth(model, rows))
        assert opened.deterministic
        facts = opened.fingerprint.identity_facts["runtime"]
        assert facts["server"] == server
        timing = opened.time(rows, calls=100, warmup=10, batch_rows=64)
    assert timing.transport is not None
    assert len(timing.single) == 100
    assert len(timing.transport) == 100


def test_a_server_without_binary_tensors_refuses_them_in_words(
    serve: Start, rows: Array, tmp_path: Path
) -> None:
    with (
        pytest.raises(Exception, match="the server at 127"),
        open_model(target(serve("mlserver"), "binary"), tmp_path, None, TASK, rows),
    ):
        pass


@pytest.mark.parametrize("path", ["JSON", "gRPC"])
def test_a_version_is_pinned_where_the_server_keeps_versions(
    serve: Start, model: Path, rows: Array, tmp_path: Path, path: str
) -> None:
    served = serve("mlserver")
    pinned = target(served, path, model_version="3")
    with open_model(pinned, tmp_path, None, TASK, rows) as opened:
        assert np.array_equal(opened.predict(rows), truth(model, rows))
        assert opened.fingerprint.identity_facts["runtime"]["model_version"] == "3"
    with (
        pytest.raises(TargetError, match=r"NOT_FOUND|404"),
        open_model(target(served, path, model_version="4"), tmp_path, None, TASK, rows),
    ):
        pass


@pytest.mark.parametrize("path", ["JSON", "gRPC"])
def test_a_version_is_not_pinned_where_the_server_keeps_none(
    serve: Start, rows: Array, tmp_path: Path, path: str
) -> None:
    pinned = target(serve("kserve"), path, model_version="3")
    with (
        pytest.raises(TargetError, match=r"501|does not say which version"),
        open_model(pinned, tmp_path, None, TASK, rows),
    ):
        pass


@pytest.mark.parametrize(
    ("server", "path"), [("mlserver", "gRPC"), ("mlserver", "auto"), ("kserve", "auto")]
)
def test_a_server_killed_in_the_middle_is_lost_and_met_again(
    model: Path, rows: Array, tmp_path: Path, server: str, path: str
) -> None:
    made = (
        served_models.kserve(model, tmp_path)
        if server == "kserve"
        else served_models.mlserver(model, tmp_path, SLOTS)
    )
    with running(made) as served:
        spec = target(served, path, retries=1)
        with open_model(spec, tmp_path, None, TASK, rows) as opened:
            opened.predict(rows)
            served.kill()
            with pytest.raises(SubjectLostError) as caught:
                opened.predict(rows)
            assert isinstance(caught.value, EndpointLostError)
            served.start()
            assert np.array_equal(opened.predict(rows), truth(model, rows))
