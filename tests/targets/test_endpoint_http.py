"""A served model over the Open Inference Protocol's HTTP side, against a server on this machine."""

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import endpoint_servers as servers
import numpy as np
import onnxruntime
import pytest
from endpoint_servers import Handler, Host, hosting
from tiny_models import Classes, Workshop

from auditor.domain.json import encode_canonical
from auditor.domain.targets import EndpointSpec, TargetSpec, TensorEncoding
from auditor.domain.tasks import Array
from auditor.errors import (
    EndpointLostError,
    ModelFailedError,
    ModelTimeoutError,
    SubjectLostError,
    TargetChangedError,
    TargetError,
)
from auditor.targets.endpoints.http import EndpointReply
from auditor.targets.endpoints.oip_http import OipHttpClient
from auditor.targets.endpoints.served_model import EndpointConnection, open_endpoint
from auditor.targets.session import open_model

FEATURES, CLASSES = 6, 4
Ask = Callable[..., EndpointConnection]


@pytest.fixture
def host(workshop: Workshop, rng: np.random.Generator) -> Iterator[Host]:
    workshop.linear(rng.normal(size=(FEATURES, CLASSES)))
    with hosting(workshop.folder / "model.onnx") as found:
        yield found


@pytest.fixture
def rows(rng: np.random.Generator) -> Array:
    return rng.normal(size=(16, FEATURES)).astype(np.float32)


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def connect(host: Host, waits: list[float]) -> Iterator[Ask]:
    opened: list[EndpointConnection] = []

    def make(
        time_limit: float = 20.0, environ: dict[str, str] | None = None, **settings: object
    ) -> EndpointConnection:
        declared = EndpointSpec(**{"url": host.url, "model": "tiny", **settings})
        spec = TargetSpec("prod", runtime="endpoint", time_limit=time_limit, endpoint=declared)
        opened.append(open_endpoint(spec, environ=environ or {}, sleep=waits.append))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def spec_of(host: Host, **settings: object) -> TargetSpec:
    declared = EndpointSpec(url=host.url, model="tiny", **settings)
    return TargetSpec("prod", runtime="endpoint", time_limit=20.0, endpoint=declared)


def true_scores(host: Host, rows: Array) -> Array:
    session = onnxruntime.InferenceSession(str(host.model))
    return session.run(None, {"x": rows})[0]


def infer(connection: EndpointConnection, rows: Array) -> Array:
    return connection.ask({"op": "infer", "outputs": ["y"]}, {"x": rows}).arrays["y"]


def test_a_server_without_binary_tensors_refuses_them(
    host: Host, connect: Ask, rows: Array
) -> None:
    host.behaviour.binary = False
    with pytest.raises(ModelFailedError, match="422"):
        infer(connect(encoding=TensorEncoding.BINARY), rows)


@pytest.mark.parametrize(
    ("encoding", "takes"),
    [
        (TensorEncoding.AUTO, "binary"), (TensorEncoding.AUTO, "JSON"),
        (TensorEncoding.BINARY, "binary"),
        (TensorEncoding.JSON, "binary"), (TensorEncoding.JSON, "JSON"),
    ],
)  # fmt: skip
def test_scores_are_those_of_the_model_to_the_bit(
    host: Host, connect: Ask, rows: Array, encoding: TensorEncoding, takes: str
) -> None:
    host.behaviour.binary = takes == "binary"
    found = infer(connect(encoding=encoding), rows)
    assert found.dtype == np.float32
    assert np.array_equal(found, true_scores(host, rows))


def test_json_is_settled_once_and_binary_is_not_tried_again(
    host: Host, connect: Ask, rows: Array
) -> None:
    host.behaviour.binary = False
    connection = connect()
    for _ in range(3):
        infer(connection, rows)
    tried = [servers.JSON_PART.lower() in seen for seen in host.behaviour.seen_headers[2:]]
    assert tried == [True, False, False, False]
    assert host.behaviour.rows == [16, 16, 16]


