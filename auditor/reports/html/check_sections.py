"""Report section of the blocks that checks draw, or why a block is not shown."""

from collections.abc import Callable
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
from auditor.reports.rendering_inputs import ReportInputs
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
    made = []
    left = MOST_BYTES_OF_ALL
    for place, item in enumerate(list_block_sources(inputs)):
        if item.absent:
            made.append(RenderedBlock(item))
            continue
        written_place = f"block-{place}"
        try:
            block = request_block(inputs, item.seen)
            parts = split_block(block, item.seen.target, written_place, leave=inputs.show_examples)
            written, trouble = write(BlockPage(block, parts, written_place)), ""
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 -- what ends the program, or panics, leaves no report
            written, trouble = "", describe_block_error(error)
        size = count_octets(written)
        if size > min(left, MOST_BYTES):
            room = "all blocks" if size <= MOST_BYTES else "a block"
            most = MOST_BYTES_OF_ALL if size <= MOST_BYTES else MOST_BYTES
            trouble = f"it would take {size} bytes, and {room} may take {most}"
        else:
            left -= size
        made.append(
            RenderedBlock(item, trouble=trouble) if trouble else RenderedBlock(item, _safe(written))
        )
    found = tuple(made)
    drawn = tuple(item for item in found if not item.of.absent)
    absent = tuple(item for item in found if item.of.absent)
    shown = absent[:MOST_LINES]
    return BlockSection(drawn, shown, len(absent) - len(shown)) if found else None


def _safe(written: str) -> Markup:
    return Markup(written)  # noqa: S704 -- our own template escaped all that a block said
