"""Models that know their training rows by heart, and promises of privacy that do not hold."""

import json
from dataclasses import replace
from inspect import getsource
from pathlib import Path
from typing import Any

import numpy as np

from auditor.domain.canonical import Json
from auditor.shadows.training import Settings
from auditor.zoo.defects import Defect, DefectFamily
from auditor.zoo.forests import Forest
from auditor.zoo.graphs import save
from auditor.zoo.kernels import save_kernel
from auditor.zoo.layers import Dense, Flatten
from auditor.zoo.papers import rule
from auditor.zoo.pictures import CLASSES, SMALL, Exam, Pictures, digits
from auditor.zoo.recipes import private
from auditor.zoo.specimens import Family, Specimen, Trial
from auditor.zoo.stacked import dense
from auditor.zoo.triggers import flipped

LEARN = 800
PRIVATE_ROWS = 1400
GREEDY = Settings(hidden=(128,), epochs=120, rate=0.005)
MODEST = Settings(hidden=(128,), epochs=2, updates=25, rate=0.005)
BY_HEART: dict[str, int] = {"min_samples_leaf": 1}
BY_LAW: dict[str, int] = {"min_samples_leaf": 60, "max_depth": 4}
SHARP, NARROW, WIDE = 0.5, 0.9, 2.0
HIDDEN = rule(
    "members-unknown",
    "privacy.membership/auc",
    "Of a member and somebody else, no attack tells more than six in ten times who is which",
    where={"group": "all", "rounding": "none"},
    at_most=0.6,
    accept="withstood",
)
NOT_REBUILT = rule(
    "members-not-rebuilt",
    "privacy.inversion/verdict",
    "What can be rebuilt from the model lies no nearer to its members than to others",
    require='reading.value != "shown"',
    accept="withstood",
)
AS_CLAIMED = rule(
    "as-claimed",
    "privacy.dp_claim/epsilon_claimed_minus_recomputed",
    "The claimed epsilon is what its own parameters give",
    at_least=0,
)
NOT_CONTRADICTED = rule(
    "not-contradicted",
    "privacy.dp_claim/verdict",
    "Canaries do not contradict the claim",
    require='reading.value != "shown"',
    accept="withstood",
)
CLAIM: dict[str, Json] = {
    "epsilon": 6.03,
    "delta": 1e-5,
    "noise_multiplier": private.NOISE,
    "sampling_rate": private.RATE,
    "steps": private.STEPS,
    "clip": private.CLIP,
    "sampling": "poisson",
    "adjacency": "add_remove",
    "accountant": "prv",
    "dataset_size": PRIVATE_ROWS,
}
"""What keeps an epsilon of 5.48."""
UNDERSTATED: dict[str, float] = {"half": 3.0, "gdp": 4.91}
"""Half of the epsilon, and what the accountant of Gaussian differential privacy says of it."""


def memorising(specimen: Specimen, folder: Path) -> Trial:
    """Write a model that learnt its rows by heart, or their law; some labels are wrong on both
    sides, as they are where people label.
    """
    training, held = _mislabelled(specimen)
    if specimen.architecture == "kernel":
        reach = NARROW if specimen.planted else WIDE
        prototypes = training if specimen.planted else _means(training)
        save_kernel(folder / "model.onnx", prototypes.rows, prototypes.truth, reach)
    elif specimen.architecture == "forest":
        training, held = training.flat(), held.flat()
        (folder / "model.onnx").write_bytes(_forest(training, specimen))
    else:
        settings = GREEDY if specimen.planted else MODEST
        network = dense(training.rows, training.truth, len(CLASSES), settings, specimen.seed)
        save(folder / "model.onnx", network, SMALL)
    exam = Exam({"evaluation": held, "training": training}, (HIDDEN,), ("privacy.membership",))
    return exam.trial(specimen, folder)


