import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from auditor.domain.datasets import TextColumn, intersect_columns

TEXTS = st.lists(st.text(max_size=3), max_size=20)


@given(TEXTS)
def test_a_column_reads_as_its_texts(texts: list[str]) -> None:
    column = TextColumn.of(texts)
    assert list(column) == texts
    assert len(column) == len(texts)
    assert list(column.names) == sorted(set(texts))


@given(TEXTS, st.data())
def test_some_rows_of_a_column_have_only_their_own_names(
    texts: list[str], data: st.DataObject
) -> None:
    rows = data.draw(st.lists(st.integers(0, len(texts) - 1), max_size=9)) if texts else []
    taken = TextColumn.of(texts).take(np.array(rows, dtype=np.int64))
    assert list(taken) == [texts[row] for row in rows]
    assert set(taken.names) == set(taken)


def test_a_slice_of_a_column_is_its_texts() -> None:
    assert TextColumn.of(["b", "a", "b"])[1:] == ("a", "b")
    assert TextColumn.of(["b", "a", "b"])[0] == "b"


PAIRS = st.lists(st.tuples(st.sampled_from(["a", "b", "?"]), st.sampled_from("xyz")), min_size=1)


@given(PAIRS)
def test_an_intersection_joins_the_texts_of_a_row_unless_one_is_unknown(
    rows: list[tuple[str, str]],
) -> None:
    one, other = zip(*rows, strict=True)
    found = intersect_columns([TextColumn.of(one), TextColumn.of(other)], "?")
    assert list(found) == ["?" if first == "?" else f"{first}, {second}" for first, second in rows]
    assert list(found.names) == sorted(set(found))
