"""The artifact in an ONNX Runtime session: opening, scoring and timing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from auditor.targets.child.altering import Workbench
from auditor.targets.child.arrivals import Clockwork
from auditor.targets.child.devices import discovered, library_digest
from auditor.targets.child.facts import conditions, machine
from auditor.targets.child.footprints import Scales
from auditor.targets.child.opened import open_session, placement, provider_of
from auditor.targets.child.opsets import read_opsets
from auditor.targets.child.ort import ort, runtime
from auditor.targets.child.packages import require_one_owner
from auditor.targets.child.profiling import profile
from auditor.targets.child.refusals import RUNTIME_ERRORS, refuse
from auditor.targets.child.scoring import Opened, ScoringBench
from auditor.targets.child.serving import Operation, RefusalError
from auditor.targets.frames import Frame


def operations() -> Mapping[str, Operation]:
    """Return what a child of this role answers."""
    bench, altered = ScoringBench(OnnxRuntime()), Workbench(OnnxRuntime())
    return {
        "probe": probe,
        "open": bench.open,
        "infer": bench.infer,
        "time": bench.time,
        "profile": profile,
        **altered.operations(),
        **Clockwork(altered).operations(),
        **Scales(altered).operations(),
    }


def probe(_: Frame) -> Frame:
    """Say what machine and runtime this is, without opening anything."""
    require_one_owner(Path(ort.__file__).parent)
    return Frame({**_facts(), "devices": discovered()})


def _facts() -> dict[str, Any]:
    return {"machine": machine(), "runtime": runtime(), "conditions": conditions()}


class OnnxRuntime:
    """Opens files in sessions of onnxruntime."""

    errors = RUNTIME_ERRORS

    def open(self, path: Path, asked: Mapping[str, Any]) -> Opened:
        """Open a session. Raises ``RefusalError`` and ``RUNTIME_ERRORS``.

        With ``bytes`` in ``asked`` the model is these, and the file at ``path`` is left alone.
        """
        require_one_owner(Path(ort.__file__).parent)
        session = open_session(asked.get("bytes", path), asked)
        about = {
            **_facts(),
            "inputs": [_slot(slot) for slot in session.get_inputs()],
            "outputs": [_slot(slot) for slot in session.get_outputs()],
            "placement": placement(session),
            "placed_on": provider_of(asked),
            "plugin": library_digest(str(asked["library"])) if asked.get("library") else None,
            "devices": discovered(),
            "providers": list(session.get_providers()),
            "opsets": read_opsets(path),
        }
        return Opened(session.run, [slot.name for slot in session.get_outputs()], about)

    def refuse(self, file: str, doing: str, error: Exception) -> RefusalError:
        """Turn the runtime's exception into words."""
        return refuse(file, doing, error)


def _slot(slot: Any) -> dict[str, Any]:  # noqa: ANN401 -- onnxruntime has no types
    axes = [size if isinstance(size, int) else None for size in slot.shape or ()]
    return {"name": slot.name, "type": slot.type, "shape": axes}
