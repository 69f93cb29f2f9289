"""Check of reliability: whether the target keeps answering, as fast, under load for a while."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json
from auditor.domain.models import Model
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Gap, Measurement, Reading, Repeatability, Unit
from auditor.domain.tasks import Array, Floats
from auditor.errors import ModelFailedError, ModelTimeoutError, SubjectLostError
from auditor.metrics.hardware.timing import TimingReadings, build_too_few_gap
from auditor.metrics.stats.proportions import clopper_pearson
from auditor.metrics.stats.quantiles import least_samples, ratio_of_medians

SECONDS_A_CALL = 5e-4
ROWS = 256
PARTS = 10
MOST_WORDS = 5
EVERY = 100


class CallResult(IntEnum):
    """How a call ended."""

    ANSWERED = 0
    REFUSED = 1
    TIMED_OUT = 2
    CRASHED = 3


@dataclass(frozen=True, slots=True)
class ReliabilityCheck(Check):
    """Sends one row at a time, ``calls`` times or for ``seconds``, whichever ends first, and
    measures errors and slowdown.

    Times are those that your client sees, including the network. A failed call is an error, and the
    next call opens the model anew. ``slowdown`` is the median time of the last tenth of the calls
    divided by that of the first: it shows heat, leaks and throttling.
    """

    calls: int = 10_000
    seconds: float = 20.0

    id: ClassVar[str] = "hardware.reliability"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Errors and slowdown in a soak test on the target"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.MODEL, Need.EVALUATION})
    emits: ClassVar[Mapping[str, Metric]] = {
        "error_rate": Metric("Calls without an answer", Unit.SHARE, higher_is_better=False),
        "timeout_rate": Metric("Calls that timed out", Unit.SHARE, higher_is_better=False),
        "p99": Metric("99th-percentile latency (p99)", Unit.SECOND, higher_is_better=False),
        "slowdown": Metric(
            "Median latency of the last tenth of calls over that of the first", Unit.NONE,
            higher_is_better=False, of_machine=True,
        ),
    }  # fmt: skip
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(1)"),
        FrameworkControl("eu-ai-act", "15(4)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.5"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.6"),
        FrameworkControl("iso-42001", "A.6.2.6"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {"calls": 1000, "seconds": 2.0},
        Budget.CI: {"calls": 20_000, "seconds": 20.0},
        Budget.FULL: {"calls": 1_000_000, "seconds": 300.0},
    }
    about: ClassVar[str] = (
        "The check sent one row after the other for a while. Errors, timeouts and answers that "
        "get slower (heat, leaks, throttling) show only then."
    )
    cures: ClassVar[tuple[str, ...]] = (
        (
            "Look for failures and slowdowns in the target's own log, and check its cooling and "
            "limits."
        ),
    )

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        if self.calls < 1 or self.seconds <= 0:
            message = "calls must be at least 1, and seconds above 0"
            raise ValueError(message)

    def cost(self, size: AuditSize) -> CheckCost:
        """Say what observing will spend at most; a slow model is asked for ``seconds`` only."""
        seconds = min(self.seconds, self.calls * SECONDS_A_CALL)
        return CheckCost(queries=self.calls, seconds=seconds)

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Return the half widths of shares where every call is answered."""
        none = clopper_pearson(0, self.calls, confidence)
        half = (none.high - none.low) / 2
        return {"error_rate": half, "timeout_rate": half}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Ask until calls or seconds are used up; failures are what is looked for."""
        inputs = subject.datasets[DatasetRole.EVALUATION].inputs
        if isinstance(subject.model, Gap) or inputs is None:
            message = "there is no model to ask: the frame asks `needs` first"
            raise TypeError(message)
        rows = inputs[subject.sample(DatasetRole.EVALUATION, ROWS)]
        taken: list[float] = []
        endings: list[CallResult] = []
        words: list[str] = []
        start = time.perf_counter()
        for call in range(self.calls):
            began = time.perf_counter()
            ending, said = _ask(subject.model, rows[[call % len(rows)]])
            now = time.perf_counter()
            taken.append(now - began)
            endings.append(ending)
            words += [said] if said and len(words) < MOST_WORDS else []
            if call % EVERY == 0:
                subject.progress(call, self.calls, "asking again and again")
            if now - start > self.seconds:
                break
        return {
            "taken": np.array(taken),
            "endings": np.array(endings, dtype=np.int8),
            "about": {"said": [*words], "calls": self.calls, "seconds": self.seconds},
        }

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count failures, and compare the times of answers."""
        taken = cast("Floats", evidence["taken"])
        endings = cast("NDArray[np.int8]", evidence["endings"])
        about = dict(cast("Mapping[str, Json]", evidence["about"]))
        failed = int((endings != CallResult.ANSWERED).sum())
        late = int((endings == CallResult.TIMED_OUT).sum())
        answered = taken[endings == CallResult.ANSWERED]
        about["crashed"] = int((endings == CallResult.CRASHED).sum())
        rates = {"error_rate": failed, "timeout_rate": late}
        return (
            *(
                Measurement.of(
                    clopper_pearson(count, len(endings), confidence),
                    metric,
                    Unit.SHARE,
                    repeat=Repeatability.INTERVAL,
                    details=about,
                )
                for metric, count in rates.items()
            ),
            TimingReadings(confidence, about).at("p99", answered, 0.99),
            _slowdown(answered, confidence, about),
        )


def _ask(model: Model, row: Array) -> tuple[CallResult, str]:
    try:
        model.predict(row)
    except ModelTimeoutError as error:
        return CallResult.TIMED_OUT, error.problem
    except SubjectLostError as error:
        return CallResult.CRASHED, error.problem
    except ModelFailedError as error:
        return CallResult.REFUSED, error.problem
    return CallResult.ANSWERED, ""


def _slowdown(answered: Floats, confidence: float, about: Mapping[str, Json]) -> Reading:
    parts = np.array_split(answered, PARTS)
    found = ratio_of_medians(parts[-1], parts[0], confidence)
    if found is None:
        need = PARTS * least_samples(0.5, 1 - (1 - confidence) / 2)
        return build_too_few_gap("slowdown", answered.size, need, "answered calls", {})
    return Measurement.of(
        found, "slowdown", Unit.NONE, repeat=Repeatability.INTERVAL, details=about
    )


CHECK: type[Check] = ReliabilityCheck
