"""Where belief in ``get_providers()`` would pass, the audit fails, and says what happened."""

import shutil
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from subjects_on import picture_model, placement_readings, quantised_model, subject_on
from tiny_models import Classes, Workshop
from workers import software_gpu, worker

from auditor.domain.artifacts import Artifact
from auditor.domain.readings import Gap, GapReason, Measurement
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import Array
from auditor.errors import RuntimeMissingError, TargetError
from auditor.targets.probe import probe_target
from auditor.targets.session import open_model

ort: Any = onnxruntime
PACKAGE = Path(__file__).parents[2] / "auditor"
CPU = "CPUExecutionProvider"
CUDA, AZURE = "CUDAExecutionProvider", "AzureExecutionProvider"
SOFTWARE = "ORT_WEBGPU_EP_ALLOW_SOFTWARE_ADAPTER"
without_cuda = pytest.mark.skipif(
    CUDA in ort.get_available_providers(), reason="this build of onnxruntime has CUDA"
)
with_azure = pytest.mark.skipif(
    AZURE not in ort.get_available_providers(), reason="this build of onnxruntime has no Azure"
)


def believed(workshop: Workshop, *providers: str) -> list[str]:
    """Who onnxruntime says runs the model, when it is asked in the usual way."""
    session = ort.InferenceSession(str(workshop.folder / "model.onnx"), providers=list(providers))
    names: list[str] = session.get_providers()
    return names


def measured(readings: dict[str, Any], metric: str) -> Measurement:
    reading = readings[metric]
    assert isinstance(reading, Measurement), reading
    return reading


def failed_back(
    spec: TargetSpec, workshop: Workshop, made: tuple[Artifact, Array]
) -> tuple[Gap, dict[str, Any]]:
    """The Gap in the model's place, and what hardware.placement reads all the same."""
    artifact, rows = made
    with subject_on(spec, workshop, artifact, rows) as subject:
        assert isinstance(subject.model, Gap), "the audit would have measured another provider"
        return subject.model, placement_readings(subject)


@without_cuda
def test_cuda_on_a_build_without_it_is_never_opened(workshop: Workshop, classes: Classes) -> None:
    artifact, rows = picture_model(workshop)
    with pytest.warns(UserWarning, match="CUDAExecutionProvider"):
        assert believed(workshop, CUDA, CPU) == [CPU]  # a warning, and it runs
    with (
        pytest.raises(RuntimeMissingError, match=f"has no provider '{CUDA}'"),
        open_model(TargetSpec("gpu", provider=CUDA), workshop.folder, artifact, classes(3), rows),
    ):
        pass


@with_azure
def test_a_provider_that_takes_no_node_is_told(workshop: Workshop) -> None:
    made = picture_model(workshop)
    assert believed(workshop, AZURE, CPU)[0] == AZURE
    gap, readings = failed_back(TargetSpec("cloud", provider=AZURE), workshop, made)
    assert gap.reason is GapReason.FELL_BACK
    assert f"4 on {CPU}" in gap.detail
    assert measured(readings, "share_on_target").value == 0.0
    assert measured(readings, "fallback_nodes").value == 4
    assert measured(readings, "unaccounted_nodes").value == 0
    elsewhere = measured(readings, "fallback_nodes").details["elsewhere"]
    assert elsewhere == {CPU: {"Conv": 1, "Relu": 1, "Flatten": 1, "MatMul": 1}}


@pytest.mark.slow
@with_azure
def test_a_mixture_that_the_owner_allows_is_measured_and_still_counted(workshop: Workshop) -> None:
    artifact, rows = picture_model(workshop)
    spec = TargetSpec("cloud", provider=AZURE, allow_fallback=True)
    with subject_on(spec, workshop, artifact, rows) as subject:
        assert not isinstance(subject.model, Gap)
        assert measured(placement_readings(subject), "share_on_target").value == 0.0


