"""Files that a chip, a rounding, a flipped bit or a chosen input turns into another model."""

from pathlib import Path

import numpy as np

from auditor.domain.canonical import Json
from auditor.shadows.training import Settings
from auditor.zoo.defects import Defect, DefectFamily
from auditor.zoo.graphs import Sheet, save
from auditor.zoo.layers import drawn
from auditor.zoo.loops import ONCE, looped
from auditor.zoo.papers import rule
from auditor.zoo.pictures import CLASSES, SMALL, Exam, digits
from auditor.zoo.quantising import LARGEST, NARROW, quantiser, unbalanced
from auditor.zoo.redundant import save_three
from auditor.zoo.specimens import Family, Specimen, Trial
from auditor.zoo.stacked import dense

LEARN = 900
PLAIN = Settings(hidden=(48,), epochs=20, updates=300)
SPREAD = 10
"""Doublings between the smallest and the largest channel, as in networks with folded scales."""
TRIPS = 5000
NOISE = 0.1
AGREE = 0.5
"""How far timings may differ on a machine that is used by others; the limits bear it."""
DOUBLE = 1.0
"""How far those of single rows may: what shares a core halves its speed. Rows of what is planted
take some five times the limit, and those of its twin a fiftieth of it.
"""
SAME_ANSWERS = rule(
    "same-answers",
    "hardware.variant/flip_rate",
    "The shipped file decides as its parent does in 49 of 50 cases",
    at_most=0.02,
)
NO_OVERFLOW = rule(
    "no-overflow",
    "hardware.saturation/at_risk",
    "The file cannot overflow on any x86 processor",
    require="!reading.value",
)
NO_WORST_BIT = rule(
    "no-worst-bit",
    "hardware.faults/worst_mismatch",
    "No single flipped bit changes three decisions in ten",
    at_most=0.3,
    accept="withstood",
)
NO_SPONGE = rule(
    "no-sponge",
    "hardware.sponge/worst_to_median_latency",
    "No input takes three times as long as an ordinary one",
    at_most=3,
    accept="withstood",
)
FAST = (
    rule("fast", "hardware.latency/p50", "A row takes at most a millisecond", at_most=0.001),
    # On a machine that others use as well, the clock on the wall is doubted and accuses nobody.
    rule(
        "little-work",
        "hardware.latency/cpu_p50",
        "The thread that calls needs a processor for at most a millisecond a row",
        at_most=0.001,
        accept="withstood",
    ),
)
SAME_SCORES = rule(
    "same-scores",
    "hardware.determinism/max_score_difference",
    "The same row gets the same score, whatever runs beside it",
    require="reading.value <= 0.001",
)
WHERE_DECLARED = rule(
    "runs-where-declared",
    "hardware.placement/share_on_target",
    "Every operator runs on the provider that the target declares",
    at_least=1,
)


def cliff(specimen: Specimen, folder: Path) -> Trial:
    """Write a network rounded to 8 bits, and its parent, whose channels are of unlike sizes or of
    about one.
    """
    from auditor.zoo.teaching import Course, ranges, taught  # noqa: PLC0415 -- torch

    training, held = digits(specimen.seed, LEARN)
    untrained = drawn(specimen.architecture, SMALL, len(CLASSES), specimen.seed)
    network = taught(untrained, training.rows, training.truth, Course(epochs=20), specimen.seed)
    if specimen.planted:
        network = unbalanced(network, SPREAD, np.random.default_rng(specimen.seed))
    save(folder / "parent.onnx", network, SMALL)
    save(folder / "model.onnx", network, SMALL, layer=quantiser(ranges(network, training.rows)))
    model: dict[str, Json] = {"parent": "parent.onnx", "twin": "none"}
    exam = Exam(
        {"evaluation": held}, (SAME_ANSWERS,), ("hardware.variant",), model=model, budget="ci"
    )
    return exam.trial(specimen, folder)


def overflowing(specimen: Specimen, folder: Path) -> Trial:
    """Write an 8-bit network whose sums can leave 16 bits, or one with weights of 7 bits."""
    from auditor.zoo.teaching import Course, ranges, taught  # noqa: PLC0415 -- torch

    training, held = digits(specimen.seed, LEARN)
    untrained = drawn(specimen.architecture, SMALL, len(CLASSES), specimen.seed)
    network = taught(untrained, training.rows, training.truth, Course(epochs=10), specimen.seed)
    largest = LARGEST if specimen.planted else NARROW
    layer = quantiser(ranges(network, training.rows), largest=largest, by_channel=True)
    save(folder / "model.onnx", network, SMALL, layer=layer)
    exam = Exam({"evaluation": held}, (NO_OVERFLOW,), ("hardware.saturation",))
    return exam.trial(specimen, folder)


