"""Audits that end whenever they are told to; as a script, ``FOLDER MINUTES``: one to be killed.

The pace of the target is a script's, for the time of an audit counts by it.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from small_audits import AUDIT, write_example
from watching import Nobody

from auditor.domain.checks import Check
from auditor.domain.observed_checks import Result
from auditor.domain.records import AuditRecord
from auditor.errors import CancelledError
from auditor.targets.model import OpenedModel
from auditor.targets.twin import OpenedTwin
from auditor.workflows.audit import run_audit
from auditor.workflows.engine import time_allowance
from auditor.workflows.local_audit import open_audit_file
from auditor.workflows.settings import AuditorSettings
from auditor.workflows.workspace import open_workspace

ONLY = (
    "evasion.linf", "evasion.linf_query", "fairness.groups", "quality.accuracy",
    "quality.calibration",
)  # fmt: skip
PACE = 1e-3


def write_interrupted(folder: Path, twin: str) -> None:
    """Write the small audit, with a twin of a kind."""
    write_example(folder)
    asked = AUDIT.replace("artifact: model.onnx", f"artifact: model.onnx, twin: {twin}")
    (folder / "audit.yaml").write_text(asked)


@dataclass
class Stopping(Nobody):
    """Stops an audit at a number of words on its progress, and notes what ended and what worked."""

    left: float = float("inf")

    def __post_init__(self) -> None:
        self.said = 0
        self.worked: set[str] = set()
        self.done: set[str] = set()

    def started(self, target: str, check: Check) -> None:
        del target
        self._now = check.id

    def advanced(self, done: int, total: int, note: str = "") -> None:
        self.said += 1
        self.worked.add(self._now)
        if self.said > self.left:
            raise CancelledError("stopped", cure="none")

    def ended(self, target: str, check: Check, result: Result) -> None:
        self.done.add(check.id)


@contextmanager
def paced() -> Iterator[None]:
    """Let a row of the target, and a pass of its twin, take ``PACE`` by any clock.

    Nothing passes between them: that differs from run to run.
    """
    told: Any = property(lambda _: PACE)
    with (
        patch.object(OpenedModel, "pace", told),
        patch.object(OpenedTwin, "pace", told),
        patch.object(time_allowance, "MOST_SLOWER", 1.0),
    ):
        yield


def audited(folder: Path, minutes: float, watch: Nobody) -> AuditRecord:
    """Run the audit of a folder, or go on with it, as the command does; nothing is published."""
    home = folder / "home"
    audit = open_audit_file(folder / "audit.yaml", only=ONLY, max_minutes=minutes)
    with (
        paced(),
        open_workspace(AuditorSettings(home, f"sqlite:///{home / 'auditor.db'}")) as place,
        audit.prepare() as given,
    ):
        place.keep_inputs(given, audit.locate)
        prepared = place.informed(given)
        with place.unfinished(prepared.request) as memory:
            return run_audit(prepared, place.surroundings(), watch, memory)


if __name__ == "__main__":
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    audited(Path(sys.argv[1]), float(sys.argv[2]), Nobody())
