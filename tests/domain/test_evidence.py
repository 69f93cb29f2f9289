"""Evidence blobs: equal items give equal bytes and come back as they were."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from auditor.domain.evidence import decode_evidence, encode_evidence

ARRAYS = hnp.arrays(
    st.sampled_from([np.dtype(name) for name in ("<f8", "<f4", "<i8", "|u1", "|b1", "<U4")]),
    hnp.array_shapes(min_dims=0, max_dims=3, max_side=4),
)


@given(ARRAYS)
def test_an_array_comes_back_as_it_was(array: np.ndarray) -> None:  # type: ignore[type-arg]
    back = decode_evidence(encode_evidence(array).raw)
    assert isinstance(back, np.ndarray)
    assert back.dtype == array.dtype
    assert back.tobytes() == array.tobytes()
    assert back.shape == array.shape


@given(ARRAYS)
def test_memory_layout_does_not_change_the_digest(array: np.ndarray) -> None:  # type: ignore[type-arg]
    assert encode_evidence(array.T.copy().T).digest == encode_evidence(array).digest


def test_json_comes_back_as_it_was() -> None:
    assert decode_evidence(encode_evidence({"rows": [1, 2.5, "x", None, True]}).raw) == {
        "rows": [1, 2.5, "x", None, True]
    }


def test_objects_that_would_need_pickle_are_refused() -> None:
    with pytest.raises(ValueError, match="allow_pickle"):
        encode_evidence(np.array([object()]))


def test_a_pickled_array_is_not_loaded() -> None:
    raw = b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    raw += b" " * (128 - len(raw) - 1) + b"\n" + b"\x80\x04N."
    with pytest.raises(ValueError, match="allow_pickle"):
        decode_evidence(raw)
