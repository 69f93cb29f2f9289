"""The names of rows, held once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.domain.datasets import RowNames
from auditor.domain.evidence import encode_evidence

TEXTS = st.lists(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=1
)


@given(TEXTS)
def test_names_read_as_the_sequence_of_their_texts(texts: list[str]) -> None:
    names = RowNames(np.array(texts))
    assert names == texts
    assert list(names) == texts
    assert names[-1] == texts[-1]
    assert names[1:] == tuple(texts[1:])
    assert names != [*texts, "one more"]
    assert names != ["another", *texts[1:]] or texts[0] == "another"


@given(TEXTS)
def test_evidence_of_names_is_that_of_a_tuple_of_them(texts: list[str]) -> None:
    assert encode_evidence(np.asarray(RowNames(np.array(texts)))) == encode_evidence(
        np.array(tuple(texts))
    )


def test_rows_are_numbered_from_one() -> None:
    assert RowNames.numbered(11) == tuple(str(row) for row in range(1, 12))
    assert np.asarray(RowNames.numbered(11)).dtype == np.array(("11",)).dtype


def test_all_who_keep_the_names_hold_the_same_memory() -> None:
    names = RowNames.numbered(5)
    assert np.shares_memory(np.asarray(names), np.asarray(names, dtype=np.str_))
    assert not np.shares_memory(np.asarray(names), np.array(names))


def test_nobody_writes_to_the_names() -> None:
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(RowNames.numbered(5))[0] = "0"
