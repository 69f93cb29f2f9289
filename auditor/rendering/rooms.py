"""How much of a record a page shows, so that it opens anywhere, whatever the record holds."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from auditor.rendering.cards import MOST_CARDS
from auditor.rendering.fitting import octets
from auditor.rendering.measurements import MOST_ROWS
from auditor.rendering.numbers import count

MOST_BYTES = 1_990_000
"""Of a page: a report is one file under 2 MB."""
LEFT_OUT = "This part does not fit into the page ({size} kB). What it shows is in the record."
SECTION = re.compile(
    r'<section id="(?P<name>[a-z-]+)">\n(?P<head><h2>[^<]*</h2>)\n.*?</section>', re.DOTALL
)
"""A part of a page; parts never lie in each other, and text from a record makes no markup."""
KEPT = frozenset({"findings", "verify"})
"""Parts that others point into, or that say how to check the page."""


@dataclass(frozen=True, slots=True)
class Room:
    """So many findings, measurements and characters of one text; ``pictures`` take the most."""

    cards: int
    rows: int
    text: int
    pictures: bool = True

    @property
    def said(self) -> str:
        """Say what a page leaves out that has less room than others; empty where it has most."""
        if self == ROOMS[0]:
            return ""
        pictures = "" if self.pictures else ", examples are not shown"
        return (
            "This record is larger than one page can show. Here are the worst "
            f"{self.cards} findings and the first {self.rows} measurements, texts are cut after "
            f"{count(self.text)} characters{pictures}. The whole stands in record.json, and what "
            "the policy and the owners wrote in the evidence."
        )


ROOMS = (
    Room(MOST_CARDS, MOST_ROWS, 4_000),
    Room(MOST_CARDS, 600, 600),
    Room(60, 300, 400),
    Room(30, 100, 250, pictures=False),
)


def fitted(page: Callable[[Room], str], most: int = MOST_BYTES) -> str:
    """Return the page with the most room that is no larger than ``most`` bytes in UTF-8.

    Where the least room is not enough, the largest parts are left out, which the page says there.
    """
    made = ""
    for room in ROOMS:
        made = page(room)
        if octets(made) <= most:
            return made
    return _without_the_largest(made, most)


def _without_the_largest(page: str, most: int) -> str:
    parts = [found for found in SECTION.finditer(page) if found["name"] not in KEPT]
    for part in sorted(parts, key=lambda found: -octets(found[0])):
        if octets(page) <= most:
            break
        page = page.replace(part[0], "\n".join(_emptied(part)), 1)
    return page


def _emptied(part: re.Match[str]) -> Iterator[str]:
    yield f'<section id="{part["name"]}">'
    yield part["head"]
    yield f"<p>{LEFT_OUT.format(size=count(octets(part[0]) // 1000))}</p>"
    yield "</section>"
