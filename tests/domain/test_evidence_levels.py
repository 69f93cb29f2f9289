"""How far figures speak of a declared target: by what the runtime reports, whatever is declared."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.domain.evidence_levels import assess_evidence, find_timing_gap
from auditor.domain.execution_providers import PROVIDERS
from auditor.domain.json import Json
from auditor.domain.policies import MinimumEvidence
from auditor.domain.readings import GapReason
from auditor.domain.targets import CascadeSpec, EvidenceLevel, Fingerprint, TargetSpec

VERIFIED, MEASURED = EvidenceLevel.VERIFIED, EvidenceLevel.MEASURED
SIMULATED, EMULATED = EvidenceLevel.SIMULATED, EvidenceLevel.EMULATED
HTP = "/venvs/qnn/lib/python3.11/site-packages/onnxruntime_qnn/libQnnHtp.so"
MACHINE: Json = {
    "cpu": {
        "family": "25", "flags": ["avx", "avx2", "fma", "sse4_2"], "model": "AMD EPYC",
        "model_number": "17", "stepping": "1", "vendor": "AuthenticAMD",
    },
    "libc": "glibc 2.41", "machine": "x86_64", "os": "Linux",
}  # fmt: skip
ON_EPYC: dict[str, Json] = {
    "device_id": 0, "hardware_vendor": "AMD", "kind": "CPU", "provider": "auditor-plugin",
    "vendor": "Qualcomm", "vendor_id": 4130, "version": "0.1.0",
}  # fmt: skip
QNN: dict[str, Json] = {
    "devices": [ON_EPYC],
    "library": "onnxruntime_qnn",
    "machine": MACHINE,
    "placement": {"auditor-plugin": {"Conv": 6, "DequantizeLinear": 34, "QuantizeLinear": 20}},
    "provider": "QNNExecutionProvider",
    "provider_options": {"backend_path": HTP, "htp_arch": "73"},
    "session_providers": ["auditor-plugin", "CPUExecutionProvider"],
}
"""What onnxruntime 1.32 with onnxruntime-qnn 2.7.0 reported on an x86 processor."""
HEXAGON = TargetSpec(
    "hexagon",
    provider="QNNExecutionProvider",
    library="onnxruntime_qnn",
    provider_options={"backend_path": HTP, "htp_arch": "73"},
)
NPU: dict[str, Json] = {
    **ON_EPYC, "kind": "NPU", "hardware_vendor": "Qualcomm Technologies, Inc.", "vendor_id": 20803,
}  # fmt: skip


def on(facts: Mapping[str, Json], **more: Json) -> Fingerprint:
    return Fingerprint({**facts, **more}, {})


def level(spec: TargetSpec, facts: Mapping[str, Json], **more: Json) -> EvidenceLevel:
    return assess_evidence(spec, on(facts, **more)).level


def test_the_vendors_simulation_of_an_npu_is_simulated() -> None:
    found = assess_evidence(HEXAGON, on(QNN))
    assert found.level is SIMULATED
    assert "stands for NPU, and the device that it reports is CPU of AMD" in found.because


@pytest.mark.parametrize(
    "spec",
    [
        replace(HEXAGON, provider_options={}),
        replace(HEXAGON, provider_options={"backend_type": "htp"}),
        replace(HEXAGON, provider_options={"backend_type": "cpu"}),
        replace(HEXAGON, provider_options={"backend_path": "/x/libQnnCpu.so"}),
        replace(HEXAGON, provider_options={"backend_path": "/x/libQnnGpu.so"}),
        replace(HEXAGON, provider_options={"backend_path": "C:\\x\\QnnHtp.dll"}),
        replace(HEXAGON, provider_options={"backend_path": "/x/libsomething.so"}),
        replace(HEXAGON, provider="CPUExecutionProvider"),
        replace(HEXAGON, library="/x/libonnxruntime_providers_qnn.so"),
        replace(HEXAGON, library="/x/libcpu.so", provider="CPUExecutionProvider"),
        replace(HEXAGON, library="/x/libcpu.so", provider="cpu_ep"),
        replace(HEXAGON, library="nxrt_ep_cpu", provider="cpu_ep"),
        replace(HEXAGON, device="CPU"),
        replace(HEXAGON, allow_fallback=True),
    ],
)
def test_no_spelling_makes_the_simulation_a_chip(spec: TargetSpec) -> None:
    assert level(spec, QNN) is SIMULATED


def test_the_backend_is_read_from_session_entries_too() -> None:
    spec = replace(HEXAGON, provider_options={}, session={"ep.qnn.backend_path": "libQnnCpu.so"})
    assert level(spec, QNN, devices=[NPU]) is SIMULATED


def test_the_chip_itself_is_verified() -> None:
    assert level(HEXAGON, QNN, devices=[NPU]) is VERIFIED
    assert level(replace(HEXAGON, device="NPU"), QNN, devices=[ON_EPYC, NPU]) is VERIFIED


def test_an_npu_driven_by_the_backend_of_the_processor_is_not_verified() -> None:
    spec = replace(HEXAGON, provider_options={"backend_path": "libQnnCpu.so"}, device="NPU")
    assert level(spec, QNN, devices=[NPU]) is SIMULATED


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        (None, MEASURED),  # nothing is reported
        ([{**NPU, "kind": ""}], MEASURED),
        ([{**NPU, "hardware_vendor": "", "vendor_id": 0}], MEASURED),
        ([{**NPU, "hardware_vendor": "Intel", "vendor_id": 0x8086}], SIMULATED),
    ],
)
def test_what_the_runtime_does_not_report_is_not_verified(
    devices: Json, expected: EvidenceLevel
) -> None:
    assert level(HEXAGON, QNN, devices=devices) is expected


CUDA = TargetSpec("gpu", provider="CUDAExecutionProvider")
CUDA_FACTS: dict[str, Json] = {
    "machine": MACHINE, "placement": {"CUDAExecutionProvider": {"Conv": 6}},
    "provider": "CUDAExecutionProvider",
}  # fmt: skip
GPU: dict[str, Json] = {
    "provider": "CUDAExecutionProvider", "kind": "GPU", "hardware_vendor": "NVIDIA",
    "vendor_id": 0x10DE,
}  # fmt: skip


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        ([GPU], VERIFIED),
        ([{**GPU, "hardware_vendor": ""}], VERIFIED),  # its number tells
        (None, MEASURED),
        ([{**GPU, "hardware_vendor": "AMD", "vendor_id": 0x1002}], SIMULATED),
        ([{**GPU, "kind": "CPU"}], SIMULATED),
        ([GPU, {**GPU, "kind": "CPU"}], MEASURED),  # which of the two was used is not said
        ([{**GPU, "hardware_vendor": "Mesa", "vendor_id": 0x10005}], SIMULATED),
    ],
)
def test_cuda_needs_a_gpu_of_its_vendor(devices: Json, expected: EvidenceLevel) -> None:
    assert level(CUDA, CUDA_FACTS, devices=devices) is expected


def test_a_gpu_that_is_played_in_software_is_simulated() -> None:
    spec = TargetSpec("gpu", library="onnxruntime_ep_webgpu")
    facts: dict[str, Json] = {
        "machine": MACHINE,
        "placement": {"WebGpuExecutionProvider": {"Conv": 1}},
    }
    played = {**GPU, "hardware_vendor": "Mesa", "vendor_id": 0x10005}
    assert level(spec, facts, devices=[played]) is SIMULATED
    assert level(spec, facts, devices=[{**GPU, "kind": "CPU"}]) is SIMULATED
    assert level(spec, facts, devices=[GPU]) is MEASURED  # Dawn may take another adapter


@pytest.mark.parametrize(
    ("device", "ran", "expected"),
    [
        (None, {"CPU": {"Conv": 1}}, VERIFIED),
        ("CPU", {"CPU": {"Conv": 1}}, VERIFIED),
        ("GPU", {"CPU": {"Conv": 1}}, SIMULATED),
        ("NPU", {"CPU": {"Conv": 1}}, SIMULATED),
        ("NPU", {"NPU": {"Conv": 1}}, VERIFIED),
        ("GPU.1", {"GPU.1": {"Conv": 1}}, VERIFIED),
        ("AUTO", {"CPU": {"Conv": 1}}, MEASURED),
        ("HETERO", {"GPU": {"Conv": 1}}, MEASURED),
        ("NPU", None, MEASURED),
    ],
)
def test_openvino_is_held_to_the_device_that_it_ran_on(
    device: str | None, ran: Json, expected: EvidenceLevel
) -> None:
    spec = TargetSpec("ov", runtime="openvino", device=device)
    assert level(spec, {"machine": MACHINE, "placement": ran}) is expected


@pytest.mark.parametrize(
    ("option", "kind", "expected"),
    [
        ("GPU", "CPU", SIMULATED),
        ("NPU", "CPU", SIMULATED),
        ("GPU", "GPU", VERIFIED),
        ("CPU", "CPU", VERIFIED),
        ("AUTO:GPU,CPU", "GPU", MEASURED),
        ("HETERO:NPU,CPU", "NPU", MEASURED),
    ],
)
def test_the_openvino_provider_is_held_to_the_device_type_that_it_is_given(
    option: str, kind: str, expected: EvidenceLevel
) -> None:
    name = "OpenVINOExecutionProvider"
    spec = TargetSpec(
        "ov", library="onnxruntime_ep_openvino", provider_options={"device_type": option}
    )
    device: Json = [
        {"provider": name, "kind": kind, "hardware_vendor": "Intel", "vendor_id": 0x8086}
    ]
    assert (
        level(spec, {"machine": MACHINE, "placement": {name: {"Conv": 1}}}, devices=device)
        is expected
    )


def test_a_provider_that_nobody_knows_is_measured_at_most() -> None:
    spec = TargetSpec("new", library="onnxruntime_new", provider="NewExecutionProvider")
    facts: dict[str, Json] = {
        "machine": MACHINE,
        "placement": {"NewExecutionProvider": {"Conv": 1}},
    }
    for device in (NPU, GPU, ON_EPYC):
        assert level(spec, facts, devices=[{**device, "vendor": "New"}]) is MEASURED


ON_CPU: dict[str, Json] = {"machine": MACHINE, "placement": {"CPUExecutionProvider": {"Conv": 6}}}


def test_this_machines_processor_is_verified() -> None:
    assert level(TargetSpec("cpu"), ON_CPU) is VERIFIED


@pytest.mark.parametrize("by", ["Rosetta", "QEMU TCG", "a translator of x86_64"])
def test_a_processor_that_something_plays_undeclared_is_emulated(by: str) -> None:
    machine: Json = {"cpu": {"model": "VirtualApple", "flags": [], "translated": by}}
    found = assess_evidence(TargetSpec("cpu"), on(ON_CPU, machine=machine))
    assert (found.level, by in found.because) == (EMULATED, True)


def test_a_cascade_is_no_better_than_its_weaker_half() -> None:
    spec = TargetSpec(
        "pair", runtime="cascade", cascade=CascadeSpec(HEXAGON, TargetSpec("cpu"), 0.9)
    )
    assert level(spec, {"edge": QNN, "cloud": ON_CPU}) is SIMULATED
    assert level(spec, {"edge": {**QNN, "devices": [NPU]}, "cloud": ON_CPU}) is VERIFIED
    other = replace(spec, cascade=CascadeSpec(TargetSpec("cpu"), HEXAGON, 0.9))
    assert level(other, {"edge": ON_CPU, "cloud": QNN}) is SIMULATED


def test_what_is_played_is_never_timed() -> None:
    assert find_timing_gap(TargetSpec("cpu"), on(ON_CPU)) is None
    gap = find_timing_gap(HEXAGON, on(QNN))
    assert gap is not None
    assert gap.reason is GapReason.SIMULATED
    played = find_timing_gap(TargetSpec("haswell", emulated="Haswell"), on(ON_CPU))
    assert played is not None
    assert played.reason is GapReason.EMULATED


def test_a_level_that_a_record_carries_is_never_raised() -> None:
    for carried in EvidenceLevel:
        found = assess_evidence(TargetSpec("cpu"), replace(on(ON_CPU), evidence=carried))
        assert found.level is carried
        assert assess_evidence(HEXAGON, replace(on(QNN), evidence=VERIFIED)).level is SIMULATED


def test_a_fingerprint_says_its_level_only_where_it_has_one() -> None:
    assert "evidence" not in on(ON_CPU).to_json()
    assert replace(on(ON_CPU), evidence=VERIFIED).to_json()["evidence"] == "verified"
    assert replace(on(ON_CPU), evidence=VERIFIED).identity == on(ON_CPU).identity


@pytest.mark.parametrize(
    ("least", "accepted"),
    [
        (MinimumEvidence.ANY, {*EvidenceLevel, None}),
        (MinimumEvidence.NATIVE, {VERIFIED, MEASURED, EvidenceLevel.UNOPENED, None}),
        (MinimumEvidence.VERIFIED, {VERIFIED}),
    ],
)
def test_a_policy_accepts_the_levels_that_it_asks_for(
    least: MinimumEvidence, accepted: set[EvidenceLevel | None]
) -> None:
    assert {item for item in (*EvidenceLevel, None) if least.accepts(item)} == accepted


HARDWARE = ["AMD", "NVIDIA", "Intel", "Qualcomm", "Mesa", ""]
DEVICES = st.builds(
    lambda maker, found: [{**device, "vendor": maker} for device in found],
    st.sampled_from(["Qualcomm", "Intel", "Microsoft", ""]),
    st.lists(
        st.fixed_dictionaries({
            "kind": st.sampled_from(["CPU", "GPU", "NPU", "FPGA", ""]),
            "hardware_vendor": st.sampled_from(HARDWARE),
            "vendor_id": st.sampled_from([0, 0x10DE, 0x1022, 0x8086, 0x5143, 0x10005]),
        }),
        max_size=2,
    ),
)  # fmt: skip
SPECS = st.builds(
    lambda provider, library, device, options: TargetSpec(
        "t", provider=provider, library=library, device=device, provider_options=options
    ),
    st.sampled_from([*PROVIDERS, "NewExecutionProvider"]),
    st.sampled_from([None, "/x/lib.so", *(f.library for f in PROVIDERS.values() if f.library)]),
    st.sampled_from([None, "CPU", "GPU", "NPU", "GPU:1"]),
    st.dictionaries(
        st.sampled_from(["backend_type", "backend_path", "device_type"]),
        st.sampled_from(["htp", "cpu", HTP, "GPU", "AUTO", "NPU"]),
        max_size=2,
    ),
)


@given(SPECS, DEVICES)
def test_verified_is_said_of_the_processor_or_of_a_device_that_is_reported(
    spec: TargetSpec, devices: list[dict[str, Any]]
) -> None:
    name = spec.provider if spec.library is None else "P"
    facts: dict[str, Json] = {"machine": MACHINE, "placement": {name: {"Conv": 1}}}
    if level(spec, facts, devices=devices) is not VERIFIED:
        return
    if spec.library is None and spec.device is None and PROVIDERS[spec.provider].runs_in_process:
        return
    kinds = {device["kind"] for device in devices}
    assert kinds & {"CPU", "GPU", "NPU"}
    if spec.device is not None:
        assert spec.device.partition(":")[0] in kinds
    if spec.library == "onnxruntime_qnn" or any(item["vendor"] == "Qualcomm" for item in devices):
        assert kinds & {"GPU", "NPU"}
        assert any(
            item["hardware_vendor"] == "Qualcomm" or item["vendor_id"] == 0x5143 for item in devices
        )
