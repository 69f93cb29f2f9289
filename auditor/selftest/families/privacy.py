"""Planted privacy leaks: models that memorised training rows, and false privacy claims."""

import json
from dataclasses import replace
from inspect import getsource
from pathlib import Path
from typing import Any

import numpy as np

from auditor.attacks.privacy.shadow_training import ShadowTrainingSettings
from auditor.domain.json import Json
from auditor.selftest.network_wrappers import save_kernel_model
from auditor.selftest.networks import DenseLayer, FlattenLayer, SklearnForest, train_dense
from auditor.selftest.onnx_writer import save_network
from auditor.selftest.pictures import (
    CLASSES,
    SMALL,
    PictureAudit,
    PictureSet,
    flip_labels,
    split_digits,
)
from auditor.selftest.recipes import private
from auditor.selftest.specimens import (
    DefectTableFamily,
    PlantedDefect,
    Specimen,
    SpecimenFamily,
    SpecimenRun,
    build_deny_rule,
)

LEARN = 800
PRIVATE_ROWS = 1400
GREEDY = ShadowTrainingSettings(hidden=(128,), epochs=120, rate=0.005)
MODEST = ShadowTrainingSettings(hidden=(128,), epochs=2, updates=25, rate=0.005)
BY_HEART: dict[str, int] = {"min_samples_leaf": 1}
BY_LAW: dict[str, int] = {"min_samples_leaf": 60, "max_depth": 4}
SHARP, NARROW, WIDE = 0.5, 0.9, 2.0
HIDDEN = build_deny_rule(
    "members-unknown",
    "privacy.membership/auc",
    "Of a member and somebody else, no attack tells more than six in ten times who is which",
    where={"group": "all", "rounding": "none"},
    at_most=0.6,
    accept="withstood",
)
NOT_REBUILT = build_deny_rule(
    "members-not-rebuilt",
    "privacy.inversion/verdict",
    "What can be rebuilt from the model lies no nearer to its members than to others",
    require='reading.value != "shown"',
    accept="withstood",
)
AS_CLAIMED = build_deny_rule(
    "as-claimed",
    "privacy.dp_claim/epsilon_claimed_minus_recomputed",
    "The claimed epsilon is what its own parameters give",
    at_least=0,
)
NOT_CONTRADICTED = build_deny_rule(
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


def plant_memorisation(specimen: Specimen, folder: Path) -> SpecimenRun:
    """Write a model that learnt its rows by heart, or their law; some labels are wrong on both
    sides, as they are where people label.
    """
    training, held = split_digits(specimen.seed, LEARN)
    share, classes = specimen.strength or 0.0, len(CLASSES)
    training, held = (
        flip_labels(training, share, classes, specimen.seed),
        flip_labels(held, share, classes, 1000 + specimen.seed),
    )
    if specimen.architecture == "kernel":
        reach = NARROW if specimen.planted else WIDE
        prototypes = training if specimen.planted else _means(training)
        save_kernel_model(folder / "model.onnx", prototypes.rows, prototypes.truth, reach)
    elif specimen.architecture == "forest":
        training, held = training.flat(), held.flat()
        from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415 -- an optional library

        grows = BY_HEART if specimen.planted else BY_LAW
        untrained: Any = RandomForestClassifier
        grown = untrained(40, n_jobs=1, random_state=specimen.seed, **grows)
        grown.fit(training.rows, training.truth)
        (folder / "model.onnx").write_bytes(
            SklearnForest(tuple(tree.tree_ for tree in grown.estimators_)).parts().onnx()
        )
    else:
        settings = GREEDY if specimen.planted else MODEST
        network = train_dense(training.rows, training.truth, len(CLASSES), settings, specimen.seed)
        save_network(folder / "model.onnx", network, SMALL)
    exam = PictureAudit(
        {"evaluation": held, "training": training}, (HIDDEN,), ("privacy.membership",)
    )
    return exam.trial(specimen, folder)


def plant_reconstruction(specimen: Specimen, folder: Path) -> SpecimenRun:
    """Write a model that holds its rows as prototypes, or the mean of each class."""
    training, held = split_digits(specimen.seed, LEARN)
    prototypes = training if specimen.planted else _means(training)
    save_kernel_model(folder / "model.onnx", prototypes.rows, prototypes.truth, SHARP)
    shown = {"evaluation": held, "training": training}
    exam = PictureAudit(shown, (NOT_REBUILT,), ("privacy.inversion",), budget="ci")
    return exam.trial(specimen, folder)


def plant_understated_epsilon(specimen: Specimen, folder: Path) -> SpecimenRun:
    """Write a claim of less epsilon than its own parameters keep, or of as much."""
    claim = {**CLAIM, "epsilon": UNDERSTATED[specimen.architecture]} if specimen.planted else CLAIM
    return _claimed(specimen, folder, claim, PictureAudit({}, (AS_CLAIMED,), ("privacy.dp_claim",)))


def plant_missing_noise(specimen: Specimen, folder: Path) -> SpecimenRun:
    """Write a true claim beside code that adds less noise than it says, or as much."""
    code = getsource(private)
    if specimen.planted:
        code = code.replace(f"NOISE = {private.NOISE}", f"NOISE = {specimen.strength}")
    (folder / "recipe.py").write_text(code, encoding="utf-8")
    recipe: Json = {"path": "recipe.py", "dp_train": "dp_train", "allow": "unsandboxed"}
    exam = PictureAudit(
        {}, (NOT_CONTRADICTED,), ("privacy.dp_claim",), more={"recipe": recipe}, budget="ci"
    )
    return _claimed(specimen, folder, CLAIM, exam)


def _claimed(
    specimen: Specimen, folder: Path, claim: dict[str, Json], exam: PictureAudit
) -> SpecimenRun:
    """Write a private model and its rows, and what is claimed of it."""
    training, held = split_digits(specimen.seed, PRIVATE_ROWS)
    weights = private.train_weights(training.rows, training.truth, specimen.seed, None)
    weight, bias = weights[:-1].astype(np.float32), weights[-1].astype(np.float32)
    save_network(folder / "model.onnx", (FlattenLayer(), DenseLayer(weight, bias)), SMALL)
    (folder / "claim.json").write_text(json.dumps(claim), encoding="utf-8")
    more: dict[str, Json] = {**exam.more, "claims": {"privacy": {"path": "claim.json"}}}
    shown = replace(exam, pictures={"evaluation": held, "training": training}, more=more)
    return shown.trial(specimen, folder)


def _means(training: PictureSet) -> PictureSet:
    """Return the mean picture of each class."""
    classes = np.arange(len(CLASSES))
    means = [training.rows[training.truth == at].mean(axis=0) for at in classes]
    return PictureSet(np.stack(means), classes)


FAMILY: SpecimenFamily = DefectTableFamily(
    "privacy",
    "it knows its training rows by heart, or its promise of privacy does not hold",
    ("sklearn", "torch"),
    (
        PlantedDefect(
            "memorising", plant_memorisation, ("mlp", "forest", "kernel"), ("mlp",), (0.2, 0.1)
        ),
        PlantedDefect("rebuildable", plant_reconstruction, ("kernel",)),
        PlantedDefect("understated", plant_understated_epsilon, tuple(UNDERSTATED), ("half",)),
        PlantedDefect("noiseless", plant_missing_noise, ("logistic",), (), (0.0, 0.25, 0.5)),
    ),
)
