"""Check of determinism: the same rows again, with other threads, and in other batches."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from threading import Event
from typing import ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.gaps import read_gap, write_gap
from auditor.domain.json import Json
from auditor.domain.model_instrumentation import ModelBench, RunAlteration
from auditor.domain.models import Model
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import BoundKind, Gap, GapReason, Measurement, Reading, Scalar, Unit
from auditor.domain.tasks import Array, ClassificationTask, Floats, Task
from auditor.metrics.performance.paired_comparison import share_reading
from auditor.metrics.stats.proportions import clopper_pearson

LOAD_ROWS, LOAD_REPEATS = 8, 5
REPEAT, THREADS, ROWS, LOAD = "repeat", "threads", "rows", "load"
Way = tuple[str, Callable[[], Floats]]


@dataclass(frozen=True, slots=True)
class DeterminismCheck(Check):
    """Scores ``rows`` rows once and again under other conditions, and compares the answers.

    The conditions are: ``repeats`` times unchanged, with each number of ``threads``, with each of
    ``sizes`` rows in a request, and while another process loads your machine. A decision counts as
    different if any of these runs decides differently from the first.
    """

    rows: int = 512
    repeats: int = 3
    threads: tuple[int, ...] = (1, 2)
    sizes: tuple[int, ...] = (1, 7)

    id: ClassVar[str] = "hardware.determinism"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Determinism of the answers on the target"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.MODEL, Need.EVALUATION})
    emits: ClassVar[Mapping[str, Metric]] = {
        "label_disagreement": Metric(
            "Rows with a different decision in another run", Unit.SHARE, higher_is_better=False
        ),
        "max_score_difference": Metric(
            "Largest difference of a probability (or regression value) between runs",
            Unit.NONE,
            BoundKind.AT_LEAST,
            higher_is_better=False,
            exact=True,
            number=True,
        ),
    }
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(1)"),
        FrameworkControl("eu-ai-act", "15(4)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.5"),
        FrameworkControl("iso-42001", "A.6.2.4"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {"rows": 128, "repeats": 2, "threads": (2,), "sizes": (1,)},
        Budget.CI: {"rows": 512, "repeats": 3, "threads": (1, 2), "sizes": (1, 7)},
        Budget.FULL: {"rows": 4096, "repeats": 5, "threads": (1, 2, 4), "sizes": (1, 7, 64)},
    }
    about: ClassVar[str] = (
        "The same rows were scored again: with other threads, in other batches, and while the "
        "machine was busy. If answers depend on these, you cannot reproduce them later."
    )
    cures: ClassVar[tuple[str, ...]] = (
        "Turn on deterministic kernels of the runtime, and fix threads and batch size.",
    )

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        if min((self.rows, self.repeats, *self.threads, *self.sizes)) < 1:
            message = "rows, repeats, threads and sizes must be at least 1"
            raise ValueError(message)
        if not self.threads or not self.sizes:
            message = "threads and sizes each need at least one number"
            raise ValueError(message)

    def cost(self, size: AuditSize) -> CheckCost:
        """Say what observing will spend, without the rows that only keep the machine busy."""
        runs = 1 + 2 * self.repeats + len(self.threads) + len(self.sizes)
        return CheckCost(queries=runs * min(self.rows, size.rows))

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Return the half width where no decision differs."""
        none = clopper_pearson(0, max(1, min(self.rows, size.rows)), confidence)
        return {"label_disagreement": (none.high - none.low) / 2}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Score the same rows in every way. Raises what ``Model.predict`` raises."""
        dataset = subject.datasets[DatasetRole.EVALUATION]
        if isinstance(subject.model, Gap) or dataset.inputs is None:
            message = "there is no model to ask: the frame asks `needs` first"
            raise TypeError(message)
        sample = subject.sample(DatasetRole.EVALUATION, self.rows)
        inputs, model, task = dataset.inputs[sample], subject.model, subject.task
        first = model.probabilities(model.predict(inputs))
        kinds: list[Json] = []
        apart, differ = [], []
        for done, (kind, run) in enumerate(self._ways(model, subject.bench, inputs)):
            subject.progress(done, 0, f"scoring again: {kind}")
            found = model.probabilities(run())
            kinds.append(kind)
            apart.append(np.abs(found - first).max(axis=1))
            differ.append(_decide(task, found) != _decide(task, first))
        bench = subject.bench
        return {
            "ids": np.asarray(dataset.ids)[sample],
            "apart": np.stack(apart),
            "differ": np.stack(differ),
            "about": {
                "kinds": kinds,
                "gap": write_gap(bench) if isinstance(bench, Gap) else None,
                "decides": isinstance(task, ClassificationTask),
                "repeats": self.repeats,
                "threads": list(self.threads),
                "sizes": list(self.sizes),
            },
        }

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count rows that any run of a kind decides otherwise, and the largest difference."""
        about = cast("Mapping[str, Json]", evidence["about"])
        kinds = np.array(cast("list[str]", about["kinds"]))
        found: list[Reading] = []
        for kind in (REPEAT, THREADS, ROWS, LOAD):
            params: dict[str, Scalar] = {"varied": kind}
            runs = kinds == kind
            if not runs.any():
                found += [read_gap(about["gap"], metric, params) for metric in self.emits]
                continue
            apart = cast("Floats", evidence["apart"])[runs]
            differ = cast("NDArray[np.bool_]", evidence["differ"])[runs]
            details = {name: about[name] for name in ("repeats", "threads", "sizes")}
            found += [
                _disagreement(differ, confidence, params, details, decides=bool(about["decides"])),
                Measurement(
                    metric="max_score_difference",
                    value=float(apart.max(initial=0.0)),
                    bound=BoundKind.AT_LEAST,
                    method=f"largest over {len(apart)} runs",
                    n=int(apart.size),
                    unit=Unit.NONE,
                    params=params,
                ),
            ]
        return tuple(found)

    def _ways(self, model: Model, bench: ModelBench | Gap, inputs: Array) -> Iterator[Way]:
        for _ in range(self.repeats):
            yield REPEAT, partial(model.predict, inputs)
        if isinstance(bench, Gap):
            return
        for count in self.threads:
            yield THREADS, partial(bench.scores, inputs, RunAlteration(threads=count))
        for size in self.sizes:
            yield ROWS, partial(bench.scores, inputs, RunAlteration(rows=size))
        for _ in range(self.repeats):
            yield LOAD, partial(_under_load, model, bench, inputs)


