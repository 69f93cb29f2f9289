"""Tensors of the Open Inference Protocol: what goes out comes back, and nothing else does."""

import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from auditor.domain.tasks import Array
from auditor.errors import ModelFailedError
from auditor.targets.endpoints import oip
from auditor.targets.endpoints.served_model import (
    count_sent_rows,
    join_request_rows,
    split_request_rows,
)
from auditor.targets.input_layout import DTYPES

SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, max_side=4)
NUMBERS = st.sampled_from([dtype for _, dtype in oip.TYPES.values() if dtype != "|S"])


def drawn(*, finite: bool) -> st.SearchStrategy[Array]:
    def arrays(dtype: str) -> st.SearchStrategy[Array]:
        if np.dtype(dtype).kind != "f":
            return hnp.arrays(dtype, SHAPES)
        more = {"allow_nan": not finite, "allow_infinity": not finite}
        return hnp.arrays(dtype, SHAPES, elements=hnp.from_dtype(np.dtype(dtype), **more))

    return NUMBERS.flatmap(arrays)


@given(drawn(finite=True))
def test_numbers_survive_json_to_the_bit(rows: Array) -> None:
    text = json.dumps(oip.encode_tensor_values("x", rows), allow_nan=False)
    found = oip.decode_tensor_values("x", oip.tensor_type_name(rows), rows.shape, json.loads(text))
    assert found.dtype == rows.dtype
    assert found.tobytes() == rows.tobytes()


@given(drawn(finite=False))
def test_numbers_survive_bytes_to_the_bit(rows: Array) -> None:
    found = oip.decode_tensor_bytes(
        "x", oip.tensor_type_name(rows), rows.shape, oip.encode_tensor_bytes(rows)
    )
    assert found.dtype == rows.dtype
    assert found.tobytes() == rows.tobytes()


@given(st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8")), min_size=1))
def test_texts_survive_both_ways(texts: list[str]) -> None:
    rows = np.array([text.encode() for text in texts])
    for found in (
        oip.decode_tensor_values("x", "BYTES", rows.shape, oip.encode_tensor_values("x", rows)),
        oip.decode_tensor_bytes("x", "BYTES", rows.shape, oip.encode_tensor_bytes(rows)),
    ):
        assert found.tolist() == rows.tolist()


@given(st.binary(max_size=64), st.integers(0, 5))
def test_texts_from_any_bytes_are_read_whole_or_refused(raw: bytes, count: int) -> None:
    try:
        found = oip.decode_tensor_bytes("x", "BYTES", (count,), raw)
    except ModelFailedError:
        return
    assert len(found) == count
    assert sum(4 + len(text) for text in found.tolist()) <= len(raw)


def test_every_type_that_a_model_may_take_can_be_sent() -> None:
    ours = {ort for ort, _ in oip.TYPES.values()}
    assert set(DTYPES) <= ours
    assert oip.to_ort_type("BF16") == "BF16"


@pytest.mark.parametrize(
    "read",
    [
        lambda: oip.decode_tensor_values("x", "INT8", (1,), [128]),
        lambda: oip.decode_tensor_values("x", "UINT64", (1,), [-1]),
        lambda: oip.decode_tensor_values("x", "INT64", (1,), [1.0]),
        lambda: oip.decode_tensor_values("x", "FP32", (1,), [10**400]),
        lambda: oip.decode_tensor_values("x", "BOOL", (1,), [1]),
        lambda: oip.decode_tensor_values("x", "FP32", (2,), [1.0]),
        lambda: oip.decode_tensor_values("x", "BYTES", (1,), ["a" * 100_000]),
        lambda: oip.decode_tensor_values("x", "BF16", (1,), [1.0]),
        lambda: oip.decode_tensor_bytes("x", "BF16", (1,), b"\0\0"),
        lambda: oip.decode_tensor_bytes("x", "BOOL", (1,), b"\2"),
        lambda: oip.read_tensor_shape("x", [2**48]),
        lambda: oip.read_tensor_shape("x", [True]),
        lambda: oip.read_tensor_shape("x", [1] * 17),
        lambda: oip.read_tensor_shape("x", "11"),
    ],
)
def test_what_is_no_tensor_is_refused(read: Callable[[], object]) -> None:
    with pytest.raises(ModelFailedError, match="the server's output 'x'"):
        read()


@given(st.integers(1, 40), st.none() | st.integers(1, 12), st.sampled_from(["fixed", "open"]))
def test_rows_are_split_and_joined_in_order(count: int, size: int | None, axis: str) -> None:
    rows = np.arange(count * 2).reshape(count, 2)
    batch, limit = (size, None) if axis == "fixed" else (None, size)
    split = list(split_request_rows(rows, limit, batch))
    assert sum(map(len, split)) == count_sent_rows(count, batch)
    if size is not None:
        assert max(map(len, split)) <= size
    found = join_request_rows("y", split, [len(part) for part in split], count, batch)
    assert np.array_equal(found, rows)


def test_a_fixed_batch_of_one_may_leave_its_axis_out() -> None:
    rows = np.arange(6).reshape(3, 2)
    found = join_request_rows(
        "y", [row[0] for row in split_request_rows(rows, None, 1)], [1, 1, 1], 3, 1
    )
    assert np.array_equal(found, rows)


def test_a_fixed_batch_beyond_the_limit_is_refused() -> None:
    with pytest.raises(ModelFailedError, match="batches of 8 rows, but `batch_limit` is 4"):
        list(split_request_rows(np.zeros((8, 1)), 4, 8))
