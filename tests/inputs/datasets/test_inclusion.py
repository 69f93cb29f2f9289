"""The matrix of which rows each shadow model learnt from, in each form in which it is read."""

import io
from pathlib import Path

import numpy as np
import pytest

from auditor.domain.shadow_models import Include
from auditor.errors import DatasetError
from auditor.inputs.datasets.formats import read_file
from auditor.inputs.datasets.shadow_inclusion import read_shadow_inclusion

KNOWN = np.array([[True, False, True], [False, True, True]])


def read(folder: Path, name: str, raw: bytes) -> Include:
    (folder / name).write_bytes(raw)
    return read_shadow_inclusion(read_file(name, lambda written: folder / written))


def saved(array: object, **more: object) -> bytes:
    stream = io.BytesIO()
    if more:
        np.savez(stream, **more)  # type: ignore[arg-type]
    else:
        np.save(stream, np.asarray(array))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("in.npy", saved(KNOWN)),
        ("in.npz", saved(None, anything=KNOWN)),
        ("in.npz", saved(None, inclusion=KNOWN, ids=np.arange(3))),
        ("in.csv", b"1,0,1\n0,1,1\n"),
        ("in.csv", b"True, false ,TRUE\r\n\r\nfalse,true,true\r\n"),
    ],
)
def test_every_form_says_the_same(tmp_path: Path, name: str, raw: bytes) -> None:
    found = read(tmp_path, name, raw)
    assert found.dtype == np.bool_
    assert np.array_equal(found, KNOWN)


@pytest.mark.parametrize(
    ("name", "raw", "said"),
    [
        ("in.npy", saved(KNOWN.astype(np.int8)), "holds int8, not true and false"),
        ("in.npy", saved(KNOWN[0]), "shape (3,), which is not [models, rows]"),
        ("in.npz", saved(None, a=KNOWN, b=KNOWN), "none named inclusion"),
        ("in.csv", b"1,0,1\n0,2,1\n", "line 2 holds '2', which is neither true nor false"),
        ("in.csv", b"a,b,c\n1,0,1\n", "line 1 holds 'a'"),
        ("in.csv", b"1,0,1\n0,1\n", "line 2 has 2 values, and line 1 3"),
        ("in.csv", b"\n\n", "has no line"),
        ("in.csv", b"\xff\xfe", "is not CSV text"),
    ],
)
def test_what_is_no_matrix_is_refused(tmp_path: Path, name: str, raw: bytes, said: str) -> None:
    with pytest.raises(DatasetError) as raised:
        read(tmp_path, name, raw)
    assert said in raised.value.problem
    assert raised.value.cure
