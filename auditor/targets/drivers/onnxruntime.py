"""ONNX Runtime sessions of an artifact: open, score and time, and check the installed package.

Two builds of ONNX Runtime must not be installed in one environment. Both own the folder
``onnxruntime``: the one installed last overwrites the other, regardless of its providers, and
removing either breaks both.
"""

from collections.abc import Mapping
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

from auditor.targets.protocol import MessageFrame
from auditor.targets.sandbox.altered_models import VariantHost
from auditor.targets.sandbox.devices import digest_plugin_library, discover_devices
from auditor.targets.sandbox.machine_facts import read_conditions, read_machine_facts
from auditor.targets.sandbox.memory_meter import MemoryMeter
from auditor.targets.sandbox.opsets import read_opsets
from auditor.targets.sandbox.ort_library import ort, read_runtime_facts
from auditor.targets.sandbox.ort_session import choose_provider, count_placement, open_session
from auditor.targets.sandbox.profiling import profile_kernels
from auditor.targets.sandbox.request_loop import Operation, RefusalError
from auditor.targets.sandbox.request_timing import RowTimer
from auditor.targets.sandbox.runtime_errors import RUNTIME_ERRORS, build_refusal
from auditor.targets.sandbox.scoring import OpenedSession, ScoringHost

FOLDER = "onnxruntime"


def find_owning_packages(site: Path, folder: str = FOLDER) -> tuple[str, ...]:
    """Return the packages in ``site`` that own ``folder``, each as ``name version``."""
    found = []
    for place in sorted(site.glob(f"{folder}*.dist-info")):
        package = Distribution.at(place)
        files = package.files or ()
        if any(file.parts[:2] == (folder, "__init__.py") for file in files):
            found.append(f"{package.metadata['Name']} {package.version}")
    return tuple(found)


def require_one_owner(library: Path, folder: str = FOLDER) -> None:
    """Refuse an environment in which several packages own the runtime's folder ``library``."""
    found = find_owning_packages(library.parent, folder)
    if len(found) > 1:
        raise RefusalError(
            "target",
            f"{' and '.join(found)} are installed in one environment and overwrite each other's "
            f"folder {folder!r}: nobody can say which of them runs",
            "Give each build a worker environment of its own (scripts/make_worker_env.sh, or "
            "`python -m venv`), and name its Python as `interpreter` of the target.",
        )


def operations() -> Mapping[str, Operation]:
    """Return what a child of this role answers."""
    bench, altered = ScoringHost(OnnxRuntime()), VariantHost(OnnxRuntime())
    return {
        "probe": probe_onnxruntime,
        "open": bench.open,
        "infer": bench.infer,
        "time": bench.time,
        "profile": profile_kernels,
        **altered.operations(),
        **RowTimer(altered).operations(),
        **MemoryMeter(altered).operations(),
    }


def probe_onnxruntime(_: MessageFrame) -> MessageFrame:
    """Say what machine and runtime this is, without opening anything."""
    require_one_owner(Path(ort.__file__).parent)
    return MessageFrame({**_facts(), "devices": discover_devices()})


def _facts() -> dict[str, Any]:
    return {
        "machine": read_machine_facts(),
        "runtime": read_runtime_facts(),
        "conditions": read_conditions(),
    }


class OnnxRuntime:
    """Opens files in sessions of onnxruntime."""

    errors = RUNTIME_ERRORS

    def open(self, path: Path, asked: Mapping[str, Any]) -> OpenedSession:
        """Open a session. Raises ``RefusalError`` and ``RUNTIME_ERRORS``.

        With ``bytes`` in ``asked`` the model is these, and the file at ``path`` is left alone.
        """
        require_one_owner(Path(ort.__file__).parent)
        session = open_session(asked.get("bytes", path), asked)
        about = {
            **_facts(),
            "inputs": [_slot(slot) for slot in session.get_inputs()],
            "outputs": [_slot(slot) for slot in session.get_outputs()],
            "defaults": [slot.name for slot in session.get_overridable_initializers()],
            "placement": count_placement(session),
            "placed_on": choose_provider(asked),
            "plugin": digest_plugin_library(str(asked["library"]))
            if asked.get("library")
            else None,
            "devices": discover_devices(),
            "providers": list(session.get_providers()),
            "opsets": read_opsets(path),
        }
        return OpenedSession(session.run, [slot.name for slot in session.get_outputs()], about)

    def refuse(self, file: str, doing: str, error: Exception) -> RefusalError:
        """Turn the runtime's exception into words."""
        return build_refusal(file, doing, error)


def _slot(slot: Any) -> dict[str, Any]:  # noqa: ANN401 -- onnxruntime has no types
    axes = [size if isinstance(size, int) else None for size in slot.shape or ()]
    return {"name": slot.name, "type": slot.type, "shape": axes}
