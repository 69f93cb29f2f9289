"""What this machine and this runtime are, as seen from inside the child."""

import functools
import hashlib
import os
import platform
from pathlib import Path
from typing import Any

from auditor.targets.child.ort import ort

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


def machine() -> dict[str, Any]:
    """Return what must match for another machine to count as the same."""
    return {
        "os": platform.system(),
        "machine": platform.machine(),
        "libc": " ".join(platform.libc_ver()).strip() or "unknown",
        "cpu": _cpu(_cpuinfo()),
    }


def runtime() -> dict[str, Any]:
    """Return the runtime's version, build and library digest, and the providers it has."""
    return {
        "name": "onnxruntime",
        "version": ort.__version__,
        "build": ort.get_build_info(),
        "library": _library_digest(),
        "providers": list(ort.get_available_providers()),
    }


def conditions() -> dict[str, Any]:
    """Return what may differ from run to run on the same machine."""
    return {
        "kernel": platform.release(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "hypervisor": "hypervisor" in _flags(_cpuinfo()),
        "cores": len(os.sched_getaffinity(0)),
    }


def _cpu(info: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {ours: info[name] for name, ours in CPU_FACTS.items() if name in info}
    return {**found, "flags": sorted(NOTED_FLAGS & _flags(info))}


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


@functools.cache
def _library_digest() -> str:
    folder = Path(ort.__file__).parent / "capi"
    libraries = sorted(folder.glob("onnxruntime_pybind11_state*"))
    if not libraries:
        return "unknown"
    with libraries[0].open("rb") as stream:
        return "sha256:" + hashlib.file_digest(stream, "sha256").hexdigest()
