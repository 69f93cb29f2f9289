"""Membership attacks against ART's black-box ones and many-shadow LiRA: power and CPU seconds.

    python benchmarks/membership_against_peers.py [--quick]

Two models remember half of their rows: digits (scikit-learn, 1,796 rows, two layers of 128), and
rows like those of the Purchase data (10,000 of 200 bits in 50 classes, made from a seed, two layers
of 256). Every attack is judged on the same half of the rows; ART's are fitted on the other half,
of which they are told who is a member. Ours are told nothing and take all rows, of which each
stand-in learns half. ``many`` is LiRA online with one variance for all rows and nothing shrunk, on
64 stand-ins by the very recipe (Carlini et al. 2022). The true positive rate is that at the limit
which 1 % of the judged non-members exceed, averaged over targets. CPU seconds are of the attack
alone, its stand-ins included, all threads of the process.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from art.attacks.inference.membership_inference import MembershipInferenceBlackBox
from art.estimators.classification import BlackBoxClassifier
from figures import over, tell
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from auditor.attacks.privacy.membership import (
    ShadowPredictions,
    lira_attack,
    loss_attack,
    rmia_attack,
)
from auditor.attacks.privacy.shadow_models import NETWORK, draw_halves
from auditor.attacks.privacy.shadow_training import LOGISTIC, ShadowTrainingSettings, train_stack
from auditor.metrics.stats.roc_auc import auc_and_influence

MANY = 64
FPR = 0.01
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class World:
    """Rows, their classes, and the recipe of the models that remember half of them."""

    name: str
    inputs: Floats
    labels: NDArray[np.int64]
    classes: int
    recipe: ShadowTrainingSettings


@dataclass(frozen=True, slots=True)
class Score:
    """What an attack comes to: area, true positive rate at 1 %, and CPU seconds a target."""

    auc: float
    tpr: float
    seconds: float

    def __str__(self) -> str:
        """Return the three numbers in a line."""
        return f"AUC {self.auc:.3f}  TPR@1%FPR {self.tpr:6.2%}  {self.seconds:7.2f} CPU s"


def digits() -> World:
    """Return scikit-learn's digits."""
    inputs, labels = load_digits(return_X_y=True)
    return World(
        "digits",
        inputs[:1796] / 16,
        labels[:1796],
        10,
        ShadowTrainingSettings((128, 128), rate=0.001),
    )


def purchases() -> World:
    """Return rows of bits, a third of which differ from the habits of their class."""
    rng = np.random.default_rng(7)
    habits, labels = rng.integers(0, 2, (50, 200)), rng.integers(0, 50, 10_000)
    inputs = habits[labels] ^ (rng.random((10_000, 200)) < 0.33)
    recipe = ShadowTrainingSettings((256, 256), batch=128, rate=0.001)
    return World("purchase-like", inputs.astype(np.float64), labels, 50, recipe)


def judged(scores: Floats, member: Flags) -> tuple[float, float]:
    """Return the area, and the share of members above the limit of 1 % of the others."""
    others = np.sort(scores[~member])[::-1]
    limit = others[int(FPR * len(others))]
    return auc_and_influence(scores, member)[0], float((scores[member] > limit).mean())


def arts(world: World, said: Floats, member: Flags, fitted: Flags) -> Iterator[tuple[str, Floats]]:
    """Fit ART's attacks on one half of the rows; ask them about the other."""
    # ART asks the model by itself; the answers are known, and looked up by the row's number.
    numbered = np.arange(len(said), dtype=np.float32)[:, None]
    known = BlackBoxClassifier(
        lambda rows: said[rows[:, 0].astype(int)].astype(np.float32), (1,), world.classes
    )
    inside, outside = fitted & member, fitted & ~member
    for kind in ("nn", "rf", "gb"):
        attack = MembershipInferenceBlackBox(known, attack_model_type=kind)
        attack.fit(numbered[inside], world.labels[inside], numbered[outside], world.labels[outside])
        chance = attack.infer(numbered[~fitted], world.labels[~fitted], probabilities=True)
        yield kind, np.asarray(chance, dtype=np.float64).reshape(int((~fitted).sum()), -1)[:, -1]


def stand_ins(
    world: World, settings: ShadowTrainingSettings, models: int, seed: int
) -> ShadowPredictions:
    """Train stand-ins on halves of all rows."""
    include = draw_halves(models, len(world.labels), np.random.default_rng([seed, models]))
    stack = train_stack(world.inputs, world.labels, world.classes, include, settings, seed=seed)
    return ShadowPredictions(stack.chances(world.inputs, world.labels).astype(np.float64), include)


def plain_lira(chances: Floats, shadows: ShadowPredictions) -> Floats:
    """Carlini et al. (2022), online, one variance: nothing is shrunk."""
    logits = np.log(np.clip(shadows.chances, 1e-6, 1 - 1e-6))
    logits -= np.log1p(-np.clip(shadows.chances, 1e-6, 1 - 1e-6))
    value = np.log(np.clip(chances, 1e-6, 1 - 1e-6)) - np.log1p(-np.clip(chances, 1e-6, 1 - 1e-6))
    found = np.zeros(len(chances))
    for mask, sign in ((~shadows.include, 1), (shadows.include, -1)):
        count = mask.sum(axis=0)
        middle = (logits * mask).sum(axis=0) / count
        square = ((logits - middle) ** 2 * mask).sum() / (count - 1).sum()
        found += sign * (value - middle) ** 2 / (2 * square)
    return found


