"""What parsing an ONNX model shows, and what is found in a harmful one."""

import base64
import pickle
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper
from scanned_models import external, model_of, weight

from auditor.domain.artifacts import ModelStructure
from auditor.domain.json import encode_canonical
from auditor.errors import ArtifactError
from auditor.onnx.scan.artifact import scan_artifact


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "outside").write_bytes(b"01234567")
    made = tmp_path / "model"
    made.mkdir()
    (made / "w.bin").write_bytes(b"01234567")
    (made / "link.bin").symlink_to(tmp_path / "outside")
    return made


def scan(folder: Path, model: onnx.ModelProto) -> ModelStructure:
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    return scan_artifact(folder, "m.onnx")


def codes(structure: ModelStructure) -> list[str]:
    return [entry["code"] for entry in structure.unsafe if entry["weight"] != "info"]


def test_a_plain_model_has_nothing_unsafe(folder: Path) -> None:
    relu, add = helper.make_node("Relu", ["x"], ["h"]), helper.make_node("Add", ["h", "w"], ["y"])
    found = scan(folder, model_of(relu, add, weights=[weight()]))
    assert found == ModelStructure(
        kind="onnx",
        opsets={"ai.onnx": 17},
        operators={"ai.onnx::Add": 1, "ai.onnx::Relu": 1},
        external=(),
        parameters=2,
        producer="pytorch 2.9",
        unsafe=(),
    )


def test_operators_of_subgraphs_and_functions_are_counted(folder: Path) -> None:
    inner = model_of(helper.make_node("Abs", ["x"], ["y"])).graph
    branch = helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner)
    model = model_of(branch, helper.make_node("mine", ["x"], ["z"], domain="own"))
    function = model.functions.add(name="mine", domain="own")
    function.node.append(helper.make_node("Neg", ["x"], ["z"]))
    found = scan(folder, model)
    assert found.operators == {
        "ai.onnx::Abs": 2,
        "ai.onnx::If": 1,
        "ai.onnx::Neg": 1,
        "own::mine": 1,
    }
    assert codes(found) == []


def test_external_data_beside_the_model_is_safe(folder: Path) -> None:
    found = scan(folder, model_of(weights=[external("w.bin", "0", "8"), external("./w.bin")]))
    assert found.external == ("w.bin", "./w.bin")
    assert found.unsafe == ()


EXTERNAL = {
    "../outside": "EXTERNAL_OUTSIDE",
    "/etc/passwd": "EXTERNAL_OUTSIDE",
    "a/../w.bin": "EXTERNAL_OUTSIDE",
    "..\\outside": "EXTERNAL_OUTSIDE",
    "C:/outside": "EXTERNAL_OUTSIDE",
    "link.bin": "EXTERNAL_LINK",
    "*/_ORT_MEM_ADDR_/*": "EXTERNAL_MEMORY",
    "missing.bin": "EXTERNAL_MISSING",
    ".": "EXTERNAL_OUTSIDE",
    "": "EXTERNAL_MISSING",
}


@pytest.mark.parametrize("location", EXTERNAL)
def test_external_data_that_is_not_beside_the_model_is_found(folder: Path, location: str) -> None:
    found = scan(folder, model_of(weights=[external(location)]))
    assert codes(found) == [EXTERNAL[location]]
    assert found.external == (location,)


@pytest.mark.parametrize(
    ("offset", "length"),
    [
        ("8", "1"),
        ("0", "9"),
        ("-8", "8"),
        ("x", ""),
        ("9" * 50, "1"),
        ("18446744073709551615", "2"),
    ],
)
def test_a_tensor_beyond_its_file_is_found(folder: Path, offset: str, length: str) -> None:
    found = scan(folder, model_of(weights=[external("w.bin", offset, length)]))
    assert codes(found) == ["EXTERNAL_RANGE"]


def test_a_thousand_tensors_in_one_outside_file_are_one_entry(folder: Path) -> None:
    tensors = [external("../outside", name=f"w{index}") for index in range(1000)]
    assert codes(scan(folder, model_of(weights=tensors))) == ["EXTERNAL_OUTSIDE"]


@pytest.mark.parametrize("hold", ["constant", "subgraph", "function", "sparse", "training"])
def test_outside_data_is_found_wherever_a_tensor_can_stand(folder: Path, hold: str) -> None:
    tensor = external("../outside")
    constant = helper.make_node("Constant", [], ["c"], value=tensor)
    model = model_of()
    if hold == "constant":
        model.graph.node.append(constant)
    elif hold == "subgraph":
        model.graph.node.append(
            helper.make_node("If", ["x"], ["z"], then_branch=model_of(weights=[tensor]).graph)
        )
    elif hold == "function":
        model.functions.add(name="f", domain="own").node.append(constant)
    elif hold == "sparse":
        model.graph.sparse_initializer.add().values.CopyFrom(tensor)
    else:
        model.training_info.add().algorithm.initializer.append(tensor)
    assert codes(scan(folder, model)) == ["EXTERNAL_OUTSIDE"]


OPERATORS = {
    ("Evil", "evil.domain"): "CUSTOM_DOMAIN",
    ("ATen", "org.pytorch.aten"): "CUSTOM_DOMAIN",
    ("Relu", "ai.onnx.m1"): "CUSTOM_DOMAIN",
    ("PyOp", "ai.onnx.contrib"): "PYTHON_OPERATOR",
    ("PythonOp", "com.microsoft"): "PYTHON_OPERATOR",
    ("EPContext", "com.microsoft"): "COMPILED_OPERATOR",
}


