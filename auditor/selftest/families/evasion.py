"""Planted defects of robustness: fragile decisions, masked gradients, denials easily overturned."""

from pathlib import Path

from auditor.selftest.datasets import LOAN_CLASSES as DECISIONS
from auditor.selftest.datasets import draw_loans, train_loan_model, write_loans
from auditor.selftest.network_wrappers import MASKS
from auditor.selftest.networks import draw_network
from auditor.selftest.onnx_writer import save_network
from auditor.selftest.pictures import CLASSES, SMALL, PictureAudit, split_digits
from auditor.selftest.specimens import (
    DefectTableFamily,
    PlantedDefect,
    Specimen,
    SpecimenFamily,
    SpecimenFiles,
    SpecimenRun,
    build_deny_rule,
)

LEARN = 1200
APPLICATIONS = 800
ROBUST = build_deny_rule(
    "robust",
    "evasion.linf/robust_accuracy",
    "Three decisions in ten stand a change of 15 % of each pixel's range",
    where={"eps": 0.15},
    at_least=0.3,
    accept="withstood",
)
HARDENED = 0.2
"""How far pictures are attacked in hardened training: somewhat beyond what is asked about."""
BELIEVABLE = build_deny_rule(
    "believable",
    "evasion.masking/believable",
    "What attacks by gradients did not find can be believed",
    require="reading.value",
)
NOT_FOR_SALE = build_deny_rule(
    "not-for-sale",
    "evasion.tabular/robust_accuracy",
    "Three in four who are rightly denied get nothing by what they can change at little cost",
    where={"eps": 0.05},
    at_least=0.75,
    accept="withstood",
)


def plant_fragile_network(specimen: Specimen, folder: Path) -> SpecimenRun:
    """Write a network that was trained as usual, or on attacked pictures."""
    from auditor.selftest.torch_training import TrainingSettings, train_network  # noqa: PLC0415 -- torch

    training, held = split_digits(specimen.seed, LEARN)
    course = (
        TrainingSettings(epochs=20)
        if specimen.planted
        else TrainingSettings(epochs=30, eps=HARDENED, climbs=2)
    )
    untrained = draw_network(specimen.architecture, SMALL, len(CLASSES), specimen.seed)
    network = train_network(untrained, training.rows, training.truth, course, specimen.seed)
    save_network(folder / "model.onnx", network, SMALL)
    return PictureAudit({"evaluation": held}, (ROBUST,), ("evasion.linf",)).trial(specimen, folder)


def plant_masked_gradients(specimen: Specimen, folder: Path) -> SpecimenRun:
    """Write a network behind or before a step that hides its gradients, or one that does not."""
    from auditor.selftest.torch_training import TrainingSettings, train_network  # noqa: PLC0415 -- torch

    mask = MASKS[specimen.defect](specimen.planted)
    training, held = split_digits(specimen.seed, LEARN)
    untrained = draw_network(specimen.architecture, SMALL, len(CLASSES), specimen.seed)
    rows = mask.learns(training.rows)
    network = train_network(
        untrained, rows, training.truth, TrainingSettings(epochs=20), specimen.seed
    )
    save_network(folder / "model.onnx", network, SMALL, before=mask.before, after=mask.after)
    exam = PictureAudit({"evaluation": held}, (BELIEVABLE,), ("evasion.masking",))
    return exam.trial(specimen, folder)


def plant_gameable_decision(specimen: Specimen, folder: Path) -> SpecimenRun:
    """Write a model that learnt from a box which staff ticked, or which was ticked at random."""
    training = draw_loans(specimen.seed, APPLICATIONS, leaking=specimen.planted)
    held = draw_loans(1000 + specimen.seed, APPLICATIONS, leaking=specimen.planted)
    papers = SpecimenFiles(
        train_loan_model(specimen.architecture, training, specimen.seed).parts().onnx(),
        DECISIONS,
        {},
        (NOT_FOR_SALE,),
        checks={"evasion.tabular": {"label": DECISIONS[0], "decision": DECISIONS[1]}},
        more=write_loans(folder, held),
        budget="smoke",
    )
    return SpecimenRun(papers.write(specimen, folder), ("not-for-sale",), ("evasion.tabular",))


FAMILY: SpecimenFamily = DefectTableFamily(
    "evasion",
    "small changes turn its decisions, its gradients mislead, or its denials can be bought",
    ("sklearn", "torch"),
    (
        PlantedDefect(
            "fragile", plant_fragile_network, ("logistic", "mlp", "cnn", "resnet", "vit"), ("mlp",)
        ),
        *(PlantedDefect(name, plant_masked_gradients, ("mlp", "cnn")) for name in MASKS),
        PlantedDefect("bought", plant_gameable_decision, ("logistic", "mlp", "forest"), ("mlp",)),
    ),
)
