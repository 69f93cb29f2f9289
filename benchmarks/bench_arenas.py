"""What the attack benchmarks share: the target, the counted twin, and paired differences."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import onnxruntime
import torch
from bench_models import BenchModel
from figures import Figure
from numpy.typing import NDArray
from scipy.stats import beta

from auditor.attacks.evasion.attack_setup import AttackSetup
from auditor.attacks.evasion.budget_sweep import run_sweep
from auditor.attacks.evasion.goals import untargeted_goal
from auditor.attacks.evasion.losses import softmax
from auditor.attacks.evasion.norms import Norm
from auditor.attacks.evasion.suite_parser import build_suite
from auditor.domain.check_subject import report_nothing
from auditor.domain.models import ModelTiming
from auditor.domain.targets import Fingerprint, ModelInterface
from auditor.domain.tasks import Array, ClassificationTask, Floats, InputSpace
from auditor.onnx.twin.build import build_twin
from auditor.onnx.twin.torch_twin import TorchTwin

Mask = NDArray[np.bool_]


def one_thread() -> None:
    """Pin torch to one thread: every figure is CPU seconds of one core."""
    torch.set_num_threads(1)


class Target:
    """An ONNX file on ONNX Runtime, in this process and on one thread."""

    deterministic = True
    fingerprint = Fingerprint({}, {})

    def __init__(self, model: BenchModel) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(model.path, options, ["CPUExecutionProvider"])
        self._logits = model.scores == "logits"
        self.queries = 0
        self.seconds = 0.0

    def predict(self, inputs: Array) -> Floats:
        """Return what comes out: logits or probabilities."""
        self.queries += len(inputs)
        start = time.process_time()
        scores: Floats = self._session.run(None, {"x": inputs})[0].astype(np.float64)
        self.seconds += time.process_time() - start
        return scores

    def probabilities(self, scores: Floats) -> Floats:
        """Return the softmax of logits, and probabilities as they are."""
        return softmax(scores) if self._logits else scores

    def time(self, inputs: Array, *, calls: int, warmup: int, batch_rows: int) -> ModelTiming:
        """Refuse: nothing here is timed so."""
        raise NotImplementedError


@dataclass(slots=True, eq=False)
class Counted:
    """A twin with the seconds that its passes took: the floor of an attack."""

    twin: TorchTwin
    passes: int = 0
    seconds: float = 0.0
    source: str = "artifact"
    distance: dict[str, float] = field(default_factory=dict)

    def forward(self, inputs: Array) -> Floats:
        """Return logits."""
        start = time.process_time()
        found = self.twin.forward(inputs)
        self.seconds += time.process_time() - start
        return found

    def backward(self, cotangent: Floats) -> Floats:
        """Pull back."""
        self.passes += len(cotangent)
        start = time.process_time()
        found = self.twin.backward(cotangent)
        self.seconds += time.process_time() - start
        return found


def twin_of(model: BenchModel) -> TorchTwin:
    """Return the twin of a benchmark's model."""
    row = model.rows.shape[1:]
    twin = build_twin(
        model.path,
        ModelInterface("x", row, "float32", None, "as_is", model.scores, model.scores, ""),
    )
    assert isinstance(twin, TorchTwin)
    return twin


def arena_of(model: BenchModel, rows: int, norm: Norm = Norm.LINF) -> AttackSetup:
    """Return the first rows of a model's data, to be attacked."""
    target, taken = Target(model), model.rows[:rows]
    row, classes = taken.shape[1:], int(model.labels.max()) + 1
    names = tuple(str(index) for index in range(classes))
    return AttackSetup(
        model=target,
        twin=Counted(twin_of(model)),
        goal=untargeted_goal(ClassificationTask(names, names[-1], names[-1])),
        space=InputSpace(np.zeros(row), np.ones(row), np.zeros(row), np.ones(row, dtype=np.bool_)),
        rows=taken,
        labels=model.labels[:rows],
        probabilities=target.probabilities(target.predict(taken)),
        norm=norm,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What one tool left standing on the target, and what it cost.

    ``floor`` are the CPU seconds of the passes and queries alone, where they were counted.
    """

    tool: str
    robust: Mask
    seconds: float
    queries: float = 0.0
    passes: float = 0.0
    floor: float = 0.0

    @property
    def accuracy(self) -> float:
        """The share of rows that stayed right."""
        return float(self.robust.mean())


def ours(
    model: BenchModel, stages: tuple[str, ...], rows: int, norm: Norm = Norm.LINF, seed: int = 0
) -> Outcome:
    """Return what our suite leaves standing within the model's budget."""
    arena = arena_of(model, rows, norm)
    twin, target = arena.twin, arena.model
    assert isinstance(twin, Counted)
    assert isinstance(target, Target)
    before = target.seconds
    start = time.process_time()
    found = run_sweep(build_suite(stages, norm), arena, (model.eps,), seed, report_nothing)
    seconds = time.process_time() - start
    robust = ~(found.breaking <= model.eps * (1 + 1e-6))
    queries = sum(bill.queries for bill in found.log)
    floor = twin.seconds + target.seconds - before
    return Outcome(
        f"auditor {', '.join(stages)}", robust, seconds, queries / rows, twin.passes / rows, floor
    )


def timed(tool: str, attack: Callable[[], Array], model: BenchModel, rows: int) -> Outcome:
    """Return what a peer's crafted rows leave standing, judged on the target within the budget."""
    start = time.process_time()
    crafted = attack()
    seconds = time.process_time() - start
    return Outcome(tool, judge(model, rows, crafted), seconds)


def judge(model: BenchModel, rows: int, crafted: Array) -> Mask:
    """Return which rows the target still gets right; what left ball or box counts as not moved."""
    clean, labels = model.rows[:rows], model.labels[:rows]
    size = np.abs(crafted.astype(np.float64) - clean).reshape(rows, -1).max(axis=1)
    boxed = ((crafted >= -1e-6) & (crafted <= 1 + 1e-6)).reshape(rows, -1).all(axis=1)
    allowed = (size <= model.eps + 1e-5) & boxed
    target = Target(model)
    right = target.predict(clean).argmax(axis=1) == labels
    still = target.predict(crafted.astype(np.float32)).argmax(axis=1) == labels
    kept: Mask = right & (still | ~allowed)
    return kept


def paired(left: Mask, right: Mask, confidence: float = 0.95) -> tuple[float, float, float]:
    """Return the difference of two robust accuracies on the same rows, with an exact interval.

    Of the rows on which the two differ, the share that speaks for the left one has a
    Clopper-Pearson interval; it is scaled to all rows.
    """
    more, less = int((left & ~right).sum()), int((right & ~left).sum())
    apart, rows = more + less, len(left)
    if not apart:
        return 0.0, 0.0, 0.0
    tail = (1 - confidence) / 2
    low = beta.ppf(tail, more, less + 1) if more else 0.0
    high = beta.ppf(1 - tail, more + 1, less) if less else 1.0
    scale = apart / rows
    return (more - less) / rows, float(2 * low - 1) * scale, float(2 * high - 1) * scale


def lead(area: str, what: str, base: Outcome, other: Outcome, against: str) -> list[Figure]:
    """Return our robust accuracy less a peer's on the same rows, with its interval."""
    difference, low, high = paired(base.robust, other.robust)
    name = f"{what}: robust accuracy of ours less theirs"
    return [
        Figure(
            area=area, name=name, value=difference, low=low, high=high, n=len(base.robust),
            against=against, better="less", unit="of rows",
        )
    ]  # fmt: skip
