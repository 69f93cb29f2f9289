"""The check of the artifact's structure: a planted defect, and a clean twin."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from unopened_subjects import NOTHING, unopened

from auditor.checks.provenance.artifact import CHECK
from auditor.domain.artifacts import FileDigest, ModelStructure
from auditor.domain.check_subject import CheckShard
from auditor.domain.evidence import decode_evidence, encode_evidence
from auditor.domain.readings import Gap, Measurement, Reading
from auditor.onnx.scan.artifact import scan_artifact


def model(*, domain: str = "", location: str = "") -> onnx.ModelProto:
    weight = numpy_helper.from_array(np.zeros(2, np.float32), "w")
    if location:
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        weight.external_data.add(key="location", value=location)
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])
    node = helper.make_node("Relu", ["x"], ["y"], domain=domain)
    return helper.make_model(helper.make_graph([node], "g", [value], [out], [weight]))


def readings(structure: ModelStructure | Gap) -> tuple[Reading, ...]:
    subject = unopened(FileDigest("m.onnx", 1, "0" * 64), structure=structure)
    evidence = CHECK().observe(subject, CheckShard())
    kept = {name: decode_evidence(encode_evidence(item).raw) for name, item in evidence.items()}
    return CHECK().figures(kept, 0.95)


def counts(folder: Path, made: onnx.ModelProto) -> dict[str, object]:
    (folder / "m.onnx").write_bytes(made.SerializeToString())
    found = readings(scan_artifact(folder, "m.onnx"))
    return {item.metric: item.value for item in found if isinstance(item, Measurement)}


def test_a_clean_model_counts_nothing(tmp_path: Path) -> None:
    assert counts(tmp_path, model()) == {
        "unsafe_constructs": 0,
        "custom_domains": 0,
        "external_outside": 0,
        "warnings": 0,
    }


def test_a_planted_domain_and_a_path_outside_are_counted(tmp_path: Path) -> None:
    assert counts(tmp_path, model(domain="evil", location="../../etc/passwd")) == {
        "unsafe_constructs": 2,
        "custom_domains": 1,
        "external_outside": 1,
        "warnings": 0,
    }


def test_missing_external_data_is_unsafe_and_not_outside(tmp_path: Path) -> None:
    assert counts(tmp_path, model(location="gone.bin")) == {
        "unsafe_constructs": 1,
        "custom_domains": 0,
        "external_outside": 0,
        "warnings": 0,
    }


def test_details_say_what_was_found_and_where(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(model(domain="evil").SerializeToString())
    first = readings(scan_artifact(tmp_path, "m.onnx"))[0]
    assert isinstance(first, Measurement)
    assert first.details["kind"] == "onnx"
    assert first.details["found"] == [
        {
            "code": "CUSTOM_DOMAIN",
            "where": "'evil::Relu'",
            "what": "1 node(s) whose code is in a library outside the file",
            "weight": "unsafe",
        }
    ]


def test_what_is_only_worth_a_note_does_not_count() -> None:
    note = {"code": "HIDDEN_INITIALIZER", "where": "w", "what": "2 numbers", "weight": "info"}
    first = readings(ModelStructure(kind="onnx", unsafe=(note,)))[0]
    assert isinstance(first, Measurement)
    assert first.value == 0
    assert first.details["notes"] == [note]


def test_what_hides_something_is_a_warning_and_not_unsafe(tmp_path: Path) -> None:
    made = model()
    made.graph.initializer[0].raw_data += b"hidden"
    assert counts(tmp_path, made) == {
        "unsafe_constructs": 0,
        "custom_domains": 0,
        "external_outside": 0,
        "warnings": 1,
    }


def test_a_structure_that_could_not_be_had_is_the_same_gap() -> None:
    assert readings(NOTHING) == (NOTHING,)


def test_the_measurements_of_one_structure_are_always_the_same() -> None:
    structure = ModelStructure(kind="pickle")
    assert readings(structure) == readings(structure)