@pytest.mark.skipif(
    any("NPU" in str(d.device.type) for d in ort.get_ep_devices()), reason="there is an NPU"
)
def test_a_device_that_is_not_there_is_no_target(workshop: Workshop) -> None:
    artifact, rows = picture_model(workshop)
    options = ort.SessionOptions()
    options.set_provider_selection_policy(ort.OrtExecutionProviderDevicePolicy.PREFER_NPU)
    session = ort.InferenceSession(str(workshop.folder / "model.onnx"), options)
    assert session.get_providers() == [CPU]  # no NPU, no word
    with subject_on(TargetSpec("npu", device="NPU"), workshop, artifact, rows) as subject:
        assert isinstance(subject.model, Gap)
        assert subject.model.reason is GapReason.NEEDS_RUNTIME
        assert "no device 'NPU'" in subject.model.detail
        (gap,) = placement_readings(subject).values()
        assert isinstance(gap, Gap)  # and never 1.0


def test_no_policy_ever_chooses_a_device() -> None:
    texts = [path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")]
    assert not [text for text in texts if "set_provider_selection_policy" in text]


@pytest.mark.slow
def test_a_plugin_that_offers_no_device_is_no_target(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(SOFTWARE, raising=False)
    spec = TargetSpec("gpu", library="onnxruntime_ep_webgpu", interpreter=worker("plugins"))
    devices = probe_target(spec)["devices"]
    if any(device["kind"] == "GPU" for device in devices):
        pytest.skip("this machine has a GPU, on which the plugin runs")
    artifact, rows = picture_model(workshop)
    with subject_on(spec, workshop, artifact, rows) as subject:
        assert isinstance(subject.model, Gap)
        assert subject.model.reason is GapReason.NEEDS_RUNTIME
        assert "registers, but offers no device" in subject.model.detail


@pytest.mark.slow
def test_the_openvino_plugin_runs_on_its_vendors_processors_and_is_refused_elsewhere(
    workshop: Workshop,
) -> None:
    spec = TargetSpec("ov", library="onnxruntime_ep_openvino", interpreter=worker("plugins"))
    artifact, rows = picture_model(workshop)
    with subject_on(spec, workshop, artifact, rows) as subject:
        if isinstance(subject.model, Gap):
            assert "registers, but offers no device" in subject.model.detail
            return
        assert subject.model.placement.declared == "OpenVINOExecutionProvider"
        assert measured(placement_readings(subject), "share_on_target").value == 1.0


@pytest.mark.slow
def test_a_plugin_may_choose_its_precision_and_ignore_an_option_it_does_not_know(
    workshop: Workshop, classes: Classes
) -> None:
    artifact, rows = picture_model(workshop)
    spec = TargetSpec("ov", library="onnxruntime_ep_openvino", interpreter=worker("plugins"))
    machine = probe_target(spec)["machine"]["cpu"]
    if machine.get("vendor") != "GenuineIntel" or "avx512_bf16" not in machine["flags"]:
        pytest.skip("the plugin runs on Intel's processors, and chooses bf16 where they have it")
    with open_model(TargetSpec("cpu"), workshop.folder, artifact, classes(3), rows) as model:
        expected = model.predict(rows)
    pinned = {"load_config": '{"CPU": {"INFERENCE_PRECISION_HINT": "f32"}}'}
    apart = []
    for options in ({}, {"INFERENCE_PRECISION_HINT": "f32"}, pinned):
        asked = replace(spec, provider_options=options)
        with open_model(asked, workshop.folder, artifact, classes(3), rows) as model:
            apart.append(float(np.abs(model.predict(rows) - expected).max()))
    left_alone, misspelt, float32 = apart
    assert left_alone == misspelt > 1e-3
    assert float32 < 1e-4


@pytest.mark.slow
def test_a_plugin_that_takes_a_part_is_told_node_by_node(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    software_gpu()
    monkeypatch.setenv(SOFTWARE, "1")
    spec = TargetSpec("gpu", library="onnxruntime_ep_webgpu", interpreter=worker("plugins"))
    gap, readings = failed_back(spec, workshop, quantised_model(workshop))
    assert gap.reason is GapReason.FELL_BACK
    assert "QuantizeLinear" in gap.detail
    share = measured(readings, "share_on_target")
    assert isinstance(share.value, float)
    assert 0.5 < share.value < 1.0
    assert measured(readings, "unaccounted_nodes").value == 0


@pytest.mark.slow
def test_a_plugin_that_takes_all_is_the_target(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    software_gpu()
    monkeypatch.setenv(SOFTWARE, "1")
    spec = TargetSpec("gpu", library="onnxruntime_ep_webgpu", interpreter=worker("plugins"))
    artifact, rows = picture_model(workshop)
    with subject_on(spec, workshop, artifact, rows) as subject:
        assert not isinstance(subject.model, Gap)
        readings = placement_readings(subject)
    assert measured(readings, "share_on_target").value == 1.0
    assert measured(readings, "unaccounted_nodes").details["added"] == {"Transpose": 2}


@pytest.mark.slow
def test_a_plugin_that_registers_and_takes_nothing_is_told(workshop: Workshop) -> None:
    spec = TargetSpec("nxrt", library="nxrt_ep_cpu", interpreter=worker("nxrt"))
    gap, readings = failed_back(spec, workshop, picture_model(workshop))
    assert gap.reason is GapReason.FELL_BACK
    share = measured(readings, "share_on_target")
    assert (share.value, share.details["declared"]) == (0.0, "cpu_ep")


@pytest.mark.slow
def test_a_plugin_that_takes_what_it_cannot_run_is_told(workshop: Workshop) -> None:
    spec = TargetSpec("ggml", library="onnxruntime_ggml", interpreter=worker("ggml"))
    artifact, rows = picture_model(workshop)
    with subject_on(spec, workshop, artifact, rows) as subject:
        assert isinstance(subject.model, Gap)
        assert subject.model.reason is GapReason.MODEL_FAILED
        assert "only 1-D convolutions" in subject.model.detail


@pytest.mark.slow
def test_a_plugin_that_leaves_an_8_bit_file_to_the_processor_is_told(workshop: Workshop) -> None:
    """The session opens and scores at full speed: every operator runs on the processor."""
    spec = TargetSpec("ggml", library="onnxruntime_ggml", interpreter=worker("ggml"))
    gap, readings = failed_back(spec, workshop, quantised_model(workshop))
    assert gap.reason is GapReason.FELL_BACK
    assert f"on {CPU}" in gap.detail
    assert measured(readings, "share_on_target").value == 0.0


@pytest.mark.slow
def test_a_provider_that_the_plugin_does_not_bring_is_no_target(
    workshop: Workshop, classes: Classes
) -> None:
    artifact, rows = picture_model(workshop)
    spec = TargetSpec(
        "nxrt", library="nxrt_ep_cpu", provider="NxrtProvider", interpreter=worker("nxrt")
    )
    with (
        pytest.raises(TargetError, match=r"brings no provider 'NxrtProvider'\. Name one of cpu_ep"),
        open_model(spec, workshop.folder, artifact, classes(3), rows),
    ):
        pass


def environment_with(folder: Path, *packages: str) -> str:
    """An environment of its own that borrows packages, and what owns the folder onnxruntime."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = folder.glob("lib/python3*/site-packages")
    own = Path(onnxruntime.__file__).parents[1]
    for name in ("numpy", "numpy.libs", "onnxruntime", "flatbuffers", "google"):
        if (own / name).exists():
            (site / name).symlink_to(own / name)
    for package in packages:
        info = site / f"{package.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "RECORD").write_text("onnxruntime/__init__.py,,\n")
    return str(folder / "bin" / "python")


def test_two_builds_in_one_environment_are_refused_by_name(tmp_path: Path) -> None:
    python = environment_with(tmp_path / "both", "onnxruntime", "onnxruntime-openvino")
    spec = TargetSpec("ov", interpreter=python)
    with pytest.raises(
        TargetError,
        match=r"onnxruntime 1\.0 and onnxruntime-openvino 1\.0 .* worker environment of its own",
    ):
        probe_target(spec)


def test_one_build_in_an_environment_of_its_own_is_a_target(tmp_path: Path) -> None:
    python = environment_with(tmp_path / "one", "onnxruntime")
    spec = TargetSpec("one", interpreter=python)
    assert probe_target(spec)["runtime"]["version"] == ort.__version__


def test_an_environment_without_the_runtime_says_so(tmp_path: Path) -> None:
    python = environment_with(tmp_path / "none")
    (library,) = (tmp_path / "none").glob("lib/python3*/site-packages/onnxruntime")
    library.unlink()
    with pytest.raises(RuntimeMissingError, match=r"No module named 'onnxruntime'.*Install"):
        probe_target(TargetSpec("none", interpreter=python))


@pytest.mark.skipif(find_spec("openvino") is not None, reason="openvino is installed here")
def test_a_runtime_that_is_not_installed_is_a_gap_with_its_cure(workshop: Workshop) -> None:
    artifact, rows = picture_model(workshop)
    with subject_on(TargetSpec("ov", runtime="openvino"), workshop, artifact, rows) as subject:
        assert isinstance(subject.model, Gap)
        assert subject.model.reason is GapReason.NEEDS_RUNTIME
        assert "No module named 'openvino'" in subject.model.detail
        assert "interpreter" in subject.model.cure


@with_azure
def test_forbidding_the_processor_is_kept_and_never_contradicts_itself(
    workshop: Workshop, classes: Classes
) -> None:
    artifact, rows = picture_model(workshop)
    forbids = {"session.disable_cpu_ep_fallback": "1"}
    contradiction = TargetSpec("cpu", session=forbids)
    with (
        pytest.raises(TargetError, match="forbids the processor, and CPUExecutionProvider is"),
        open_model(contradiction, workshop.folder, artifact, classes(3), rows),
    ):
        pass
    spec = TargetSpec("cloud", provider=AZURE, session=forbids)
    with subject_on(spec, workshop, artifact, rows) as subject:
        assert isinstance(subject.model, Gap)
        assert subject.model.reason is GapReason.MODEL_FAILED
        assert "fallback" in subject.model.detail


def test_the_entry_that_records_the_placement_cannot_be_taken_away(workshop: Workshop) -> None:
    artifact, rows = picture_model(workshop)
    spec = TargetSpec("blind", session={"session.record_ep_graph_assignment_info": "0"})
    with subject_on(spec, workshop, artifact, rows) as subject:
        assert isinstance(subject.model, Gap)
        assert "nobody knows where operators run" in subject.model.detail


@pytest.mark.slow
def test_a_graph_that_takes_one_batch_size_runs_once_the_target_gives_it(
    workshop: Workshop, classes: Classes
) -> None:
    rng = np.random.default_rng(0)
    artifact = workshop.save(
        [
            workshop.node("Reshape", ["x", "shape"], ["r"]),  # four rows, though N is declared
            workshop.node("MatMul", ["r", "w"], ["y"]),
        ],
        [workshop.value("x", ["N", 6])],
        [workshop.value("y", ["N", 3])],
        workshop.weights(
            shape=np.array([4, 6]), w=np.array(rng.normal(size=(6, 3)), dtype=np.float32)
        ),
    )
    rows = rng.normal(size=(10, 6)).astype(np.float32)
    with subject_on(TargetSpec("open"), workshop, artifact, rows) as subject:
        assert isinstance(subject.model, Gap)
        assert subject.model.reason is GapReason.MODEL_FAILED
    fixed = TargetSpec("fixed", free_dimensions={"N": 4})
    with open_model(fixed, workshop.folder, artifact, classes(3), rows) as model:
        assert model.interface.fixed_batch == 4
        assert model.predict(rows).shape == (10, 3)
        assert model.fingerprint.identity_facts["free_dimensions"] == {"N": 4}


def test_the_script_refuses_a_name_without_packages() -> None:
    script = Path(__file__).parents[2] / "scripts" / "make_worker_env.sh"
    assert shutil.which("bash")
    for wrong in ([], ["openvino"], ["../away", "numpy"], ["bench", "numpy"]):
        ended = subprocess.run([script, *wrong], capture_output=True, text=True, check=False)
        assert (ended.returncode, "Usage" in ended.stderr) == (2, True)
