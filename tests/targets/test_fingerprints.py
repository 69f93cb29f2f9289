"""The identity of a target: the same wherever and whenever, and another one for another stack."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from auditor.domain.targets import ModelInterface, TargetSpec
from auditor.targets.fingerprint import make_fingerprint
from auditor.targets.protocol import MessageFrame

FACE = ModelInterface("x", (4,), "float32", None, "as_is", "y", "logits", "a case")
SAID: Mapping[str, Any] = {
    "machine": {"os": "Linux", "cpu": {"model": "a", "flags": ["avx2"]}},
    "runtime": {"name": "onnxruntime", "version": "1.32.0", "library": "sha256:aa"},
    "conditions": {"load_average": [0.1, 0.2, 0.3], "kernel": "6.1"},
    "providers": ["NpuExecutionProvider"],
    "placement": {"NpuExecutionProvider": {"Conv": 2}},
    "placed_on": "NpuExecutionProvider",
    "plugin": "sha256:bb",
    "precision": {"inference": "f32"},
    "devices": [{"provider": "NpuExecutionProvider", "kind": "NPU", "version": "1"}],
    "opsets": {"ai.onnx": 17},
}
SPEC = TargetSpec("npu", provider="NpuExecutionProvider", library="/opt/here/libnpu.so")


def identity(spec: TargetSpec = SPEC, level: str = "limits", **said: object) -> str:
    return make_fingerprint(spec, MessageFrame({**SAID, **said}), FACE, level).identity


def test_load_limits_and_where_a_plugin_lies_are_no_part_of_an_identity() -> None:
    busy = {"load_average": [9.0, 8.0, 7.0], "kernel": "6.2"}
    assert identity(conditions=busy) == identity()
    assert identity(level="bubblewrap") == identity()
    elsewhere = replace(SPEC, name="other", library="/home/other/lib/libnpu.so", seconds=9.0)
    assert identity(replace(elsewhere, price_per_hour=3.0, interpreter="/x/python")) == identity()


@pytest.mark.parametrize(
    "said",
    [
        {"precision": {"inference": "bf16"}},
        {"plugin": "sha256:cc"},
        {"runtime": {**SAID["runtime"], "library": "sha256:cc"}},
        {"runtime": {**SAID["runtime"], "version": "1.32.1"}},
        {"machine": {"os": "Linux", "cpu": {"model": "a", "flags": ["avx2", "avx512_vnni"]}}},
        {"placement": {"NpuExecutionProvider": {"Conv": 1}, "CPUExecutionProvider": {"Conv": 1}}},
        {"devices": [{"provider": "NpuExecutionProvider", "kind": "NPU", "version": "2"}]},
    ],
    ids=lambda said: next(iter(said)),
)
def test_another_precision_library_version_or_chip_is_another_identity(
    said: dict[str, object],
) -> None:
    assert identity(**said) != identity()


@pytest.mark.parametrize(
    "more",
    [
        {"provider": "CPUExecutionProvider"},
        {"threads": 2},
        {"graph_optimization": "basic"},
        {"session": {"session.x64quantprecision": "1"}},
        {"provider_options": {"precision": "FP16"}},
        {"free_dimensions": {"N": 4}},
    ],
    ids=lambda more: next(iter(more)),
)
def test_another_setting_that_may_change_numbers_is_another_identity(more: dict[str, Any]) -> None:
    assert identity(replace(SPEC, **more)) != identity()
