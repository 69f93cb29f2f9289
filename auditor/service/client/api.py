"""Client of the service API: uploads, submissions, progress events, records, and schedules.

Record files are checked against their listed digests. The event stream resumes after the last event
received.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote

from auditor.domain.digests import Digest
from auditor.domain.json import Json, JsonPart, encode_canonical
from auditor.errors import RecordError, ServiceUnreachableError
from auditor.reports.folder import FOLDERS, FORMS, HEX, MOST_BYTES, known_files
from auditor.service.client.http import HttpTransport, ServiceRequest, read_response
from auditor.service.client.responses import (
    AuditStatus,
    SealedSetSummary,
    ServedDecision,
    ServedFile,
    ServedGateAnswer,
    ServedPolicy,
    ServiceCapabilities,
)
from auditor.service.client.uploads import UploadSource, needs_upload, upload_file
from auditor.service.domain.people import DecisionKind
from auditor.service.domain.submissions import ENDED, AuditOrder, SubmissionEvent

T = TypeVar("T")
FOLDER = "/v1/schedules"
JSON = {"Content-Type": "application/json"}
Document = Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRequest:
    """A schedule as it is asked for; ``audit`` is the form that audits are handed in by."""

    name: str
    audit: Document
    cron: str | None
    on: Sequence[str]
    batch_role: str | None
    watch: str | None = None

    def to_json(self) -> dict[str, Json]:
        """Return the form that is sent."""
        said: dict[str, Json] = {"name": self.name, "audit": dict(self.audit), "on": list(self.on)}
        beside: dict[str, Json] = {
            "cron": self.cron, "batch_role": self.batch_role, "watch": self.watch,
        }  # fmt: skip
        return said | {name: text for name, text in beside.items() if text is not None}


class ScheduleClient:
    """Asks a service for schedules. All raise as ``ServiceClient`` does."""

    def __init__(self, line: HttpTransport) -> None:
        self._line = line

    def add(self, planned: ScheduleRequest) -> Document:
        """Make a schedule, this once: a line that breaks meanwhile may have made it."""
        call = ServiceRequest(
            "POST", FOLDER, headers=JSON, body=encode_canonical(planned.to_json())
        )
        return read_response(self._line.url, self._line.once(call).body, _whole)

    def all(self) -> Iterator[Document]:
        """Yield the project's schedules, the newest first."""
        return self._pages(FOLDER, "schedules")

    def one(self, name: str) -> Document:
        """Return a schedule as it stands."""
        return self._get(f"{FOLDER}/{name}", _whole)

    def change(self, name: str, verb: str) -> Document:
        """Let a schedule ``pause``, ``resume`` or ``end``; doing it twice is doing it once."""
        call = ServiceRequest("POST", f"{FOLDER}/{name}/{verb}")
        return read_response(self._line.url, self._line.ask(call).body, _whole)

    def runs(self, name: str) -> Iterator[Document]:
        """Yield the runs of a schedule, the newest first."""
        return self._pages(f"{FOLDER}/{name}/runs", "runs")

    def _pages(self, path: str, name: str) -> Iterator[Document]:
        query: dict[str, str] = {}
        while True:
            page = self._get(path, _whole, query)
            part = JsonPart(page, "page")
            yield from part.list_of(name, _whole)
            following = part.get("next", str)
            if not following:
                return
            query["cursor"] = following

    def _get(
        self, path: str, make: Callable[[JsonPart], T], query: Mapping[str, str] | None = None
    ) -> T:
        return read_response(
            self._line.url,
            self._line.ask(ServiceRequest("GET", path, query=query or {})).body,
            make,
        )


def _whole(part: JsonPart) -> Document:
    return part.value


STRANGE = "Check the address: an auditor service does not send this file."


def fetch_record_files(
    line: HttpTransport,
    where: str,
    files: Sequence[ServedFile],
    folder: Path,
    told: Callable[[int], None],
) -> None:
    """Write the files of a record, listed at the path ``where``, below ``folder``; ``told`` hears
    how many bytes came.

    Raises ``RecordError`` for a name that no record has and for other bytes than were listed, and
    as ``HttpTransport.ask``.
    """
    for item in files:
        if not _is_known(item.name) or not 0 <= item.size <= MOST_BYTES:
            raise RecordError(
                f"{line.url} sent {item.name[:80]!r}, which is not a file of a record",
                cure=STRANGE,
            )
        place = folder / item.name
        place.parent.mkdir(parents=True, exist_ok=True)
        line.trying(lambda item=item, place=place: _write(line, where, item, place))  # type: ignore[misc]  # bound at once
        told(item.size)


