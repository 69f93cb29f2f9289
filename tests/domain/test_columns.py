import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from auditor.domain.columns import Column

TEXTS = st.lists(st.text(max_size=3), max_size=20)


@given(TEXTS)
def test_a_column_reads_as_its_texts(texts: list[str]) -> None:
    column = Column.of(texts)
    assert list(column) == texts
    assert len(column) == len(texts)
    assert list(column.names) == sorted(set(texts))


@given(TEXTS, st.data())
def test_some_rows_of_a_column_have_only_their_own_names(
    texts: list[str], data: st.DataObject
) -> None:
    rows = data.draw(st.lists(st.integers(0, len(texts) - 1), max_size=9)) if texts else []
    taken = Column.of(texts).take(np.array(rows, dtype=np.int64))
    assert list(taken) == [texts[row] for row in rows]
    assert set(taken.names) == set(taken)


def test_a_slice_of_a_column_is_its_texts() -> None:
    assert Column.of(["b", "a", "b"])[1:] == ("a", "b")
    assert Column.of(["b", "a", "b"])[0] == "b"
