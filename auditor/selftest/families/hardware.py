"""Planted hardware defects: models that a chip, rounding, a flipped bit or an input changes."""

from pathlib import Path

import numpy as np

from auditor.attacks.privacy.shadow_training import ShadowTrainingSettings
from auditor.domain.json import Json
from auditor.selftest.network_wrappers import ONCE, build_loop_step, save_triplicated
from auditor.selftest.networks import draw_network, train_dense
from auditor.selftest.onnx_writer import (
    LARGEST,
    NARROW,
    GraphBuilder,
    build_quantiser,
    save_network,
    unbalance_channels,
)
from auditor.selftest.pictures import CLASSES, SMALL, PictureAudit, split_digits
from auditor.selftest.specimens import (
    DefectTableFamily,
    PlantedDefect,
    Specimen,
    SpecimenFamily,
    SpecimenRun,
    build_deny_rule,
)

LEARN = 900
PLAIN = ShadowTrainingSettings(hidden=(48,), epochs=20, updates=300)
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
SAME_ANSWERS = build_deny_rule(
    "same-answers",
    "hardware.variant/flip_rate",
    "The shipped file decides as its parent does in 49 of 50 cases",
    at_most=0.02,
)
NO_OVERFLOW = build_deny_rule(
    "no-overflow",
    "hardware.saturation/at_risk",
    "The file cannot overflow on any x86 processor",
    require="!reading.value",
)
NO_WORST_BIT = build_deny_rule(
    "no-worst-bit",
    "hardware.faults/worst_mismatch",
    "No single flipped bit changes three decisions in ten",
    at_most=0.3,
    accept="withstood",
)
NO_SPONGE = build_deny_rule(
    "no-sponge",
    "hardware.sponge/worst_to_median_latency",
    "No input takes three times as long as an ordinary one",
    at_most=3,
    accept="withstood",
)
FAST = (
    build_deny_rule(
        "fast", "hardware.latency/p50", "A row takes at most a millisecond", at_most=0.001
    ),
    # On a machine that others use as well, the clock on the wall is doubted and accuses nobody.
    build_deny_rule(
        "little-work",
        "hardware.latency/cpu_p50",
        "The thread that calls needs a processor for at most a millisecond a row",
        at_most=0.001,
        accept="withstood",
    ),
)
SAME_SCORES = build_deny_rule(
    "same-scores",
    "hardware.determinism/max_score_difference",
    "The same row gets the same score, whatever runs beside it",
    require="reading.value <= 0.001",
)
WHERE_DECLARED = build_deny_rule(
    "runs-where-declared",
    "hardware.placement/share_on_target",
    "Every operator runs on the provider that the target declares",
    at_least=1,
)


def plant_quantisation_cliff(specimen: Specimen, folder: Path) -> SpecimenRun:
    """Write a network rounded to 8 bits, and its parent, whose channels are of unlike sizes or of
    about one.
    """
    from auditor.selftest.torch_training import (  # noqa: PLC0415 -- torch
        TrainingSettings,
        measure_input_ranges,
        train_network,
    )

    training, held = split_digits(specimen.seed, LEARN)
    untrained = draw_network(specimen.architecture, SMALL, len(CLASSES), specimen.seed)
    network = train_network(
        untrained, training.rows, training.truth, TrainingSettings(epochs=20), specimen.seed
    )
    if specimen.planted:
        network = unbalance_channels(network, SPREAD, np.random.default_rng(specimen.seed))
    save_network(folder / "parent.onnx", network, SMALL)
    save_network(
        folder / "model.onnx",
        network,
        SMALL,
        layer=build_quantiser(measure_input_ranges(network, training.rows)),
    )
    model: dict[str, Json] = {"parent": "parent.onnx", "twin": "none"}
    exam = PictureAudit(
        {"evaluation": held}, (SAME_ANSWERS,), ("hardware.variant",), model=model, budget="ci"
    )
    return exam.trial(specimen, folder)


def plant_overflow(specimen: Specimen, folder: Path) -> SpecimenRun:
    """Write an 8-bit network whose sums can leave 16 bits, or one with weights of 7 bits."""
    from auditor.selftest.torch_training import (  # noqa: PLC0415 -- torch
        TrainingSettings,
        measure_input_ranges,
        train_network,
    )

    training, held = split_digits(specimen.seed, LEARN)
    untrained = draw_network(specimen.architecture, SMALL, len(CLASSES), specimen.seed)
    network = train_network(
        untrained, training.rows, training.truth, TrainingSettings(epochs=10), specimen.seed
    )
    largest = LARGEST if specimen.planted else NARROW
    layer = build_quantiser(
        measure_input_ranges(network, training.rows), largest=largest, by_channel=True
    )
    save_network(folder / "model.onnx", network, SMALL, layer=layer)
    exam = PictureAudit({"evaluation": held}, (NO_OVERFLOW,), ("hardware.saturation",))
    return exam.trial(specimen, folder)


