"""Worker environments: Pythons of their own for runtimes that cannot live beside another.

A test that needs one is slow, and is skipped where the environment is not there, unless
AUDITOR_MAKE_WORKERS is set: then it is made (pip downloads it).
"""

import os
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
SCRIPT = CHECKOUT / "scripts" / "make_worker_env.sh"
PACKAGES = {
    "openvino": ("openvino==2026.4.1",),
    "plugins": (
        "onnxruntime==1.32.0",
        "onnxruntime-ep-openvino==1.8.1",
        "onnxruntime-ep-webgpu==0.4.0",
    ),
    "ort-openvino": ("onnxruntime-openvino==1.24.1",),
    "nxrt": ("onnxruntime==1.30.0", "nxrt-ep-cpu==0.1.0.dev6"),
    "qnn": ("onnxruntime==1.32.0", "onnxruntime-qnn==2.7.0"),
    "ggml": ("onnxruntime==1.30.0", "onnxruntime-ggml==0.2.0"),
}
DRIVERS = (Path("/usr/share/vulkan/icd.d"), Path("/etc/vulkan/icd.d"))


def worker(name: str) -> str:
    """The interpreter of a worker environment."""
    root = os.environ.get("AUDITOR_WORKERS")
    folder = Path(root) / name if root else CHECKOUT / f".venv-{name}"
    python = folder / "bin" / "python"
    if not python.exists():
        make = f"scripts/make_worker_env.sh {name} {' '.join(PACKAGES[name])}"
        if not os.environ.get("AUDITOR_MAKE_WORKERS"):
            pytest.skip(f"there is no {python}: run {make}, or set AUDITOR_MAKE_WORKERS=1")
        subprocess.run([SCRIPT, name, *PACKAGES[name]], check=True)
    return str(python)


def software_gpu() -> None:
    """Skip where no GPU can be played in software."""
    found = [path for folder in DRIVERS for path in folder.glob("lvp_icd*.json")]
    if not found:
        pytest.skip("Mesa's lavapipe is not installed: apt-get install mesa-vulkan-drivers")
