"""Check of bit-flip faults: what one flipped bit in the weights does to decisions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from auditor.domain.model_instrumentation import BitFlip, GraphWeight, ModelBench
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import BoundKind, Gap, GapReason, Reading, Unit
from auditor.domain.row_evidence import RowEvidence
from auditor.domain.tasks import Array, ClassificationTask
from auditor.errors import ModelFailedError
from auditor.metrics.hardware.bit_flips import (
    BITS,
    BROKEN,
    FaultOutcomes,
    build_fault_readings,
    count_stored_bits,
    decide_labels,
    sample_bits,
    sample_layer_bits,
)
from auditor.metrics.stats.means import LEAST
from auditor.metrics.stats.proportions import clopper_pearson

SECONDS_A_FAULT = 0.02
NO_WEIGHTS = Gap(
    reason=GapReason.NOT_DEFINED,
    detail="The artifact's graph holds no weights outside its operators' attributes, so that "
    "there are no bits to turn over.",
    cure="Trees and kernels keep theirs inside an operator; this check speaks of networks.",
)


@dataclass(frozen=True, slots=True)
class BitFlipCheck(Check):
    """Flips stored bits of your deployed file one at a time, opens the file again on the target,
    and compares its decisions on ``rows`` rows with those of the unchanged file.

    ``trials`` bits are a sample of all stored bits, with a share for every bit position and layer;
    ``layers`` layers get at least ``least`` bits each. A fault that breaks the model, or makes its
    scores invalid numbers, leaves no decision right. ``above`` are shares of decisions.

    Software faults measure how harmful a flipped bit is, not how often the chip flips one.
    """

    trials: int = 200
    rows: int = 256
    layers: int = 32
    least: int = 8
    above: tuple[float, ...] = (0.1,)

    id: ClassVar[str] = "hardware.faults"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Decisions after bit flips in the weights"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.MODEL, Need.EVALUATION, Need.LABELS, Need.CLASSIFICATION}
    )
    emits: ClassVar[Mapping[str, Metric]] = {
        "accuracy": Metric("Accuracy after a bit flip", Unit.SHARE, higher_is_better=True),
        "mismatch_rate": Metric(
            "Decisions that a bit flip changes", Unit.SHARE, higher_is_better=False
        ),
        "bit_mismatch_rate": Metric(
            "Decisions that a bit flip at one bit position changes", Unit.SHARE,
            higher_is_better=False,
        ),
        "layer_mismatch_rate": Metric(
            "Decisions that a bit flip in one layer changes", Unit.SHARE,
            higher_is_better=False,
        ),
        "harmful_share": Metric(
            "Bits that change more decisions than a given share", Unit.SHARE,
            higher_is_better=False,
        ),
        "broken_share": Metric(
            "Bits that break the model or its scores", Unit.SHARE, higher_is_better=None
        ),
        "worst_mismatch": Metric(
            "Decisions that the worst bit flip found changes", Unit.SHARE, BoundKind.AT_LEAST,
            higher_is_better=False, exact=True,
        ),
    }  # fmt: skip
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(4)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.5"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.6"),
        FrameworkControl("iso-42001", "A.6.2.4"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {"trials": 32, "rows": 64, "layers": 4, "least": 2},
        Budget.CI: {"trials": 200, "rows": 256, "layers": 16, "least": 8},
        Budget.FULL: {"trials": 2000, "rows": 512, "layers": 64, "least": 30},
    }
    grid: ClassVar[Mapping[str, str]] = {"above": "above"}
    by_row: ClassVar[RowEvidence] = RowEvidence(
        each=frozenset({"clean", "ids", "labels"}), apart=frozenset({"faults", "gap"})
    )
    about: ClassVar[str] = (
        "Memory errors can flip a stored bit. The check flipped bits of the file one by one and "
        "compared decisions. It measures how harmful one flipped bit is, not how often bits "
        "flip."
    )
    cures: ClassVar[tuple[str, ...]] = (
        ("Use memory with error correction, and check the file's digest whenever it is loaded."),
        "Limit the values between layers, so that one corrupted weight cannot decide alone.",
    )

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        if min(self.trials, self.rows, self.least) < LEAST or self.layers < 0:
            message = "trials, rows and least must be at least 2, and layers at least 0"
            raise ValueError(message)
        if not all(0 <= share < 1 for share in self.above):
            message = f"above holds shares of decisions, from 0 to below 1, and not {self.above}"
            raise ValueError(message)

    def cost(self, size: AuditSize) -> CheckCost:
        """Say what observing will spend at most: a session is opened anew for each bit."""
        faults = self.trials + self.layers * self.least
        rows = min(self.rows, size.rows)
        return CheckCost(queries=(faults + 2) * rows, seconds=faults * SECONDS_A_FAULT)

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Return the half widths of shares of bits where none does harm."""
        none = clopper_pearson(0, self.trials, confidence)
        half = (none.high - none.low) / 2
        return {"harmful_share": half, "broken_share": half}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Turn bits over. Raises ``SubjectLostError``, or ``ModelFailedError`` where the file that
        is written for it runs otherwise than the artifact before a bit is turned.
        """
        dataset, task = subject.datasets[DatasetRole.EVALUATION], subject.task
        labels = dataset.labels
        if not isinstance(task, ClassificationTask) or labels is None or dataset.inputs is None:
            message = "faults need a classification with labels, and the frame asks for both"
            raise TypeError(message)
        found = _weights(subject)
        if isinstance(found, Gap):
            return {"gap": write_gap(found)}
        bench, weights = found
        sample = subject.sample(DatasetRole.EVALUATION, self.rows)
        generator = np.random.default_rng(subject.seed)
        chosen = sample_bits(weights, self.trials, generator)
        more = sample_layer_bits(weights, chosen, self.least, self.layers, generator)
        clean = task.decide(subject.probabilities(DatasetRole.EVALUATION)[sample])
        _require_same(subject, bench, dataset.inputs[sample], clean, chosen[0])
        seen, words = self._run(subject, bench, dataset.inputs[sample], [*chosen, *more])
        known = {weight.name: weight for weight in weights}
        described = [
            {
                **flip.to_json(),
                "layer": known[flip.weight].node,
                "operator": known[flip.weight].operator,
                "dtype": known[flip.weight].dtype,
            }
            for flip in [*chosen, *more]
        ]
        return {
            "gap": None,
            "ids": np.asarray(dataset.ids)[sample],
            "labels": labels[sample],
            "clean": clean.astype(np.int16),
            "decided": seen,
            "faults": described,
            "about": {**self._about(chosen, weights), "said": words},
        }

    def refuses(self, subject: Subject) -> Gap | None:
        """Say that there are no bits to turn over. Raises what ``ModelBench.weights`` raises."""
        found = _weights(subject)
        return found if isinstance(found, Gap) else None

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Compare each fault's decisions with those of the file as it is."""
        if evidence["gap"] is not None:
            return (read_gap(evidence["gap"]),)
        return build_fault_readings(FaultOutcomes.of(evidence), confidence)

    def _about(self, chosen: Sequence[BitFlip], weights: Sequence[GraphWeight]) -> dict[str, Json]:
        bits = count_stored_bits(weights)
        return {"spread": len(chosen), "bits": bits, "above": sorted(self.above)}

    def _run(
        self, subject: Subject, bench: ModelBench, inputs: Array, flips: Sequence[BitFlip]
    ) -> tuple[NDArray[np.int16], list[Json]]:
        """Return the decisions ``[faults, rows]``, and what faults said that broke the model."""
        task = cast("ClassificationTask", subject.task)
        seen = np.full((len(flips), len(inputs)), BROKEN, dtype=np.int16)
        words: list[Json] = []
        for index, flip in enumerate(flips):
            subject.progress(index, len(flips), "turning over bits")
            (found,) = bench.faulty(inputs, [(flip,)])
            if isinstance(found, str):
                words.append({"fault": index, "said": found})
            else:
                seen[index] = decide_labels(found, task, subject.model)
        return seen, words


def _weights(subject: Subject) -> tuple[ModelBench, list[GraphWeight]] | Gap:
    """Return the weights whose bits can be turned over, and the bench to do it on."""
    if isinstance(subject.bench, Gap):
        return subject.bench
    weights = [weight for weight in subject.bench.weights() if weight.dtype in BITS]
    return (subject.bench, weights) if count_stored_bits(weights) else NO_WEIGHTS


def _require_same(
    subject: Subject, bench: ModelBench, inputs: Array, clean: NDArray[np.int64], flip: BitFlip
) -> None:
    """Turn a bit over and back: what goes wrong then would be counted as harm of every fault."""
    (found,) = bench.faulty(inputs, [(flip, flip)])
    said = found if isinstance(found, str) else "it decides otherwise"
    same = not isinstance(found, str) and (
        decide_labels(found, cast("ClassificationTask", subject.task), subject.model) == clean
    )
    if not np.all(same):
        raise ModelFailedError(
            f"the artifact, written anew with no bit turned over, does not run as it does: {said}",
            cure="Audit faults of a file below 2 GB, on a target that repeats its decisions.",
        )


CHECK: type[Check] = BitFlipCheck
