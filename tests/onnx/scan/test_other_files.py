"""Files that are no ONNX model: pickles, archives, arrays, Keras files."""

import collections
import io
import os
import pickle
import pickletools
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scanned_models import model_of

from auditor.domain.artifacts import ModelStructure
from auditor.onnx.scan.artifact import scan_artifact
from auditor.onnx.scan.pickles import looks_like_pickle, scan_pickle


class Runs:
    """Pickles to a call of ``os.system``; nothing here ever loads it."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("exit 1",)


SYSTEM = f"imports '{os.system.__module__}.system'"


def scan(folder: Path, name: str, raw: bytes) -> ModelStructure:
    (folder / name).write_bytes(raw)
    return scan_artifact(folder, name)


def found(structure: ModelStructure) -> list[tuple[str, str]]:
    return [(entry["code"], entry["what"]) for entry in structure.unsafe]


def codes(structure: ModelStructure) -> list[str]:
    return [entry["code"] for entry in structure.unsafe]


def zipped(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in members.items():
            archive.writestr(name, raw)
    return stream.getvalue()


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", ["m.pkl", "m.joblib"])
def test_what_a_pickle_would_call_is_named_in_every_protocol(
    tmp_path: Path, protocol: int, name: str
) -> None:
    structure = scan(tmp_path, name, pickle.dumps(Runs(), protocol))
    assert structure.kind == "pickle"
    assert ("PICKLE_GLOBAL", SYSTEM) in found(structure)
    assert ("PICKLE", "a pickle that makes 1 calls on loading; load weights from a format without code") in found(structure)  # fmt: skip  # noqa: E501


def test_a_pickle_without_harm_is_still_a_pickle(tmp_path: Path) -> None:
    raw = pickle.dumps(collections.OrderedDict(a=np.zeros(2)))
    assert codes(scan(tmp_path, "m.pkl", raw)) == ["PICKLE"]


def test_a_pickle_under_another_name_is_found_by_its_bytes(tmp_path: Path) -> None:
    structure = scan(tmp_path, "weights.dat", pickle.dumps(Runs()))
    assert ("PICKLE_GLOBAL", SYSTEM) in found(structure)


HIDDEN_NAMES = {
    # STACK_GLOBAL takes its names from the memo, duplicated, or with other objects between.
    "from the memo": b"\x80\x04\x8c\x02os\x940\x8c\x06system\x940h\x00h\x01\x93.",
    "after a mark that is popped": b"\x80\x04\x8c\x02os(\x8c\x01x1\x8c\x06system\x93.",
    "by duplication": b"\x80\x04\x8c\x02os20\x8c\x06system\x93.",
    "by the old opcode": b"cos\nsystem\n.",
    "by INST": b"(ios\nsystem\n.",
    "after an early pop": b"\x80\x04\x8c\x02osN0\x8c\x06systemN0\x93.",
}


@pytest.mark.parametrize("how", HIDDEN_NAMES)
def test_a_name_is_found_however_it_comes_onto_the_stack(how: str) -> None:
    what = [item.what for item in scan_pickle(HIDDEN_NAMES[how], "p")]
    assert "imports 'os.system'" in what


def test_a_name_that_is_computed_is_said_to_be() -> None:
    raw = b"\x80\x04NN\x93."
    assert any("computes" in item.what for item in scan_pickle(raw, "p"))


def test_a_second_pickle_behind_a_harmless_one_is_found() -> None:
    raw = pickle.dumps([1]) + pickle.dumps(Runs())
    assert SYSTEM in [item.what for item in scan_pickle(raw, "p")]


def test_weights_behind_pickles_are_no_mistake() -> None:
    raw = pickle.dumps([1]) + pickle.dumps([2]) + bytes(64)
    assert [item.code for item in scan_pickle(raw, "p")] == ["PICKLE"]


def test_a_pickle_that_is_cut_short_names_what_it_held_and_is_unreadable() -> None:
    raw = pickle.dumps(Runs(), 0)[:-3]
    kinds = [item.code for item in scan_pickle(raw, "p")]
    assert kinds == ["PICKLE", "PICKLE_GLOBAL", "UNREADABLE"]


def test_extension_numbers_are_found() -> None:
    assert "PICKLE_EXTENSION" in [item.code for item in scan_pickle(b"\x80\x04\x82\x01.", "p")]


def test_a_torch_archive_is_scanned_through_its_pickle(tmp_path: Path) -> None:
    raw = zipped({"m/data.pkl": pickle.dumps(Runs()), "m/data/0": bytes(8)})
    structure = scan(tmp_path, "m.pt", raw)
    assert structure.kind == "zip"
    assert codes(structure) == ["PICKLE", "PICKLE_GLOBAL"]
    assert structure.unsafe[0]["where"] == "m.pt!'m/data.pkl'"


def test_an_archive_of_arrays_is_safe_and_one_of_objects_is_not(tmp_path: Path) -> None:
    assert codes(scan(tmp_path, "a.npz", zipped({"x.npy": npy(np.zeros(3))}))) == []
    objects = np.array([Runs()], dtype=object)
    bad = scan(tmp_path, "b.npz", zipped({"x.npy": npy(objects)}))
    assert codes(bad) == ["OBJECT_ARRAY", "PICKLE", "PICKLE_GLOBAL"]


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "..\\evil", "C:/evil"])
def test_an_archive_member_that_unpacks_elsewhere_is_found(tmp_path: Path, name: str) -> None:
    assert codes(scan(tmp_path, "m.zip", zipped({name: b"x"}))) == ["ARCHIVE_PATH"]


def test_an_archive_member_that_is_a_link_is_found(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    assert codes(scan(tmp_path, "m.zip", stream.getvalue())) == ["ARCHIVE_LINK"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_archive_member_that_stands_twice_is_found(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a", "1")
        archive.writestr("a", "2")
    assert codes(scan(tmp_path, "m.zip", stream.getvalue())) == ["ARCHIVE_TWICE"]


def test_an_archive_that_swells_is_not_unpacked(tmp_path: Path) -> None:
    bomb = zipped({"zeros": bytes(20_000_000)})
    assert codes(scan(tmp_path, "m.zip", bomb)) == ["ARCHIVE_BOMB"]


LAMBDA = b'{"layers": [{"class_name": "Lambda", "config": {}}]}'
HDF5 = b"\x89HDF\r\n\x1a\n" + bytes(100)


def test_a_keras_lambda_layer_in_an_archive_is_found(tmp_path: Path) -> None:
    structure = scan(tmp_path, "m.keras", zipped({"config.json": LAMBDA}))
    assert codes(structure) == ["LAMBDA_LAYER"]


def test_a_keras_lambda_layer_in_hdf5_is_found(tmp_path: Path) -> None:
    structure = scan(tmp_path, "m.h5", HDF5 + LAMBDA)
    assert (structure.kind, codes(structure)) == ("hdf5", ["LAMBDA_LAYER"])


def test_other_keras_layers_are_no_finding(tmp_path: Path) -> None:
    assert codes(scan(tmp_path, "m.h5", HDF5 + LAMBDA.replace(b"Lambda", b"Dense"))) == []


@pytest.mark.parametrize(
    ("name", "raw"),
    [("m.gz", b"\x1f\x8b..."), ("m.joblib", b"x\x9c..."), ("m.xz", b"\xfd7zXZ\x00")],
)
def test_a_compressed_file_is_not_taken_for_a_safe_one(
    tmp_path: Path, name: str, raw: bytes
) -> None:
    assert codes(scan(tmp_path, name, raw)) == ["COMPRESSED"]


def test_what_nobody_knows_is_unknown(tmp_path: Path) -> None:
    assert scan(tmp_path, "m.bin", b"anything at all") == ModelStructure(kind="unknown")


def test_formats_without_code_have_a_kind_of_their_own(tmp_path: Path) -> None:
    header = b'{"w": {}}'
    raw = len(header).to_bytes(8, "little") + header
    assert scan(tmp_path, "m.safetensors", raw) == ModelStructure(kind="safetensors")
    assert scan(tmp_path, "m.tflite", b"\x1c\0\0\0TFL3") == ModelStructure(kind="tflite")
    assert scan(tmp_path, "m.npy", npy(np.zeros(2))) == ModelStructure(kind="npy")


@pytest.mark.parametrize("name", ["m.zip", "m.npy"])
def test_a_malformed_file_is_unreadable(tmp_path: Path, name: str) -> None:
    head = {"m.zip": b"PK\x03\x04", "m.npy": b"\x93NUMPY\x01\x00"}[name]
    assert codes(scan(tmp_path, name, head + b"rubbish")) == ["UNREADABLE"]


def test_a_pickle_beside_an_onnx_model_is_found(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(pickle.dumps(Runs()))
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "v.bin").write_bytes(np.ones(1000).tobytes())
    structure = scan(tmp_path, "m.onnx", model_of().SerializeToString())
    assert codes(structure) == ["PICKLE", "PICKLE_GLOBAL"]
    assert structure.unsafe[0]["where"] == "w.bin"


@given(st.binary(max_size=60))
def test_no_bytes_crash_the_reading_of_pickles(raw: bytes) -> None:
    assert list(scan_pickle(b"\x80\x04" + raw, "p"))
    assert looks_like_pickle(b"\x80\x04" + raw) in {True, False}


@given(st.recursive(st.none() | st.integers() | st.text(), st.lists))
def test_a_pickle_of_plain_values_imports_nothing(value: object) -> None:
    raw = pickletools.optimize(pickle.dumps(value))
    assert [item.code for item in scan_pickle(raw, "p")] == ["PICKLE"]


HEADS = [b"PK\x03\x04", b"\x93NUMPY\x01\x00", b"\x93NUMPY\x03\x00", HDF5]


@given(st.binary(max_size=40), st.sampled_from(HEADS))
def test_no_bytes_behind_a_known_head_crash_the_scan(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes, head: bytes
) -> None:
    scan(tmp_path_factory.mktemp("other"), "m.bin", head + raw)


ARCHIVE = zipped({"m/data.pkl": pickle.dumps([1]), "x.npy": npy(np.zeros(3))})


@given(st.integers(0, len(ARCHIVE) - 1), st.integers(1, 255))
def test_no_changed_byte_of_an_archive_crashes_the_scan(
    tmp_path_factory: pytest.TempPathFactory, place: int, by: int
) -> None:
    raw = ARCHIVE[:place] + bytes([ARCHIVE[place] ^ by]) + ARCHIVE[place + 1 :]
    scan(tmp_path_factory.mktemp("other"), "m.zip", raw)
