"""A configured ART evasion attack: the model that it sees, its settings, and what it returns."""

import inspect
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum

import numpy as np

from auditor.attacks.art.adapter import (
    ModelView,
    Numbers,
    Untyped,
    build_estimator,
    estimator_requirements,
    fixed_global_seed,
    list_evasion_attacks,
)
from auditor.attacks.art.failure_reasons import (
    FailureReason,
    missing_arguments,
    missing_capability,
    unknown_attack,
)
from auditor.attacks.art.settings import AttackSettings
from auditor.attacks.evasion.losses import Labels
from auditor.attacks.evasion.norms import Norm
from auditor.domain.json import Json
from auditor.domain.tasks import Floats

GRADIENTS = frozenset({"LossGradientsMixin", "ClassGradientsMixin"})
OFFERED = frozenset({"BaseEstimator", "ClassifierMixin"})
PICTURES = "NeuralNetworkMixin"
EAGER = frozenset({"AutoAttack", "TargetedUniversalPerturbation", "UniversalPerturbation"})
"""Attacks that make others, which need gradients, and do not declare it."""
UNITED = "TargetedUniversalPerturbation"
"""It wants one class for all rows: the one that is most often the likeliest other."""
AIMED = frozenset({"LowProFool", "SaliencyMapMethod", UNITED})
"""Attacks that want classes to reach, not labels to leave: they get the likeliest other class."""
SINGLE = frozenset({"ShadowAttack"})
"""Attacks that take one row at a time."""
BATCH = 128
"""Rows that attacks on the twin change at once; ART's default is often 1."""
NORMS: Mapping[Norm, float | int] = {Norm.LINF: np.inf, Norm.L2: 2, Norm.L1: 1}
STEPS = 4
"""An attack that walks in steps of ``eps_step`` takes the budget in so many."""


class ModelAccess(StrEnum):
    """Which model an attack sees."""

    TARGET = "target"
    TWIN = "twin"


@dataclass(frozen=True, slots=True, eq=False)
class CraftingJob:
    """What an attack is to change: the rows of ``view.lens``, with labels and clean scores.

    ``eps`` is the budget in ranges, ``seed`` where its chance begins.
    """

    view: ModelView
    labels: Labels
    probabilities: Floats
    norm: Norm
    eps: float
    seed: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ArtEvasionTool:
    """One of ART's evasion attacks with its settings.

    ``bounded`` attacks take a budget; others look for small changes, however large they get.
    ``single`` ones take one row at a time.
    """

    name: str
    kind: Untyped
    sight: ModelAccess
    settings: AttackSettings
    bounded: bool
    single: bool = False

    def craft(self, job: CraftingJob) -> object:
        """Return what the attack made of the rows of a job, whatever that is."""
        entropy = [zlib.crc32(self.name.encode()), *job.seed]
        seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
        with fixed_global_seed(seed):
            model = build_estimator(job.view, job.probabilities.shape[1])
            attack = self._made(model, job)
            wanted = np.eye(job.probabilities.shape[1], dtype=np.float32)[self._wanted(job)]
            shown = job.view.lens.shown
            if hasattr(attack, "fit_importances"):
                # Importance by correlation needs many rows; here all coordinates matter alike.
                alike = np.ones(int(np.prod(shown.shape[1:])))
                attack.fit_importances(importance_array=alike)
            more: dict[str, Numbers] = {}
            if not job.view.lens.moves.all() and "mask" in (self.kind.generate.__doc__ or ""):
                more["mask"] = job.view.lens.mask
            return attack.generate(x=shown.copy(), y=wanted, **more)

    def _made(self, model: Untyped, job: CraftingJob) -> Untyped:
        if self.name == "AutoAttack" and self.sight is ModelAccess.TWIN:
            # ART's own list asks for losses that it knows of PyTorch and TensorFlow only.
            names = ("AutoProjectedGradientDescent", "DeepFool", "SquareAttack")
            inner = [
                list_evasion_attacks()[name](
                    model, **_arguments(list_evasion_attacks()[name], {}, job)
                )
                for name in (names if job.view.lens.picture else names[:-1])
            ]
            return self.kind(model, **_arguments(self.kind, self.settings, job), attacks=inner)
        return self.kind(model, **_arguments(self.kind, self.settings, job))

    def _wanted(self, job: CraftingJob) -> Labels:
        if self.name not in AIMED:
            return job.labels
        others = job.probabilities.copy()
        others[np.arange(len(others)), job.labels] = -np.inf
        likely: Labels = others.argmax(axis=1).astype(np.int64)
        if self.name == UNITED:
            return np.full_like(likely, np.bincount(likely).argmax())
        return likely


def open_tool(
    name: str, settings: AttackSettings, *, picture: bool, twin: bool
) -> ArtEvasionTool | FailureReason:
    """Return an attack, or why it cannot run on a model of this kind.

    Raises ``MissingExtraError`` without ART.
    """
    known = list_evasion_attacks()
    if name not in known:
        return unknown_attack(name, get_close_matches(name, known, n=3, cutoff=0.5) or list(known))
    kind = known[name]
    asked = estimator_requirements(kind)
    eager = name in EAGER or any(GRADIENTS & set(one) for one in asked)
    sight = ModelAccess.TWIN if eager and twin else ModelAccess.TARGET
    offered = OFFERED | ({PICTURES} if picture else set())
    offered |= GRADIENTS if sight is ModelAccess.TWIN else set()
    absent = [one[0] for one in asked if not offered & set(one)]
    if absent:
        return missing_capability(name, absent)
    takes = inspect.signature(kind.__init__).parameters
    # The arguments that an attack cannot be made without, beside the model
    required_takes = list(inspect.signature(kind.__init__).parameters.values())[2:]
    free = {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}
    required = [
        item.name
        for item in required_takes
        if item.default is inspect.Parameter.empty
        and item.kind not in free
        and item.name not in {"eps", "norm"}
    ]
    lost = [item for item in required if item not in settings]
    if lost:
        return missing_arguments(name, lost)
    if sight is ModelAccess.TWIN and "batch_size" in takes:
        settings = {"batch_size": BATCH, **settings}
    return ArtEvasionTool(name, kind, sight, settings, "eps" in takes, single=name in SINGLE)


def needs_gradients(name: str) -> bool:
    """Whether an attack declares that it needs gradients. Raises ``MissingExtraError``."""
    kind = list_evasion_attacks().get(name)
    return kind is not None and any(GRADIENTS & set(one) for one in estimator_requirements(kind))


def _arguments(kind: Untyped, settings: AttackSettings, job: CraftingJob) -> dict[str, Untyped]:
    """Return what an attack is made with: the threat, silence, and what a policy set."""
    takes = inspect.signature(kind.__init__).parameters
    ours: dict[str, Json | float] = {
        "eps": job.eps,
        "eps_step": job.eps / STEPS,
        "targeted": False,
        "verbose": False,
    }
    if job.norm in NORMS and "norm" in takes:
        # Wasserstein takes the order as a text.
        order = NORMS[job.norm]
        ours["norm"] = f"{order}" if isinstance(takes["norm"].default, str) else order
    return {**{name: value for name, value in ours.items() if name in takes}, **settings}