def _write(line: HttpTransport, where: str, item: ServedFile, place: Path) -> None:
    with place.open("wb") as file:
        seen, size = hashlib.sha256(), 0
        with line.stream(ServiceRequest("GET", f"{where}/{quote(item.name)}")) as response:
            for chunk in response.iter_bytes():
                size += len(chunk)
                if size > item.size:
                    break
                seen.update(chunk)
                file.write(chunk)
        found = Digest.of_hex(seen.hexdigest()) if size == item.size else f"of {size} bytes or more"
    if found != item.digest:
        raise RecordError(
            f"{line.url} sent {item.name} with the digest {found}, and lists {item.digest}",
            cure=STRANGE,
        )


def _is_known(name: str) -> bool:
    folder, slash, rest = name.partition("/")
    if not slash:
        return name in known_files() - FOLDERS
    return folder in FOLDERS and FORMS.get(folder, HEX).fullmatch(rest) is not None


NOTHING_MORE = 204


def stream_audit_events(
    line: HttpTransport, audit: str, last: int = 0
) -> Iterator[SubmissionEvent]:
    """Yield an audit's events after number ``last``, each once, until it has ended.

    Raises as ``HttpTransport.ask``.
    """
    while True:
        # Whoever stops a service ends its streams: that is no end of the audit.
        broken = ServiceUnreachableError(
            f"{line.url} closed the connection", cure="Check that the service runs."
        )
        try:
            with line.stream(_after(audit, last)) as response:
                if response.status_code == NOTHING_MORE:
                    return
                for raw in parse_event_data(response.iter_lines()):
                    event = read_response(line.url, raw.encode(), _event)
                    last = event.number
                    yield event
                    if event.kind in ENDED:
                        return
        except ServiceUnreachableError as error:
            broken = error
        line.lost(broken)


def _after(audit: str, last: int) -> ServiceRequest:
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(last)}
    return ServiceRequest("GET", f"/v1/audits/{audit}/events", headers=headers)


def _event(part: JsonPart) -> SubmissionEvent:
    return SubmissionEvent.from_json(part.value)


def parse_event_data(lines: Iterable[str]) -> Iterator[str]:
    """Yield the data of each event in a stream of lines (WHATWG HTML, server-sent events)."""
    found: list[str] = []
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            if name == "data":
                found.append(value.removeprefix(" "))
        elif found:
            yield "\n".join(found)
            found = []


Told = Callable[[int], None]


def ignore_progress(_count: int) -> None:
    """Tell nobody how many bytes went over the line."""


