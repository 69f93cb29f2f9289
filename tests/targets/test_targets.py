"""Targets by name, what they turn out to be, and what an artifact's parsing shows."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from tiny_models import Classes, Workshop

from auditor.domain.json import Json, encode_canonical
from auditor.domain.targets import Fingerprint, TargetSpec
from auditor.errors import ArtifactError, DatasetError, RuntimeMissingError, TargetError
from auditor.targets.fingerprint import sanitise_facts
from auditor.targets.model import choose_batch_rows
from auditor.targets.probe import probe_target
from auditor.targets.sandbox.opsets import read_opsets
from auditor.targets.session import inspect_artifact, open_model
from auditor.targets.target_specs import resolve_target

CPU = TargetSpec("cpu")


def test_cpu_is_the_processor_of_this_machine() -> None:
    assert resolve_target("cpu") == CPU


def test_a_target_may_be_written_out() -> None:
    written = {"name": "two threads", "threads": 2, "time_limit": 5, "graph_optimization": "basic"}
    found = resolve_target(written)
    assert found == TargetSpec("two threads", threads=2, time_limit=5.0, graph_optimization="basic")
    assert isinstance(found.time_limit, float)


@pytest.mark.parametrize(
    ("asked", "match"),
    [
        ("gpu", r"no target 'gpu'\. Name one of cpu"),
        ({"name": "x", "thread": 2}, r"no setting 'thread'\. There are name, runtime, provider"),
        ({"threads": 2}, "has no name"),
        ({"name": "x", "threads": 0}, "threads is 0"),
        ({"name": "x", "threads": True}, "threads is True"),
        ({"name": "x", "threads": "2"}, "threads is '2'"),
        ({"name": "x", "time_limit": 0}, "time_limit is 0"),
        ({"name": "x", "time_limit": float("inf")}, "time_limit is inf"),
        ({"name": "x", "memory_limit": 1000}, "memory_limit is 1000"),
        ({"name": "x", "runtime": "tvm"}, r"runtime is 'tvm'\. Give one of onnxruntime"),
        ({"name": "x", "graph_optimization": 3}, "one of none, basic, extended, all"),
        ({"name": "x", "price_per_hour": -1}, "price_per_hour is -1"),
    ],
    ids=str,
)
def test_what_is_no_target_is_refused_with_what_there_is(
    asked: str | dict[str, Json], match: str
) -> None:
    with pytest.raises(TargetError, match=match):
        resolve_target(asked)


def test_a_provider_that_the_runtime_lacks_is_a_target_all_the_same_until_it_is_opened() -> None:
    """It may be there in another environment; here it costs its own readings and no others."""
    absent = {"name": "gpu", "provider": "CUDAExecutionProvider"}
    assert resolve_target(absent) == TargetSpec("gpu", provider="CUDAExecutionProvider")


@pytest.mark.parametrize(
    ("provider", "said"),
    [
        ("CPUExecutionProvder", "Did you mean CPUExecutionProvider?"),
        ("CUDAExecutionProvider", "or install onnxruntime-gpu into a worker environment"),
        ("MoonExecutionProvider", "or install the build of onnxruntime that has it"),
    ],
)
def test_whoever_names_a_provider_that_is_not_here_is_told_what_helps(
    workshop: Workshop, classes: Classes, provider: str, said: str
) -> None:
    spec = TargetSpec("x", provider=provider)
    artifact, rows = workshop.linear(np.eye(3)), np.full((4, 3), 5.0)
    with (
        pytest.raises(RuntimeMissingError) as caught,
        open_model(spec, workshop.folder, artifact, classes(3), rows),
    ):
        pass
    assert said in caught.value.cure
    assert "CPUExecutionProvider" in caught.value.cure


def test_a_provider_that_the_runtime_lacks_never_falls_back(
    workshop: Workshop, classes: Classes
) -> None:
    spec = TargetSpec("gpu", provider="CUDAExecutionProvider")
    artifact, rows = workshop.linear(np.eye(3)), np.full((4, 3), 5.0)
    with (
        pytest.raises(RuntimeMissingError, match="has no provider 'CUDAExecutionProvider'"),
        open_model(spec, workshop.folder, artifact, classes(3), rows),
    ):
        pass


@pytest.mark.skipif(
    "AzureExecutionProvider" not in onnxruntime.get_available_providers(),
    reason="this build of onnxruntime has no second provider",
)
def test_a_provider_that_takes_no_operator_is_found_out(
    workshop: Workshop, classes: Classes
) -> None:
    """The session lists the provider first, and runs nothing on it."""
    spec = TargetSpec("cloud", provider="AzureExecutionProvider")
    artifact, rows = workshop.linear(np.eye(3)), np.full((4, 3), 5.0)
    with open_model(spec, workshop.folder, artifact, classes(3), rows) as model:
        placed = model.placement
        listed = model.fingerprint.identity_facts["session_providers"]
    assert listed[0] == "AzureExecutionProvider"
    assert placed.known
    assert placed.share == 0
    assert placed.elsewhere == {"CPUExecutionProvider": {"MatMul": 1}}


def opened_fingerprint(workshop: Workshop, classes: Classes, spec: TargetSpec = CPU) -> Fingerprint:
    artifact, rows = workshop.linear(np.eye(3)), np.full((4, 3), 5.0)
    with open_model(spec, workshop.folder, artifact, classes(3), rows) as model:
        return model.fingerprint


def test_the_identity_is_the_same_each_time_and_names_the_runtime(
    workshop: Workshop, classes: Classes
) -> None:
    first, second = (opened_fingerprint(workshop, classes) for _ in range(2))
    assert first.identity == second.identity
    facts = first.identity_facts
    assert facts["placement"] == {"CPUExecutionProvider": {"MatMul": 1}}
    assert facts["opsets"] == {"ai.onnx": 17}
    assert facts["runtime"]["version"] == onnxruntime.__version__
    assert facts["runtime"]["library"].startswith("sha256:")
    assert first.interface.input_shape == (3,)
    encode_canonical(first.to_json())


@pytest.mark.parametrize("change", [{"threads": 2}, {"graph_optimization": "none"}], ids=str)
def test_what_changes_the_session_changes_the_identity(
    workshop: Workshop, classes: Classes, change: dict[str, Any]
) -> None:
    base = opened_fingerprint(workshop, classes)
    assert opened_fingerprint(workshop, classes, replace(CPU, **change)).identity != base.identity


def test_limits_and_load_are_conditions_and_no_part_of_the_identity(
    workshop: Workshop, classes: Classes
) -> None:
    base = opened_fingerprint(workshop, classes)
    other = opened_fingerprint(workshop, classes, replace(CPU, memory_limit=2**31))
    assert other.identity == base.identity
    assert other.conditions != base.conditions


def test_a_probe_says_what_the_target_has() -> None:
    found = probe_target(CPU)
    assert "CPUExecutionProvider" in found["runtime"]["providers"]
    assert found["machine"]["machine"]
    json.dumps(found, allow_nan=False)


def test_the_structure_is_parsed_in_a_child(workshop: Workshop) -> None:
    found = inspect_artifact(workshop.folder, workshop.linear(np.eye(3)), CPU)
    assert (found.kind, found.operators, found.parameters) == ("onnx", {"ai.onnx::MatMul": 1}, 9)
    assert found.unsafe == ()


def test_a_custom_domain_is_part_of_the_structure(workshop: Workshop) -> None:
    artifact = workshop.save(
        [workshop.node("Quant", ["x"], ["y"], domain="qonnx.custom_op")],
        [workshop.value("x", ["N", 3])],
        [workshop.value("y", ["N", 3])],
        domains=["qonnx.custom_op"],
    )
    found = inspect_artifact(workshop.folder, artifact, CPU)
    assert found.operators == {"qonnx.custom_op::Quant": 1}
    assert any("qonnx" in entry["what"] + entry["where"] for entry in found.unsafe)


def test_a_missing_file_is_refused_by_name(workshop: Workshop) -> None:
    artifact = workshop.linear(np.eye(3))
    (workshop.folder / "model.onnx").unlink()
    with pytest.raises(ArtifactError, match=r"model\.onnx"):
        inspect_artifact(workshop.folder, artifact, CPU)


def test_a_model_needs_a_row_to_be_met_with(workshop: Workshop, classes: Classes) -> None:
    with (
        pytest.raises(DatasetError, match="no row"),
        open_model(CPU, workshop.folder, workshop.linear(np.eye(3)), classes(3), np.ones((0, 3))),
    ):
        pass


@pytest.mark.parametrize("opset", [8, 13, 21])
def test_opsets_are_read_as_onnx_reads_them(workshop: Workshop, opset: int) -> None:
    weights = workshop.weights(w=np.zeros((300, 300), np.float32))
    workshop.save(
        [workshop.node("MatMul", ["x", "w"], ["y"])],
        [workshop.value("x", ["N", 300])],
        [workshop.value("y", ["N", 300])],
        weights,
        opset=opset,
        domains=["a.domain"],
    )
    path = workshop.folder / "model.onnx"
    known = {entry.domain or "ai.onnx": entry.version for entry in onnx.load(path).opset_import}
    assert read_opsets(path) == known == {"ai.onnx": opset, "a.domain": 1}


@pytest.mark.parametrize("raw", [b"", b"hello", b"\xff" * 40, b"\x42"])
def test_what_is_no_model_has_no_opsets(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(raw)
    assert read_opsets(path) == {}


def test_what_a_child_says_is_cut_and_cleaned() -> None:
    said = {"a\x00": "b\x1b[31m" + "c" * 10_000, "deep": [[[[[[[1]]]]]]], "big": 2**70, "n": None}
    found = sanitise_facts(said)
    assert found["a"] == "b" + "c" * 499
    assert found["n"] is None
    encode_canonical(found)


@pytest.mark.parametrize(
    ("row_bytes", "fixed", "rows"),
    [
        (4, None, 1024),
        (4096, None, 256),
        (2**22, None, 1),
        (4, 1, 256),
        (4, 48, 240),
        (4, 999, 999),
    ],
)
def test_a_requests_size_depends_on_nothing_but_the_rows(
    row_bytes: int, fixed: int | None, rows: int
) -> None:
    assert choose_batch_rows(row_bytes, fixed) == rows
