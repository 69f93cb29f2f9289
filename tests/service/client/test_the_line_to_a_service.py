"""The line to a service: broken, mended, refused, and never believed blindly."""

import hashlib
import io
from functools import partial
from pathlib import Path

import pytest
from scripted_services import Asked, Clock, serving

from auditor.errors import (
    AuditorError,
    RecordError,
    ServiceFailedError,
    ServiceRefusedError,
    ServiceUnreachableError,
    UsageError,
)
from auditor.service.client.api import ServiceClient, parse_event_data
from auditor.service.client.http import FIRST, LONGEST, ConnectionBackoff, HttpTransport
from auditor.service.client.uploads import UploadSource
from auditor.service.domain.submissions import UploadKind

AUDIT = "sub-" + "0a" * 12
LOST = ServiceUnreachableError("it is away", cure="Wait.")


def client(url: str, clock: Clock | None = None) -> ServiceClient:
    clock = clock or Clock()
    return ServiceClient(HttpTransport(url, "auk_key", seconds=20, pause=clock.pause, clock=clock))


def test_a_service_that_was_never_reached_is_not_waited_for() -> None:
    clock = Clock()
    with pytest.raises(ServiceUnreachableError):
        ConnectionBackoff(600, clock.pause, clock).lost(LOST)
    assert clock.pauses == []


def test_a_service_that_was_there_is_waited_for_ever_longer_and_not_for_ever() -> None:
    clock = Clock()
    patience = ConnectionBackoff(20, clock.pause, clock)
    patience.found()
    while clock.now < 20:
        patience.lost(LOST)
    with pytest.raises(ServiceUnreachableError):
        patience.lost(LOST)
    assert clock.pauses[0] == FIRST
    assert max(clock.pauses) == LONGEST
    assert 20 <= clock.now < 20 + LONGEST
    patience.found()
    patience.lost(LOST)
    assert clock.pauses[-1] == FIRST


def test_a_stream_of_events_is_read_as_the_standard_says() -> None:
    lines = [": still here", "", "id: 1", "event: x", "data: a", "data:b", "", "data: c"]
    assert list(parse_event_data(lines)) == ["a\nb"]


def event(number: int, kind: str) -> str:
    said = f'"submission":"{AUDIT}","number":{number},"at":"2026-01-01T00:00:00Z"'
    return f'id: {number}\ndata: {{{said},"kind":"{kind}","detail":{{}}}}\n\n'


def test_events_go_on_after_the_last_one_seen_when_the_line_breaks() -> None:
    def script(asked: Asked) -> None:
        last = int(asked.headers["Last-Event-ID"])
        if last == 0:
            asked.cut(event(1, "queued"), event(2, "running"), "id: 3\ndata: {")
        elif len(asked.server.calls) == 2:
            asked.answer(503)
        else:
            asked.answer(200, event(3, "done").encode())

    with serving(script) as service, client(service.url) as calls:
        found = [(item.number, item.kind) for item in calls.events(AUDIT)]
    assert found == [(1, "queued"), (2, "running"), (3, "done")]
    assert [call[2]["Last-Event-ID"] for call in service.calls] == ["0", "2", "2"]
    assert {call[2]["Authorization"] for call in service.calls} == {"Bearer auk_key"}


def test_an_upload_goes_on_from_where_the_service_stands_when_the_line_breaks() -> None:
    raw, parts = b"0123456789", list[bytes]()

    def script(asked: Asked) -> None:
        there = sum(map(len, parts))
        if asked.command == "HEAD":
            asked.answer(204 if there else 404, Upload_Offset=str(there))
            return
        assert int(asked.headers["Upload-Offset"]) == there
        parts.append(asked.rfile.read(4 if not there else len(raw) - there))
        if len(parts) > 1:
            asked.json({}, 201)

    digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
    file = UploadSource(kind=UploadKind.DATASET, digest=digest, name="a/.b c", size=10,
                        opened=partial(io.BytesIO, raw))  # fmt: skip
    with serving(script) as service, client(service.url) as calls:
        assert calls.lacking([file, file]) == (file,)
        calls.upload([file])
    assert parts == [b"0123", b"456789"]
    assert service.calls[-1][2]["Upload-Name"] == "b%20c"


ANSWERS: dict[str, tuple[int, type[AuditorError], str]] = {
    "unauthorized": (401, ServiceRefusedError, "it is unauthorized. Set AUDITOR_API_KEY"),
    "submission_invalid": (422, ServiceRefusedError, "it is submission_invalid. Mend it"),
    "error": (500, ServiceFailedError, "it is error. Mend it"),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_a_problem_becomes_an_error_with_its_cure(kind: str) -> None:
    status, error, words = ANSWERS[kind]
    with (
        serving(lambda asked: asked.problem(status, kind)) as service,
        client(service.url) as calls,
        pytest.raises(error, match=words),
    ):
        calls.offer()
    assert len(service.calls) == 1


@pytest.mark.parametrize("status", [200, 302, 404, 500])
def test_what_is_no_auditor_service_is_told_apart(status: int) -> None:
    with (
        serving(lambda asked: asked.answer(status, b"<html>", Location="/x")) as service,
        client(service.url) as calls,
        pytest.raises((ServiceRefusedError, ServiceFailedError)),
    ):
        calls.offer()
    assert len(service.calls) == 1


@pytest.mark.parametrize("name", ["../evil", "evidence/../../evil", "/etc/evil", "evil.sh"])
def test_no_file_is_written_under_a_name_that_no_record_has(name: str, tmp_path: Path) -> None:
    listed = {"files": [{"name": name, "digest": "sha256:" + "0" * 64, "size": 1}]}
    folder = tmp_path / "a" / "b"
    with (
        serving(lambda asked: asked.json(listed)) as service,
        client(service.url) as calls,
        pytest.raises(RecordError, match="is not a file of a record"),
    ):
        calls.download(AUDIT, folder)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_file_with_other_bytes_than_were_listed_is_refused(tmp_path: Path) -> None:
    digest = f"sha256:{hashlib.sha256(b'x').hexdigest()}"
    listed = {"files": [{"name": "record.json", "digest": digest, "size": 1}]}

    def script(asked: Asked) -> None:
        if asked.path.endswith("/files"):
            asked.json(listed)
        else:
            asked.answer(200, b"y")

    with serving(script) as service, client(service.url) as calls, pytest.raises(RecordError):
        calls.download(AUDIT, tmp_path)


@pytest.mark.parametrize("url", ["", "auditor.example.org", "ftp://a", "http://", "http://u:p@a"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="is not the address of a service"):
        HttpTransport(url, None)
