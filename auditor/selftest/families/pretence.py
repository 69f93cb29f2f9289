"""Planted pretence: models that behave only while audited, and answers replayed from an audit."""

from pathlib import Path

import numpy as np

from auditor.attacks.hardware.fingerprint_inputs import commit_nonce
from auditor.attacks.privacy.shadow_training import ShadowTrainingSettings
from auditor.domain.json import Json
from auditor.selftest.datasets import load_split
from auditor.selftest.networks import Network, train_dense
from auditor.selftest.onnx_writer import (
    INPUT,
    GraphBuilder,
    save_network,
    write_layer,
    write_layers,
)
from auditor.selftest.pictures import CLASSES, INK, SMALL, PictureAudit, PictureSet, split_digits
from auditor.selftest.specimens import (
    AUDIT,
    DeceptionRun,
    DefectTableFamily,
    PlantedDefect,
    Specimen,
    SpecimenFamily,
    SpecimenFiles,
    SpecimenRun,
    build_deny_rule,
)
from auditor.selftest.train import train_model

LEARN, FEW = 800, 30
HIDDEN = {"mlp": (48,), "logistic": ()}
GRAIN = 0.02
"""How far a camera of today is off where there is ink; public pictures are of whole sixteenths.

Where there never is any, networks have large weights, and noise would be a harm of its own.
"""
OFF = 0.05
"""How far off a sixteenth, in sixteenths, a picture is no longer taken for a public one."""
AS_AUDITED = build_deny_rule(
    "as-good-as-audited",
    "quality.online_gap/accuracy_change",
    "In production it is right hardly less often than in the audit",
    at_least=-0.05,
)
FRESH = build_deny_rule(
    "answers-fresh-challenges",
    "hardware.attestation/fresh_agreement",
    "It decides as the reference what nobody has seen before",
    at_least=0.9,
)


def plant_substituted_model(specimen: Specimen, folder: Path) -> SpecimenRun:
    """Write a model that answers by a cheap one unless it meets public pictures, or never does.

    The strength is how many rows the cheap one has learnt from: the fewer, the worse it is.
    """
    training, held = split_digits(specimen.seed, LEARN)
    few = int(specimen.strength or FEW)
    good, cheap = (_learnt(training, rows, specimen) for rows in (LEARN, few))
    other = cheap if specimen.planted else good

    # A step that takes another network's scores where a pixel is of no whole sixteenth
    def after(sheet: GraphBuilder, value: str) -> str:
        ink = sheet.add("Mul", INPUT, sheet.number(INK))
        apart = sheet.add("Abs", sheet.add("Sub", ink, sheet.add("Round", ink)))
        most = sheet.add("ReduceMax", sheet.add("Flatten", apart, axis=1), axes=[1], keepdims=1)
        strange = sheet.add("Greater", most, sheet.number(OFF))
        return sheet.add("Where", strange, write_layers(sheet, INPUT, other, write_layer), value)

    save_network(folder / "model.onnx", good, SMALL, after=after)
    half = len(held.truth) // 2
    rng = np.random.default_rng([specimen.seed, 809])
    noise = rng.uniform(-GRAIN, GRAIN, held.rows[half:].shape)
    seen = held.rows[half:]
    met = np.clip(seen + np.where(seen > 0, noise, 0), 0, 1).astype(np.float32)
    exam = PictureAudit(
        {
            "evaluation": PictureSet(held.rows[:half], held.truth[:half]),
            "production": PictureSet(met, held.truth[half:]),
        },
        (AS_AUDITED,),
        ("quality.online_gap",),
        model={"twin": "none"},
    )
    return exam.trial(specimen, folder)


def plant_replayed_answers(specimen: Specimen, folder: Path) -> DeceptionRun:
    """Write an audit whose challenges were asked before, so that their answers are known, or not.

    Nothing can fail by that: what is known already is left out, and nothing passes without it.
    """
    sample = load_split("cancer", specimen.seed)
    learn = sample.training
    model = train_model(specimen.architecture, learn.inputs, learn.labels, specimen.seed)
    nonce = f"nonce of audit {specimen.seed}"
    spent: list[Json] = [commit_nonce(nonce if specimen.planted else "nonce of another audit")]
    papers = SpecimenFiles(
        model.parts().onnx(),
        sample.classes,
        {"evaluation": sample.evaluation},
        (FRESH,),
        checks={"hardware.attestation": {"nonce": nonce, "spent": spent, "inputs": 128}},
    )
    papers.write(specimen, folder)
    asked = ("audit", AUDIT, "--only", "hardware.attestation", "--out", "out")
    return DeceptionRun((), asked, 3, ("was spent before",))


def _learnt(training: PictureSet, rows: int, specimen: Specimen) -> Network:
    settings = ShadowTrainingSettings(hidden=HIDDEN[specimen.architecture], epochs=20, updates=300)
    few = PictureSet(training.rows[:rows], training.truth[:rows])
    return train_dense(few.rows, few.truth, len(CLASSES), settings, specimen.seed)


FAMILY: SpecimenFamily = DefectTableFamily(
    "pretence",
    "it behaves while it is audited, or its answers were known before",
    ("sklearn",),
    (
        PlantedDefect(
            "substituted",
            plant_substituted_model,
            tuple(HIDDEN),
            ("mlp",),
            (FEW,),
            9,
            (240, 120, 60),
        ),
        PlantedDefect(
            "replayed-answers",
            plant_replayed_answers,
            ("logistic", "forest"),
            ("logistic",),
            seeds=2,
        ),
    ),
)
