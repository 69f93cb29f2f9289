"""Energy counters of this machine.

RAPL: https://docs.kernel.org/power/powercap/powercap.html. NVML:
https://docs.nvidia.com/deploy/nvml-api/ (``nvmlDeviceGetTotalEnergyConsumption``, millijoules
since the driver was loaded). Both count whole packages and boards, whoever uses them.
"""

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

Library: TypeAlias = Any
"""A loaded library, whose functions are found by name."""
POWERCAP = Path("/sys/class/powercap")
NVML = "libnvidia-ml.so.1"
DONE = 0
MICRO, MILLI = 1e-6, 1e-3


@dataclass(frozen=True, slots=True)
class EnergyCounter:
    """A counter of joules that starts again from 0 when it reaches ``most`` (0: never)."""

    read: Callable[[], float]
    most: float = 0.0

    def since(self, before: float, after: float) -> float | None:
        """Return what was counted between two readings; it may have started again once.

        ``None`` where it did so and has no end: nobody knows what it had counted before.
        """
        if after >= before:
            return after - before
        return after + self.most - before if self.most else None


def combine_counters(
    processors: Sequence[EnergyCounter], others: Sequence[EnergyCounter]
) -> list[EnergyCounter]:
    """Return all counters together; none where those of the processors are missing.

    Boards alone leave out what the processor spends, so that nothing would be spent at most.
    """
    return [*processors, *others] if processors else []


class EnergyMeter:
    """All counters of this machine, from the moment in which it was made."""

    def __init__(self, counters: Sequence[EnergyCounter] | None = None) -> None:
        self._counters = (
            combine_counters(list_package_counters(), list_gpu_counters())
            if counters is None
            else counters
        )
        self._before = [counter.read() for counter in self._counters]

    def joules(self) -> float | None:
        """Return what was spent since then, ``None`` where nothing counts, or not all of it."""
        pairs = zip(self._counters, self._before, strict=True)
        counted = [counter.since(before, counter.read()) for counter, before in pairs]
        known = [joules for joules in counted if joules is not None]
        return sum(known) if known and len(known) == len(counted) else None


def list_package_counters(root: Path = POWERCAP) -> list[EnergyCounter]:
    """Return the counters of processor packages that may be read here; parts of them are not."""
    found = []
    for zone in sorted(root.glob("*-rapl:*")):
        if zone.name.count(":") != 1:  # a part of a package, which the package counts as well
            continue
        place = zone / "energy_uj"
        try:
            most = float((zone / "max_energy_range_uj").read_text(encoding="ascii")) * MICRO
            float(place.read_text(encoding="ascii"))
        except (OSError, ValueError):
            continue  # since 2020 only root may read it (CVE-2020-8694)
        found.append(EnergyCounter(lambda place=place: _microjoules(place), most))  # type: ignore[misc]
    return found


def list_gpu_counters(library: Library = None) -> list[EnergyCounter]:
    """Return the counters of NVIDIA boards; empty where there is no driver, or it cannot count."""
    try:
        nvml = ctypes.CDLL(NVML) if library is None else library
        count = ctypes.c_uint()
        if nvml.nvmlInit_v2() != DONE or nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)) != DONE:
            return []
    except (OSError, AttributeError):
        return []
    found = []
    for index in range(count.value):
        board = ctypes.c_void_p()
        if nvml.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(board)) != DONE:
            continue
        counter = _GpuBoard(nvml, board)
        if counter.counts():
            found.append(EnergyCounter(counter.joules))
    return found


class _GpuBoard:
    def __init__(self, nvml: Library, handle: ctypes.c_void_p) -> None:
        self._nvml = nvml
        self._handle = handle

    def counts(self) -> bool:
        return self._ask(ctypes.c_ulonglong())

    def joules(self) -> float:
        spent = ctypes.c_ulonglong()
        if not self._ask(spent):
            message = "the board stopped counting energy"
            raise OSError(message)
        return spent.value * MILLI

    def _ask(self, spent: ctypes.c_ulonglong) -> bool:
        ask = self._nvml.nvmlDeviceGetTotalEnergyConsumption
        return bool(ask(self._handle, ctypes.byref(spent)) == DONE)


def _microjoules(place: Path) -> float:
    return float(place.read_text(encoding="ascii")) * MICRO
