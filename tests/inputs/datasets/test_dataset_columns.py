import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from auditor.inputs.datasets.column_conversion import normalize_label, to_texts

WHOLE = st.integers(-(2**53) + 1, 2**53 - 1)


@given(st.text())
def test_spelling_a_label_twice_changes_nothing(text: str) -> None:
    assert normalize_label(normalize_label(text)) == normalize_label(text)


@given(WHOLE)
def test_a_whole_number_is_spelled_alike_however_it_is_stored(number: int) -> None:
    written = {
        normalize_label(str(number)),
        normalize_label(str(float(number))),
        to_texts(pl.Series([number]))[0],
        to_texts(pl.Series([float(number)]))[0],
    }
    assert written == {str(number)}


@given(st.lists(st.none() | st.sampled_from(["", " ", "nan", "NaN", "a", "b c", "0", "None"])))
def test_blank_and_nan_are_missing_and_all_other_text_stays(values: list[str | None]) -> None:
    missing = (None, "", " ", "nan", "NaN")
    expected = [None if value in missing else value for value in values]
    assert to_texts(pl.Series(values, dtype=pl.String)).to_list() == expected


def test_fractions_keep_their_digits_and_infinity_is_missing() -> None:
    numbers = pl.Series([0.5, 2.0, float("nan"), float("inf"), None])
    assert to_texts(numbers).to_list() == ["0.5", "2", None, None, None]
    assert to_texts(pl.Series([0.1], dtype=pl.Float32)).to_list() == ["0.1"]
