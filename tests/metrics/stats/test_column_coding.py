from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.domain.artifacts import FileDigest
from auditor.domain.datasets import Dataset, DatasetRole
from auditor.domain.tasks import Array
from auditor.metrics.stats.slice_lattices import (
    CodedColumn,
    ColumnCoding,
    code_columns,
    code_texts,
    code_values,
)

FIVE = 5


def coding(rows: int, *, bins: int = FIVE, categories: int = 20) -> ColumnCoding:
    return ColumnCoding(np.ones(rows, dtype=np.bool_), bins, categories)


def told(column: CodedColumn) -> list[str]:
    return [column.names[code] if code < len(column.names) else "-" for code in column.codes]


def lies_in(value: float, name: str) -> bool:
    """Whether a number lies where the name of its level says."""
    low, _, high = name.rpartition("below ")
    if name.endswith(" or more"):
        return value >= float(name.removesuffix(" or more"))
    return value < float(high) and (not low or value >= float(low.removesuffix(" to ")))


def test_categories_keep_their_names() -> None:
    texts = ["red", "green", "red", "unknown"]
    assert told(code_texts(texts, coding(4))) == texts


def test_categories_that_few_rows_have_lose_their_name() -> None:
    texts = ["a"] * 5 + ["b"] * 4 + ["c"] + ["d"] * 3
    found = code_texts(texts, coding(13, categories=2))
    assert found.names == ("a", "b")
    assert told(found) == ["a"] * 5 + ["b"] * 4 + ["-"] * 4


def test_the_rows_held_out_have_no_say_in_names_and_edges() -> None:
    seen = np.arange(40) < 20
    ages = [str(age) for age in range(40)]
    half = replace(coding(40, categories=1), seen=seen)
    changed = ages[:20] + ["99"] * 20
    assert code_texts(ages, half).names == code_texts(changed, half).names
    colours = ["a"] * 20 + ["b"] * 20
    assert code_texts(colours, half).names == ("a",)


def test_texts_that_are_numbers_are_cut_into_bins_of_like_size() -> None:
    ages = [str(age) for age in range(18, 118)]
    found = code_texts([*ages, "unknown"], coding(101))
    assert found.names == (
        "below 38",
        "38 to below 58",
        "58 to below 78",
        "78 to below 98",
        "98 or more",
        "unknown",
    )
    assert told(found)[-1] == "unknown"
    assert np.bincount(found.codes).tolist() == [20, 20, 20, 20, 20, 1]


def test_numbers_of_few_values_are_categories() -> None:
    assert code_texts(["3", "1", "3", "2"], coding(4)).names == ("1", "2", "3")
    flags = code_values(np.array([0.0, 1.0, np.nan]), coding(3), category=False)
    assert flags.names == ("0", "1", "unknown")


def test_a_column_said_to_be_a_category_is_not_cut() -> None:
    codes = np.arange(8.0)
    assert code_values(codes, coding(8), category=True).names == tuple("01234567")
    assert len(code_values(codes, coding(8), category=False).names) == FIVE


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=8, max_size=60),
    st.integers(1, 9),
)
def test_every_number_lies_where_its_level_says(values: list[float], bins: int) -> None:
    found = code_values(np.array(values), coding(len(values), bins=bins), category=False)
    for value, name in zip(values, told(found), strict=True):
        if "below " in name or " or more" in name:
            assert lies_in(value, name)
        elif name not in {"-", "any number"}:
            assert float(name) == value


def test_edges_that_differ_in_the_tenth_digit_stay_apart() -> None:
    moments = np.arange(1_700_000_000.0, 1_700_000_100.0)
    found = code_values(moments, coding(100), category=False)
    assert np.bincount(found.codes).tolist() == [20, 20, 20, 20, 20]
    assert found.names[0] == "below 1700000020"


WHOLE = Dataset(
    role=DatasetRole.EVALUATION,
    files=(FileDigest("x.csv", 1, "0" * 64),),
    inputs=np.array([[1.0, 7.0, 1.0], [2.0, 7.0, 2.0]]),
    labels=None,
    ids=("1", "2"),
    features=("age", "same", "sex"),
    groups={"sex": ("f", "m")},
    slices={"city": ("x", "y")},
)


def test_groups_slices_and_inputs_are_columns_and_each_name_is_one() -> None:
    found = code_columns(WHOLE, coding(2), inputs=True)
    assert {name: told(column) for name, column in found.items()} == {
        "city": ["x", "y"],
        "sex": ["f", "m"],
        "age": ["1", "2"],
    }
    assert list(code_columns(WHOLE, coding(2), inputs=False)) == ["city", "sex"]


def test_pictures_and_texts_have_no_columns() -> None:
    others: tuple[Array | None, ...] = (np.zeros((2, 1, 4, 4)), np.array(["a", "b"]), None)
    for inputs in others:
        other = replace(WHOLE, inputs=inputs, groups={}, slices={})
        assert code_columns(other, coding(2), inputs=True) == {}


def test_more_levels_than_a_code_can_hold_are_refused() -> None:
    with pytest.raises(ValueError, match="from 1 to 254"):
        coding(3, bins=255)
    with pytest.raises(ValueError, match="from 1 to 254"):
        coding(3, categories=0)
