"""Texts: the one column that a text model reads."""

import numpy as np

from auditor.datasets.columns import others, refuse_ragged
from auditor.datasets.sources import Source
from auditor.domain.tasks import Array
from auditor.errors import DatasetError

MOST_CHARACTERS = 20_000
"""Of one text: all texts of a dataset are held as wide as the longest."""
NOTHING = "\0"


def read_texts(source: Source, name: str) -> Array:
    """Return a column as ``[n]`` texts of dtype str, letter for letter as the file has them.

    An empty text is a text. Raises ``DatasetError`` for a column of numbers, a missing text, one
    of more than ``MOST_CHARACTERS`` characters, and one with a NUL, where others would cut it off.
    """
    column = source.column(name)
    if str(column.dtype) not in {"String", "Categorical", "Enum"}:
        raise DatasetError(
            f"{source.name}: column {name!r} holds {column.dtype}, not text",
            cure="Name the column of texts as input.text, or remove input.text.",
        )
    found = column.cast(str).to_list()
    for problem, cure, bad in (
        ("has no text", "Fill it in, or leave the row out.", [text is None for text in found]),
        ("holds a NUL character", "Remove it.", [NOTHING in (text or "") for text in found]),
        (
            f"holds more than {MOST_CHARACTERS:,} characters",
            "Cut the texts as the deployed system would.",
            [len(text or "") > MOST_CHARACTERS for text in found],
        ),
    ):
        rows = np.flatnonzero(bad)
        if rows.size:
            raise DatasetError(
                f"{source.name}: column {name!r}, {source.row(int(rows[0]))}: {problem}"
                f"{others(rows.size)}",
                cure=cure,
            )
    refuse_ragged(source, name, len(found), max(map(len, found), default=0))
    return np.array(found, dtype=np.str_)
