"""What a running service does by itself, again and again, beside answering calls."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from auditor.api.parts import Service
from auditor.desks import tend
from auditor.hooks.delivering import Courier
from auditor.people.following import Follower
from auditor.schedules.carrying import tick
from auditor.schedules.gathering import Gatherer
from auditor.schedules.watching import Watcher
from auditor.serving.scheduling import Earlier
from auditor.serving.sighting import Sighter


@dataclass(frozen=True, slots=True)
class Round:
    """Something to do every so many seconds, in a thread of its own."""

    name: str
    seconds: float
    act: Callable[[], None]


def rounds_of(service: Service, looks: Sighter) -> Sequence[Round]:
    """Return everything that a service does by itself, to look at its own targets once too."""
    return (
        Round("tending", 2.0, partial(tend, service.desk)),
        Round("following", 5.0, Follower(service.people).follow),
        Round("schedules", 2.0, partial(tick, service.schedules)),
        Round("watching", 30.0, Watcher(service.schedules).watch),
        Round("gathering", 5.0, Gatherer(service.schedules).gather),
        Round("sighting", 5.0, looks.look),
        Round("trends", 5.0, Earlier(service.store).note),
        Round("hooks", 1.0, Courier(service.hooks).deliver),
    )


@contextmanager
def made(
    rounds: Sequence[Round], stop: threading.Event, failed: Callable[[Exception], None]
) -> Iterator[None]:
    """Make the rounds as long as the block lasts; what one raises is told, and it goes on."""
    with ExitStack() as stack:
        for item in rounds:
            thread = threading.Thread(
                target=_again, args=(item, stop, failed), name=f"auditor-{item.name}", daemon=True
            )
            thread.start()
            stack.callback(thread.join)
        stack.callback(stop.set)
        yield


def _again(item: Round, stop: threading.Event, failed: Callable[[Exception], None]) -> None:
    while not stop.wait(item.seconds):
        try:
            item.act()
        except Exception as error:  # noqa: BLE001 -- the next round may find all well again
            failed(error)
