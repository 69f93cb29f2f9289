"""Counters of energy: RAPL packages and NVIDIA boards, and silence where there are none."""

import ctypes
from pathlib import Path
from types import SimpleNamespace

import pytest

from auditor.targets.sandbox.energy import (
    EnergyCounter,
    EnergyMeter,
    combine_counters,
    list_gpu_counters,
    list_package_counters,
)


def zone(root: Path, name: str, microjoules: int, most: int = 10_000_000) -> Path:
    place = root / name
    place.mkdir()
    (place / "energy_uj").write_text(f"{microjoules}\n")
    (place / "max_energy_range_uj").write_text(f"{most}\n")
    return place


def test_packages_are_counted_and_their_parts_are_not(tmp_path: Path) -> None:
    first = zone(tmp_path, "intel-rapl:0", 1_000_000)
    zone(tmp_path, "intel-rapl:0:0", 400_000)
    second = zone(tmp_path, "intel-rapl:1", 5_000_000)
    meter = EnergyMeter(list_package_counters(tmp_path))
    (first / "energy_uj").write_text("1500000")
    (second / "energy_uj").write_text("5250000")
    assert meter.joules() == pytest.approx(0.75)


def test_a_counter_that_starts_again_goes_on_counting(tmp_path: Path) -> None:
    place = zone(tmp_path, "intel-rapl:0", 9_000_000)
    meter = EnergyMeter(list_package_counters(tmp_path))
    (place / "energy_uj").write_text("500000")
    assert meter.joules() == pytest.approx(1.5)


def test_without_a_counter_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "intel-rapl:0").mkdir()  # what may not be read is as good as absent
    assert list_package_counters(tmp_path) == []
    assert list_package_counters(tmp_path / "nowhere") == []
    assert EnergyMeter([]).joules() is None


def fake_nvml(readings: list[int], *, counts: bool = True) -> SimpleNamespace:
    """Stands for NVIDIA's library: one board that counts ``readings`` millijoules, in turn."""

    def count(out: object) -> int:
        out._obj.value = 1  # noqa: SLF001 -- ctypes.byref holds it there
        return 0

    def spent(_: object, out: object) -> int:
        if not counts:
            return 3  # NVML_ERROR_NOT_SUPPORTED
        out._obj.value = readings.pop(0)  # noqa: SLF001
        return 0

    return SimpleNamespace(
        nvmlInit_v2=lambda: 0,
        nvmlDeviceGetCount_v2=count,
        nvmlDeviceGetHandleByIndex_v2=lambda index, out: 0,
        nvmlDeviceGetTotalEnergyConsumption=spent,
    )


def test_a_board_is_counted_in_millijoules() -> None:
    found = list_gpu_counters(fake_nvml([0, 5000, 7500]))
    meter = EnergyMeter(found)
    assert meter.joules() == pytest.approx(2.5)


def test_a_board_that_cannot_count_is_left_out() -> None:
    assert list_gpu_counters(fake_nvml([], counts=False)) == []


def test_a_machine_without_the_driver_has_no_boards() -> None:
    try:
        ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        assert list_gpu_counters() == []
    else:
        pytest.skip("this machine has NVIDIA's driver")


def test_a_counter_without_an_end_never_starts_again() -> None:
    assert EnergyCounter(lambda: 0.0).since(3.0, 5.0) == 2.0


def test_boards_alone_count_nothing_for_what_the_processor_spends_is_missing(
    tmp_path: Path,
) -> None:
    found = list_gpu_counters(fake_nvml([0]))
    assert len(found) == 1
    assert combine_counters([], found) == []
    zone(tmp_path, "intel-rapl:0", 0)
    assert len(combine_counters(list_package_counters(tmp_path), found)) == 2


def test_a_board_whose_driver_was_loaded_anew_meanwhile_spends_no_negative_energy() -> None:
    readings = iter([9.0, 1.0])
    assert EnergyMeter([EnergyCounter(lambda: next(readings))]).joules() is None
