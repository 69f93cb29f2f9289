"""A service as its callers see it: upload, hand in, follow, fetch, and ask."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from auditor.client.fetching import fetch
from auditor.client.following import follow
from auditor.client.line import Call, Line
from auditor.client.orders import Order
from auditor.client.problems import read
from auditor.client.sending import Sending, lacks, send
from auditor.client.values import (
    GateAnswer,
    HeldSet,
    Offer,
    ServedDecision,
    ServedFile,
    ServedPolicy,
    Standing,
)
from auditor.domain.canonical import canonical
from auditor.domain.json_parts import Part
from auditor.domain.people import DecisionKind
from auditor.domain.submissions import Event

T = TypeVar("T")
Told = Callable[[int], None]


def nobody(_count: int) -> None:
    """Tell nobody how many bytes went over the line."""


class ServiceClient:
    """Calls a service. Every call is made again while the line is broken, and means the same then.

    All raise ``UnreachableError`` where nobody answers, ``RefusedError`` for what the service
    refuses, and ``ServiceFailedError`` for what it fails at.
    """

    def __init__(self, line: Line) -> None:
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

    def offer(self) -> Offer:
        """Return what the service audits on, and whether it runs recipes."""
        return self._get("/v1/targets", Offer.read)

    def policies(self) -> tuple[ServedPolicy, ...]:
        """Return the policies that come with the service."""
        return self._get("/v1/policies", lambda part: part.list_of("policies", ServedPolicy.read))

    def audits(self, *, state: str | None = None, model: str | None = None) -> Iterator[Standing]:
        """Yield the project's audits, the newest first."""
        wanted = {"state": state, "model": model}
        query = {name: text for name, text in wanted.items() if text is not None}
        while True:
            page, following = self._get("/v1/audits", _page, query)
            yield from page
            if not following:
                return
            query["cursor"] = following

    def held_sets(self) -> Iterator[HeldSet]:
        """Yield the sealed sets of the project, by their names."""
        query: dict[str, str] = {}
        while True:
            page, following = self._get("/v1/sealed-sets", _sets, query)
            yield from page
            if not following:
                return
            query["cursor"] = following

    def lacking(self, files: Sequence[Sending]) -> tuple[Sending, ...]:
        """Return those of ``files`` that the service lacks, once each."""
        named = {item.digest: item for item in files}
        return tuple(item for item in named.values() if lacks(self._line, item))

    def upload(self, files: Sequence[Sending], told: Told = nobody) -> None:
        """Send files; ``told`` hears how many bytes went."""
        for item in files:
            send(self._line, item, told)

    def submit(self, order: Order) -> Standing:
        """Hand an audit in, whose files were uploaded; one ``once`` makes one audit of it."""
        headers = {"Idempotency-Key": order.once, "Content-Type": "application/json"}
        call = Call("POST", "/v1/audits", headers=headers, body=canonical(order.to_json()))
        return read(self.url, self._line.ask(call).body, Standing.read)

    def standing(self, audit: str) -> Standing:
        """Return how far an audit is."""
        return self._get(f"/v1/audits/{audit}", Standing.read)

    def events(self, audit: str, last: int = 0) -> Iterator[Event]:
        """Yield an audit's events after number ``last`` as they happen, until it has ended."""
        return follow(self._line, audit, last)

    def wait(self, audit: str) -> Standing:
        """Return what an audit came to, once it has ended."""
        for _event in self.events(audit):
            pass
        return self.standing(audit)

    def files(self, audit: str) -> tuple[ServedFile, ...]:
        """Return the files of the folder of an audit that is done."""
        path = f"/v1/audits/{audit}/files"
        return self._get(path, lambda part: part.list_of("files", ServedFile.read))

    def download(self, audit: str, folder: Path, told: Told = nobody) -> None:
        """Write the files of an audit that is done below ``folder``, as listed and not verified.

        Raises also ``RecordError`` for what is no file of a record.
        """
        fetch(self._line, f"/v1/audits/{audit}/files", self.files(audit), folder, told)

    def download_record(self, record: str, folder: Path, told: Told = nobody) -> None:
        """Write the files of a record, by its digest, below ``folder``, as listed and not verified.

        Raises also ``RecordError`` for what is no file of a record.
        """
        path = f"/v1/records/{record}/files"
        files = self._get(path, lambda part: part.list_of("files", ServedFile.read))
        fetch(self._line, path, files, folder, told)

    def record_file(self, record: str, name: str) -> bytes:
        """Return one file of a record, by its digest."""
        return self._line.ask(Call("GET", f"/v1/records/{record}/files/{name}")).body

    def decide(self, kind: DecisionKind, bundle: bytes, key: bytes) -> ServedDecision:
        """Hand in what a person signed; sent again it means the same."""
        headers = {"Content-Type": "application/json"}
        body = canonical({"bundle": bundle.decode(), "key": key.decode()})
        call = Call("POST", f"/v1/{kind}s", headers=headers, body=body)
        return read(self.url, self._line.ask(call).body, ServedDecision.read)

    def file(self, audit: str, name: str) -> bytes:
        """Return one file of an audit that is done."""
        return self._line.ask(Call("GET", f"/v1/audits/{audit}/files/{name}")).body

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
    ) -> GateAnswer:
        """Ask whether a gate opens for the bytes under a digest, by a policy's digest."""
        wanted = {
            "target": target, "fingerprint": fingerprint, "max_age": max_age, "baseline": baseline
        }  # fmt: skip
        query = {name: text for name, text in wanted.items() if text is not None}
        asked = {"artifact": artifact, "policy": policy, **query}
        return self._get("/v1/gate", GateAnswer.read, asked)

    def _get(
        self, path: str, make: Callable[[Part], T], query: Mapping[str, str] | None = None
    ) -> T:
        answer = self._line.ask(Call("GET", path, query=query or {}))
        return read(self.url, answer.body, make)


def _sets(part: Part) -> tuple[tuple[HeldSet, ...], str]:
    return part.list_of("sealed_sets", HeldSet.read), part.get("next", str)


def _page(part: Part) -> tuple[tuple[Standing, ...], str]:
    return part.list_of("audits", Standing.read), part.get("next", str)
