"""What an endpoint may be asked, how fast, and what never leaves this machine."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import endpoint_servers as servers
import numpy as np
import onnxruntime
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from endpoint_servers import Host, hosting
from own_roots import certified
from tiny_models import Classes, Workshop

from auditor.domain.readings import GapReason
from auditor.domain.targets import EndpointProtocol, EndpointSpec, TargetSpec
from auditor.domain.tasks import Array
from auditor.errors import (
    EndpointLostError,
    InvalidInputError,
    LimitReachedError,
    MissingExtraError,
    TargetChangedError,
    TargetError,
    suggest_install,
)
from auditor.targets.endpoints import served_model
from auditor.targets.endpoints.config import parse_endpoint_url
from auditor.targets.endpoints.served_model import EndpointConnection, open_endpoint
from auditor.targets.endpoints.throttle import RateLimit, RowQuota
from auditor.targets.session import open_model
from auditor.workflows.engine.local import convert_error_to_gap

SECRET = "Bearer s3cret-t0ken"  # noqa: S105 -- what must not be told
ROWS = 16


@pytest.fixture
def rows(rng: np.random.Generator) -> Array:
    return rng.normal(size=(ROWS, 6)).astype(np.float32)


@pytest.fixture
def model(workshop: Workshop, rng: np.random.Generator) -> Path:
    workshop.linear(rng.normal(size=(6, 4)))
    return workshop.folder / "model.onnx"


@pytest.fixture
def host(model: Path) -> Iterator[Host]:
    with hosting(model) as found:
        yield found


def connected(
    host: Host, environ: dict[str, str] | None = None, **more: object
) -> EndpointConnection:
    return open_endpoint(target(host, **more), environ=environ or {}, sleep=lambda seconds: None)


def target(host: Host, **settings: object) -> TargetSpec:
    declared = EndpointSpec(**{"url": host.url, "model": "tiny", **settings})
    return TargetSpec("prod", runtime="endpoint", time_limit=20.0, endpoint=declared)


def infer(connection: EndpointConnection, rows: Array) -> Array:
    return connection.ask({"op": "infer", "outputs": ["y"]}, {"x": rows}).arrays["y"]


def test_rows_beyond_the_limit_are_never_sent(host: Host, rows: Array) -> None:
    connection = connected(host, queries=40)
    infer(connection, rows)
    infer(connection, rows)
    with pytest.raises(LimitReachedError, match=r"16 more rows would be 48 of the 40") as caught:
        infer(connection, rows)
    assert sum(host.behaviour.rows) == 32
    infer(connection, rows[:8])
    assert sum(host.behaviour.rows) == 40
    assert not isinstance(caught.value, InvalidInputError)
    assert convert_error_to_gap(caught.value).reason is GapReason.OVER_BUDGET


def test_a_split_request_is_sent_whole_or_not_at_all(host: Host, rows: Array) -> None:
    connection = connected(host, queries=15, batch_limit=4)
    with pytest.raises(LimitReachedError):
        infer(connection, rows)
    assert host.behaviour.rows == []


def test_money_is_kept_to_before_it_is_spent(host: Host, rows: Array) -> None:
    connection = connected(host, spend=0.05, price_per_query=0.002)
    infer(connection, rows)
    with pytest.raises(LimitReachedError, match=r"cost to 0\.064, and 0\.05 may be spent"):
        infer(connection, rows)
    assert sum(host.behaviour.rows) == 16


def test_what_the_server_may_have_taken_counts_as_spent_again(host: Host, rows: Array) -> None:
    connection = connected(host, spend=16 * 0.01, price_per_query=0.01)
    host.behaviour.mishaps = [servers.status(429)]
    infer(connection, rows)
    assert sum(host.behaviour.rows) == 16
    connection = connected(host, spend=16 * 0.01, price_per_query=0.01)
    host.behaviour.mishaps = [servers.half_an_answer]
    with pytest.raises(LimitReachedError, match="may be spent"):
        infer(connection, rows)
    assert sum(host.behaviour.rows) == 16


def test_a_timing_that_would_break_the_limit_does_not_begin(host: Host, rows: Array) -> None:
    asked = {"op": "time", "calls": 10, "warmup": 2, "batch_rows": 4, "seconds": 10.0}
    connection = connected(host, queries=59)
    with pytest.raises(LimitReachedError, match="60 more rows"):
        connection.ask(asked, {"x": rows})
    assert host.behaviour.rows == []
    assert connected(host, queries=60).ask(asked, {"x": rows}).header["warmup"] == 2


def test_connections_that_share_an_allowance_keep_it_together(host: Host, rows: Array) -> None:
    spec = target(host, queries=20)
    assert spec.endpoint is not None
    shared = RowQuota(spec.endpoint)
    infer(open_endpoint(spec, environ={}, allowance=shared), rows)
    with pytest.raises(LimitReachedError):
        infer(open_endpoint(spec, environ={}, allowance=shared), rows)


def test_requests_keep_their_distance() -> None:
    now, began = [10.0], []

    def sleep(seconds: float) -> None:
        now[0] += seconds

    pace = RateLimit(4.0, lambda: now[0], sleep)
    for busy in (0.0, 0.1, 1.0, 0.0, 0.0):
        pace.wait()
        began.append(round(now[0], 6))
        now[0] += busy
    assert began == [10.0, 10.25, 10.5, 11.5, 11.75]


def test_no_rate_means_no_waiting() -> None:
    RateLimit(None, lambda: 0.0, lambda seconds: pytest.fail("it waits")).wait()


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"url": "ftp://x"}, r"no address 'ftp://x'.*http://host:port or https://host:port"),
        ({"url": "http://"}, "no address"),
        ({"url": "http://a:b@x"}, "holds a user or password"),
        ({"url": "http://x?key=s3cret"}, "has a query"),
        ({"url": "http://x:99999"}, "not a URL"),
        (
            {"url": "http://x", "protocol": EndpointProtocol.OIP_GRPC},
            "no address 'http://x'.*grpc://",
        ),
        ({"model": ""}, "no model is named"),
        (
            {"protocol": EndpointProtocol.HTTP_JSON, "model_version": "1"},
            "says nothing of versions, and `model_version` is '1'",
        ),
        ({"batch_limit": 0}, "batch_limit is 0"),
        ({"rate": 0.0}, "rate is 0"),
        ({"queries": -1}, "queries is -1"),
        ({"spend": 1.0}, "no price"),
        ({"spend": float("nan"), "price_per_query": 1.0}, "spend is nan"),
        ({"retries": -1}, "retries is -1"),
        ({"headers": {"Authorization": "TOKEN"}}, "variable TOKEN, which is not set"),
        ({"headers": {"Content-Length": "TOKEN"}}, "cannot be set"),
        ({"headers": {"a b": "TOKEN"}}, "cannot be set"),
        ({"url": "https://127.0.0.1", "ca": "/nowhere.pem"}, r"/nowhere\.pem cannot be read"),
    ],
    ids=str,
)
def test_what_cannot_be_kept_is_refused_before_anything_is_sent(
    host: Host, settings: dict[str, Any], match: str
) -> None:
    with pytest.raises(TargetError, match=match) as caught:
        assert connected(host, **settings).opened
    assert "s3cret" not in str(caught.value)
    assert host.behaviour.gets == []


def test_what_goes_wrong_with_a_server_is_a_gap_of_its_own() -> None:
    assert convert_error_to_gap(EndpointLostError("a", cure="b")).reason is GapReason.ENDPOINT_LOST
    assert (
        convert_error_to_gap(TargetChangedError("a", cure="b")).reason is GapReason.TARGET_CHANGED
    )


def test_a_target_without_an_endpoint_has_none_to_open() -> None:
    with pytest.raises(TargetError, match="names none"):
        open_endpoint(TargetSpec("prod", runtime="endpoint"))


def test_a_missing_library_is_named_with_its_cure(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, f"{served_model.HERE}.http", None)
    with pytest.raises(MissingExtraError, match=suggest_install("endpoint")):
        connected(host)


def test_a_secret_is_sent_and_never_told(
    host: Host, rows: Array, classes: Classes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.behaviour.token = SECRET
    host.behaviour.server_version = f"1.0 for {SECRET}"
    monkeypatch.setenv("ENDPOINT_TOKEN", SECRET + "\n")
    spec = target(host, headers={"Authorization": "ENDPOINT_TOKEN"})
    with open_model(spec, tmp_path, None, classes(4), rows) as model:
        model.predict(rows)
        told = f"{model.fingerprint} {model.connection.opened} {spec.to_json()}"
    assert "ENDPOINT_TOKEN" in told
    assert "s3cret" not in told


def test_a_secret_that_the_server_throws_back_is_hidden(host: Host) -> None:
    host.behaviour.token = "Bearer another"  # noqa: S105 -- not that of the target
    spec = target(host, headers={"Authorization": "T"})
    with pytest.raises(TargetError, match=r"401: .*the token \[hidden\] is not valid") as caught:
        assert open_endpoint(spec, environ={"T": SECRET}).opened
    chain, error = "", caught.value
    while error is not None:
        chain += repr(error) + repr(vars(error))
        error = error.__cause__
    assert "s3cret" not in chain


def test_a_header_of_two_lines_is_refused_without_its_value(host: Host) -> None:
    spec = target(host, headers={"Authorization": "T"})
    with pytest.raises(TargetError, match="variable T holds characters") as caught:
        open_endpoint(spec, environ={"T": "s3cret\r\nX: y"})
    assert "s3cret" not in str(caught.value)


def test_a_redirect_is_not_followed(host: Host, model: Path) -> None:
    with hosting(model) as other:
        moved = servers.status(302, Location=other.url + "/v2")
        host.behaviour.metadata_mishaps = [moved]
        with pytest.raises(TargetError, match=r"302.*sends us elsewhere"):
            assert connected(host, {"T": SECRET}, headers={"Authorization": "T"}).opened
        assert other.behaviour.seen_headers == []


def test_proxies_and_netrc_of_the_user_are_not_used(
    host: Host, rows: Array, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password s3cret", encoding="utf-8")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    infer(connected(host), rows)
    assert all("authorization" not in seen for seen in host.behaviour.seen_headers)


def test_tls_is_verified_by_the_roots_that_are_named(
    model: Path, rows: Array, tmp_path: Path
) -> None:
    trusted, context = certified(tmp_path, "own")
    stranger, _ = certified(tmp_path, "other")
    with hosting(model, context) as host:
        connection = connected(host, ca=str(trusted))
        truth = onnxruntime.InferenceSession(str(model)).run(None, {"x": rows})[0]
        assert np.array_equal(infer(connection, rows), truth)
        leaf = (tmp_path / "own-server.pem").read_bytes()
        digest = x509.load_pem_x509_certificate(leaf).fingerprint(hashes.SHA256()).hex()
        assert connection.opened.header["machine"]["certificate"] == f"sha256:{digest}"
        sent = len(host.behaviour.seen_headers)
        for ca in (None, str(stranger)):
            with pytest.raises(TargetError, match="not who it says it is"):
                assert connected(host, ca=ca).opened
        with pytest.raises(TargetError, match="not who it says it is"):
            assert connected(
                host, ca=str(trusted), url=host.url.replace("127.0.0.1", "localhost")
            ).opened
        assert len(host.behaviour.seen_headers) == sent


def test_another_certificate_is_another_target(model: Path, rows: Array, tmp_path: Path) -> None:
    trusted, context = certified(tmp_path, "own")
    renewed, second = certified(tmp_path, "new")
    bundle = tmp_path / "both.pem"
    bundle.write_bytes(trusted.read_bytes() + renewed.read_bytes())
    with hosting(model, context) as host:
        connection = connected(host, ca=str(bundle), retries=0)
        infer(connection, rows)
        host.stop()
        host.context = second
        host.start()
        with pytest.raises(TargetChangedError, match="server's certificate was 'sha256:"):
            infer(connection, rows)


@pytest.mark.parametrize("url", ["http://models.example/v2", "http://10.0.0.7:8080"])
def test_secrets_do_not_leave_this_machine_in_the_clear(url: str) -> None:
    spec = EndpointSpec(url=url, model="m", headers={"Authorization": "TOKEN"})
    with pytest.raises(TargetError, match="in the clear"):
        parse_endpoint_url(spec)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://localhost", "https://a.example"])
def test_secrets_may_go_to_this_machine_or_encrypted(url: str) -> None:
    spec = EndpointSpec(url=url, model="m", headers={"Authorization": "TOKEN"})
    assert parse_endpoint_url(spec).origin.startswith(url.split(":", maxsplit=1)[0])