def test_what_is_met_is_what_the_server_declares(host: Host, connect: Ask) -> None:
    header = connect().opened.header
    assert header["inputs"] == [{"name": "x", "type": "tensor(float)", "shape": [None, FEATURES]}]
    assert header["outputs"] == [{"name": "y", "type": "tensor(float)", "shape": [None, CLASSES]}]
    assert header["machine"]["host"] == f"127.0.0.1:{host.port}"
    assert (header["placement"], header["opsets"]) == ("unknown", {})
    runtime = header["runtime"]
    assert (runtime["server"], runtime["version"], runtime["model"]) == ("small", "1.0", "tiny")


def test_an_opened_model_scores_counts_and_is_told_apart(
    host: Host, rows: Array, classes: Classes, tmp_path: Path
) -> None:
    with open_model(spec_of(host), tmp_path, None, classes(CLASSES), rows) as model:
        assert np.array_equal(model.predict(rows), true_scores(host, rows).astype(np.float64))
        assert model.queries == sum(host.behaviour.rows) == 5 * len(rows)
        assert model.deterministic
        first = model.fingerprint
    encode_canonical(first.to_json())
    assert first.identity_facts["runtime"]["model_version"] == "1"
    host.behaviour.version, host.behaviour.versions = "2", ("2",)
    with open_model(spec_of(host), tmp_path, None, classes(CLASSES), rows) as model:
        assert model.fingerprint.identity != first.identity


@pytest.mark.parametrize("limit", [1, 5, 16, 100])
def test_a_batch_limit_splits_requests_and_changes_no_score(
    host: Host, connect: Ask, rows: Array, limit: int
) -> None:
    found = infer(connect(batch_limit=limit), rows)
    assert np.array_equal(found, true_scores(host, rows))
    assert max(host.behaviour.rows) <= limit
    assert sum(host.behaviour.rows) == len(rows)


def test_a_fixed_batch_is_filled_up_and_cut_again(
    workshop: Workshop, rng: np.random.Generator, classes: Classes, rows: Array, tmp_path: Path
) -> None:
    workshop.linear(rng.normal(size=(FEATURES, CLASSES)), batch=5)
    with (
        hosting(workshop.folder / "model.onnx") as host,
        open_model(spec_of(host), tmp_path, None, classes(CLASSES), rows) as model,
    ):
        found = model.predict(rows)
        assert set(host.behaviour.rows) == {5}
        filled = np.concatenate([rows, rows[-1:].repeat(4, axis=0)]).reshape(4, 5, FEATURES)
        truth = np.concatenate([true_scores(host, part) for part in filled])[:16]
        assert np.array_equal(found, truth.astype(np.float64))


@pytest.mark.parametrize("code", [429, 502, 503, 504])
def test_what_passes_is_tried_again_and_counts_once(
    host: Host, connect: Ask, rows: Array, waits: list[float], code: int
) -> None:
    connection = connect(queries=16)
    host.behaviour.mishaps = [servers.status(code), servers.status(code)]
    assert np.array_equal(infer(connection, rows), true_scores(host, rows))
    assert waits == [0.2, 0.4]
    counts = connection.opened.header["conditions"]
    assert (counts["rows_asked"], counts["retries"], counts["attempts"]) == (16, 2, 5)


def test_a_server_that_asks_for_rest_gets_it(
    host: Host, connect: Ask, rows: Array, waits: list[float]
) -> None:
    host.behaviour.mishaps = [servers.status(429, Retry_After="7")]
    infer(connect(), rows)
    assert waits == [7.0]


def test_a_server_that_asks_for_more_rest_than_there_is_time_is_given_up(
    host: Host, connect: Ask, rows: Array, waits: list[float]
) -> None:
    host.behaviour.mishaps = [servers.status(429, Retry_After="3600")]
    with pytest.raises(EndpointLostError, match=r"429.*attempt 1 of 4, and asks for 3600 seconds"):
        infer(connect(), rows)
    assert waits == []


def test_retries_come_to_an_end(host: Host, connect: Ask, rows: Array, waits: list[float]) -> None:
    host.behaviour.mishaps = [servers.status(503)] * 3
    with pytest.raises(EndpointLostError, match=r"503: .*on purpose.*attempt 3 of 3"):
        infer(connect(retries=2), rows)
    assert len(waits) == 2
    assert host.behaviour.rows == []


