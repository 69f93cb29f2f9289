"""What an agent calls a service for; every call but a sign of life is made again while it fails."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from auditor.agent.assigned import Assigned
from auditor.client.line import Call, Line
from auditor.client.problems import read
from auditor.domain.agents import Progress
from auditor.domain.canonical import Json, canonical
from auditor.domain.json_parts import Part
from auditor.errors import StoreError

CHUNK = 2**20
NOTHING = 204
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Going:
    """Whether there is a reason to go on, and whether the lease is over all the same."""

    go_on: bool
    lapsed: bool


@dataclass(frozen=True, slots=True)
class AgentCalls:
    """The calls of one agent over one line. All raise as ``Line.ask`` does."""

    line: Line
    agent: str

    def hello(self, code: str, targets: tuple[str, ...], probes: Mapping[str, Json]) -> None:
        """Say that the agent starts. Raises ``RefusedError`` for other code than the service's."""
        said: dict[str, Json] = {"code": code, "targets": list(targets), "probes": dict(probes)}
        self.line.ask(self._post("hello", said))

    def lease(self, code: str, wait: int) -> Assigned | None:
        """Ask for something to do, and wait so many seconds for it."""
        answer = self.line.ask(self._post("lease", {"code": code, "wait": wait}))
        return None if answer.status == NOTHING else read(self.line.url, answer.body, Assigned.read)

    def blob(self, digest: str, place: Path) -> None:
        """Fetch a blob into a file, from where that ends."""
        self.line.trying(partial(self._fetch, digest, place))

    def evidence(self, digest: str, place: Path) -> None:
        """Send a file as a blob of evidence."""
        self.line.trying(partial(self._send, digest, place))

    def progress(self, lease: str, told: Progress | None) -> Going:
        """Say that the agent is at work; this once, whatever comes of it."""
        said: dict[str, Json] = {}
        if told is not None:
            said = {"done": told.done, "total": told.total, "note": told.note[:200]}
        answer = self.line.once(self._post(f"leases/{lease}/progress", said))
        return read(self.line.url, answer.body, _going)

    def result(self, lease: str, shard: bytes, bundle: bytes) -> None:
        """Hand in what a check saw, and its signature."""
        said: dict[str, Json] = {"shard": shard.decode(), "bundle": bundle.decode()}
        self.line.ask(self._post(f"leases/{lease}/result", said))

    def failed(self, lease: str, problem: str, cure: str) -> None:
        """Give a lease back."""
        said: dict[str, Json] = {"problem": problem[:2000] or "it failed", "cure": cure[:2000]}
        self.line.ask(self._post(f"leases/{lease}/failed", said))

    def _post(self, what: str, said: Mapping[str, Json]) -> Call:
        return Call("POST", f"{self._own}/{what}", headers=JSON, body=canonical(said))

    @property
    def _own(self) -> str:
        return f"/v1/agents/{self.agent}"

    def _fetch(self, digest: str, place: Path) -> None:
        with _opened(place) as file:
            there = file.tell()
            headers = {"Range": f"bytes={there}-"} if there else {}
            call = Call("GET", f"{self._own}/blobs/{digest}", headers=headers, expected=WHOLE)
            with self.line.stream(call) as response:
                if response.status_code in WHOLE:
                    return
                if there and "content-range" not in response.headers:
                    file.truncate(0)
                for chunk in response.iter_bytes():
                    file.write(chunk)

    def _send(self, digest: str, place: Path) -> None:
        headers = {"Content-Length": str(place.stat().st_size)}
        call = Call("PUT", f"{self._own}/evidence/{digest}", headers=headers, body=_chunks(place))
        self.line.once(call)


WHOLE = frozenset({416})
"""The status of a file whose end was reached before."""


def _opened(place: Path) -> BinaryIO:
    try:
        return place.open("ab")
    except OSError as error:
        raise StoreError(
            f"{place} cannot be written: {error.strerror}", cure="Make room in --cache's folder."
        ) from None


def _chunks(place: Path) -> Iterator[bytes]:
    with place.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _going(part: Part) -> Going:
    return Going(part.get("go_on", bool), part.get("lapsed", bool))
