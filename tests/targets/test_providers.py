"""The table of providers, and what this machine offers."""

from dataclasses import replace
from pathlib import Path

import onnxruntime
import pytest

from auditor.domain.execution_providers import (
    PROVIDERS,
    UNTESTED,
    describe_support,
    find_provider,
    suggest_provider_package,
)
from auditor.domain.targets import TargetSpec
from auditor.errors import TargetError
from auditor.targets.available_targets import list_target_offers
from auditor.targets.sandbox.devices import require_provider
from auditor.targets.sandbox.request_loop import RefusalError
from auditor.targets.target_specs import resolve_target

RAN = {
    "CPUExecutionProvider", "AzureExecutionProvider", "OpenVINOExecutionProvider",
    "WebGpuExecutionProvider", "openvino", "cpu_ep", "ggml", "QNNExecutionProvider",
}  # fmt: skip
"""What tests/targets opens a model on."""
TESTS = Path(__file__).parent


def test_what_no_test_ran_is_called_untested() -> None:
    tested = {name for name, facts in PROVIDERS.items() if facts.tested}
    assert tested == RAN
    for name in set(PROVIDERS) - RAN:
        assert describe_support(TargetSpec("x", provider=name)) == UNTESTED


@pytest.mark.parametrize("name", sorted(RAN - {"CPUExecutionProvider"}))
def test_what_is_called_tested_stands_in_a_test(name: str) -> None:
    facts = PROVIDERS[name]
    texts = [
        path.read_text(encoding="utf-8")
        for path in TESTS.glob("test_*.py")
        if path.name != Path(__file__).name
    ]
    words = {name, facts.library or name, facts.package}
    assert any(word in text for text in texts for word in words)


def test_every_provider_of_this_runtime_that_matters_is_in_the_table() -> None:
    asked = {
        "CUDA",
        "Tensorrt",
        "OpenVINO",
        "QNN",
        "CoreML",
        "Dml",
        "MIGraphX",
        "WebGpu",
        "Xnnpack",
    }
    known = set(onnxruntime.get_all_providers())
    for short in asked:
        assert f"{short}ExecutionProvider" in PROVIDERS
        assert f"{short}ExecutionProvider" in known


def test_a_plugin_is_known_by_its_package() -> None:
    spec = TargetSpec("x", library="onnxruntime_ep_nv_tensorrt_rtx")
    facts = find_provider(spec)
    assert facts is not None
    assert facts.name == "NvTensorRTRTXExecutionProvider"
    assert describe_support(spec) == UNTESTED


def test_a_plugin_that_is_named_by_its_path_is_not_taken_for_the_processor() -> None:
    assert (
        find_provider(TargetSpec("x", library="/venvs/x/lib/libonnxruntime_providers_qnn.so"))
        is None
    )


def test_a_provider_that_nobody_wrote_down_is_untested() -> None:
    assert find_provider(TargetSpec("x", provider="NewExecutionProvider")) is None
    assert describe_support(TargetSpec("x", provider="NewExecutionProvider")) == UNTESTED


def test_the_offer_names_everything_once_and_says_what_is_untested(tmp_path: Path) -> None:
    declared = {
        "cpu": TargetSpec("cpu"),
        "npu": replace(TargetSpec("npu"), library="onnxruntime_new", device="NPU"),
    }
    folder = tmp_path / ".venv-vendor"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").touch()
    (folder / "lib/python3.11/site-packages/openvino-2026.4.1.dist-info").mkdir(parents=True)
    found = list_target_offers(declared, tmp_path, tmp_path / "home")
    assert len({(item.kind, item.name) for item in found if item.kind != "device"}) == len(
        [item for item in found if item.kind != "device"]
    )
    by_name = {item.name: item for item in found}
    assert by_name["npu"].support == UNTESTED
    assert by_name["npu"].state == "onnxruntime, onnxruntime_new, NPU"
    assert by_name["CPUExecutionProvider"].state == "here"
    assert by_name[str(folder / "bin" / "python")].state == "openvino 2026.4.1"
    assert {item.kind for item in found} >= {"target", "provider", "emulator", "worker"}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("CudaExecutionProvider", "CUDAExecutionProvider"),
        ("cuda", "CUDAExecutionProvider"),
        ("CUDAExecutionProvidor", "CUDAExecutionProvider"),
        ("TensorRTExecutionProvider", "TensorrtExecutionProvider"),
    ],
)
def test_a_misspelt_provider_is_refused_before_anything_runs(written: str, meant: str) -> None:
    with pytest.raises(TargetError) as caught:
        resolve_target({"name": "gpu", "provider": written})
    assert caught.value.problem.endswith(f"{written!r}, which does not exist")
    assert caught.value.cure == f"Did you mean {meant}?"


@pytest.mark.parametrize("name", [*onnxruntime.get_all_providers(), "NewExecutionProvider"])
def test_no_provider_of_the_runtime_is_taken_for_another(name: str) -> None:
    assert resolve_target({"name": "x", "provider": name}).provider == name


def test_a_plugin_names_its_provider_as_it_likes() -> None:
    spec = {"name": "x", "provider": "cuda", "library": "onnxruntime_ep_cuda"}
    assert resolve_target(spec).provider == "cuda"


def test_what_helps_comes_before_the_providers_that_are_here() -> None:
    cure = suggest_provider_package(TargetSpec("x", provider="CUDAExecutionProvider"))
    with pytest.raises(RefusalError) as caught:
        require_provider("CUDAExecutionProvider", cure)
    assert caught.value.cure.startswith("Run it where the runtime has this provider, or install ")
    assert "`interpreter`. Here are " in caught.value.cure