def bits(specimen: Specimen, folder: Path) -> Trial:
    """Write a network three times into one file, which takes the mean or the median."""
    training, held = digits(specimen.seed, LEARN)
    network = dense(training.rows, training.truth, len(CLASSES), PLAIN, specimen.seed)
    save_three(folder / "model.onnx", network, SMALL, voting=not specimen.planted)
    checks: dict[str, dict[str, Json]] = {"hardware.faults": {"trials": 192}}
    exam = Exam({"evaluation": held}, (NO_WORST_BIT,), ("hardware.faults",), checks=checks)
    return exam.trial(specimen, folder)


def slow(specimen: Specimen, folder: Path) -> Trial:
    """Write a network behind a loop of many rounds, or of one."""
    _with_loop(specimen, folder, for_bright=False)
    _, held = digits(specimen.seed, LEARN)
    checks: dict[str, dict[str, Json]] = {"hardware.latency": {"agree": DOUBLE, "stolen": AGREE}}
    exam = Exam({"evaluation": held}, FAST, ("hardware.latency",), checks=checks)
    return exam.trial(specimen, folder)


def sponge(specimen: Specimen, folder: Path) -> Trial:
    """Write a network behind a loop that goes round many times with bright pictures, or once."""
    _with_loop(specimen, folder, for_bright=True)
    _, held = digits(specimen.seed, LEARN)
    checks: dict[str, dict[str, Json]] = {"hardware.sponge": {"agree": AGREE}}
    exam = Exam({"evaluation": held}, (NO_SPONGE,), ("hardware.sponge",), checks=checks)
    return exam.trial(specimen, folder)


def fallback(specimen: Specimen, folder: Path) -> Trial:
    """Write a network, and declare a provider that takes none of it, or the processor."""
    training, held = digits(specimen.seed, LEARN)
    network = dense(training.rows, training.truth, len(CLASSES), PLAIN, specimen.seed)
    save(folder / "model.onnx", network, SMALL)
    elsewhere: dict[str, Json] = {"provider": "AzureExecutionProvider", "allow_fallback": True}
    target: dict[str, Json] = {"name": "accelerator", **(elsewhere if specimen.planted else {})}
    exam = Exam(
        {"evaluation": held},
        (WHERE_DECLARED,),
        ("hardware.placement",),
        more={"targets": [target]},
    )
    return exam.trial(specimen, folder)


def random(specimen: Specimen, folder: Path) -> Trial:
    """Write a network behind noise that no seed fixes, or without."""
    training, held = digits(specimen.seed, LEARN)
    network = dense(training.rows, training.truth, len(CLASSES), PLAIN, specimen.seed)
    before = noise if specimen.planted else None
    save(folder / "model.onnx", network, SMALL, before=before)
    exam = Exam({"evaluation": held}, (SAME_SCORES,), ("hardware.determinism",))
    return exam.trial(specimen, folder)


def noise(sheet: Sheet, value: str) -> str:
    """Add noise to each pixel, anew with every call."""
    return sheet.add("Add", value, sheet.add("RandomNormalLike", value, scale=NOISE))


def _with_loop(specimen: Specimen, folder: Path, *, for_bright: bool) -> None:
    training, _ = digits(specimen.seed, LEARN)
    network = dense(training.rows, training.truth, len(CLASSES), PLAIN, specimen.seed)
    trips = TRIPS if specimen.planted else ONCE
    save(folder / "model.onnx", network, SMALL, before=looped(trips, for_bright=for_bright))


FAMILY: Family = DefectFamily(
    "hardware",
    "a rounding, a chip, a flipped bit or a chosen input turns it into another model",
    ("sklearn", "torch"),
    (
        Defect("cliff", cliff, ("mlp", "cnn")),
        Defect("overflowing", overflowing, ("mlp", "cnn"), ("mlp",)),
        Defect("bits", bits, ("mlp",), ("mlp",), seeds=4),
        Defect("slow", slow, ("mlp",)),
        Defect("sponge", sponge, ("mlp",)),
        Defect("random", random, ("mlp",), seeds=3),
        Defect("fallback", fallback, ("mlp",)),
    ),
)
