"""The section of the report that checks draw themselves: each block, or why it is not shown."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from markupsafe import Markup

from auditor.domain.report_blocks import ReportBlock
from auditor.reports.html.check_blocks import (
    BlockSegment,
    BlockSource,
    describe_block_error,
    list_block_sources,
    request_block,
    split_block,
)
from auditor.reports.inputs import ReportInputs
from auditor.reports.text_length import count_octets

MOST_BYTES, MOST_BYTES_OF_ALL = 120_000, 240_000
"""Of one block's markup, and of all in a page, which stays below 2 MB."""
MOST_LINES = 60
"""Of those that say only why nothing is shown."""


@dataclass(frozen=True, slots=True)
class BlockPage:
    """What a block's template shows: ``place`` tells it from other blocks of the page."""

    block: ReportBlock
    stretches: tuple[BlockSegment, ...]
    place: str


@dataclass(frozen=True, slots=True)
class RenderedBlock:
    """A check's block as markup, or in words why it is not shown."""

    of: BlockSource
    markup: Markup | None = None
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class BlockSection:
    """What is shown under a head each, what cannot be in a line each, and how many more lines."""

    drawn: tuple[RenderedBlock, ...]
    absent: tuple[RenderedBlock, ...]
    more: int = 0


def render_blocks(inputs: ReportInputs, write: Callable[[BlockPage], str]) -> BlockSection | None:
    """Return every block in the record's order; ``write`` makes escaped markup of a page.

    Whatever a block does wrong is said in its place. Returns ``None`` where there is nothing.
    """
    found = tuple(_drawn(inputs, write))
    drawn = tuple(item for item in found if not item.of.absent)
    absent = tuple(item for item in found if item.of.absent)
    shown = absent[:MOST_LINES]
    return BlockSection(drawn, shown, len(absent) - len(shown)) if found else None


def _drawn(inputs: ReportInputs, write: Callable[[BlockPage], str]) -> Iterator[RenderedBlock]:
    left = MOST_BYTES_OF_ALL
    for place, item in enumerate(list_block_sources(inputs)):
        if item.absent:
            yield RenderedBlock(item)
            continue
        written, trouble = _written(inputs, item, f"block-{place}", write)
        size = count_octets(written)
        if size > min(left, MOST_BYTES):
            room = "all blocks" if size <= MOST_BYTES else "a block"
            most = MOST_BYTES_OF_ALL if size <= MOST_BYTES else MOST_BYTES
            trouble = f"it would take {size} bytes, and {room} may take {most}"
        else:
            left -= size
        yield (
            RenderedBlock(item, trouble=trouble) if trouble else RenderedBlock(item, _safe(written))
        )


def _written(
    inputs: ReportInputs, item: BlockSource, place: str, write: Callable[[BlockPage], str]
) -> tuple[str, str]:
    try:
        block = request_block(inputs, item.seen)
        parts = split_block(block, item.seen.target, place, leave=inputs.show_examples)
        return write(BlockPage(block, parts, place)), ""
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 -- what ends the program, or panics, leaves no report
        return "", describe_block_error(error)


def _safe(written: str) -> Markup:
    return Markup(written)  # noqa: S704 -- our own template escaped all that a block said
