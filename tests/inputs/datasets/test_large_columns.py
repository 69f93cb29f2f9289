"""Columns of many rows are read a block at a time, with the same answer."""

import numpy as np
import polars as pl
import pytest

from auditor.inputs.datasets.column_conversion import encode_column, to_row_names


@pytest.mark.parametrize(
    "column",
    [
        pl.Series(["b", " a ", None, "", "NaN", "b", "c"]),
        pl.Series([3, 1, None, 2, 3, 10, 1]),
        pl.Series([1.0, float("nan"), 2.5, None, 1.0, float("inf"), 3.0]),
        pl.Series([True, False, None, True, True, False, True]),
    ],
    ids=lambda column: str(column.dtype),
)
def test_codes_do_not_depend_on_the_size_of_blocks(column: pl.Series) -> None:
    whole, parts = (encode_column(column, "unknown", block) for block in (100, 2))
    assert parts.names == whole.names
    assert np.array_equal(parts.codes, whole.codes)
    assert tuple(parts)[2] == "unknown" or column[2] is not None


def test_names_do_not_depend_on_the_size_of_blocks() -> None:
    names = ["a", "bbb", "äé", "dd", "e"]
    held = np.asarray(to_row_names(pl.Series(names), 2))
    assert held.tolist() == names
    assert held.dtype == np.array(names).dtype
