"""What an audit takes of a target, counted on from where an interrupted run of it was."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from auditor.domain.datasets import DatasetRole
from auditor.domain.model_instrumentation import ModelBench
from auditor.domain.models import Model, Twin, compute_seconds_per_row
from auditor.domain.readings import Gap


@dataclass(frozen=True, slots=True)
class TargetSpend:
    """Rows scored, seconds waited for them, and gradients taken so far.

    The ``altered`` ones are those of a bench's sessions. Paces are the fastest ones, in seconds a
    row, of a target that tells them. ``elapsed`` is the time in seconds, by a clock that only the
    differences of say something.
    """

    queries: int = 0
    busy: float = 0.0
    altered: int = 0
    altered_busy: float = 0.0
    passes: int = 0
    pace: float | None = None
    twin_pace: float | None = None
    elapsed: float = 0.0

    @property
    def taken(self) -> int:
        """Rows and gradients together, which only grow."""
        return self.queries + self.altered + self.passes

    @classmethod
    def of_process(
        cls, model: Model | Gap, bench: ModelBench | Gap, twin: Twin | Gap | None
    ) -> "TargetSpend":
        """Return what this process spent."""
        found: dict[str, Any] = {"elapsed": time.monotonic()}
        if not isinstance(model, Gap):
            found |= {"queries": model.queries, "busy": model.busy}
            found["pace"] = compute_seconds_per_row(model)
        if not isinstance(bench, Gap):
            found |= {"altered": bench.queries, "altered_busy": bench.busy}
        if twin is not None and not isinstance(twin, Gap):
            found |= {"passes": twin.passes, "twin_pace": compute_seconds_per_row(twin)}
        return cls(**found)


@dataclass(slots=True)
class SpendCounter:
    """Counts what an audit takes of a target, through its interruptions.

    It stood at ``then`` when this process had spent ``since``. ``kept`` are the datasets whose
    scores are remembered; ``begun`` is how much was taken before the check at hand.
    """

    then: TargetSpend = field(default_factory=TargetSpend)
    since: TargetSpend = field(default_factory=lambda: TargetSpend(elapsed=time.monotonic()))
    kept: set[DatasetRole] = field(default_factory=set)
    begun: int = 0

    def read(self, spent: TargetSpend) -> TargetSpend:
        """Return what the whole audit took, where this process ``spent`` so much.

        A pace counts that was seen since, or that was known then if it is faster.
        """
        then, since, now = asdict(self.then), asdict(self.since), asdict(spent)
        found: dict[str, Any] = {}
        for name, before in then.items():
            if name.endswith("pace"):
                fresh = now[name] if before is None or now[name] != since[name] else None
                found[name] = min((it for it in (before, fresh) if it is not None), default=None)
            else:
                found[name] = before + now[name] - since[name]
        return TargetSpend(**found)

    def go_on(self, then: Mapping[str, Any], spent: TargetSpend) -> None:
        """Count on from ``then``, as ``asdict`` wrote it, where this process ``spent`` so much."""
        self.then, self.since = TargetSpend(**then), spent
