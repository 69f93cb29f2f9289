"""Why a target is called verified, measured, simulated or emulated: the reason that people read."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.domain.evidence_levels import (
    assess_evidence,
    assess_evidence_levels,
    find_timing_gap,
    read_operator_counts,
)
from auditor.domain.json import Json
from auditor.domain.readings import Gap, GapReason, Measurement, Reading
from auditor.domain.targets import CascadeSpec, EndpointSpec, EvidenceLevel, Fingerprint, TargetSpec

VERIFIED, MEASURED = EvidenceLevel.VERIFIED, EvidenceLevel.MEASURED
SIMULATED, EMULATED = EvidenceLevel.SIMULATED, EvidenceLevel.EMULATED
UNOPENED = EvidenceLevel.UNOPENED
UNTIMED = "numbers are those of a simulation, and times are never taken"
PLAYED = "plays the processor, so that numbers are those of the chip; it is never timed"
SILENT = "nobody says where the operators run"
SERVED = "a served model does not say where its operators run"
UNKNOWN = "it is not known for which kind of device the provider stands"
UNREPORTED = "the runtime does not report the device that was used"
UNNAMED = "the runtime does not report who made the device"
CHOOSES = "the provider chooses among devices by itself"
SOFTWARE = "the device that the provider reports is software"
HIDES = "the provider does not say which device it uses"

CPU = TargetSpec("t")
CUDA = TargetSpec("t", provider="CUDAExecutionProvider")
AMD = TargetSpec("t", provider="MIGraphXExecutionProvider")
DML = TargetSpec("t", provider="DmlExecutionProvider")
MAC = TargetSpec("t", provider="CoreMLExecutionProvider")
QNN = TargetSpec("t", provider="QNNExecutionProvider", library="onnxruntime_qnn")
VINO = TargetSpec("t", library="onnxruntime_ep_openvino")
PLUGIN = TargetSpec("t", library="nxrt_ep_cpu")
NEW = TargetSpec("t", provider="NewExecutionProvider", library="/x/libnew.so")
OPENVINO = TargetSpec("t", runtime="openvino")

Device = dict[str, Json]
NVIDIA_GPU: Device = {"kind": "GPU", "hardware_vendor": "NVIDIA", "vendor_id": 0x10DE}
AMD_GPU: Device = {"kind": "GPU", "hardware_vendor": "AMD", "vendor_id": 0x1002}
NPU: Device = {"kind": "NPU", "hardware_vendor": "Qualcomm", "vendor_id": 0x5143}
CHIP: Device = {"kind": "CPU", "hardware_vendor": "Intel", "vendor_id": 0x8086}


def facts(spec: TargetSpec, *devices: Json, **more: Json) -> dict[str, Json]:
    """All six operators ran where the target means, on devices that the runtime lists."""
    return {"placement": {spec.provider: {"Conv": 6}}, "devices": list(devices), **more}


def told(
    spec: TargetSpec, found: Mapping[str, Json], readings: Sequence[Reading] = ()
) -> tuple[EvidenceLevel, str]:
    evidence = assess_evidence(spec, Fingerprint(found, {}), readings)
    return evidence.level, evidence.because


def on(spec: TargetSpec, *devices: Json) -> tuple[EvidenceLevel, str]:
    return told(spec, facts(spec, *devices))


def ran(spec: TargetSpec) -> tuple[EvidenceLevel, str]:
    return VERIFIED, f"the runtime says that all 6 operators run on {spec.provider}"


def stands(kinds: str, shown: str) -> tuple[EvidenceLevel, str]:
    why = f"the provider stands for {kinds}, and the device that it reports is {shown}"
    return SIMULATED, f"{why}; {UNTIMED}"


def options(spec: TargetSpec, **said: str) -> TargetSpec:
    return replace(spec, provider_options=said)


@pytest.mark.parametrize(
    ("spec", "devices", "expected"),
    [
        # The processor of this machine needs no device; what is named must be reported.
        (CPU, [], ran(CPU)),
        (replace(CPU, device="CPU"), [], (MEASURED, UNREPORTED)),
        (replace(CPU, device="CPU"), [CHIP], ran(CPU)),
        (replace(CPU, device="cpu"), [CHIP], ran(CPU)),
        (CPU, [{**CHIP, "vendor": "Qualcomm"}], stands("no device of its own", "CPU of Intel")),
        (replace(CPU, device="GPU"), [CHIP], (MEASURED, UNREPORTED)),
        # A kind of device, and who made it.
        (CUDA, [NVIDIA_GPU], ran(CUDA)),
        (CUDA, [{**NVIDIA_GPU, "vendor": ""}], ran(CUDA)),
        (CUDA, [CHIP], stands("GPU", "CPU of Intel")),
        (CUDA, [{"kind": "cpu"}], stands("GPU", "CPU")),
        (CUDA, [AMD_GPU], stands("hardware of NVIDIA", "GPU of AMD")),
        (CUDA, [{"kind": "GPU", "vendor_id": 0x8086}], stands("hardware of NVIDIA", "GPU")),
        (CUDA, [{"kind": "GPU", "hardware_vendor": "nvidia corp"}], ran(CUDA)),
        (CUDA, [{"kind": "GPU"}], (MEASURED, UNNAMED)),
        (CUDA, [{"hardware_vendor": "NVIDIA"}], (MEASURED, UNREPORTED)),
        (CUDA, [NVIDIA_GPU, {"hardware_vendor": "NVIDIA"}], (MEASURED, UNREPORTED)),
        (CUDA, [NVIDIA_GPU, {"kind": "GPU"}], (MEASURED, UNNAMED)),
        (CUDA, [{}], (MEASURED, UNREPORTED)),
        (CUDA, [{**NVIDIA_GPU, "vendor": ["Qualcomm"]}], ran(CUDA)),
        (CUDA, [{**NVIDIA_GPU, "vendor_id": [0x10DE]}], ran(CUDA)),  # its maker is named beside it
        (CUDA, [{"kind": "GPU", "vendor_id": [0x10DE]}], stands("hardware of NVIDIA", "GPU")),
        (CUDA, ["no device", 7], (MEASURED, UNREPORTED)),
        (
            CUDA,
            [NVIDIA_GPU, CHIP, AMD_GPU],
            (MEASURED, stands("GPU", "CPU of Intel")[1].partition(";")[0]),
        ),
        (CUDA, [CHIP, {"kind": "GPU"}], (MEASURED, UNNAMED)),
        (AMD, [{"kind": "GPU", "hardware_vendor": "Advanced Micro Devices, Inc."}], ran(AMD)),
        (CUDA, [{"kind": "GPU", "hardware_vendor": "Advanced Micro Devices"}],
         stands("hardware of NVIDIA", "GPU of Advanced Micro Devices")),
        (AMD, [NVIDIA_GPU], stands("hardware of AMD", "GPU of NVIDIA")),
        (DML, [CHIP], stands("GPU or NPU", "CPU of Intel")),
        (DML, [{"kind": "GPU"}], ran(DML)),  # made by anybody
        (PLUGIN, [{"kind": "CPU"}], None),
        (PLUGIN, [{"kind": "CPU", "hardware_vendor": "Microsoft"}], None),
        # GPUs out of software.
        *(
            (DML, [{"kind": "GPU", "vendor_id": number}],
             (SIMULATED, f"{SOFTWARE} (GPU); {UNTIMED}"))
            for number in (0x10005, 0x1AE0, 0x1414)
        ),
        *(
            (DML, [{"kind": "GPU", "hardware_vendor": maker}],
             (SIMULATED, f"{SOFTWARE} (GPU of {maker}); {UNTIMED}"))
            for maker in ("Mesa/X.org", "LLVMpipe", "SwiftShader", "Microsoft Basic Render")
        ),
        # Providers of which little is known.
        (MAC, [NVIDIA_GPU], (MEASURED, UNKNOWN)),
        (NEW, [NVIDIA_GPU], (MEASURED, UNKNOWN)),
        (NEW, [], (MEASURED, UNKNOWN)),
        (options(NEW, device_type="NPU"), [NVIDIA_GPU], stands("NPU", "GPU of NVIDIA")),
        (TargetSpec("t", library="onnxruntime_ep_webgpu"), [NVIDIA_GPU], (MEASURED, HIDES)),
        (TargetSpec("t", library="/x/libcpu.so"), [CHIP], (MEASURED, UNKNOWN)),
        # What a plugin is given decides what it stands for.
        (VINO, [CHIP], None),
        (options(VINO, device_type="GPU"), [CHIP], stands("GPU", "CPU of Intel")),
        (options(VINO, DEVICE_TYPE="GPU.0"), [CHIP], stands("GPU", "CPU of Intel")),
        (options(VINO, device_type="AUTO:GPU,CPU"), [CHIP], (MEASURED, CHOOSES)),
        (options(VINO, device_type="MULTI(GPU)"), [CHIP], (MEASURED, CHOOSES)),
        (options(VINO, device_type="BATCH:GPU"), [CHIP], (MEASURED, CHOOSES)),
        (replace(VINO, session={"ep.openvino.device_type": "GPU"}), [CHIP],
         stands("GPU", "CPU of Intel")),
        (replace(VINO, session={"device_type": "GPU"}), [CHIP], None),
    ],
)  # fmt: skip
def test_a_device_is_held_to_what_the_target_names(
    spec: TargetSpec, devices: list[Json], expected: tuple[EvidenceLevel, str] | None
) -> None:
    assert on(spec, *devices) == (expected or ran(spec))


@pytest.mark.parametrize("number", [0x5143, 0x17CB, 0x4D4F4351])
def test_a_maker_is_known_by_each_of_its_numbers(number: int) -> None:
    assert on(QNN, {"kind": "NPU", "vendor_id": number}) == ran(QNN)
    assert on(QNN, {"kind": "NPU", "vendor_id": number + 1})[0] is SIMULATED


@pytest.mark.parametrize("number", [0x1002, 0x1022])
def test_amd_has_two_numbers(number: int) -> None:
    assert on(AMD, {"kind": "GPU", "vendor_id": number}) == ran(AMD)
    assert on(AMD, {"kind": "GPU", "vendor_id": number + 1})[0] is SIMULATED


GPU_OF_QUALCOMM: Device = {**NPU, "kind": "GPU"}


@pytest.mark.parametrize(
    ("said", "on_npu", "on_gpu"),
    [
        ({}, True, True),
        ({"backend_type": "htp"}, True, False),
        ({"backend_type": "HTP"}, True, False),
        ({"Backend_Type": "gpu"}, False, True),
        ({"backend_type": "saver"}, False, False),
        ({"backend_path": "libQnnHtp.so"}, True, False),
        ({"backend_path": "/opt/qnn/lib/libQnnHtp.so"}, True, False),
        ({"backend_path": "C:\\qnn\\QnnHtp.dll"}, True, False),
        ({"backend_path": "/opt/qnn/libQnnGpu.so"}, False, True),
        ({"backend_path": "/opt/libQnnHtp.so/libQnnCpu.so"}, False, False),
        ({"backend_path": "/opt/libQnnHtp.so.old"}, False, False),
        ({"backend_type": "htp", "backend_path": "libQnnGpu.so"}, False, False),
    ],
)
def test_a_backend_of_qualcomm_stands_for_its_own_chip(
    said: dict[str, str],
    on_npu: bool,  # noqa: FBT001 -- a case
    on_gpu: bool,  # noqa: FBT001 -- a case
) -> None:
    spec = options(QNN, **said)
    assert on(spec, NPU)[0] is (VERIFIED if on_npu else SIMULATED)
    assert on(spec, GPU_OF_QUALCOMM)[0] is (VERIFIED if on_gpu else SIMULATED)


def test_backends_are_asked_of_qualcomm_alone() -> None:
    assert on(options(DML, backend_type="cpu"), {"kind": "GPU"}) == ran(DML)


def test_two_names_of_a_provider_must_both_be_right() -> None:
    other = replace(QNN, provider="CUDAExecutionProvider")
    assert on(other, NPU) == stands("GPU", "NPU of Qualcomm")
    assert on(other, GPU_OF_QUALCOMM) == stands("hardware of NVIDIA", "GPU of Qualcomm")
    # The processor is what `provider` says where nobody wrote it.
    default = replace(QNN, provider="CPUExecutionProvider")
    assert on(default, NPU) == ran(default)


@pytest.mark.parametrize(
    ("spec", "devices", "level"),
    [
        (CUDA, [NVIDIA_GPU, AMD_GPU], MEASURED),  # either may have been used
        (replace(CUDA, device="GPU"), [NVIDIA_GPU, AMD_GPU], VERIFIED),
        (replace(CUDA, device="GPU:0"), [NVIDIA_GPU, AMD_GPU], VERIFIED),
        (replace(CUDA, device="gpu:1"), [NVIDIA_GPU, AMD_GPU], SIMULATED),
        (replace(CUDA, device="GPU:1"), [AMD_GPU, CHIP, NVIDIA_GPU], VERIFIED),
        (replace(CUDA, device="GPU:2"), [NVIDIA_GPU, NVIDIA_GPU], MEASURED),
        (replace(CUDA, device="GPU:01"), [AMD_GPU, NVIDIA_GPU], VERIFIED),
        (replace(CUDA, device="GPU:x"), [NVIDIA_GPU, NVIDIA_GPU], MEASURED),
        (replace(CUDA, device="GPU:-1"), [NVIDIA_GPU, NVIDIA_GPU], MEASURED),
        (replace(CUDA, device="GPU"), [CHIP], MEASURED),
        (QNN, [NPU, CHIP], VERIFIED),  # a plugin is opened on the first
        (QNN, [CHIP, NPU], SIMULATED),
        (replace(QNN, device="NPU"), [CHIP, NPU], VERIFIED),
    ],
)
def test_of_several_devices_the_one_that_was_opened_counts(
    spec: TargetSpec, devices: list[Json], level: EvidenceLevel
) -> None:
    assert on(spec, *devices)[0] is level


def test_a_list_of_devices_that_is_none_reports_nothing() -> None:
    assert told(CUDA, {**facts(CUDA), "devices": {"kind": "GPU"}}) == (MEASURED, UNREPORTED)


@pytest.mark.parametrize(
    ("device", "ran_on", "expected"),
    [
        (None, ["CPU"], (VERIFIED, "the runtime says that all 1 operators run on CPU")),
        ("npu", ["NPU"], (VERIFIED, "the runtime says that all 1 operators run on NPU")),
        ("GPU.1", ["GPU"], (VERIFIED, "the runtime says that all 1 operators run on GPU")),
        ("NPU", ["GPU.0", "CPU"],
         (SIMULATED, f"the target names NPU, and OpenVINO ran on CPU, GPU; {UNTIMED}")),
        (None, ["GPU"], (SIMULATED, f"the target names CPU, and OpenVINO ran on GPU; {UNTIMED}")),
        ("GPU", ["GPU", "CPU"],
         (MEASURED, "2 of 2 operators run elsewhere (1 on CPU, 1 on GPU)")),
        ("AUTO:GPU,CPU", ["CPU"], (MEASURED, "AUTO chooses among devices by itself")),
        ("HETERO:GPU", ["GPU"], (MEASURED, "HETERO chooses among devices by itself")),
        ("MULTI:GPU", ["GPU"], (MEASURED, "MULTI chooses among devices by itself")),
        ("BATCH:GPU(4)", ["GPU"], (MEASURED, "BATCH chooses among devices by itself")),
        ("GPU", [], (MEASURED, SILENT)),
    ],
)  # fmt: skip
def test_openvino_names_the_device_that_it_ran_on(
    device: str | None, ran_on: list[str], expected: tuple[EvidenceLevel, str]
) -> None:
    spec = replace(OPENVINO, device=device)
    assert told(spec, {"placement": {name: {"Conv": 1} for name in ran_on}}) == expected


def measured(metric: str, value: float | str, target: str = "t", **details: Json) -> Measurement:
    return Measurement(
        metric=metric, value=value, method="exact", n=1, details=details, target=target,
        check="hardware.placement",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "placement", "readings", "expected"),
    [
        (CUDA, None, [], (MEASURED, SILENT)),
        (CUDA, {}, [], (MEASURED, SILENT)),
        (CUDA, {CUDA.provider: {"Conv": 0}}, [], (MEASURED, SILENT)),
        (CUDA, {CUDA.provider: {"Conv": 4, "Add": 2}, CPU.provider: {"Conv": 0}}, [], ran(CUDA)),
        (CUDA, {CUDA.provider: {"Conv": 6}, CPU.provider: {"Add": 2, "Mul": 1}, "A": {"Add": 1}},
         [], (MEASURED, "4 of 10 operators run elsewhere (1 on A, 3 on CPUExecutionProvider)")),
        (replace(CUDA, allow_fallback=True), {CUDA.provider: {"Conv": 6}, "B": {"Add": 1}}, [],
         (MEASURED, "1 of 7 operators run elsewhere (1 on B), as allow_fallback permits")),
        (replace(CUDA, allow_fallback=True), {CUDA.provider: {"Conv": 6}}, [],
         (VERIFIED, f"{ran(CUDA)[1]}, although allow_fallback would let them run elsewhere")),
        # What `hardware.placement` measured of this target counts, the first of each.
        (CUDA, {CUDA.provider: {"Conv": 6}}, [measured("unaccounted_nodes", 2.0)],
         (MEASURED, "nobody says where 2 more operators run")),
        (CUDA, {CUDA.provider: {"Conv": 6}},
         [measured("unaccounted_nodes", 0.0), measured("unaccounted_nodes", 2.0)], ran(CUDA)),
        (CUDA, {CUDA.provider: {"Conv": 6}}, [measured("unaccounted_nodes", 2.0, "u")], ran(CUDA)),
        (CUDA, {CUDA.provider: {"Conv": 6}},
         [replace(measured("unaccounted_nodes", 2.0), check="hardware.memory")], ran(CUDA)),
        (CUDA, {CUDA.provider: {"Conv": 6}},
         [Gap(reason=GapReason.FELL_BACK, detail="", cure="", target="t",
              check="hardware.placement", metric="unaccounted_nodes"),
          measured("unaccounted_nodes", 1.0)],
         (MEASURED, "nobody says where 1 more operators run")),
        (CUDA, {CUDA.provider: {"Conv": 6}}, [measured("unaccounted_nodes", "many")],
         (MEASURED, "nobody says where many more operators run")),
        (CUDA, {"CUDA": {"Conv": 6}}, [measured("share_on_target", 1.0, declared="CUDA")],
         (VERIFIED, "the runtime says that all 6 operators run on CUDA")),
        (CUDA, {CUDA.provider: {"Conv": 6}}, [measured("share_on_target", 1.0, declared=7)],
         ran(CUDA)),
    ],
)  # fmt: skip
def test_every_operator_must_have_run_on_the_provider(
    spec: TargetSpec,
    placement: Json,
    readings: list[Reading],
    expected: tuple[EvidenceLevel, str],
) -> None:
    found: dict[str, Json] = {"placement": placement, "devices": [NVIDIA_GPU]}
    assert told(spec, found, readings) == expected


def test_a_plugin_is_known_by_the_name_that_the_runtime_gives_it() -> None:
    alone: dict[str, Json] = {"placement": {"plugin-1": {"Conv": 6}}, "devices": [CHIP]}
    assert told(PLUGIN, alone) == (
        VERIFIED, "the runtime says that all 6 operators run on plugin-1",
    )  # fmt: skip
    mixed: dict[str, Json] = {**alone, "placement": {"plugin-1": {"Conv": 5}, "x": {"Add": 1}}}
    assert told(PLUGIN, mixed) == (
        MEASURED, "6 of 6 operators run elsewhere (5 on plugin-1, 1 on x)",
    )  # fmt: skip
    # With leave to fall back, the one name that there is may be that of what it fell back to.
    assert told(replace(PLUGIN, allow_fallback=True), alone) == (
        MEASURED, "6 of 6 operators run elsewhere (6 on plugin-1), as allow_fallback permits",
    )  # fmt: skip
    # A provider of onnxruntime itself has a name of its own.
    assert told(CUDA, {**alone, "devices": [NVIDIA_GPU]})[0] is MEASURED


def test_where_operators_ran_is_told_before_what_is_not_known_of_the_device() -> None:
    assert told(MAC, {"placement": None}) == (MEASURED, SILENT)
    assert told(CUDA, {"placement": None, "devices": [NVIDIA_GPU]}) == (MEASURED, SILENT)
    assert told(CUDA, {"placement": None, "devices": [CHIP]}) == stands("GPU", "CPU of Intel")
    assert told(MAC, facts(MAC)) == (MEASURED, UNKNOWN)


@pytest.mark.parametrize("fact", ["emulated", "translated"])
def test_what_plays_the_processor_is_named(fact: str) -> None:
    by: Json = {"cpu": {fact: "QEMU TCG"}}
    expected = (EMULATED, f"an emulator (QEMU TCG) {PLAYED}")
    assert told(CPU, facts(CPU, machine=by)) == expected
    assert told(CUDA, facts(CUDA, NVIDIA_GPU, machine=by)) == expected


@pytest.mark.parametrize("machine", [None, "qemu", {"cpu": "emulated"}, {"cpu": {"emulated": 1}}])
def test_facts_of_another_form_name_no_emulator(machine: Json) -> None:
    assert told(CPU, facts(CPU, machine=machine)) == ran(CPU)


def test_an_emulator_that_the_target_declares_is_named_by_it() -> None:
    haswell = replace(CPU, emulated="Haswell")
    for emulated in (False, True):
        found = assess_evidence(haswell, Fingerprint(facts(CPU), {}, emulated=emulated))
        assert (found.level, found.because) == (EMULATED, f"an emulator (Haswell) {PLAYED}")
    found = assess_evidence(CPU, Fingerprint(facts(CPU), {}, emulated=True))
    assert (found.level, found.because) == (EMULATED, f"an emulator (unnamed) {PLAYED}")


def test_a_server_is_measured_whatever_it_says_of_itself() -> None:
    spec = replace(CPU, endpoint=EndpointSpec(url="https://models.example"))
    assert told(spec, facts(CPU, machine={"cpu": {"emulated": "TCG"}})) == (MEASURED, SERVED)


def test_what_was_never_opened_shows_nothing() -> None:
    found = assess_evidence(CPU, None)
    assert (found.level, found.because) == (UNOPENED, "nothing was measured on it")


@pytest.mark.parametrize("carried", EvidenceLevel)
def test_of_what_is_found_and_what_a_record_carries_the_weaker_counts(
    carried: EvidenceLevel,
) -> None:
    for spec, devices in ((CPU, []), (CUDA, [CHIP])):
        level, because = on(spec, *devices)
        found = assess_evidence(spec, Fingerprint(facts(spec, *devices), {}, evidence=carried))
        weaker = level.or_less(carried)
        itself = f"the record itself calls it {carried.value}"
        assert (found.level, found.because) == (weaker, because if weaker is level else itself)


PAIR = TargetSpec("t", runtime="cascade", cascade=CascadeSpec(CUDA, CPU))


def test_both_halves_of_a_cascade_are_told() -> None:
    fine = {"edge": facts(CUDA, NVIDIA_GPU), "cloud": facts(CPU)}
    both = f"edge: {ran(CUDA)[1]}; cloud: {ran(CPU)[1]}"
    assert told(PAIR, fine) == (VERIFIED, both)
    assert told(PAIR, {**fine, "cloud": "no facts"}) == (
        MEASURED, f"edge: {ran(CUDA)[1]}; cloud: {SILENT}",
    )  # fmt: skip
    played = assess_evidence(PAIR, Fingerprint(fine, {}, emulated=True))
    assert (played.level, played.because) == (EMULATED, both)
    # What was measured of either half counts.
    lost = measured("unaccounted_nodes", 3.0)
    assert told(PAIR, fine, [lost])[0] is MEASURED


ANY: st.SearchStrategy[Json] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(0, 2**53)
    | st.sampled_from(["GPU", "CPU", "NVIDIA", ""]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=3,
)


@given(
    st.fixed_dictionaries({
        "devices": ANY | st.lists(
            ANY | st.dictionaries(
                st.sampled_from(["kind", "hardware_vendor", "vendor", "vendor_id"]), ANY
            ),
            max_size=2,
        ),
        "placement": ANY | st.dictionaries(st.sampled_from(["CPU", CUDA.provider]), ANY),
        "machine": ANY | st.fixed_dictionaries({"cpu": ANY}),
    }),
    st.sampled_from([CPU, CUDA, QNN, DML, PLUGIN, VINO, OPENVINO]),
    st.sampled_from([None, "", "GPU", "GPU:1", ":", "GPU:" + "9" * 5000]) | st.text(max_size=5),
)  # fmt: skip
def test_a_forged_record_gets_a_level_too(
    found: dict[str, Json], spec: TargetSpec, device: str | None
) -> None:
    level, because = told(replace(spec, device=device), found)
    assert level is not UNOPENED
    assert because


def test_levels_of_targets_go_by_their_names() -> None:
    one, two, three = (replace(CPU, name=name) for name in ("one", "two", "three"))
    found = {"one": Fingerprint(facts(CPU), {}), "two": Fingerprint(facts(CPU), {})}
    lost = measured("unaccounted_nodes", 1.0, "two")
    assert assess_evidence_levels([one, two, three], found, [lost]) == {
        "one": VERIFIED, "two": MEASURED, "three": UNOPENED,
    }  # fmt: skip


def test_times_of_what_is_played_are_gaps_that_say_why() -> None:
    assert find_timing_gap(CPU, Fingerprint(facts(CPU), {})) is None
    assert find_timing_gap(MAC, Fingerprint(facts(MAC), {})) is None
    assert find_timing_gap(CPU, Fingerprint(facts(CPU), {}, evidence=UNOPENED)) is None
    played = find_timing_gap(CPU, Fingerprint(facts(CPU), {}, emulated=True), "p99")
    assert played == Gap(
        reason=GapReason.EMULATED,
        detail="The processor is emulated: its numbers are those of the chip, its times and its "
        "memory are not.",
        cure="Measure on the chip itself.",
        metric="p99",
    )
    simulated = find_timing_gap(CUDA, Fingerprint(facts(CUDA, CHIP), {}), "p99")
    assert simulated == Gap(
        reason=GapReason.SIMULATED,
        detail=f"The device is simulated: {stands('GPU', 'CPU of Intel')[1]}.",
        cure="Measure on a device of the kind that the provider stands for.",
        metric="p99",
    )


@pytest.mark.parametrize(
    ("placement", "counts"),
    [
        (None, {}),
        ([["CPU", 1]], {}),
        ({"CPU": {"Conv": 1, "Add": 2}}, {"CPU": {"Conv": 1, "Add": 2}}),
        ({"CPU": {"Conv": 1, "Add": "many"}, "GPU": 3, "NPU": {}}, {"CPU": {"Conv": 1}, "NPU": {}}),
    ],
)
def test_operators_are_counted_where_they_are_counted(placement: Any, counts: object) -> None:  # noqa: ANN401 -- any JSON
    assert read_operator_counts(placement) == counts
