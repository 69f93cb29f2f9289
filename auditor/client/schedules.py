"""The schedules of a service as its callers see them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from auditor.client.line import Call, Line
from auditor.client.problems import read
from auditor.domain.canonical import Json, canonical
from auditor.domain.json_parts import Part

T = TypeVar("T")
FOLDER = "/v1/schedules"
JSON = {"Content-Type": "application/json"}
Document = Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
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

    def __init__(self, line: Line) -> None:
        self._line = line

    def add(self, planned: Planned) -> Document:
        """Make a schedule, this once: a line that breaks meanwhile may have made it."""
        call = Call("POST", FOLDER, headers=JSON, body=canonical(planned.to_json()))
        return read(self._line.url, self._line.once(call).body, _whole)

    def all(self) -> Iterator[Document]:
        """Yield the project's schedules, the newest first."""
        return self._pages(FOLDER, "schedules")

    def one(self, name: str) -> Document:
        """Return a schedule as it stands."""
        return self._get(f"{FOLDER}/{name}", _whole)

    def change(self, name: str, verb: str) -> Document:
        """Let a schedule ``pause``, ``resume`` or ``end``; doing it twice is doing it once."""
        call = Call("POST", f"{FOLDER}/{name}/{verb}")
        return read(self._line.url, self._line.ask(call).body, _whole)

    def runs(self, name: str) -> Iterator[Document]:
        """Yield the runs of a schedule, the newest first."""
        return self._pages(f"{FOLDER}/{name}/runs", "runs")

    def _pages(self, path: str, name: str) -> Iterator[Document]:
        query: dict[str, str] = {}
        while True:
            page = self._get(path, _whole, query)
            part = Part(page, "page")
            yield from part.list_of(name, _whole)
            following = part.get("next", str)
            if not following:
                return
            query["cursor"] = following

    def _get(
        self, path: str, make: Callable[[Part], T], query: Mapping[str, str] | None = None
    ) -> T:
        return read(self._line.url, self._line.ask(Call("GET", path, query=query or {})).body, make)


def _whole(part: Part) -> Document:
    return part.value