class ServiceClient:
    """Calls a service. Every call is made again while the line is broken, and means the same then.

    All raise ``ServiceUnreachableError`` where nobody answers, ``ServiceRefusedError`` for what the
    service refuses, and ``ServiceFailedError`` for what it fails at.
    """

    def __init__(self, line: HttpTransport) -> None:
        self._line = line

    @property
    def url(self) -> str:
        """The service's address."""
        return self._line.url

    def __enter__(self) -> Self:
        """Keep connections open."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        self._line.close()

    def offer(self) -> ServiceCapabilities:
        """Return what the service audits on, and whether it runs recipes."""
        return self._get("/v1/targets", ServiceCapabilities)

    def policies(self) -> tuple[ServedPolicy, ...]:
        """Return the policies that come with the service."""
        return self._get(
            "/v1/policies", lambda part: part.get("policies", tuple[ServedPolicy, ...])
        )

    def audits(
        self, *, state: str | None = None, model: str | None = None
    ) -> Iterator[AuditStatus]:
        """Yield the project's audits, the newest first."""
        wanted = {"state": state, "model": model}
        query = {name: text for name, text in wanted.items() if text is not None}
        while True:
            page, following = self._get("/v1/audits", _page, query)
            yield from page
            if not following:
                return
            query["cursor"] = following

    def held_sets(self) -> Iterator[SealedSetSummary]:
        """Yield the sealed sets of the project, by their names."""
        query: dict[str, str] = {}
        while True:
            page, following = self._get("/v1/sealed-sets", _sets, query)
            yield from page
            if not following:
                return
            query["cursor"] = following

    def lacking(self, files: Sequence[UploadSource]) -> tuple[UploadSource, ...]:
        """Return those of ``files`` that the service lacks, once each."""
        named = {item.digest: item for item in files}
        return tuple(item for item in named.values() if needs_upload(self._line, item))

    def upload(self, files: Sequence[UploadSource], told: Told = ignore_progress) -> None:
        """Send files; ``told`` hears how many bytes went."""
        for item in files:
            upload_file(self._line, item, told)

    def submit(self, order: AuditOrder, once: str) -> AuditStatus:
        """Hand an audit in, whose files were uploaded; one ``once`` makes one audit of it."""
        headers = {"Idempotency-Key": once, "Content-Type": "application/json"}
        call = ServiceRequest(
            "POST", "/v1/audits", headers=headers, body=encode_canonical(order.to_json())
        )
        return read_response(self.url, self._line.ask(call).body, AuditStatus)

    def standing(self, audit: str) -> AuditStatus:
        """Return how far an audit is."""
        return self._get(f"/v1/audits/{audit}", AuditStatus)

    def events(self, audit: str, last: int = 0) -> Iterator[SubmissionEvent]:
        """Yield an audit's events after number ``last`` as they happen, until it has ended."""
        return stream_audit_events(self._line, audit, last)

    def wait(self, audit: str) -> AuditStatus:
        """Return what an audit came to, once it has ended."""
        for _event in self.events(audit):
            pass
        return self.standing(audit)

    def files(self, audit: str) -> tuple[ServedFile, ...]:
        """Return the files of the folder of an audit that is done."""
        path = f"/v1/audits/{audit}/files"
        return self._get(path, lambda part: part.get("files", tuple[ServedFile, ...]))

    def download(self, audit: str, folder: Path, told: Told = ignore_progress) -> None:
        """Write the files of an audit that is done below ``folder``, as listed and not verified.

        Raises also ``RecordError`` for what is no file of a record.
        """
        fetch_record_files(self._line, f"/v1/audits/{audit}/files", self.files(audit), folder, told)

    def download_record(self, record: str, folder: Path, told: Told = ignore_progress) -> None:
        """Write the files of a record, by its digest, below ``folder``, as listed and not verified.

        Raises also ``RecordError`` for what is no file of a record.
        """
        path = f"/v1/records/{record}/files"
        files = self._get(path, lambda part: part.get("files", tuple[ServedFile, ...]))
        fetch_record_files(self._line, path, files, folder, told)

    def record_file(self, record: str, name: str) -> bytes:
        """Return one file of a record, by its digest."""
        return self._line.ask(ServiceRequest("GET", f"/v1/records/{record}/files/{name}")).body

    def decide(self, kind: DecisionKind, bundle: bytes, key: bytes) -> ServedDecision:
        """Hand in what a person signed; sent again it means the same."""
        headers = {"Content-Type": "application/json"}
        body = encode_canonical({"bundle": bundle.decode(), "key": key.decode()})
        call = ServiceRequest("POST", f"/v1/{kind}s", headers=headers, body=body)
        return read_response(self.url, self._line.ask(call).body, ServedDecision)

    def file(self, audit: str, name: str) -> bytes:
        """Return one file of an audit that is done."""
        return self._line.ask(ServiceRequest("GET", f"/v1/audits/{audit}/files/{name}")).body

    def report_key(self) -> bytes:
        """Return the public key (PEM) by which the service says that it signs records."""
        found: str = self._get("/.well-known/auditor-keys", lambda part: part.get("report", str))
        return found.encode()

    def gate(  # noqa: PLR0913 -- what a gate can ask
        self,
        artifact: str,
        policy: str,
        *,
        target: str | None = None,
        fingerprint: str | None = None,
        max_age: str | None = None,
        baseline: str | None = None,
    ) -> ServedGateAnswer:
        """Ask whether a gate opens for the bytes under a digest, by a policy's digest."""
        wanted = {
            "target": target, "fingerprint": fingerprint, "max_age": max_age, "baseline": baseline
        }  # fmt: skip
        query = {name: text for name, text in wanted.items() if text is not None}
        asked = {"artifact": artifact, "policy": policy, **query}
        return self._get("/v1/gate", ServedGateAnswer, asked)

    def _get(
        self,
        path: str,
        make: type[T] | Callable[[JsonPart], T],
        query: Mapping[str, str] | None = None,
    ) -> T:
        answer = self._line.ask(ServiceRequest("GET", path, query=query or {}))
        return read_response(self.url, answer.body, make)


def _sets(part: JsonPart) -> tuple[tuple[SealedSetSummary, ...], str]:
    return part.get("sealed_sets", tuple[SealedSetSummary, ...]), part.get("next", str)


def _page(part: JsonPart) -> tuple[tuple[AuditStatus, ...], str]:
    return part.get("audits", tuple[AuditStatus, ...]), part.get("next", str)
