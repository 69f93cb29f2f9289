"""Follow an audit as server-sent events, from the last one seen after the line broke."""

from collections.abc import Iterable, Iterator

from auditor.client.line import Call, Line
from auditor.client.problems import read
from auditor.domain.json_parts import Part
from auditor.domain.submissions import ENDED, Event
from auditor.refusals import UnreachableError

NOTHING_MORE = 204


def follow(line: Line, audit: str, last: int = 0) -> Iterator[Event]:
    """Yield an audit's events after number ``last``, each once, until it has ended.

    Raises as ``Line.ask``.
    """
    while True:
        # Whoever stops a service ends its streams: that is no end of the audit.
        broken = UnreachableError(f"{line.url} broke off", cure="See that it runs.")
        try:
            with line.stream(_after(audit, last)) as response:
                if response.status_code == NOTHING_MORE:
                    return
                for raw in data(response.iter_lines()):
                    event = read(line.url, raw.encode(), _event)
                    last = event.number
                    yield event
                    if event.kind in ENDED:
                        return
        except UnreachableError as error:
            broken = error
        line.lost(broken)


def _after(audit: str, last: int) -> Call:
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(last)}
    return Call("GET", f"/v1/audits/{audit}/events", headers=headers)


def _event(part: Part) -> Event:
    return Event.from_json(part.value)


def data(lines: Iterable[str]) -> Iterator[str]:
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