@pytest.mark.parametrize("mishap", [servers.hang_up, servers.half_an_answer])
def test_a_dropped_answer_is_asked_for_again_after_a_look_at_the_server(
    host: Host, connect: Ask, rows: Array, mishap: servers.Mishap
) -> None:
    connection = connect()
    infer(connection, rows)
    looks = len(host.behaviour.gets)
    host.behaviour.mishaps = [mishap]
    assert np.array_equal(infer(connection, rows), true_scores(host, rows))
    assert len(host.behaviour.gets) == looks + 2


@pytest.mark.parametrize("mishap", [servers.hang_up, servers.half_an_answer])
def test_a_server_that_keeps_dropping_answers_is_lost_and_met_again(
    host: Host, connect: Ask, rows: Array, mishap: servers.Mishap
) -> None:
    connection = connect(retries=1)
    host.behaviour.mishaps = [mishap, mishap]
    with pytest.raises(SubjectLostError, match="broke the connection off"):
        infer(connection, rows)
    assert np.array_equal(infer(connection, rows), true_scores(host, rows))


def test_a_server_that_dies_is_lost_and_met_again_when_it_is_back(
    host: Host, connect: Ask, rows: Array
) -> None:
    connection = connect(retries=1)
    infer(connection, rows)
    host.stop()
    with pytest.raises(EndpointLostError, match="cannot be reached"):
        infer(connection, rows)
    host.start()
    assert np.array_equal(infer(connection, rows), true_scores(host, rows))


def test_a_server_that_was_away_without_our_noticing_is_looked_at_again(
    host: Host, connect: Ask, rows: Array
) -> None:
    connection = connect(retries=0)
    infer(connection, rows)
    host.stop()
    host.start()
    looks = len(host.behaviour.gets)
    assert np.array_equal(infer(connection, rows), true_scores(host, rows))
    assert len(host.behaviour.gets) == looks + 2
    host.stop()
    host.behaviour.server_version = "2.0"
    host.start()
    with pytest.raises(TargetChangedError):
        infer(connection, rows)


def test_a_server_that_hangs_up_after_each_answer_is_looked_at_no_more_than_others(
    host: Host, connect: Ask, rows: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Handler, "protocol_version", "HTTP/1.0")
    connection = connect()
    for _ in range(3):
        assert np.array_equal(infer(connection, rows), true_scores(host, rows))
    assert host.behaviour.gets == ["/v2", "/v2/models/tiny"]


def test_a_server_that_comes_back_as_another_is_never_believed_again(
    host: Host, connect: Ask, rows: Array
) -> None:
    connection = connect(retries=1)
    infer(connection, rows)
    host.stop()
    with pytest.raises(EndpointLostError):
        infer(connection, rows)
    host.behaviour.server_version = "2.0"
    host.start()
    for _ in range(2):
        with pytest.raises(TargetChangedError, match=r"server's version was '1\.0' and is '2\.0'"):
            infer(connection, rows)
    host.behaviour.server_version = "1.0"
    with pytest.raises(TargetChangedError):
        infer(connection, rows)


def test_a_server_that_changes_between_two_attempts_is_found_out(
    host: Host, connect: Ask, rows: Array
) -> None:
    connection = connect()
    infer(connection, rows)

    def roll_out(handler: Handler) -> bool:
        host.behaviour.versions = ("1", "2")
        return servers.hang_up(handler)

    host.behaviour.mishaps = [roll_out]
    with pytest.raises(TargetChangedError, match=r"versions was \[1\] and is \[1, 2\]"):
        infer(connection, rows)


@pytest.mark.parametrize("version", ["2", None])
def test_another_version_in_an_answer_ends_the_audit_of_that_target(
    host: Host, connect: Ask, rows: Array, version: str | None
) -> None:
    connection = connect()
    infer(connection, rows)
    host.behaviour.version = version
    with pytest.raises(TargetChangedError, match="'tiny version 1' answered before"):
        infer(connection, rows)
    host.behaviour.version = "1"
    with pytest.raises(TargetChangedError):
        infer(connection, rows)


def test_a_pinned_version_is_asked_for_and_held_to(host: Host, connect: Ask, rows: Array) -> None:
    connection = connect(model_version="1")
    assert np.array_equal(infer(connection, rows), true_scores(host, rows))
    assert "/v2/models/tiny/versions/1" in host.behaviour.gets
    host.behaviour.version = "3"
    with pytest.raises(TargetChangedError, match="version '1' was asked, and '3' answers"):
        infer(connect(model_version="1"), rows)
    with pytest.raises(TargetError, match="does not serve version '9' of 'tiny', but 1"):
        infer(connect(model_version="9"), rows)