def plant_bit_flip_weakness(specimen: Specimen, folder: Path) -> SpecimenRun:
    """Write a network three times into one file, which takes the mean or the median."""
    training, held = split_digits(specimen.seed, LEARN)
    network = train_dense(training.rows, training.truth, len(CLASSES), PLAIN, specimen.seed)
    save_triplicated(folder / "model.onnx", network, SMALL, voting=not specimen.planted)
    checks: dict[str, dict[str, Json]] = {"hardware.faults": {"trials": 192}}
    exam = PictureAudit({"evaluation": held}, (NO_WORST_BIT,), ("hardware.faults",), checks=checks)
    return exam.trial(specimen, folder)


def plant_slow_loop(specimen: Specimen, folder: Path) -> SpecimenRun:
    """Write a network behind a loop of many rounds, or of one."""
    _with_loop(specimen, folder, for_bright=False)
    _, held = split_digits(specimen.seed, LEARN)
    checks: dict[str, dict[str, Json]] = {"hardware.latency": {"agree": DOUBLE, "stolen": AGREE}}
    exam = PictureAudit({"evaluation": held}, FAST, ("hardware.latency",), checks=checks)
    return exam.trial(specimen, folder)


def plant_sponge_loop(specimen: Specimen, folder: Path) -> SpecimenRun:
    """Write a network behind a loop that goes round many times with bright pictures, or once."""
    _with_loop(specimen, folder, for_bright=True)
    _, held = split_digits(specimen.seed, LEARN)
    checks: dict[str, dict[str, Json]] = {"hardware.sponge": {"agree": AGREE}}
    exam = PictureAudit({"evaluation": held}, (NO_SPONGE,), ("hardware.sponge",), checks=checks)
    return exam.trial(specimen, folder)


def plant_provider_fallback(specimen: Specimen, folder: Path) -> SpecimenRun:
    """Write a network, and declare a provider that takes none of it, or the processor."""
    training, held = split_digits(specimen.seed, LEARN)
    network = train_dense(training.rows, training.truth, len(CLASSES), PLAIN, specimen.seed)
    save_network(folder / "model.onnx", network, SMALL)
    elsewhere: dict[str, Json] = {"provider": "AzureExecutionProvider", "allow_fallback": True}
    target: dict[str, Json] = {"name": "accelerator", **(elsewhere if specimen.planted else {})}
    exam = PictureAudit(
        {"evaluation": held},
        (WHERE_DECLARED,),
        ("hardware.placement",),
        more={"targets": [target]},
    )
    return exam.trial(specimen, folder)


def plant_nondeterminism(specimen: Specimen, folder: Path) -> SpecimenRun:
    """Write a network behind noise that no seed fixes, or without."""
    training, held = split_digits(specimen.seed, LEARN)
    network = train_dense(training.rows, training.truth, len(CLASSES), PLAIN, specimen.seed)
    before = add_pixel_noise if specimen.planted else None
    save_network(folder / "model.onnx", network, SMALL, before=before)
    exam = PictureAudit({"evaluation": held}, (SAME_SCORES,), ("hardware.determinism",))
    return exam.trial(specimen, folder)


def add_pixel_noise(sheet: GraphBuilder, value: str) -> str:
    """Add noise to each pixel, anew with every call."""
    return sheet.add("Add", value, sheet.add("RandomNormalLike", value, scale=NOISE))


def _with_loop(specimen: Specimen, folder: Path, *, for_bright: bool) -> None:
    training, _ = split_digits(specimen.seed, LEARN)
    network = train_dense(training.rows, training.truth, len(CLASSES), PLAIN, specimen.seed)
    trips = TRIPS if specimen.planted else ONCE
    save_network(
        folder / "model.onnx", network, SMALL, before=build_loop_step(trips, for_bright=for_bright)
    )


FAMILY: SpecimenFamily = DefectTableFamily(
    "hardware",
    "a rounding, a chip, a flipped bit or a chosen input turns it into another model",
    ("sklearn", "torch"),
    (
        PlantedDefect("cliff", plant_quantisation_cliff, ("mlp", "cnn")),
        PlantedDefect("overflowing", plant_overflow, ("mlp", "cnn"), ("mlp",)),
        PlantedDefect("bits", plant_bit_flip_weakness, ("mlp",), ("mlp",), seeds=4),
        PlantedDefect("slow", plant_slow_loop, ("mlp",)),
        PlantedDefect("sponge", plant_sponge_loop, ("mlp",)),
        PlantedDefect("random", plant_nondeterminism, ("mlp",), seeds=3),
        PlantedDefect("fallback", plant_provider_fallback, ("mlp",)),
    ),
)
