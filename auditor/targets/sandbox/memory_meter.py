"""Memory use of this process: before a model is opened, after it, and at its peak."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from auditor.targets.protocol import MessageFrame
from auditor.targets.sandbox.altered_models import VariantHost, read_input_rows
from auditor.targets.sandbox.request_loop import Operation, RefusalError

STATUS = Path("/proc/self/status")
FORGET = Path("/proc/self/clear_refs")
PEAK_ONLY = b"5"
"""Written there, it sets the highest mark to what is held now (proc_pid_clear_refs(5))."""
KIB = 1024


class MemoryMeter:
    """Weighs this process, which must not have opened a model before."""

    def __init__(self, bench: VariantHost) -> None:
        self._bench = bench

    def operations(self) -> Mapping[str, Operation]:
        """Return what is answered here."""
        return {"footprint": self.footprint}

    def footprint(self, request: MessageFrame) -> MessageFrame:
        """Open the artifact, score the rows in batches, and say what was held: in bytes."""
        said = request.header
        name, rows = read_input_rows(request)
        size = int(said["batch_rows"])
        batch = np.resize(rows, (size, *rows.shape[1:])) if len(rows) < size else rows
        _forget()
        before = read_memory_usage()["VmRSS"]
        session = self._bench.session(said)
        opened = read_memory_usage()["VmRSS"]
        for start in range(0, len(batch), size):
            self._bench.call(said, session, name, batch[start : start + size])
        return MessageFrame(
            {"before": before, "opened": opened, "peak": read_memory_usage()["VmHWM"]}
        )


def read_memory_usage() -> dict[str, int]:
    """Return ``VmRSS`` and ``VmHWM`` in bytes. Raises ``RefusalError`` where nobody says."""
    try:
        lines = STATUS.read_text(encoding="ascii", errors="replace").splitlines()
        pairs = (line.partition(":") for line in lines if line.startswith(("VmRSS", "VmHWM")))
        found = {name: KIB * int(rest.split()[0]) for name, _, rest in pairs}
        return {"VmRSS": found["VmRSS"], "VmHWM": found["VmHWM"]}
    except (OSError, KeyError, ValueError, IndexError) as error:
        raise RefusalError(
            "runtime",
            f"this system does not say how much memory a process holds: {error}",
            "Measure memory on Linux.",
        ) from error


def _forget() -> None:
    try:
        FORGET.write_bytes(PEAK_ONLY)
    except OSError:
        return  # the mark then holds what loading the libraries took, as a deployment's would