def test_a_pin_that_nobody_confirms_holds_nothing(host: Host, connect: Ask, rows: Array) -> None:
    host.behaviour.versions, host.behaviour.version = (), None
    assert np.array_equal(infer(connect(), rows), true_scores(host, rows))
    with pytest.raises(TargetError, match="does not say which version of 'tiny' answers"):
        infer(connect(model_version="1"), rows)


def test_the_server_is_looked_at_again_now_and_then(host: Host, rows: Array) -> None:
    now = [0.0]
    connection = open_endpoint(spec_of(host), environ={}, clock=lambda: now[0])
    infer(connection, rows)
    host.behaviour.versions = ("1", "2")
    now[0] = 29.0
    infer(connection, rows)
    now[0] = 31.0
    with pytest.raises(TargetChangedError):
        infer(connection, rows)
    connection.close()


def set_output(**fields: object) -> Callable[[list[dict[str, Any]]], None]:
    def change(outputs: list[dict[str, Any]]) -> None:
        outputs[0].update(fields)

    return change


def cut_rows(outputs: list[dict[str, Any]]) -> None:
    outputs[0]["data"] = outputs[0]["data"][:-1]
    outputs[0]["shape"][0] -= 1


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (set_output(shape=[16, 3]), r"shape \[16, 3\] and values of shape \[64\]"),
        (set_output(shape=[4, 16]), r"declares the output 'y' as \[None, 4\] and sends \[4, 16\]"),
        (set_output(shape=[-16, -4]), "impossible shape"),
        (set_output(shape=None), "has no shape"),
        (set_output(shape=[16.0, 4]), "impossible shape"),
        (set_output(datatype="FP31"), "type 'FP31'"),
        (set_output(datatype="INT64"), "holds a float at place 0"),
        (set_output(datatype="BYTES"), "holds a float at place 0"),
        (set_output(data=[None] * 64), "holds null at place 0"),
        (set_output(data=["1.0"] * 64), "holds a str"),
        (set_output(data=[True] * 64), "holds a bool"),
        (set_output(data=[[1.0] * 4] * 15 + [[1.0] * 3]), "lists of different lengths"),
        (set_output(data=[[1.0] * 16] * 4), r"values of shape \[4, 16\]"),
        (set_output(data="AAAA"), "no list"),
        (set_output(name="z"), "lacks the output 'y'; it has z"),
        (set_output(name=7), "no names of their own"),
        (lambda outputs: outputs.append(dict(outputs[0])), "no names of their own"),
        (lambda outputs: outputs.clear(), "lacks the output 'y'; it has none"),
    ],
)
def test_an_answer_that_is_not_one_is_refused(
    host: Host, connect: Ask, rows: Array, change: Callable[..., object], match: str
) -> None:
    host.behaviour.change = change
    with pytest.raises(ModelFailedError, match=match):
        infer(connect(encoding=TensorEncoding.JSON), rows)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (set_output(data=np.zeros(63, np.float32)), r"and 252 bytes of FP32"),
        (set_output(shape=[16, 5]), "and 256 bytes"),
        (set_output(datatype="FP64"), "256 bytes of FP64"),
        (set_output(datatype="BOOL", shape=[16, 16]), "neither true nor false"),
    ],
)
def test_a_binary_answer_that_is_not_one_is_refused(
    host: Host, connect: Ask, rows: Array, change: Callable[..., object], match: str
) -> None:
    host.behaviour.change = change
    with pytest.raises(ModelFailedError, match=match):
        infer(connect(encoding=TensorEncoding.BINARY), rows)


@pytest.mark.parametrize("encoding", [TensorEncoding.JSON, TensorEncoding.BINARY])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_scores_that_are_no_numbers_are_refused_with_their_row(
    host: Host,
    rows: Array,
    classes: Classes,
    tmp_path: Path,
    encoding: TensorEncoding,
    value: float,
) -> None:
    with open_model(
        spec_of(host, encoding=encoding), tmp_path, None, classes(CLASSES), rows
    ) as model:

        def spoil(outputs: list[dict[str, Any]]) -> None:
            outputs[0]["data"] = outputs[0]["data"].copy()
            outputs[0]["data"][11, 2] = value

        host.behaviour.change = spoil
        with pytest.raises(ModelFailedError, match="row 11"):
            model.predict(rows)


