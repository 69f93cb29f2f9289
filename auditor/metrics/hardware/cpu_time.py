"""CPU time, in which waiting for a processor does not count."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import cast

import numpy as np

from auditor.domain.evidence import Evidence
from auditor.domain.json import Json
from auditor.domain.readings import BoundKind, Gap, GapReason, Reading
from auditor.domain.tasks import Floats
from auditor.metrics.hardware.timing import TimingReadings, find_timing_doubts

PROCESSOR = "processor"
"""The item of the evidence that holds these times (s), one a call."""


def build_cpu_time_readings(
    evidence: Evidence, metric: str, confidence: float
) -> Iterator[Reading]:
    """Yield the median of the times that the calling thread had a processor, where they are known.

    Other processes make a thread wait, which takes no time of its own, so that warming up by the
    clock on the wall and interruptions are no doubt here. Windows that differ are, and a host whose
    other guests took the processor: then it ran at several speeds, or its time counted as ours.
    """
    times = cast("Floats | None", evidence.get(PROCESSOR))
    if times is None:
        return
    if np.median(times) <= 0:
        yield Gap(
            reason=GapReason.NOT_DEFINED,
            detail="The clock of processor time on the target is too coarse: it saw most calls "
            "take none.",
            cure="Audit on a system that counts the processor time of threads by the microsecond.",
            metric=metric,
        )
        return
    about = cast("Mapping[str, Json]", evidence["about"])
    seen = cast("Mapping[str, float]", about["conditions"])
    agree, stolen = (cast("float", about[name]) for name in ("agree", "stolen"))
    shares = {name: seen[name] for name in ("stolen_share",) if name in seen}
    noise = tuple(find_timing_doubts(times, shares, agree=agree, stolen=stolen))
    found = TimingReadings(confidence, {"conditions": dict(seen)}, noise).at(metric, times, 0.5)
    yield found if isinstance(found, Gap) else replace(found, bound=BoundKind.AT_LEAST)
