"""What checks took in earlier audits on this machine: plans and progress go by it.

No record holds these seconds and nobody signs them: they decide nothing but estimates.
"""

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from auditor.store.blobs import write_whole


@dataclass(frozen=True, slots=True)
class CheckTimes:
    """Seconds of the newest audits of one model with the same data on one target.

    ``identity`` is what the target turned out to be; ``checks`` holds seconds by check as it was
    set, and ``beside`` is what an audit took beside its checks.
    """

    identity: str
    checks: Mapping[str, float]
    beside: float


@dataclass(frozen=True, slots=True)
class CheckTimeStore:
    """A folder with a small file for each model with its data on a target."""

    folder: Path

    def find(self, name: str) -> CheckTimes | None:
        """Return what was kept under ``name``; a file that is damaged counts as none."""
        try:
            found = json.loads(self._place(name).read_bytes())
            checks = {str(check): _read_seconds(it) for check, it in found["checks"].items()}
            return CheckTimes(str(found["identity"]), checks, _read_seconds(found["beside"]))
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None

    def keep(self, name: str, times: CheckTimes) -> None:
        """Keep times beside those of other checks on the same target, if there is room."""
        before = self.find(name)
        known = before.checks if before is not None and before.identity == times.identity else {}
        text = json.dumps(
            {
                "identity": times.identity,
                "checks": {**known, **times.checks},
                "beside": times.beside,
            }
        )
        with suppress(OSError):
            write_whole(self._place(name), text.encode())

    def _place(self, name: str) -> Path:
        return self.folder / f"{name.removeprefix('sha256:')}.json"


def _read_seconds(found: object) -> float:
    """Return seconds. Raises ``ValueError`` and ``TypeError`` for what are none."""
    if isinstance(found, bool) or not isinstance(found, int | float):
        message = f"{found!r} is no number of seconds"
        raise TypeError(message)
    if not 0 <= found < math.inf:
        message = f"{found} is no time that anything takes"
        raise ValueError(message)
    return float(found)
