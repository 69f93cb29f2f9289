"""A vendor's simulator of its chip, audited by the command: its numbers count, and nothing more."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from workers import worker

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
QNN: Mapping[str, Any] = {"provider": "QNNExecutionProvider", "library": "onnxruntime_qnn",
                          "free_dimensions": {"rows": 1}}  # fmt: skip
MEASURED = ("hardware.placement", "quality.accuracy")
TIMED = ("hardware.latency", "hardware.memory", "hardware.cost")


@pytest.fixture(scope="module")
def python() -> str:
    return worker("qnn")


@pytest.fixture
def folder(tmp_path: Path, home: Path, python: str) -> Path:
    """The 8-bit digits, and the simulated NPU as the operator of this machine declares it."""
    (packages,) = Path(python).parents[1].glob("lib/python3*/site-packages/onnxruntime_qnn")
    options = {"backend_path": str(packages / "libQnnHtp.so"), "htp_arch": "73"}
    bare = {**QNN, "interpreter": python, "provider_options": options}
    whole = {**bare, "provider_options": {**options, "offload_graph_io_quantization": "0"}}
    home.mkdir(exist_ok=True)
    declared = {"apiVersion": "auditor/v1", "kind": "Targets",
                "targets": {"hexagon": whole, "bare": bare}}  # fmt: skip
    (home / "targets.yaml").write_text(yaml.safe_dump(declared))
    shutil.copytree(DIGITS / "variants", tmp_path / "variants")
    written = yaml.safe_load((DIGITS / "audit-targets.yaml").read_text())
    (tmp_path / "audit.yaml").write_text(yaml.safe_dump({**written, "targets": ["hexagon"]}))
    return tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("auditor")), *arguments]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=600
    )


def audited(folder: Path, *checks: str, target: str = "hexagon") -> tuple[Mapping[str, Any], str]:
    only = [word for check in checks for word in ("--only", check)]
    done = run(folder, "audit", "audit.yaml", "--target", target, "--out", "out", *only)
    assert (folder / "out" / "record.json").exists(), done.stderr
    return json.loads((folder / "out" / "record.json").read_bytes()), done.stdout


@pytest.mark.slow
def test_qualcomms_simulation_of_its_npu_is_simulated_and_never_timed(folder: Path) -> None:
    record, _ = audited(folder, *MEASURED, *TIMED)
    assert record["fingerprints"]["hexagon"]["evidence"] == "simulated"
    gaps = {item["check"]: item["reason"] for item in record["readings"] if item["kind"] == "gap"}
    assert gaps == dict.fromkeys((*TIMED, "hardware.placement"), "simulated")
    found = {item.get("metric"): item for item in record["readings"] if not item.get("slice")}
    assert found["share_on_target"]["value"] == 1.0
    assert found["accuracy"]["value"] > 0.9
    report = (folder / "out" / "report.html").read_text()
    assert "simulated" in report
    assert "verified on target" not in report
    verified = run(folder, "verify", "out", "--key", "out/signer.pub")
    assert verified.returncode == 0, verified.stdout


@pytest.mark.slow
def test_no_policy_that_asks_for_the_chip_passes_on_its_simulation(folder: Path) -> None:
    pack = yaml.safe_load((Path(__file__).parents[2] / "policies/edge-deployment.yaml").read_text())
    pack["metadata"] |= {"name": "release", "least_evidence": "native"}
    (folder / "policy.yaml").write_text(yaml.safe_dump(pack))
    run(folder, "audit", "audit.yaml", "--policy", "policy.yaml", "--out", "out", "--only",
        "quality.accuracy")  # fmt: skip
    record = json.loads((folder / "out" / "record.json").read_bytes())
    (asked,) = (item for item in record["findings"] if item["rule"] == "policy.least_evidence")
    assert (asked["outcome"], asked["effect"]) == ("unknown", "deny")


@pytest.mark.slow
def test_quantised_inputs_that_fall_back_are_refused_with_their_cure(folder: Path) -> None:
    _, said = audited(folder, "quality.accuracy", target="bare")
    assert "fell_back" in said
    assert 'offload_graph_io_quantization: "0"' in " ".join(said.split())


@pytest.mark.slow
def test_a_probe_pins_its_own_open_axis_and_says_so(folder: Path) -> None:
    probed = run(folder, "targets", "probe", "hexagon", "--format", "json")
    found = json.loads(probed.stdout)
    assert (found["falls_back"], found["pinned"], found["evidence"]) == (
        False,
        {"N": 1},
        "simulated",
    )
    assert probed.returncode == 1  # on a simulation of the device, not on it
    told = run(folder, "targets", "probe", "hexagon")
    assert "Fix that axis of your model" in told.stdout
