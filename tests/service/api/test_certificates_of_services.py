"""A service whose certificate only the caller knows is believed by SSL_CERT_FILE, here and away."""

import ssl
from pathlib import Path

import pytest
from scripted_services import Asked, serving
from walled_places import certificate

from auditor.errors import ServiceUnreachableError, UsageError
from auditor.service.client.http import HttpTransport, ServiceRequest

LOOK = ServiceRequest("GET", "/v1/targets")


def served(asked: Asked) -> None:
    asked.answer(200, b"{}")


def test_a_certificate_of_ones_own_is_believed_once_the_environment_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain, private = certificate(tmp_path, "127.0.0.1")
    with serving(served) as service:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, private)
        service.socket = context.wrap_socket(service.socket, server_side=True)
        url = service.url.replace("http:", "https:")
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        with pytest.raises(ServiceUnreachableError) as refused:
            HttpTransport(url, None, seconds=0).once(LOOK)
        assert "SSL_CERT_FILE" in refused.value.cure
        monkeypatch.setenv("SSL_CERT_FILE", str(chain))
        assert HttpTransport(url, None, seconds=0).once(LOOK).status == 200


def test_a_file_without_certificates_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    monkeypatch.setenv("SSL_CERT_FILE", str(empty))
    with pytest.raises(UsageError, match=r"empty\.pem"):
        HttpTransport("https://auditor.example.org", None)
