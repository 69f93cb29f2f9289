"""Frames carry JSON and numbers, whatever the other end sends."""

import contextlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from auditor.domain.tasks import Array
from auditor.targets.protocol import (
    MOST_HEADER,
    FrameError,
    MessageFrame,
    encode_frame,
    receive_frame,
)

NUMBERS = st.sampled_from(["?", "i1", "u1", "<i2", "<u4", "<i8", "<f2", "<f4", "<f8"])
HEADERS = st.dictionaries(
    st.text(max_size=8).filter(lambda key: key != "arrays"),
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=20),
    max_size=4,
)
ARRAYS = st.dictionaries(
    st.text(max_size=8),
    NUMBERS.flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0))),
    max_size=3,
)


class Stream:
    """Serves bytes to ``receive_frame`` and raises ``EOFError`` at their end."""

    def __init__(self, raw: bytes) -> None:
        self.left = raw

    def fill(self, view: memoryview) -> None:
        if len(self.left) < len(view):
            raise EOFError
        view[:] = self.left[: len(view)]
        self.left = self.left[len(view) :]


def announce(header: object, body: bytes = b"") -> Stream:
    raw = json.dumps(header).encode()
    return Stream(len(raw).to_bytes(4, "big") + raw + body)


def listing(**entry: object) -> dict[str, object]:
    return {"arrays": [{"name": "x", "dtype": "<f4", "shape": [2], **entry}]}


@given(HEADERS, ARRAYS)
def test_what_is_sent_arrives(header: dict[str, object], arrays: dict[str, Array]) -> None:
    stream = Stream(b"".join(map(bytes, encode_frame(MessageFrame(header, arrays)))))
    found = receive_frame(stream.fill, 2**20)
    assert found.header == header
    assert stream.left == b""
    for name, array in arrays.items():
        assert found.arrays[name].dtype == array.dtype
        assert found.arrays[name].shape == array.shape
        assert found.arrays[name].tobytes() == array.tobytes()


def test_a_transposed_array_arrives_in_its_own_order() -> None:
    array = np.arange(12.0).reshape(3, 4).T
    stream = Stream(b"".join(map(bytes, encode_frame(MessageFrame({}, {"x": array})))))
    assert (receive_frame(stream.fill, 2**20).arrays["x"] == array).all()


@given(st.binary(max_size=300))
def test_any_bytes_are_a_frame_an_end_or_a_frame_error(raw: bytes) -> None:
    with contextlib.suppress(FrameError, EOFError):
        receive_frame(Stream(len(raw).to_bytes(4, "big") + raw).fill, 2**10)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["name", "dtype", "shape", "arrays"]), inner)
        ),
        max_leaves=12,
    )
)
def test_any_json_is_a_frame_an_end_or_a_frame_error(header: dict[str, object]) -> None:
    with contextlib.suppress(FrameError, EOFError):
        receive_frame(announce(header).fill, 2**10)


@pytest.mark.parametrize(
    "header",
    [
        listing(dtype="|O"),
        listing(dtype="<U5"),
        listing(dtype="V8"),
        listing(dtype="float32, float32"),
        listing(shape=[-1]),
        listing(shape=[2**60, 2**60]),
        listing(shape=[1.0]),
        listing(shape=[True]),
        listing(shape=[2**20]),
        listing(name=3),
        {"arrays": "x"},
        {"arrays": [listing()["arrays"][0]] * 2},
        {"arrays": [listing(name=str(i))["arrays"][0] for i in range(65)]},
        {},
        [],
    ],
    ids=lambda header: json.dumps(header)[:60],
)
def test_what_breaks_the_rules_is_refused_before_anything_is_read(
    header: dict[str, object],
) -> None:
    stream = announce(header, bytes(2**12))
    with pytest.raises(FrameError):
        receive_frame(stream.fill, 2**20)
    assert len(stream.left) == 2**12


def test_a_header_without_measure_is_refused() -> None:
    with pytest.raises(FrameError, match="header of"):
        receive_frame(Stream((MOST_HEADER + 1).to_bytes(4, "big")).fill, 2**20)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e999", "-1e999"])
def test_numbers_that_are_none_do_not_arrive(text: str) -> None:
    raw = f'{{"arrays":[],"x":{text}}}'.encode()
    with pytest.raises(FrameError):
        receive_frame(Stream(len(raw).to_bytes(4, "big") + raw).fill, 2**20)


@pytest.mark.parametrize(
    ("text", "arrives"), [(r"\ud800", False), (r"\uDfFf", False), (r"\ud83d\ude00", True)]
)
def test_half_a_character_does_not_arrive_and_a_whole_one_does(text: str, arrives: bool) -> None:  # noqa: FBT001 -- a case
    raw = f'{{"arrays":[],"x":{{"y":["{text}"]}}}}'.encode()
    stream = Stream(len(raw).to_bytes(4, "big") + raw)
    if not arrives:
        with pytest.raises(FrameError, match="halves of characters"):
            receive_frame(stream.fill, 2**20)
    else:
        assert receive_frame(stream.fill, 2**20).header["x"]["y"] == ["\U0001f600"]


def test_objects_are_not_sent() -> None:
    with pytest.raises(FrameError, match="dtype"):
        encode_frame(MessageFrame({}, {"x": np.array([{}], dtype=object)}))
