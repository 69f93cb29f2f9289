"""HTTP client of an agent for the service API, with retries and a cache of fetched blobs.

All calls except the heartbeat are retried. The cache is limited in size and evicts the least
recently used blobs.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from auditor.domain.digests import Digest
from auditor.domain.json import Json, JsonPart, encode_canonical
from auditor.errors import RecordError, StoreError
from auditor.service.agent.assignment import AgentAssignment
from auditor.service.client.http import HttpTransport, ServiceRequest, read_response
from auditor.service.domain.agents import LeaseProgress
from auditor.store.blobs_s3 import BlobCache

CHUNK = 2**20
NOTHING = 204
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class RenewalResponse:
    """Whether there is a reason to go on, and whether the lease is over all the same."""

    go_on: bool
    lapsed: bool


@dataclass(frozen=True, slots=True)
class AgentClient:
    """The calls of one agent over one line. All raise as ``HttpTransport.ask`` does."""

    line: HttpTransport
    agent: str

    def hello(self, code: str, targets: tuple[str, ...], probes: Mapping[str, Json]) -> None:
        """Say that the agent starts. Raises ``ServiceRefusedError`` for other code than the
        service's.
        """
        said: dict[str, Json] = {"code": code, "targets": list(targets), "probes": dict(probes)}
        self.line.ask(self._post("hello", said))

    def lease(self, code: str, wait: int) -> AgentAssignment | None:
        """Ask for something to do, and wait so many seconds for it."""
        answer = self.line.ask(self._post("lease", {"code": code, "wait": wait}))
        return (
            None
            if answer.status == NOTHING
            else read_response(self.line.url, answer.body, AgentAssignment)
        )

    def blob(self, digest: str, place: Path) -> None:
        """Fetch a blob into a file, from where that ends."""
        self.line.trying(partial(self._fetch, digest, place))

    def evidence(self, digest: str, place: Path) -> None:
        """Send a file as a blob of evidence."""
        self.line.trying(partial(self._send, digest, place))

    def progress(self, lease: str, told: LeaseProgress | None) -> RenewalResponse:
        """Say that the agent is at work; this once, whatever comes of it."""
        said: dict[str, Json] = {}
        if told is not None:
            said = {"done": told.done, "total": told.total, "note": told.note[:200]}
        answer = self.line.once(self._post(f"leases/{lease}/progress", said))
        return read_response(self.line.url, answer.body, _going)

    def result(self, lease: str, shard: bytes, bundle: bytes) -> None:
        """Hand in what a check saw, and its signature."""
        said: dict[str, Json] = {"shard": shard.decode(), "bundle": bundle.decode()}
        self.line.ask(self._post(f"leases/{lease}/result", said))

    def failed(self, lease: str, problem: str, cure: str) -> None:
        """Give a lease back."""
        said: dict[str, Json] = {"problem": problem[:2000] or "it failed", "cure": cure[:2000]}
        self.line.ask(self._post(f"leases/{lease}/failed", said))

    def _post(self, what: str, said: Mapping[str, Json]) -> ServiceRequest:
        return ServiceRequest(
            "POST", f"{self._own}/{what}", headers=JSON, body=encode_canonical(said)
        )

    @property
    def _own(self) -> str:
        return f"/v1/agents/{self.agent}"

    def _fetch(self, digest: str, place: Path) -> None:
        try:
            opened = place.open("ab")
        except OSError as error:
            raise StoreError(
                f"{place} cannot be written: {error.strerror}",
                cure="Free disk space in the folder of the cache.",
            ) from None
        with opened as file:
            there = file.tell()
            headers = {"Range": f"bytes={there}-"} if there else {}
            call = ServiceRequest(
                "GET", f"{self._own}/blobs/{digest}", headers=headers, expected=WHOLE
            )
            with self.line.stream(call) as response:
                if response.status_code in WHOLE:
                    return
                if there and "content-range" not in response.headers:
                    file.truncate(0)
                for chunk in response.iter_bytes():
                    file.write(chunk)

    def _send(self, digest: str, place: Path) -> None:
        headers = {"Content-Length": str(place.stat().st_size)}
        call = ServiceRequest(
            "PUT", f"{self._own}/evidence/{digest}", headers=headers, body=_chunks(place)
        )
        self.line.once(call)


WHOLE = frozenset({416})
"""The status of a file whose end was reached before."""


def _chunks(place: Path) -> Iterator[bytes]:
    with place.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _going(part: JsonPart) -> RenewalResponse:
    return RenewalResponse(part.get("go_on", bool), part.get("lapsed", bool))


Fetch = Callable[[str, Path], None]
PRIVATE_FOLDER = 0o700
PARTS = ".part-"
STALE = 86400.0
"""Seconds after which a part that nobody went on with is removed."""


@dataclass(frozen=True, slots=True)
class AgentBlobCache:
    """Blobs in a cache, and the parts of those that broke off while they were fetched."""

    cache: BlobCache

    def get(self, digest: str, fetch: Fetch) -> bytes:
        """Return a blob, which ``fetch`` writes into a file where it is not here, or is damaged.

        Raises ``RecordError`` for bytes of another digest, and as ``fetch`` does.
        """
        return self.find(digest, fetch).read_bytes()

    def find(self, digest: str, fetch: Fetch) -> Path:
        """Return the file of a blob, fetched as ``get`` does. Raises as ``get``."""
        if self.cache.find(digest) is None or not self.cache.folder.whole(digest):
            self._fetch(digest, fetch)
        return self.cache.folder.path(digest)

    def _fetch(self, digest: str, fetch: Fetch) -> None:
        root = self.cache.root
        root.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        part = root / f"{PARTS}{Digest(digest).hex}"
        fetch(digest, part)
        if not self.cache.take(part, digest):
            part.unlink()
            raise RecordError(
                f"the service sent bytes with another digest than {digest}",
                cure="Report this to the operator of the service: its blobs are damaged.",
            )
        long_ago = time.time() - STALE
        for path in self.cache.root.glob(f"{PARTS}*"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < long_ago:
                    path.unlink()
