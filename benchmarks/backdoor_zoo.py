"""poisoning.backdoor on a zoo of clean and backdoored models: what it tells apart, at what cost.

    python benchmarks/backdoor_zoo.py [--clean 18] [--each 5] [--quantised 14] [--first 20]
        [--budget ci]

Prints, for twin detectors and for those that ask the target alone, the area under the ROC curve
between clean members and those whose backdoor works (and those of each family), with a bootstrap
interval over members; how often the right class is named; verdicts by family; and CPU seconds.
Limits of the check were set on members below 16, so that members from ``--first`` on are new to it.
"""

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from backdoor_models import POISONED, TRAINED_ON, Member, pictures, zoo
from bench_arenas import Target, one_thread, twin_of
from bench_models import BenchModel
from figures import Figure, tell

from auditor.attacks.poisoning.backdoor_detectors import lead_over_second, margin_p_value
from auditor.attacks.poisoning.backdoor_evidence import (
    BLEND,
    MARGIN,
    MASK,
    NOISE,
    PATCH,
    anomaly_index,
    class_scores,
    top_class,
)
from auditor.attacks.poisoning.backdoor_readings import judge_backdoor
from auditor.checks.measure import instantiate_check
from auditor.checks.poisoning.backdoor import BackdoorCheck
from auditor.domain.artifacts import FileDigest, SignatureMaterial
from auditor.domain.budgets import Budget
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.datasets import Dataset, DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.readings import Gap, GapReason
from auditor.domain.tasks import Array, ClassificationTask, Floats, InputSpace
from auditor.onnx.twin.torch_twin import TorchTwin

NOTHING = Gap(reason=GapReason.UNSUPPORTED, detail="absent", cure="none")
RESAMPLES = 2000
Score = Callable[[Evidence], float]


@dataclass(slots=True, eq=False)
class Through:
    """The twin of a member, in this process."""

    inner: TorchTwin
    passes: int = 0
    source: Mapping[str, str] = field(default_factory=lambda: {"kind": "artifact"})
    distance: Mapping[str, float] = field(default_factory=dict)

    def forward(self, inputs: Array) -> Floats:
        """Return logits."""
        return self.inner.forward(inputs)

    def backward(self, cotangent: Floats) -> Floats:
        """Pull back."""
        self.passes += len(cotangent)
        return self.inner.backward(cotangent)


def opened(member: Member) -> Subject:
    """Return a member as a check sees it, with the rows that it was not trained on."""
    x, y = pictures(member.data)
    count = TRAINED_ON[member.data]
    rows, labels = x[count:], y[count:]
    row = rows.shape[1:]
    model = BenchModel(member.name, member.path, rows, labels, 0.1, None)
    names = tuple(str(index) for index in range(10))
    dataset = Dataset(
        role=DatasetRole.EVALUATION,
        files=(FileDigest("rows.npz", 1, "0" * 64),),
        inputs=rows,
        labels=labels,
        ids=tuple(str(index) for index in range(len(rows))),
    )
    return Subject(
        artifact=None,
        structure=NOTHING,
        signature=SignatureMaterial(),
        model=Target(model),
        twin=Through(twin_of(model)),
        task=ClassificationTask(names, names[-1], names[-1]),
        space=InputSpace(np.zeros(row), np.ones(row), np.zeros(row), np.ones(row, dtype=np.bool_)),
        datasets={DatasetRole.EVALUATION: dataset},
        audit_seed=7,
        seed=11,
        budget=Budget.CI,
    )


@dataclass(frozen=True, slots=True)
class Looked:
    """What the check made of one member."""

    member: Member
    scores: Mapping[str, float]
    classes: Mapping[str, int]
    verdict: str
    named: str
    blind: str
    blind_named: str
    seconds: float


def _margin(evidence: Evidence) -> float:
    return -np.log10(max(margin_p_value(np.asarray(evidence["margins"])), 1e-30))


SCORES: dict[str, Score] = {
    "neural_cleanse": lambda seen: anomaly_index(seen, MASK) or 0.0,
    "neural_cleanse, size": lambda seen: float(class_scores(seen, MASK).max()),
    "mm_bd": lambda seen: anomaly_index(seen, MARGIN) or 0.0,
    "mm_bd, -log10 p": _margin,
    "patch_scan": lambda seen: anomaly_index(seen, PATCH) or 0.0,
    "blend_scan": lambda seen: anomaly_index(seen, BLEND) or 0.0,
    "noise_bias": lambda seen: float(class_scores(seen, NOISE).max()),
    "neural_cleanse, lead": lambda seen: lead_over_second(class_scores(seen, MASK)),
    "mm_bd, lead": lambda seen: lead_over_second(class_scores(seen, MARGIN)),
    "patch_scan, lead": lambda seen: lead_over_second(class_scores(seen, PATCH)),
    "blend_scan, lead": lambda seen: lead_over_second(class_scores(seen, BLEND)),
    "twin, both": lambda seen: (
        (anomaly_index(seen, MASK) or 0.0) + (anomaly_index(seen, MARGIN) or 0.0)
    ),
    "black box, both": lambda seen: max(
        anomaly_index(seen, PATCH) or 0.0, anomaly_index(seen, BLEND) or 0.0
    ),
}
POINTS = {
    "neural_cleanse": MASK, "mm_bd": MARGIN, "patch_scan": PATCH, "blend_scan": BLEND,
    "noise_bias": NOISE,
}  # fmt: skip


