"""Whether this processor adds products of bytes exactly, as ONNX says and as twins do."""

from pathlib import Path

import pytest

VNNI = frozenset({"avx512_vnni", "avx_vnni"})


def adds_exactly() -> bool:
    """Whether the runtime has instructions here that do not clip sums of products at 16 bits."""
    try:
        told = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return not VNNI.isdisjoint(told.split())


exact_only = pytest.mark.skipif(
    not adds_exactly(),
    reason="this processor has no VNNI: ONNX Runtime clips sums of products at 16 bits here, "
    "which no twin follows, and takes other kernels",
)
