"""One request to a named address: not led elsewhere, not kept waiting, not flooded."""

import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from scripted_services import Asked, Service, serving
from walled_places import certificate

from auditor._http import NoResponseError, is_http_url, request_bytes

HOOK = "hooks.example.org"
Told = Callable[[bytes], None]


def answered(asked: Asked) -> None:
    asked.answer(200, b"0123456789")


def encrypted(service: Service, chain: Path, private: Path) -> str:
    """Let a service speak TLS, and return its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, private)
    service.socket = context.wrap_socket(service.socket, server_side=True)
    return str(service.server_address[1])


@contextmanager
def dripping(first: bytes, drop: bytes) -> Iterator[int]:
    """Answer one call by ``first``, and then by a drop now and then, for as long as it is heard."""

    def drip() -> None:
        line, _ = listening.accept()
        with line:
            line.sendall(first)
            for _ in range(400):
                time.sleep(0.05)
                try:
                    line.sendall(drop)
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as pool:
        told = pool.submit(drip)
        yield listening.getsockname()[1]
        told.result()


def test_a_response_is_cut_off_where_the_caller_said() -> None:
    with serving(answered) as service:
        assert request_bytes("GET", service.url, most_bytes=4).body == b"0123"
        assert request_bytes("GET", service.url, most_bytes=99).body == b"0123456789"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_an_answer_and_nobody_else_is_asked(status: int) -> None:
    with serving(answered) as other:
        with serving(lambda it: it.answer(status, b"", Location=other.url)) as service:
            found = request_bytes("POST", service.url, body=b"x", most_bytes=9)
        assert found.status == status
        assert other.calls == []


def test_what_is_compressed_all_the_same_comes_as_it_is() -> None:
    with serving(lambda it: it.answer(200, b"\x1f\x8b", Content_Encoding="gzip")) as service:
        assert request_bytes("GET", service.url, most_bytes=9).body == b"\x1f\x8b"
        assert service.calls[0][2]["Accept-Encoding"] == "identity"


def test_a_response_that_breaks_off_is_none() -> None:
    with (
        serving(lambda it: it.cut("begun")) as service,
        pytest.raises(NoResponseError),
    ):
        request_bytes("GET", service.url, most_bytes=99)


@pytest.mark.parametrize(
    ("first", "drop"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
    ],
)
def test_a_server_that_never_comes_to_an_end_is_given_up(first: bytes, drop: bytes) -> None:
    late = pytest.raises(NoResponseError, match="no whole answer came in time")
    with dripping(first, drop) as port, late:
        request_bytes("GET", f"http://127.0.0.1:{port}/", most_bytes=9999, seconds=0.4)


def test_a_connection_to_an_address_asks_for_the_host_of_the_url() -> None:
    with serving(answered) as service:
        port = service.server_address[1]
        url = f"http://{HOOK}:{port}/a/../b%20c?d=%7C"
        request_bytes("GET", url, most_bytes=9, address="127.0.0.1")
    ((_, path, headers),) = service.calls
    assert headers["Host"] == f"{HOOK}:{port}"
    assert path.endswith("b%20c?d=%7C")


def test_a_certificate_is_of_the_host_wherever_the_connection_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain, private = certificate(tmp_path, HOOK)
    monkeypatch.setenv("SSL_CERT_FILE", str(chain))
    with serving(answered) as service:
        port = encrypted(service, chain, private)
        ask = {"most_bytes": 9, "address": "127.0.0.1"}
        assert request_bytes("GET", f"https://{HOOK}:{port}/", **ask).status == 200  # type: ignore[arg-type]
        for other in ("elsewhere.example.org", "127.0.0.1"):
            with pytest.raises(NoResponseError, match="CERTIFICATE_VERIFY_FAILED"):
                request_bytes("GET", f"https://{other}:{port}/", **ask)  # type: ignore[arg-type]


def test_a_proxy_is_not_asked_for_this_machine_nor_for_an_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving(answered) as service, serving(answered) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        request_bytes("GET", service.url, most_bytes=9)
        hook = f"http://{HOOK}:{service.server_address[1]}/"
        request_bytes("GET", hook, most_bytes=9, address="127.0.0.1")
        assert (len(service.calls), len(proxy.calls)) == (2, 0)
        request_bytes("GET", hook, most_bytes=9)
        assert (len(service.calls), len(proxy.calls)) == (2, 1)


def test_a_proxy_that_cannot_be_spoken_to_is_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "gopher://127.0.0.1:1")
    with pytest.raises(NoResponseError, match="gopher"):
        request_bytes("GET", "http://tsa.example.org/", most_bytes=9)


@pytest.mark.parametrize("url", ["ftp://a/", "http://", "file:///etc/passwd", "https://[::1", "a"])
def test_what_is_no_address_of_a_server_is_told_apart(url: str) -> None:
    assert not is_http_url(url)


def test_a_command_that_calls_nobody_starts_without_the_library() -> None:
    asks = "import sys, auditor.cli.main, auditor._http; print('httpx' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", asks], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False"]
