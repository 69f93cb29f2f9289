"""What an ONNX file carries beside its model: each hostile file made by hand, and clean ones."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from scanned_models import external, model_of, weight

from auditor.onnx.scan.artifact import scan_artifact
from auditor.onnx.scan.hidden_content import scan_unused_bytes

EXAMPLES = Path(__file__).parents[3] / "examples"


def scan_raw(folder: Path, raw: bytes) -> list[tuple[str, str]]:
    (folder / "m.onnx").write_bytes(raw)
    return [(item["code"], item["weight"]) for item in scan_artifact(folder, "m.onnx").unsafe]


def scan(folder: Path, model: onnx.ModelProto) -> list[tuple[str, str]]:
    return scan_raw(folder, model.SerializeToString())


def using(*weights: onnx.TensorProto) -> onnx.ModelProto:
    """A model whose one node takes all initializers in."""
    names = [item.name for item in weights]
    return model_of(helper.make_node("Sum", ["x", *names], ["y"]), weights=weights)


@pytest.mark.parametrize(
    "path", sorted(EXAMPLES.rglob("*.onnx")), ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_real_models_have_nothing_in_them(path: Path) -> None:
    found = scan_artifact(path.parent, path.name).unsafe
    assert [item for item in found if item["weight"] != "info"] == []


@pytest.mark.parametrize(
    ("dtype", "count"),
    [
        (TensorProto.FLOAT, 3),
        (TensorProto.DOUBLE, 3),
        (TensorProto.INT64, 3),
        (TensorProto.UINT64, 3),
        (TensorProto.INT8, 3),
        (TensorProto.BOOL, 3),
        (TensorProto.FLOAT16, 3),
        (TensorProto.COMPLEX64, 3),
        (TensorProto.INT4, 3),
        (TensorProto.STRING, 3),
    ],
)
def test_every_kind_of_number_has_the_size_that_its_shape_says(
    tmp_path: Path, dtype: int, count: int
) -> None:
    zeros: Any = ["a", "b", "c"] if dtype == TensorProto.STRING else [0] * count
    typed = helper.make_tensor("t", dtype, [count], zeros)
    assert scan(tmp_path, using(typed)) == []
    if dtype not in {TensorProto.STRING, TensorProto.INT4}:
        raw = numpy_helper.from_array(numpy_helper.to_array(typed), "r")
        assert scan(tmp_path, using(raw)) == []


def test_data_beyond_what_the_shape_says_are_found(tmp_path: Path) -> None:
    raw, typed = weight("r"), helper.make_tensor("t", TensorProto.FLOAT, [2], [0.0, 0.0])
    raw.raw_data += b"payload"
    typed.float_data.append(7.0)
    assert scan(tmp_path, using(raw)) == [("TENSOR_EXCESS", "warning")]
    assert scan(tmp_path, using(typed)) == [("TENSOR_EXCESS", "warning")]


def test_fewer_data_than_the_shape_says_are_found(tmp_path: Path) -> None:
    short = weight("r")
    short.raw_data = short.raw_data[:-1]
    assert scan(tmp_path, using(short)) == [("TENSOR_SHORT", "warning")]


def test_data_that_are_there_twice_are_found(tmp_path: Path) -> None:
    double = weight("r")
    double.float_data.extend([1.0, 1.0])
    assert scan(tmp_path, using(double)) == [("TENSOR_EXCESS", "warning")]


def test_data_of_no_type_in_an_attribute_are_found(tmp_path: Path) -> None:
    node = helper.make_node("Relu", ["x"], ["y"])
    node.attribute.add(name="a", type=onnx.AttributeProto.INT).t.raw_data = b"payload"
    assert scan(tmp_path, model_of(node)) == [("TENSOR_EXCESS", "warning")]


def test_data_inside_and_said_to_be_outside_are_found(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(bytes(8))
    both = external("w.bin", "0", "8")
    both.raw_data = b"12345678"
    assert scan(tmp_path, using(both)) == [("TENSOR_EXCESS", "warning")]


def test_a_field_that_onnx_does_not_know_is_found(tmp_path: Path) -> None:
    raw = model_of().SerializeToString()
    field = bytes([0xFA, 0x3F, 7]) + b"payload"  # field 1023, of seven bytes
    assert scan_raw(tmp_path, raw + field) == [("UNKNOWN_FIELDS", "warning")]


def test_a_field_that_a_later_one_replaces_is_found(tmp_path: Path) -> None:
    raw = model_of().SerializeToString()
    name = bytes([0x12, 7]) + b"payload"  # producer_name, which stands again further on
    assert scan_raw(tmp_path, name + raw) == [("DROPPED_BYTES", "warning")]


@pytest.mark.parametrize("size", [0, 31, 32, 4095, 4096, 600_000])
@pytest.mark.parametrize("more", [b"", bytes([0xFA, 0x3F, 7]) + b"payload"])
def test_a_model_has_the_size_that_it_would_be_written_with(size: int, more: bytes) -> None:
    weights = [weight("w", size), weight("v", 3), external("w.bin", "0", "8", name="e")]
    whole = onnx.load_from_string(model_of(weights=weights).SerializeToString() + more)
    size_of_all = whole.ByteSize()
    assert not [
        entry for entry in scan_unused_bytes(whole, size_of_all) if entry.code == "DROPPED_BYTES"
    ]
    again = onnx.load_from_string(model_of(weights=weights).SerializeToString() + more)
    (dropped, *_) = scan_unused_bytes(again, size_of_all + 1)
    assert dropped.what.startswith("1 bytes that parsing drops")


def test_bytes_behind_the_model_are_found_or_unreadable(tmp_path: Path) -> None:
    raw = model_of().SerializeToString()
    assert scan_raw(tmp_path, raw + b"\xff" * 9) == [("UNREADABLE", "unsafe")]


def test_a_function_that_takes_the_name_of_an_operator_is_found(tmp_path: Path) -> None:
    model = model_of()
    model.functions.add(name="Relu", domain="").node.append(helper.make_node("Neg", ["x"], ["y"]))
    assert scan(tmp_path, model) == [("FUNCTION_SHADOWS", "warning")]


@pytest.mark.parametrize("name", ["If", "Loop", "Scan", "SequenceMap"])
def test_control_flow_is_worth_a_note(tmp_path: Path, name: str) -> None:
    node = helper.make_node(name, ["x"], ["y"])
    assert scan(tmp_path, model_of(node)) == [("CONTROL_FLOW", "info")]
    strange = helper.make_node(name, ["x"], ["y"], domain="ai.onnx.ml")
    assert scan(tmp_path, model_of(strange)) == []


def parts(*ranges: tuple[int, int]) -> onnx.ModelProto:
    """A model that reads parts of one file, each of two floats unless its length is 0."""
    return using(
        *(
            external("w.bin", str(first), str(length) if length else "", f"w{index}")
            for index, (first, length) in enumerate(ranges)
        )
    )


@pytest.mark.parametrize(
    ("content", "ranges", "codes"),
    [
        (bytes(16), [(0, 8), (8, 8)], []),
        (bytes(16), [(8, 8), (0, 8)], []),
        (b"x" * 8, [(0, 8), (0, 8)], []),  # tied weights
        (b"x" * 8 + bytes(4088) + b"y" * 8, [(0, 8), (4096, 8)], []),  # aligned by zeros
        (b"x" * 8, [(0, 0)], []),
        (b"x" * 16, [(0, 8), (4, 8)], ["EXTERNAL_OVERLAP", "EXTERNAL_UNREAD"]),
        (b"x" * 16, [(0, 8)], ["EXTERNAL_UNREAD"]),
        (b"x" * 24, [(0, 8), (16, 8)], ["EXTERNAL_UNREAD"]),
        (b"x" * 12, [(4, 8)], ["EXTERNAL_UNREAD"]),
        (b"x" * 16, [(0, 16)], ["TENSOR_EXCESS"]),
        (b"x" * 4, [(0, 4)], ["TENSOR_SHORT"]),
        (b"x" * 4, [(0, 0)], ["EXTERNAL_RANGE"]),  # without a length: as long as its shape
        (b"x" * 8, [(4, 0)], ["EXTERNAL_RANGE"]),
    ],
)
def test_parts_of_external_files_are_read_once_and_wholly(
    tmp_path: Path, content: bytes, ranges: list[tuple[int, int]], codes: list[str]
) -> None:
    (tmp_path / "w.bin").write_bytes(content)
    assert [code for code, _ in scan(tmp_path, parts(*ranges))] == codes


def test_a_large_unread_part_is_found_without_reading_it(tmp_path: Path) -> None:
    with (tmp_path / "w.bin").open("wb") as file:
        file.truncate(2**27)
    assert [code for code, _ in scan(tmp_path, parts((0, 8)))] == ["EXTERNAL_UNREAD"]


def test_what_was_found_names_its_place_and_measure(tmp_path: Path) -> None:
    tensor = weight("r")
    tensor.raw_data += b"payload"
    (tmp_path / "m.onnx").write_bytes(using(tensor).SerializeToString())
    (entry,) = scan_artifact(tmp_path, "m.onnx").unsafe
    assert json.loads(json.dumps(dict(entry))) == {
        "code": "TENSOR_EXCESS",
        "where": "initializer 'r'",
        "what": "15 bytes, where its shape and type say 8",
        "weight": "warning",
    }


def test_a_model_saved_with_external_data_is_clean(tmp_path: Path) -> None:
    weights = [
        numpy_helper.from_array(np.ones((64, 64), np.float32) * index, f"w{index}")
        for index in range(3)
    ]
    onnx.save(using(*weights), tmp_path / "m.onnx", save_as_external_data=True, size_threshold=0)
    assert [path.suffix for path in sorted(tmp_path.iterdir())] != [".onnx"]
    assert scan_artifact(tmp_path, "m.onnx").unsafe == ()