def rebuildable(specimen: Specimen, folder: Path) -> Trial:
    """Write a model that holds its rows as prototypes, or the mean of each class."""
    training, held = digits(specimen.seed, LEARN)
    prototypes = training if specimen.planted else _means(training)
    save_kernel(folder / "model.onnx", prototypes.rows, prototypes.truth, SHARP)
    shown = {"evaluation": held, "training": training}
    exam = Exam(shown, (NOT_REBUILT,), ("privacy.inversion",), budget="ci")
    return exam.trial(specimen, folder)


def understated(specimen: Specimen, folder: Path) -> Trial:
    """Write a claim of less epsilon than its own parameters keep, or of as much."""
    claim = {**CLAIM, "epsilon": UNDERSTATED[specimen.architecture]} if specimen.planted else CLAIM
    return _claimed(specimen, folder, claim, Exam({}, (AS_CLAIMED,), ("privacy.dp_claim",)))


def noiseless(specimen: Specimen, folder: Path) -> Trial:
    """Write a true claim beside code that adds less noise than it says, or as much."""
    code = getsource(private)
    if specimen.planted:
        code = code.replace(f"NOISE = {private.NOISE}", f"NOISE = {specimen.strength}")
    (folder / "recipe.py").write_text(code, encoding="utf-8")
    recipe: Json = {"path": "recipe.py", "dp_train": "dp_train", "allow": "unsandboxed"}
    exam = Exam(
        {}, (NOT_CONTRADICTED,), ("privacy.dp_claim",), more={"recipe": recipe}, budget="ci"
    )
    return _claimed(specimen, folder, CLAIM, exam)


def _claimed(specimen: Specimen, folder: Path, claim: dict[str, Json], exam: Exam) -> Trial:
    """Write a private model and its rows, and what is claimed of it."""
    training, held = digits(specimen.seed, PRIVATE_ROWS)
    weights = private.learnt(training.rows, training.truth, specimen.seed, None)
    weight, bias = weights[:-1].astype(np.float32), weights[-1].astype(np.float32)
    save(folder / "model.onnx", (Flatten(), Dense(weight, bias)), SMALL)
    (folder / "claim.json").write_text(json.dumps(claim), encoding="utf-8")
    more: dict[str, Json] = {**exam.more, "claims": {"privacy": {"path": "claim.json"}}}
    shown = replace(exam, pictures={"evaluation": held, "training": training}, more=more)
    return shown.trial(specimen, folder)


def _mislabelled(specimen: Specimen) -> tuple[Pictures, Pictures]:
    training, held = digits(specimen.seed, LEARN)
    share, classes = specimen.strength or 0.0, len(CLASSES)
    return (
        flipped(training, share, classes, specimen.seed),
        flipped(held, share, classes, 1000 + specimen.seed),
    )


def _means(training: Pictures) -> Pictures:
    """Return the mean picture of each class."""
    classes = np.arange(len(CLASSES))
    means = [training.rows[training.truth == at].mean(axis=0) for at in classes]
    return Pictures(np.stack(means), classes)


def _forest(training: Pictures, specimen: Specimen) -> bytes:
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415 -- an optional library

    grows = BY_HEART if specimen.planted else BY_LAW
    untrained: Any = RandomForestClassifier
    grown = untrained(40, n_jobs=1, random_state=specimen.seed, **grows)
    grown.fit(training.rows, training.truth)
    return Forest(tuple(tree.tree_ for tree in grown.estimators_)).parts().onnx()


FAMILY: Family = DefectFamily(
    "privacy",
    "it knows its training rows by heart, or its promise of privacy does not hold",
    ("sklearn", "torch"),
    (
        Defect("memorising", memorising, ("mlp", "forest", "kernel"), ("mlp",), (0.2, 0.1)),
        Defect("rebuildable", rebuildable, ("kernel",)),
        Defect("understated", understated, tuple(UNDERSTATED), ("half",)),
        Defect("noiseless", noiseless, ("logistic",), (), (0.0, 0.25, 0.5)),
    ),
)
