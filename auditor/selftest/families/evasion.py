"""Decisions that small changes turn, gradients that mislead, and denials that can be bought."""

from pathlib import Path

from auditor.zoo.defects import Defect, DefectFamily
from auditor.zoo.graphs import save
from auditor.zoo.layers import drawn
from auditor.zoo.loans import CLASSES as DECISIONS
from auditor.zoo.loans import loans, model_of, write_loans
from auditor.zoo.masks import MASKS
from auditor.zoo.papers import Papers, rule
from auditor.zoo.pictures import CLASSES, SMALL, Exam, digits
from auditor.zoo.specimens import Family, Specimen, Trial

LEARN = 1200
APPLICATIONS = 800
DOMAIN = {"input": {"domain": [0.0, 1.0]}}
ROBUST = rule(
    "robust",
    "evasion.linf/robust_accuracy",
    "Three decisions in ten stand a change of 15 % of each pixel's range",
    where={"eps": 0.15},
    at_least=0.3,
    accept="withstood",
)
HARDENED = 0.2
"""How far pictures are attacked in hardened training: somewhat beyond what is asked about."""
BELIEVABLE = rule(
    "believable",
    "evasion.masking/believable",
    "What attacks by gradients did not find can be believed",
    require="reading.value",
)
NOT_FOR_SALE = rule(
    "not-for-sale",
    "evasion.tabular/robust_accuracy",
    "Three in four who are rightly denied get nothing by what they can change at little cost",
    where={"eps": 0.05},
    at_least=0.75,
    accept="withstood",
)


def fragile(specimen: Specimen, folder: Path) -> Trial:
    """Write a network that was trained as usual, or on attacked pictures."""
    from auditor.zoo.teaching import Course, taught  # noqa: PLC0415 -- torch

    training, held = digits(specimen.seed, LEARN)
    course = Course(epochs=20) if specimen.planted else Course(epochs=30, eps=HARDENED, climbs=2)
    untrained = drawn(specimen.architecture, SMALL, len(CLASSES), specimen.seed)
    network = taught(untrained, training.rows, training.truth, course, specimen.seed)
    save(folder / "model.onnx", network, SMALL)
    return Exam({"evaluation": held}, (ROBUST,), ("evasion.linf",)).trial(specimen, folder)


def masked(specimen: Specimen, folder: Path) -> Trial:
    """Write a network behind or before a step that hides its gradients, or one that does not."""
    from auditor.zoo.teaching import Course, taught  # noqa: PLC0415 -- torch

    mask = MASKS[specimen.defect](specimen.planted)
    training, held = digits(specimen.seed, LEARN)
    untrained = drawn(specimen.architecture, SMALL, len(CLASSES), specimen.seed)
    rows = mask.learns(training.rows)
    network = taught(untrained, rows, training.truth, Course(epochs=20), specimen.seed)
    save(folder / "model.onnx", network, SMALL, before=mask.before, after=mask.after)
    exam = Exam({"evaluation": held}, (BELIEVABLE,), ("evasion.masking",))
    return exam.trial(specimen, folder)


def bought(specimen: Specimen, folder: Path) -> Trial:
    """Write a model that learnt from a box which staff ticked, or which was ticked at random."""
    training = loans(specimen.seed, APPLICATIONS, leaking=specimen.planted)
    held = loans(1000 + specimen.seed, APPLICATIONS, leaking=specimen.planted)
    papers = Papers(
        model_of(specimen.architecture, training, specimen.seed).parts().onnx(),
        DECISIONS,
        {},
        (NOT_FOR_SALE,),
        checks={"evasion.tabular": {"label": DECISIONS[0], "decision": DECISIONS[1]}},
        more=write_loans(folder, held),
        budget="smoke",
    )
    return Trial(papers.write(specimen, folder), ("not-for-sale",), ("evasion.tabular",))


FAMILY: Family = DefectFamily(
    "evasion",
    "small changes turn its decisions, its gradients mislead, or its denials can be bought",
    ("sklearn", "torch"),
    (
        Defect("fragile", fragile, ("logistic", "mlp", "cnn", "resnet", "vit"), ("mlp",)),
        *(Defect(name, masked, ("mlp", "cnn")) for name in MASKS),
        Defect("bought", bought, ("logistic", "mlp", "forest"), ("mlp",)),
    ),
)
