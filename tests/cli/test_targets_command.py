"""`auditor targets`: what there is, what it turns out to be, and the gate that asks for it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnxruntime
import pytest

from auditor.cli.commands.targets import BY_FALLBACK
from auditor.domain.operator_placement import OperatorPlacement, PlacementSource
from auditor.domain.targets import Fingerprint, TargetSpec
from auditor.targets.available_targets import TargetTrial

Command = Callable[..., Any]
AUDITED = ("audit", "audit.yaml", "--only", "quality.accuracy", "--out", "out")
TARGETS = """\
apiVersion: auditor/v1
kind: Targets
targets:
  two: {threads: 2}
  cloud: {provider: AzureExecutionProvider}
  npu: {library: onnxruntime_qnn, device: NPU}
"""
with_azure = pytest.mark.skipif(
    "AzureExecutionProvider" not in onnxruntime.get_available_providers(),
    reason="this build of onnxruntime has no Azure",
)


@pytest.fixture
def declared(example: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (example / "targets.yaml").write_text(TARGETS)
    monkeypatch.chdir(example)
    return example


def test_the_list_is_json_of_objects_with_names(auditor: Command, declared: Path) -> None:
    ended = auditor("targets", "list", "--format", "json")
    assert ended.code == 0
    found = {item["name"]: item for item in json.loads(ended.out)}
    assert {"cpu", "two", "cloud", "npu", "CPUExecutionProvider", "Haswell"} <= set(found)
    assert found["npu"]["support"].startswith("tested: its simulation of the chip")
    assert found["CUDAExecutionProvider"]["support"] == "untested here"


@pytest.mark.slow
@with_azure
def test_what_falls_back_is_named_when_it_is_tried(auditor: Command, declared: Path) -> None:
    ended = auditor("targets", "list", "--try", "--format", "json")
    found = {item["name"]: item["state"] for item in json.loads(ended.out)}
    assert found["cpu"] == "6 of 6 nodes on CPUExecutionProvider"
    assert "0 of 6 nodes on AzureExecutionProvider, FALLS BACK" in found["cloud"]
    assert found["npu"].startswith("cannot be used: there is no plugin package")


def test_a_target_is_shown_with_its_settings_and_what_is_there(
    auditor: Command, declared: Path
) -> None:
    ended = auditor("targets", "show", "two", "--format", "json")
    shown = json.loads(ended.out)
    assert (ended.code, shown["name"], shown["declared"]["threads"]) == (0, "two", 2)
    assert shown["fingerprint"]["runtime"]["version"] == onnxruntime.__version__
    assert shown["provider"]["package"] == "onnxruntime"


def test_an_unknown_target_is_refused_with_what_there_is(auditor: Command, declared: Path) -> None:
    ended = auditor("targets", "probe", "three")
    assert ended.code == 2
    assert "there is no target 'three'" in ended.said
    assert "cpu, two, cloud, npu" in ended.said


@with_azure
def test_a_probe_fails_where_the_target_falls_back(auditor: Command, declared: Path) -> None:
    ended = auditor("targets", "probe", "cloud", "--format", "json")
    assert ended.code == 1
    probe = json.loads(ended.out)
    assert (probe["falls_back"], probe["share_on_target"]) == (True, 0.0)


def test_a_probe_of_which_nobody_says_where_it_ran_is_no_success() -> None:
    def trial(nodes: dict[str, dict[str, int]]) -> TargetTrial:
        source = PlacementSource.ASSIGNMENT if nodes else PlacementSource.UNKNOWN
        return TargetTrial(
            TargetSpec("npu"), OperatorPlacement("Npu", source, nodes), Fingerprint({}, {}), 1, 0, 0
        )

    whole, mixed = {"Npu": {"Conv": 1}}, {"Npu": {"Conv": 1}, "Cpu": {"Add": 1}}
    codes = [BY_FALLBACK[trial(nodes).falls_back] for nodes in (whole, mixed, {})]
    assert codes == [0, 1, 3]


def test_a_probe_opens_the_gate_of_a_record_made_at_the_same_place_and_no_other(
    auditor: Command, declared: Path
) -> None:
    assert auditor(*AUDITED).code == 0
    assert auditor("targets", "probe", "cpu", "--out", "here.json").code == 0
    assert auditor("targets", "probe", "two", "--out", "other.json").code == 0
    probe = json.loads((declared / "here.json").read_bytes())
    assert probe["parity"] == {"rows": 256, "flips": 0, "largest_difference": 0.0}
    gate = (
        "gate", "--artifact", "model.onnx", "--policy", "policy.yaml", "--record", "out",
        "--key", "out/signer.pub", "--fingerprint",
    )  # fmt: skip
    assert auditor(*gate, "here.json").code == 0
    shut = auditor(*gate, "other.json")
    assert shut.code == 1
    assert "the probe here is at" in shut.said


def test_two_probes_of_one_place_are_one_identity(auditor: Command, declared: Path) -> None:
    first, second = (
        json.loads(auditor("targets", "probe", "--format", "json").out)["identity"]
        for _ in range(2)
    )
    assert first == second
