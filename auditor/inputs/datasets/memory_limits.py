"""Memory limits for data files, applied to declared sizes before anything is unpacked."""

from typing import NoReturn

from auditor.errors import DatasetError

MOST_BYTES = 8 * 2**30
"""Of one dataset in memory, however large its file."""
FREE_BYTES = 256 * 2**20
"""That much is read of any file, however small."""
RATIO = 64
"""A larger file may grow so many times: real data pack to a tenth, a bomb to a thousandth."""
RAGGED_RATIO = 256
"""The same for texts, which are all held as wide as the longest of them."""
COLUMN_BYTES = 4096
"""What a column costs, whatever is in it: a table of 200,000 columns and one row takes 1 GB."""
TEXT_BYTES = 16
"""What a cell costs at least that is text."""


def memory_limit_of(size: int, ratio: int = RATIO) -> int:
    """Return how many bytes of memory a file of ``size`` bytes may take."""
    return min(MOST_BYTES, max(FREE_BYTES, ratio * size))


def refuse_decompression_bomb(
    name: str, size: int, needed: int, *, ratio: int = RATIO, cure: str
) -> None:
    """Raise ``DatasetError`` where ``size`` bytes of a file would take ``needed`` bytes of memory.

    It is called before they do: no figure of a small file decides how much memory is asked for.
    """
    if needed > memory_limit_of(size, ratio):
        refuse_oversized(name, size, ratio=ratio, cure=cure)


def refuse_oversized(name: str, size: int, *, ratio: int = RATIO, cure: str) -> NoReturn:
    """Raise ``DatasetError`` for a file of ``size`` bytes that takes more memory than it may."""
    raise DatasetError(
        f"{name} takes more than {memory_limit_of(size, ratio):,} bytes of memory, the most that "
        f"is read of {size:,} bytes",
        cure=cure,
    )
