"""A served model over the Open Inference Protocol's gRPC side, against a server on this machine."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import onnxruntime
import pytest
from own_roots import certified
from tiny_models import Classes, Workshop

from auditor.domain.targets import EndpointProtocol, EndpointSpec, TargetSpec
from auditor.domain.tasks import Array
from auditor.errors import (
    EndpointLostError,
    ModelFailedError,
    ModelTimeoutError,
    TargetChangedError,
    TargetError,
)
from auditor.targets.endpoints.oip import TYPES
from auditor.targets.endpoints.oip_grpc import CONTENTS, build_message_classes
from auditor.targets.endpoints.served_model import EndpointConnection, open_endpoint
from auditor.targets.session import open_model

CLASSES = build_message_classes()
SERVICE = "inference.GRPCInferenceService"
METHODS = {
    "ServerLive": "live",
    "ServerMetadata": "server_metadata",
    "ModelMetadata": "model_metadata",
    "ModelInfer": "infer",
}


class GrpcHost:
    """A gRPC server with a real model behind it; ``change`` edits an answer before it is sent."""

    def __init__(self, model: Path, credentials: grpc.ServerCredentials | None = None) -> None:
        self.session = onnxruntime.InferenceSession(str(model))
        self.credentials = credentials
        self.raw = True
        self.version = "1"
        self.fail: list[grpc.StatusCode] = []
        self.details = "on purpose"
        self.pause = 0.0
        self.change: Callable[[Any], object] = lambda answer: None
        self.metadata: list[dict[str, str]] = []
        self.rows: list[int] = []
        self.port = 0
        self.start()

    def start(self) -> None:
        self.server = grpc.server(ThreadPoolExecutor(2), options=(("grpc.so_reuseport", 0),))
        handlers = {
            method: grpc.unary_unary_rpc_method_handler(
                getattr(self, name),
                request_deserializer=CLASSES[f"{method}Request"].FromString,
                response_serializer=CLASSES[f"{method}Response"].SerializeToString,
            )
            for method, name in METHODS.items()
        }
        generic = grpc.method_handlers_generic_handler(SERVICE, handlers)
        self.server.add_generic_rpc_handlers((generic,))
        place = f"127.0.0.1:{self.port}"
        if self.credentials is None:
            self.port = self.server.add_insecure_port(place)
        else:
            self.port = self.server.add_secure_port(place, self.credentials)
        self.server.start()

    def stop(self) -> None:
        self.server.stop(None).wait()

    def live(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401 -- messages have no types
        return CLASSES["ServerLiveResponse"](live=True)

    def server_metadata(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401 -- messages have no types
        self.metadata.append(dict(context.invocation_metadata()))
        return CLASSES["ServerMetadataResponse"](name="small", version="1.0")

    def model_metadata(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401 -- messages have no types
        if request.name != "tiny":
            context.abort(grpc.StatusCode.NOT_FOUND, f"no model {request.name}")
        return CLASSES["ModelMetadataResponse"](
            name="tiny",
            versions=[self.version],
            inputs=[{"name": "x", "datatype": "FP32", "shape": [-1, 6]}],
            outputs=[{"name": "y", "datatype": "FP32", "shape": [-1, 4]}],
        )

    def infer(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401 -- messages have no types
        time.sleep(self.pause)
        if self.fail:
            context.abort(self.fail.pop(0), self.details)
        (given,), (raw,) = request.inputs, request.raw_input_contents
        rows = np.frombuffer(raw, "<f4").reshape(tuple(given.shape))
        self.rows.append(len(rows))
        (found,) = self.session.run(None, {given.name: rows})
        output = {"name": "y", "datatype": "FP32", "shape": list(found.shape)}
        answer = CLASSES["ModelInferResponse"](
            model_name="tiny", model_version=self.version, outputs=[output]
        )
        if self.raw:
            answer.raw_output_contents.append(found.tobytes())
        else:
            answer.outputs[0].contents.fp32_contents.extend(found.reshape(-1).tolist())
        self.change(answer)
        return answer


@pytest.fixture
def model(workshop: Workshop, rng: np.random.Generator) -> Path:
    workshop.linear(rng.normal(size=(6, 4)))
    return workshop.folder / "model.onnx"


@pytest.fixture
def host(model: Path) -> Iterator[GrpcHost]:
    found = GrpcHost(model)
    yield found
    found.stop()


@pytest.fixture
def rows(rng: np.random.Generator) -> Array:
    return rng.normal(size=(16, 6)).astype(np.float32)


def target(host: GrpcHost, time_limit: float = 20.0, **settings: object) -> TargetSpec:
    declared = {"url": f"grpc://127.0.0.1:{host.port}", "model": "tiny", **settings}
    spec = EndpointSpec(protocol=EndpointProtocol.OIP_GRPC, **declared)
    return TargetSpec("prod", runtime="endpoint", time_limit=time_limit, endpoint=spec)


@pytest.fixture
def connect(host: GrpcHost) -> Iterator[Callable[..., EndpointConnection]]:
    opened: list[EndpointConnection] = []

    def make(environ: dict[str, str] | None = None, **settings: object) -> EndpointConnection:
        spec = target(host, **settings)
        opened.append(open_endpoint(spec, environ=environ or {}, sleep=lambda seconds: None))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


Ask = Callable[..., EndpointConnection]


def infer(connection: EndpointConnection, rows: Array) -> Array:
    return connection.ask({"op": "infer", "outputs": ["y"]}, {"x": rows}).arrays["y"]


def truth(host: GrpcHost, rows: Array) -> Array:
    return host.session.run(None, {"x": rows})[0]


@pytest.mark.parametrize("contents", ["raw", "typed"])
def test_scores_are_those_of_the_model_to_the_bit(
    host: GrpcHost, rows: Array, classes: Classes, tmp_path: Path, contents: str
) -> None:
    host.raw = contents == "raw"
    with open_model(target(host), tmp_path, None, classes(4), rows) as opened:
        assert np.array_equal(opened.predict(rows), truth(host, rows).astype(np.float64))
        timing = opened.time(rows, calls=5, warmup=1, batch_rows=4)
        assert timing.transport is not None
        assert opened.queries == sum(host.rows)


def test_a_missing_value_travels_as_it_is(host: GrpcHost, connect: Ask, rows: Array) -> None:
    rows[3, 1] = np.nan
    found = infer(connect(), rows)
    assert np.array_equal(found, truth(host, rows), equal_nan=True)


@pytest.mark.parametrize("code", ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "ABORTED"])
def test_what_passes_is_tried_again(host: GrpcHost, connect: Ask, rows: Array, code: str) -> None:
    host.fail = [grpc.StatusCode[code]] * 2
    connection = connect(queries=16)
    assert np.array_equal(infer(connection, rows), truth(host, rows))
    assert connection.opened.header["conditions"]["retries"] == 2


@pytest.mark.parametrize(
    ("code", "error", "match"),
    [
        ("UNAUTHENTICATED", TargetError, "UNAUTHENTICATED: on purpose.*headers"),
        ("PERMISSION_DENIED", TargetError, "PERMISSION_DENIED"),
        ("UNIMPLEMENTED", TargetError, "UNIMPLEMENTED"),
        ("INVALID_ARGUMENT", ModelFailedError, "INVALID_ARGUMENT: on purpose"),
        ("INTERNAL", ModelFailedError, "INTERNAL"),
        ("UNKNOWN", ModelFailedError, "UNKNOWN"),
        ("DEADLINE_EXCEEDED", ModelTimeoutError, "within 20 seconds"),
    ],
)
def test_what_lasts_is_not_tried_again(
    host: GrpcHost, connect: Ask, rows: Array, code: str, error: type[Exception], match: str
) -> None:
    host.fail = [grpc.StatusCode[code]]
    connection = connect()
    with pytest.raises(error, match=match):
        infer(connection, rows)
    assert host.rows == []
    assert np.array_equal(infer(connection, rows), truth(host, rows))


def test_a_server_that_takes_too_long_is_given_up(
    host: GrpcHost, connect: Ask, rows: Array
) -> None:
    connection = connect(time_limit=0.5)
    infer(connection, rows)
    host.pause = 1.0
    with pytest.raises(ModelTimeoutError, match=r"within 0\.5 seconds"):
        infer(connection, rows)
    host.pause = 0.0
    assert np.array_equal(infer(connection, rows), truth(host, rows))


def test_a_server_that_dies_is_lost_and_met_again_when_it_is_back(
    host: GrpcHost, connect: Ask, rows: Array
) -> None:
    connection = connect(retries=1)
    infer(connection, rows)
    host.stop()
    with pytest.raises(EndpointLostError, match="cannot be reached"):
        infer(connection, rows)
    host.start()
    assert np.array_equal(infer(connection, rows), truth(host, rows))


def test_another_version_ends_the_audit_of_that_target(
    host: GrpcHost, connect: Ask, rows: Array
) -> None:
    connection = connect()
    infer(connection, rows)
    host.version = "2"
    with pytest.raises(TargetChangedError, match="'tiny version 1' answered before"):
        infer(connection, rows)


def spoil(field: str, value: object) -> Callable[[Any], None]:
    return lambda answer: setattr(answer.outputs[0], field, value)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda answer: answer.raw_output_contents.append(b""), "2 raw tensors for 1 outputs"),
        (lambda answer: answer.ClearField("raw_output_contents"), "and 0 values of 'FP32'"),
        (lambda answer: answer.outputs[0].shape.append(2), "and 256 bytes of FP32"),
        (lambda answer: answer.outputs[0].shape.append(-1), "impossible shape"),
        (spoil("datatype", "FP31"), "type 'FP31'"),
        (spoil("datatype", "INT32"), r"declares the output 'y' as tensor\(float\) and sends int32"),
        (spoil("name", "z"), "lacks the output 'y'; it has z"),
        (lambda answer: answer.ClearField("outputs"), "1 raw tensors for 0 outputs"),
        (
            lambda answer: (
                answer.outputs.append(answer.outputs[0]),
                answer.raw_output_contents.append(answer.raw_output_contents[0]),
            ),
            "'y' twice",
        ),
    ],
)
def test_an_answer_that_is_not_one_is_refused(
    host: GrpcHost, connect: Ask, rows: Array, change: Callable[[Any], object], match: str
) -> None:
    host.change = change
    with pytest.raises(ModelFailedError, match=match):
        infer(connect(), rows)


def test_a_secret_is_sent_as_metadata_and_never_told(
    host: GrpcHost, connect: Ask, rows: Array
) -> None:
    environ = {"TOKEN": "Bearer s3cret-t0ken"}
    connection = connect(environ, headers={"Authorization": "TOKEN"})
    infer(connection, rows)
    assert host.metadata[0]["authorization"] == "Bearer s3cret-t0ken"
    host.fail, host.details = [grpc.StatusCode.UNAUTHENTICATED], "no s3cret-t0ken here"
    with pytest.raises(TargetError, match=r"no \[hidden\] here") as caught:
        infer(connection, rows)
    assert "s3cret" not in repr(caught.value) + repr(connection.opened)


def test_a_model_that_is_not_there_is_an_error_of_the_target(connect: Ask) -> None:
    with pytest.raises(TargetError, match="NOT_FOUND: no model other"):
        assert connect(model="other").opened


def test_tls_is_verified_by_the_roots_that_are_named(
    model: Path, rows: Array, tmp_path: Path
) -> None:
    trusted, _ = certified(tmp_path, "own")
    stranger, _ = certified(tmp_path, "other")
    pem = (tmp_path / "own-server.pem").read_bytes()
    host = GrpcHost(model, grpc.ssl_server_credentials([(pem, pem)]))
    url = f"grpcs://127.0.0.1:{host.port}"
    connection = open_endpoint(target(host, url=url, ca=str(trusted)), environ={})
    assert np.array_equal(infer(connection, rows), truth(host, rows))
    assert connection.opened.header["machine"]["certificate"].startswith("sha256:")
    connection.close()
    for ca in (None, str(stranger)):
        with pytest.raises(TargetError, match="not who it says it is"):
            assert open_endpoint(target(host, url=url, ca=ca), environ={}).opened
    host.stop()


def test_every_type_but_half_floats_has_its_typed_contents() -> None:
    assert set(TYPES) - set(CONTENTS) == {"FP16"}
    assert set(CONTENTS.values()) == set(CLASSES["TensorContents"].DESCRIPTOR.fields_by_name)