def ours(
    world: World, targets: Floats, *, quick: bool
) -> Iterator[tuple[str, list[Floats], float]]:
    """Yield each of our attacks: its scores of every row a target, and the seconds a target."""
    yield "loss", [loss_attack(target) for target in targets], 0.0
    kinds = {"logistic": LOGISTIC, "network": NETWORK, "recipe": world.recipe}
    for kind, settings in kinds.items():
        for models in (4, 8, 16):
            start = time.process_time()
            shadows = stand_ins(world, settings, models, 3)
            trained = time.process_time() - start
            for name, attack in (("rmia", rmia_attack), ("lira", lira_attack)):
                start = time.process_time()
                found = [attack(target, shadows) for target in targets]
                spent = (time.process_time() - start) / len(targets)
                yield f"{name} k={models} {kind}", found, trained + spent
    start = time.process_time()
    shadows = stand_ins(world, world.recipe, 16 if quick else MANY, 3)
    found = [plain_lira(target, shadows) for target in targets]
    yield f"many ({len(shadows.chances)}) lira", found, time.process_time() - start


def compare(world: World, targets: int, *, quick: bool) -> dict[str, Score]:
    """Attack some targets in every way; return what each way comes to, and print it."""
    rng = np.random.default_rng(1)
    rows = len(world.labels)
    member = draw_halves(targets, rows, rng)
    fitted = rng.permutation(rows) < rows // 2
    stack = train_stack(world.inputs, world.labels, world.classes, member, world.recipe, seed=11)
    said = stack.probabilities(world.inputs).astype(np.float64)
    right = said.argmax(axis=2) == world.labels
    print(f"\n{world.name}: {rows:,} rows, {targets} targets")
    print(
        f"  accuracy {right[member].mean():.1%} on members, {right[~member].mean():.1%} on others"
    )
    chances = said[:, np.arange(rows), world.labels]
    found: dict[str, Score] = {}
    parts: dict[str, list[tuple[float, float, float]]] = {}
    for target in range(targets):
        start = time.process_time()
        for kind, scores in arts(world, said[target], member[target], fitted):
            spent = time.process_time() - start
            parts.setdefault(f"ART {kind}", []).append(
                (*judged(scores, member[target][~fitted]), spent)
            )
            start = time.process_time()
    for name, scores, seconds in ours(world, chances, quick=quick):
        for one, inside in zip(scores, member, strict=True):
            marks = judged(one[~fitted], inside[~fitted])
            parts.setdefault(name, []).append((*marks, seconds))
    for name, marks in parts.items():
        found[name] = Score(*np.mean(marks, axis=0))
        print(f"  {name:20s} {found[name]}")
    return found


def goals(world: World, found: dict[str, Score]) -> None:
    """Print what was aimed at, and what came of it."""
    peer = max((it for name, it in found.items() if name.startswith("ART")), key=lambda it: it.tpr)
    many = next(it for name, it in found.items() if name.startswith("many"))
    for kind in ("logistic", "network", "recipe"):
        sixteen, four = found[f"rmia k=16 {kind}"], found[f"rmia k=4 {kind}"]
        best = found[f"lira k=8 {kind}"]
        what = f"membership in {world.name}, stand-ins by {kind}"
        by, rate = {"area": "attacks", "against": "the best of ART's"}, max(peer.tpr, 1e-9)
        tell(
            over(name=f"{what}: rmia k=4, TPR at 1 % FPR of ours, of theirs",
                 rounds=[four.tpr / rate], goal=4, **by),
            over(name=f"{what}: rmia k=4, CPU of ours, of theirs",
                 rounds=[four.seconds / peer.seconds], better="less", goal=2, **by),
            over("attacks", f"{what}: lira k=8, TPR at 1 % FPR of it, of many's",
                 [best.tpr / many.tpr], f"LiRA on {MANY} stand-ins by the recipe", goal=0.8),
        )  # fmt: skip
        print(f"  {kind}:")
        print(
            f"    rmia k=16 {100 * (sixteen.tpr - peer.tpr):+.1f} points over ART's best (goal +4)"
        )
        print(
            f"    rmia k=4 {four.tpr / max(peer.tpr, 1e-9):.1f}x ART's rate (goal 4x) at "
            f"{four.seconds / peer.seconds:.2f}x its CPU (goal 2x)"
        )
        print(f"    lira k=4 {found[f'lira k=4 {kind}'].tpr / max(peer.tpr, 1e-9):.1f}x ART's rate")
        print(f"    lira k=8 {best.tpr / many.tpr:.0%} of {MANY}-model LiRA's rate (goal 80 %)")
        print(f"    lira k=8 area {best.auc - many.auc:+.3f} of {MANY}-model LiRA's (goal -0.02)")


def main() -> None:
    """Make both comparisons."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="digits, and fewer stand-ins")
    quick = parser.parse_args().quick
    warnings.simplefilter("ignore")
    for world, targets in ((digits(), 8), (purchases(), 4))[: 1 if quick else 2]:
        goals(world, compare(world, targets, quick=quick))


if __name__ == "__main__":
    sys.exit(main())
