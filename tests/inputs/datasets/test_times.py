import polars as pl
import pytest

from auditor.errors import DatasetError
from auditor.inputs.datasets.column_conversion import read_times
from auditor.inputs.datasets.raw_dataset import RawDataset

MARCH = 1_772_366_400.0
"""The first of March 2026, noon, in London."""


def source(column: pl.Series) -> RawDataset:
    return RawDataset(name="t.csv", rows=len(column), files=(), columns={"at": column})


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T12:00:00Z",
        "2026-03-01T13:00:00+01:00",
        "2026-03-01 12:00:00",
        " 2026-03-01T12:00:00 ",
    ],
)
def test_times_written_as_text_become_seconds(text: str) -> None:
    assert read_times(source(pl.Series("at", [text, text])), "at").tolist() == [MARCH, MARCH]


def test_days_begin_at_midnight() -> None:
    days = source(pl.Series("at", ["2026-03-01", "2026-03-02"]))
    assert read_times(days, "at").tolist() == [MARCH - 43_200, MARCH + 43_200]
    typed = source(pl.Series("at", ["2026-03-01", "2026-03-02"]).str.to_date())
    assert read_times(typed, "at").tolist() == [MARCH - 43_200, MARCH + 43_200]


def test_numbers_stay_as_the_file_counts_them() -> None:
    assert read_times(source(pl.Series("at", ["2015", "2018"])), "at").tolist() == [2015, 2018]
    assert read_times(source(pl.Series("at", [2015, 2018])), "at").tolist() == [2015, 2018]


def test_a_column_of_no_times_at_all_is_named_with_its_first_row() -> None:
    with pytest.raises(
        DatasetError, match=r"column 'at' has no time in row 1, and in 2 other rows"
    ):
        read_times(source(pl.Series("at", ["north", "south", "north"])), "at")


@pytest.mark.parametrize("text", [None, "someday"])
def test_a_row_without_a_time_is_named(text: str | None) -> None:
    with pytest.raises(DatasetError, match=r"t\.csv: column 'at' has no time in row 2"):
        read_times(source(pl.Series("at", ["2026-03-01", text])), "at")