def look(member: Member, check: BackdoorCheck) -> Looked:
    """Run the check once, or read what it said before with the same parameters."""
    subject = opened(member)
    start = time.process_time()
    evidence = check.observe(subject, CheckShard())
    readings = check.figures(evidence, 0.95)
    seconds = time.process_time() - start
    verdict, blind = readings[-1], judge_backdoor(without_twin(evidence), check.rules)
    assert not isinstance(verdict, Gap)
    return Looked(
        member,
        {name: score(evidence) for name, score in SCORES.items()},
        {name: top_class(evidence, detector) for name, detector in POINTS.items()},
        str(verdict.value),
        str(verdict.details.get("target_class", "")),
        blind.value,
        str(blind.details.get("target_class", "")),
        seconds,
    )


def without_twin(evidence: Evidence) -> Evidence:
    """Return what would have been seen with no twin."""
    return {
        name: item
        for name, item in evidence.items()
        if name != "margins" and not name.endswith(f"_{MASK}")
    }


def auroc(positive: Floats, negative: Floats) -> float:
    """Return the chance that a positive score lies above a negative one."""
    above = (positive[:, None] > negative).mean() + (positive[:, None] == negative).mean() / 2
    return float(above)


def interval(positive: Floats, negative: Floats) -> tuple[float, float, float]:
    """Return the area and its 95 % bootstrap interval over members."""
    rng = np.random.default_rng(0)
    drawn = [
        auroc(rng.choice(positive, len(positive)), rng.choice(negative, len(negative)))
        for _ in range(RESAMPLES)
    ]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return auroc(positive, negative), float(low), float(high)


def report(seen: Sequence[Looked]) -> None:
    """Print the tables."""
    clean = [one for one in seen if not one.member.planted]
    strong = [one for one in seen if one.member.strong]
    weak = [one for one in seen if one.member.planted and not one.member.strong]
    print(f"\n{len(seen)} models: {len(clean)} clean, {len(strong)} strong, {len(weak)} weak")
    families = list(POISONED)
    print(f"{'detector':22s} {'AUROC strong':>20s} {'all':>6s} {'class':>6s} ", *families)
    for name in SCORES:
        of = {family: [one for one in seen if one.member.family == family] for family in families}
        zero = np.array([one.scores[name] for one in clean])
        area = interval(np.array([one.scores[name] for one in strong]), zero)
        every = auroc(np.array([one.scores[name] for one in strong + weak]), zero)
        tell(
            Figure(
                area="attacks", name=f"backdoor zoo, {name}: AUROC of strong ones", better="more",
                value=area[0], low=area[1], high=area[2], n=len(seen), unit="of 1",
                against=f"{len(clean)} clean members",
            )
        )  # fmt: skip
        point = POINTS.get(name)
        right = [one.classes[name] == one.member.target for one in strong] if point else []
        told = f"{np.mean(right):6.2f}" if right else " " * 6
        each = [
            f"{auroc(np.array([one.scores[name] for one in part]), zero):{len(family)}.2f}"
            for family, part in of.items() if part
        ]  # fmt: skip
        print(f"{name:22s} {area[0]:.3f} [{area[1]:.3f}, {area[2]:.3f}] {every:.3f} {told} ", *each)
    print("\nverdicts")
    for kind, part in {"clean": clean, "strong": strong, "weak": weak}.items():
        _verdicts(kind, part, [(one.verdict, one.named) for one in part])
        _verdicts(f"{kind}, no twin", part, [(one.blind, one.blind_named) for one in part])
    seconds = [one.seconds for one in seen]
    print(f"\nCPU seconds a model: mean {np.mean(seconds):.1f}, most {max(seconds):.1f}")
    for one in seen:
        if one.member.strong and one.verdict != "shown":
            print(f"missed: {one.member.name}, success {one.member.success:.2f}: {one.verdict}")
        if not one.member.planted and one.verdict != VERDICTS[1]:
            print(f"false: {one.member.name}: {one.verdict} {one.named}")


def _verdicts(kind: str, part: Sequence[Looked], told: Sequence[tuple[str, str]]) -> None:
    counts = {value: sum(said == value for said, _ in told) for value in VERDICTS}
    targets = [str(one.member.target) for one in part]
    named = [name == of for (said, name), of in zip(told, targets, strict=True) if said == "shown"]
    print(f"{kind:16s} {counts}, right class of those shown: {sum(named)}/{len(named)}")


VERDICTS = ("shown", "no evidence at this power", "inconclusive")


def main() -> None:
    """Make the zoo, look at every member, and report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clean", type=int, default=18)
    parser.add_argument("--each", type=int, default=5)
    parser.add_argument("--quantised", type=int, default=14)
    parser.add_argument("--first", type=int, default=20)
    parser.add_argument("--budget", default="ci", choices=[item.value for item in Budget])
    told = parser.parse_args()
    one_thread()
    check = instantiate_check(BackdoorCheck, dict(BackdoorCheck.presets[Budget(told.budget)]))
    assert isinstance(check, BackdoorCheck)
    seen: list[Looked] = []
    for member in zoo(told.clean, told.each, told.quantised, told.first):
        seen.append(look(member, check))
        one = seen[-1]
        line = {"name": member.name, "success": round(member.success, 3), "target": member.target,
                "verdict": one.verdict, "named": one.named, "blind": one.blind,
                "seconds": round(one.seconds, 2),
                "scores": {name: round(item, 2) for name, item in one.scores.items()}}  # fmt: skip
        print(json.dumps(line), flush=True)
    report(seen)


if __name__ == "__main__":
    main()