@pytest.mark.parametrize("operator", OPERATORS)
def test_an_operator_whose_code_is_not_in_the_file_is_found(
    folder: Path, operator: tuple[str, str]
) -> None:
    name, domain = operator
    found = scan(folder, model_of(helper.make_node(name, ["x"], ["y"], domain=domain)))
    assert codes(found) == [OPERATORS[operator]]
    assert f"{domain}::{name}" in found.unsafe[0]["where"]


@pytest.mark.parametrize("domain", ["", "ai.onnx", "ai.onnx.ml", "com.microsoft"])
def test_domains_that_the_runtime_ships_are_no_finding(folder: Path, domain: str) -> None:
    node = helper.make_node("Normalizer", ["x"], ["y"], domain=domain)
    assert scan(folder, model_of(node)).unsafe == ()


PICKLED = pickle.dumps({"a": [1, 2, 3]})
PAYLOADS = {
    "a pickle in base64": base64.b64encode(PICKLED).decode(),
    "a pickle in Latin-1": PICKLED.decode("latin-1"),
    "a pickle of protocol 0": pickle.dumps(print, protocol=0).decode(),
    "a pickle of protocol 0 in base64": base64.b64encode(pickle.dumps(print, protocol=0)).decode(),
    "a program in base64": base64.b64encode(b"\x7fELF" + bytes(60)).decode(),
    "an archive": "PK\x03\x04....",
}


def in_metadata(model: onnx.ModelProto, text: str) -> None:
    model.metadata_props.add(key="k", value=text)


def in_doc(model: onnx.ModelProto, text: str) -> None:
    model.doc_string = text


def in_node(model: onnx.ModelProto, text: str) -> None:
    model.graph.node[0].doc_string = text


def in_initializer(model: onnx.ModelProto, text: str) -> None:
    model.graph.initializer.append(weight())
    model.graph.initializer[0].doc_string = text


@pytest.mark.parametrize("put", [in_metadata, in_doc, in_node, in_initializer])
@pytest.mark.parametrize("what", PAYLOADS)
def test_a_payload_in_a_text_is_found(
    folder: Path, what: str, put: Callable[[onnx.ModelProto, str], None]
) -> None:
    model = model_of()
    put(model, PAYLOADS[what])
    assert codes(scan(folder, model)) == ["EMBEDDED_PAYLOAD"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "N.",
        "A plain description.",
        "cat\nmat.",
        "cats\nand\ndogs.",
        "bW9kZWw=",
        "gASV",
        "\x80\x04",
    ],
)
def test_a_plain_text_is_no_payload(folder: Path, text: str) -> None:
    model = model_of()
    in_metadata(model, text)
    assert scan(folder, model).unsafe == ()


def test_a_text_without_measure_is_found(folder: Path) -> None:
    model = model_of()
    in_doc(model, "word " * 300_000)
    assert codes(scan(folder, model)) == ["OVERSIZED_TEXT"]


@pytest.mark.parametrize(("size", "weighs"), [(2**20, "warning"), (2**20 - 1, "info")])
def test_an_initializer_that_nothing_uses_weighs_as_much_as_it_could_hide(
    folder: Path, size: int, weighs: str
) -> None:
    found = scan(folder, model_of(weights=[weight("hidden", size)]))
    assert [(entry["code"], entry["weight"]) for entry in found.unsafe] == [
        ("HIDDEN_INITIALIZER", weighs)
    ]


def test_a_large_initializer_that_a_subgraph_uses_is_not_hidden(folder: Path) -> None:
    inner = model_of(helper.make_node("Add", ["x", "big"], ["y"])).graph
    branch = helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner)
    assert codes(scan(folder, model_of(branch, weights=[weight("big", 2**20)]))) == []


def test_shapes_and_versions_without_measure_stay_numbers_of_json(folder: Path) -> None:
    model = model_of(weights=[weight()])
    model.graph.initializer[0].dims[:] = [2**62, 2**62, -1]
    model.graph.initializer.append(weight("v"))
    model.graph.initializer[1].dims[:] = [2**62, 2**62]
    model.opset_import[0].version = 2**62
    assert encode_canonical(scan(folder, model).to_json())


def test_a_file_that_no_parser_reads_is_reported_and_not_passed_over(folder: Path) -> None:
    (folder / "m.onnx").write_bytes(b"this is no model")
    assert codes(scan_artifact(folder, "m.onnx")) == ["UNREADABLE"]


def test_a_missing_main_file_is_named(folder: Path) -> None:
    with pytest.raises(ArtifactError, match=r"gone\.onnx"):
        scan_artifact(folder, "gone.onnx")


def test_entries_without_end_are_cut_off_and_counted(folder: Path) -> None:
    nodes = [helper.make_node(f"Op{index}", ["x"], ["y"], domain="evil") for index in range(1200)]
    found = scan(folder, model_of(*nodes))
    assert len(found.unsafe) == 1001
    assert "200 more" in found.unsafe[-1]["what"]


MODEL = model_of(
    helper.make_node("Evil", ["x"], ["y"], domain="evil.domain"),
    weights=[external("../outside", "1", "2"), weight("v")],
)
MODEL.doc_string = "words"
MODEL.metadata_props.add(key="k", value="v")
RAW = MODEL.SerializeToString()


@given(st.integers(0, len(RAW) - 1), st.binary(min_size=1, max_size=3))
def test_changed_bytes_are_scanned_to_a_structure_that_json_can_hold(
    tmp_path_factory: pytest.TempPathFactory, place: int, patch: bytes
) -> None:
    folder = tmp_path_factory.mktemp("mutant")
    (folder / "m.onnx").write_bytes(RAW[:place] + patch + RAW[place + len(patch) :])
    assert encode_canonical(scan_artifact(folder, "m.onnx").to_json())