def _under_load(model: Model, bench: ModelBench, inputs: Array) -> Floats:
    """Score while another process of the target scores too, without a pause."""
    bench.each(inputs[:LOAD_ROWS], 1)  # here, since a process ends with the thread that began it
    enough = Event()

    def keep_busy() -> None:
        while not enough.is_set():
            bench.each(inputs[:LOAD_ROWS], LOAD_REPEATS)

    with ThreadPoolExecutor(1) as pool:
        load = pool.submit(keep_busy)
        try:
            return model.predict(inputs)
        finally:
            enough.set()
            load.result()


def _decide(task: Task, scores: Floats) -> NDArray[np.int64]:
    return (
        task.decide(scores) if isinstance(task, ClassificationTask) else np.zeros(len(scores), int)
    )


def _disagreement(
    differ: NDArray[np.bool_], confidence: float, params: Mapping[str, Scalar],
    details: Mapping[str, Json], *, decides: bool,
) -> Reading:  # fmt: skip
    if not decides:
        return Gap(
            reason=GapReason.NEEDS_CLASSIFICATION,
            detail="A regression has no decisions that could differ, only values.",
            cure="Bound max_score_difference instead.",
            metric="label_disagreement",
            params=params,
        )
    other = np.asarray(differ.any(axis=0))
    return share_reading("label_disagreement", other, confidence, params=params, details=details)


CHECK: type[Check] = DeterminismCheck
