"""Facts about this machine, from inside the child process."""

import functools
import importlib
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

X86_FLAGS = (
    "sse4_2 avx avx2 fma f16c avx512f avx512bw avx512vl avx512_vnni avx_vnni avx512_bf16 "
    "avx512_fp16 amx_tile amx_int8 amx_bf16"
)
ARM_FLAGS = "neon asimd asimdhp asimddp i8mm bf16 sve sve2 sme"
NOTED_FLAGS = frozenset(X86_FLAGS.split()) | frozenset(ARM_FLAGS.split())
CPU_FACTS = {
    "vendor_id": "vendor", "model name": "model", "cpu family": "family",
    "model": "model_number", "stepping": "stepping",
    "CPU implementer": "vendor", "CPU part": "model", "CPU variant": "family",
    "CPU revision": "stepping",
}  # fmt: skip
"""Names in /proc/cpuinfo, on x86 and on ARM, and ours."""
CPU = Path("/sys/devices/system/cpu")
THERMAL = Path("/sys/class/thermal")
STEAL = 8  # field of the first line of /proc/stat, its name counted
ASKED_FLAGS = {
    "SSE42": "sse4_2", "AVX": "avx", "AVX2": "avx2", "FMA3": "fma", "F16C": "f16c",
    "AVX512F": "avx512f", "AVX512BW": "avx512bw", "AVX512VL": "avx512vl",
    "AVX512VNNI": "avx512_vnni", "AVX512FP16": "avx512_fp16",
    "NEON": "neon", "ASIMD": "asimd", "ASIMDHP": "asimdhp", "ASIMDDP": "asimddp", "SVE": "sve",
}  # fmt: skip
"""Names that numpy gives to what the processor itself says that it has, and ours."""
TELLING = ("SSE42", "AVX2", "AVX512F", "FMA3")
"""Those on which the kernel and the processor always agree, unless something stands between."""
X86, ARM = frozenset({"x86_64", "AMD64", "i686"}), frozenset({"aarch64", "arm64"})


def read_machine_facts() -> dict[str, Any]:
    """Return what must match for another machine to count as the same."""
    return {
        "os": platform.system(),
        "machine": platform.machine(),
        "libc": " ".join(platform.libc_ver()).strip() or "unknown",
        "cpu": _emulated_cpu() or _cpu(_cpuinfo()),
    }


def read_conditions() -> dict[str, Any]:
    """Return what may differ from run to run on the same machine."""
    known = _emulated_cpu() is None  # else /proc/cpuinfo may be the emulator's
    return {
        "kernel": platform.release(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "hypervisor": "hypervisor" in _flags(_cpuinfo()) if known else "unknown",
        "cores": len(os.sched_getaffinity(0)),
        **(_physical() if known else {}),
    }


def _physical() -> dict[str, Any]:
    """Return what the chip's own state is, as far as the system shows it: clouds often do not."""
    line = (_read(Path("/proc/stat")) or "").split("\n", 1)[0].split()
    stolen = int(line[STEAL]) / os.sysconf("SC_CLK_TCK") if len(line) > STEAL else None
    found: dict[str, Any] = {
        "microcode": _cpuinfo().get("microcode"),
        "governor": _read(CPU / "cpu0/cpufreq/scaling_governor"),
        "throttled": _read(CPU / "cpu0/thermal_throttle/core_throttle_count"),
        "temperature_millidegrees": _read(THERMAL / "thermal_zone0/temp"),
        "stolen_seconds": stolen,
    }
    return {name: fact for name, fact in found.items() if fact is not None}


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return None


def _emulated_cpu() -> dict[str, Any] | None:
    """Return the processor that an emulator plays, ``None`` where there is none.

    /proc/cpuinfo speaks of the host then; numpy has asked the processor that plays.
    """
    played = os.environ.get("AUDITOR_EMULATED")
    if played is None:
        return None
    asked = importlib.import_module("numpy._core._multiarray_umath").__cpu_features__
    return {
        "emulated": played,
        "emulator": os.environ["AUDITOR_EMULATOR"],
        "flags": sorted(ours for name, ours in ASKED_FLAGS.items() if asked.get(name)),
    }


def _cpu(info: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {ours: info[name] for name, ours in CPU_FACTS.items() if name in info}
    translated = _translated(info, platform.machine(), _asked())
    return {
        **found,
        "flags": sorted(NOTED_FLAGS & _flags(info)),
        **({"translated": translated} if translated else {}),
    }


def _translated(info: dict[str, str], machine: str, asked: Mapping[str, bool]) -> str:
    """Name what translates this process, where nobody declared it; nothing where nothing shows.

    /proc/cpuinfo is the kernel's and speaks of the chip; what the processor answers for itself is
    the translator's. Where they contradict each other, something stands between.
    """
    if "virtualapple" in info.get("vendor_id", "").lower():
        return "Rosetta"
    if "TCG" in info.get("model name", ""):
        return "QEMU TCG"
    foreign = "CPU implementer" if machine in X86 else "vendor_id"
    if machine in X86 | ARM and foreign in info:
        return f"a translator of {machine}"
    flags, known = _flags(info), [name for name in TELLING if name in asked]
    differs = any(asked[name] != (ASKED_FLAGS[name] in flags) for name in known)
    return f"a translator of {machine}" if machine in X86 and flags and differs else ""


def _asked() -> Mapping[str, bool]:
    """Return what numpy asked the processor itself; empty where this numpy does not say."""
    for place in ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath"):
        try:
            found: Mapping[str, bool] = importlib.import_module(place).__cpu_features__
        except (ImportError, AttributeError):
            continue
        return found
    return {}


def _flags(info: dict[str, str]) -> set[str]:
    return set((info.get("flags") or info.get("Features") or "").split())


@functools.cache
def _cpuinfo() -> dict[str, str]:
    """Return the first processor's lines; empty where the system has no such file."""
    try:
        first = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n", 1)[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}