def test_a_row_more_or_less_never_shifts_the_others(host: Host, connect: Ask, rows: Array) -> None:
    host.behaviour.change = cut_rows
    with pytest.raises(ModelFailedError, match=r"shape \(7, 4\) for 8 rows"):
        infer(connect(batch_limit=8), rows)


def test_a_missing_value_in_a_row_goes_over_binary_and_is_refused_over_json(
    host: Host, connect: Ask, rows: Array
) -> None:
    rows[3, 1] = np.nan
    found = infer(connect(encoding=TensorEncoding.BINARY), rows)
    assert np.array_equal(found, true_scores(host, rows), equal_nan=True)
    assert np.isnan(found[3]).all()
    with pytest.raises(ModelFailedError, match=r"row 3 of the input 'x'.*JSON cannot carry"):
        infer(connect(encoding=TensorEncoding.JSON), rows)


def test_a_refused_batch_says_what_the_server_said(host: Host, connect: Ask, rows: Array) -> None:
    connection = connect()
    with pytest.raises(ModelFailedError, match=r"answers 400: .*Got: 5 Expected: 6"):
        infer(connection, rows[:, :5])
    assert np.array_equal(infer(connection, rows), true_scores(host, rows))


def test_a_model_that_declares_nothing_is_not_guessed_at(
    host: Host, connect: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers.Server, "slots", lambda self: {"inputs": [], "outputs": None})
    with pytest.raises(ModelFailedError, match="does not say what inputs the model 'tiny' has"):
        assert connect().opened


def test_a_model_that_is_not_there_is_an_error_of_the_target(connect: Ask) -> None:
    with pytest.raises(TargetError, match=r"404: .*no such model.*`model_version`"):
        assert connect(model="other").opened


def test_what_is_no_json_is_no_metadata(host: Host, connect: Ask) -> None:
    def page(handler: Handler) -> bool:
        handler.say(200, b"<html>log in</html>")
        return True

    host.behaviour.metadata_mishaps = [page]
    with pytest.raises(ModelFailedError, match="answers with what is not JSON"):
        assert connect().opened


@pytest.mark.parametrize("name", [rb"\ud800", rb"ab\uDFFFcd"])
def test_half_a_character_in_what_a_server_says_is_refused(
    host: Host, connect: Ask, name: bytes
) -> None:
    """Nothing that holds one can be digested or signed: it would end the whole audit."""

    def half(handler: Handler) -> bool:
        handler.say(200, b'{"name":"' + name + b'","version":"1","extensions":[]}')
        return True

    host.behaviour.metadata_mishaps = [half]
    with pytest.raises(ModelFailedError, match="text that is none"):
        assert connect().opened


def test_a_whole_character_that_is_escaped_in_two_halves_is_one(host: Host, connect: Ask) -> None:
    def whole(handler: Handler) -> bool:
        handler.say(200, rb'{"name":"\ud83d\ude00","version":"1","extensions":[]}')
        return True

    host.behaviour.metadata_mishaps = [whole]
    runtime = connect().opened.header["runtime"]
    assert runtime["server"] == "\U0001f600"
    assert encode_canonical(dict(runtime))


@pytest.mark.parametrize("size", ["-1", "1e3", "0" * 5000, "9" * 5000, "²"])
def test_a_size_of_the_json_part_that_is_none_is_refused(size: str) -> None:
    client = OipHttpClient(None, EndpointSpec(url="http://x", model="m"), "the server")  # type: ignore[arg-type]  # nothing is sent
    with pytest.raises(ModelFailedError, match="announces a JSON part"):
        client._answer(EndpointReply(200, {"inference-header-content-length": size}, b"{}"))  # noqa: SLF001 -- no server can send them all


