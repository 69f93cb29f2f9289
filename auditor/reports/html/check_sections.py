"""The section of the report that checks draw themselves: each block, or why it is not shown."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from markupsafe import Markup

from auditor.domain.blocks import Block
from auditor.rendering.blocks.asking import ask, fault
from auditor.rendering.blocks.bringing import Brought, brought
from auditor.rendering.blocks.drawing import Stretch, stretches
from auditor.rendering.fitting import octets
from auditor.rendering.inputs import RenderedInputs

MOST_BYTES, MOST_BYTES_OF_ALL = 120_000, 240_000
"""Of one block's markup, and of all in a page, which stays below 2 MB."""
MOST_LINES = 60
"""Of those that say only why nothing is shown."""


@dataclass(frozen=True, slots=True)
class Page:
    """What a block's template shows: ``place`` tells it from other blocks of the page."""

    block: Block
    stretches: tuple[Stretch, ...]
    place: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """A check's block as markup, or in words why it is not shown."""

    of: Brought
    markup: Markup | None = None
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Blocks:
    """What is shown under a head each, what cannot be in a line each, and how many more lines."""

    drawn: tuple[Drawn, ...]
    absent: tuple[Drawn, ...]
    more: int = 0


def blocks(inputs: RenderedInputs, write: Callable[[Page], str]) -> Blocks | None:
    """Return every block in the record's order; ``write`` makes escaped markup of a page.

    Whatever a block does wrong is said in its place. Returns ``None`` where there is nothing.
    """
    found = tuple(_drawn(inputs, write))
    drawn = tuple(item for item in found if not item.of.absent)
    absent = tuple(item for item in found if item.of.absent)
    shown = absent[:MOST_LINES]
    return Blocks(drawn, shown, len(absent) - len(shown)) if found else None


def _drawn(inputs: RenderedInputs, write: Callable[[Page], str]) -> Iterator[Drawn]:
    left = MOST_BYTES_OF_ALL
    for place, item in enumerate(brought(inputs)):
        if item.absent:
            yield Drawn(item)
            continue
        written, trouble = _written(inputs, item, f"block-{place}", write)
        size = octets(written)
        if size > min(left, MOST_BYTES):
            room = "all blocks" if size <= MOST_BYTES else "a block"
            most = MOST_BYTES_OF_ALL if size <= MOST_BYTES else MOST_BYTES
            trouble = f"it would take {size} bytes, and {room} may take {most}"
        else:
            left -= size
        yield Drawn(item, trouble=trouble) if trouble else Drawn(item, _safe(written))


def _written(
    inputs: RenderedInputs, item: Brought, place: str, write: Callable[[Page], str]
) -> tuple[str, str]:
    try:
        block = ask(inputs, item.seen)
        parts = stretches(block, item.seen.target, place, leave=inputs.show_examples)
        return write(Page(block, parts, place)), ""
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 -- what ends the program, or panics, leaves no report
        return "", fault(error)


def _safe(written: str) -> Markup:
    return Markup(written)  # noqa: S704 -- our own template escaped all that a block said