def drip(handler: Handler) -> bool:
    """Send a byte now and then, each in time."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    quiet = threading.Event()
    for _ in range(100):
        try:
            handler.wfile.write(b" ")
        except OSError:
            break
        quiet.wait(0.05)
    return True


def never(handler: Handler) -> bool:
    threading.Event().wait(2.0)
    return servers.hang_up(handler)


@pytest.mark.parametrize("mishap", [drip, never])
def test_a_request_ends_with_its_time_even_if_bytes_keep_coming(
    host: Host, connect: Ask, rows: Array, mishap: servers.Mishap
) -> None:
    connection = connect(time_limit=0.5)
    host.behaviour.mishaps = [mishap]
    with pytest.raises(ModelTimeoutError, match=r"did not answer within 0\.5 seconds"):
        infer(connection, rows)
    assert np.array_equal(infer(connection, rows), true_scores(host, rows))


def wrongly(code: int, body: bytes) -> servers.Mishap:
    """Answer with a status and a body that does not belong to it."""

    def answer(handler: Handler) -> bool:
        handler.say(code, body)
        return True

    return answer


MISHAPS = [
    *(servers.status(code) for code in (400, 401, 404, 429, 500, 502, 503)),
    servers.hang_up,
    servers.half_an_answer,
    wrongly(200, b""),
    wrongly(200, b"[]"),
    wrongly(200, b'{"outputs": [{"name": "y", "shape": [16, 4], "datatype": "FP32"}]}'),
    wrongly(204, b""),
]


def test_whatever_happens_there_is_an_error_or_the_true_scores(
    host: Host, connect: Ask, rows: Array, rng: np.random.Generator
) -> None:
    connection, truth, right = connect(retries=1), true_scores(host, rows), 0
    for _ in range(60):
        count = int(rng.integers(0, 4))
        host.behaviour.mishaps = [
            MISHAPS[index] for index in rng.integers(len(MISHAPS), size=count)
        ]
        try:
            found = infer(connection, rows)
        except (EndpointLostError, ModelFailedError, TargetError):
            continue
        assert np.array_equal(found, truth)
        right += 1
    assert 15 < right < 60


def test_a_compressed_answer_is_refused(host: Host, connect: Ask, rows: Array) -> None:
    def squeezed(handler: Handler) -> bool:
        handler.say(200, b"x", {"Content-Encoding": "gzip"})
        return True

    host.behaviour.mishaps = [squeezed]
    with pytest.raises(ModelFailedError, match="compresses"):
        infer(connect(), rows)


def test_times_are_of_the_calls_and_the_way_is_told_apart(
    host: Host, rows: Array, classes: Classes, tmp_path: Path
) -> None:
    with open_model(spec_of(host), tmp_path, None, classes(CLASSES), rows) as model:
        before = model.queries
        timing = model.time(rows, calls=30, warmup=3, batch_rows=8)
        assert (len(timing.single), timing.warmup, len(timing.batch)) == (30, 3, 12)
        assert timing.transport is not None
        assert len(timing.transport) == 30
        assert min(map(np.min, (timing.single, timing.batch, timing.transport))) > 0
        assert timing.load > 0
        assert timing.first > 0
        assert model.queries - before == 3 + 30 + 12 * 8
        assert sum(host.behaviour.rows) == model.queries


def test_waiting_for_the_rate_is_no_part_of_the_times(host: Host, rows: Array) -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    connection = open_endpoint(
        spec_of(host, rate=2.0), environ={}, clock=lambda: now[0], sleep=sleep
    )
    asked = {"op": "time", "calls": 4, "warmup": 2, "batch_rows": 4, "seconds": 1e6}
    found = connection.ask(asked, {"x": rows})
    assert all((times == 0).all() for times in found.arrays.values())
    requests = connection.opened.header["conditions"]["attempts"]
    assert now[0] == pytest.approx((requests - 1) * 0.5)
    connection.close()


def test_a_request_that_an_endpoint_cannot_answer_says_so(connect: Ask, rows: Array) -> None:
    with pytest.raises(ModelFailedError, match="cannot be asked to profile"):
        connect().ask({"op": "profile"}, {"x": rows})


def test_a_closed_port_is_a_lost_endpoint(connect: Ask) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        with pytest.raises(EndpointLostError, match="cannot be reached"):
            assert connect(url=url, retries=1).opened


def test_nothing_is_sent_before_it_is_asked(host: Host, connect: Ask) -> None:
    connection = connect()
    assert connection.level == "remote"
    assert host.behaviour.gets == []
    assert replace(spec_of(host)).endpoint is not None
