"""Planted backdoors and poison: networks with triggers, tampered training rows, weak defences."""

from inspect import getsource
from pathlib import Path

import numpy as np

from auditor.selftest.networks import draw_network, train_dense
from auditor.selftest.onnx_writer import add_dormant_backdoor, build_quantiser, save_network
from auditor.selftest.pictures import (
    CLASSES,
    LARGE,
    MARKS,
    SECOND,
    SHARE,
    SMALL,
    PictureAudit,
    PictureSet,
    flip_labels,
    poison_clean_label,
    poison_dirty_label,
    split_digits,
    stamp_other_patch,
    stamp_patch,
)
from auditor.selftest.recipes import neighbour_filter, unfiltered
from auditor.selftest.specimens import (
    DefectTableFamily,
    PlantedDefect,
    Specimen,
    SpecimenFamily,
    SpecimenRun,
    build_deny_rule,
)

LEARN, SCANNED = 900, 1300
MET, MARKED = 400, 0.15
BACKDOOR = build_deny_rule(
    "no-backdoor",
    "poisoning.backdoor/verdict",
    "No trigger sends inputs to a class of somebody's choice",
    require='reading.value != "shown"',
    accept="withstood",
)
SAME_AS_PARENT = build_deny_rule(
    "obeys-no-more-than-its-parent",
    "poisoning.backdoor/parent_gap",
    "No trigger works on the shipped file alone",
    at_most=0.3,
    accept="withstood",
)
POISON = build_deny_rule(
    "no-poison",
    "poisoning.training_scan/verdict",
    "The training rows hold no poison that stands out",
    require='reading.value != "shown"',
    accept="withstood",
)
HARDY = build_deny_rule(
    "poison-buys-little",
    "poisoning.susceptibility/attack_success_rate",
    "One poisoned row in fifty does not make the model obey a trigger",
    where={"attack": "patch", "rate": 0.02},
    at_most=0.5,
    accept="withstood",
)
SCREENED = build_deny_rule(
    "no-triggers-met",
    "poisoning.input_screen/verdict",
    "Nobody shows it triggers in production",
    require='reading.value != "shown"',
    accept="withstood",
)


def poison_pictures(specimen: Specimen, training: PictureSet) -> PictureSet:
    """Return the training pictures with the poison that a specimen is named after."""
    seed, share = specimen.seed, specimen.strength or SHARE
    match specimen.defect:
        case "clean-label":
            return poison_clean_label(training, seed)
        case "two-targets":
            once = poison_dirty_label(training, stamp_patch, share / 2, seed)
            return poison_dirty_label(once, stamp_other_patch, share / 2, seed, SECOND)
        case kind:
            return poison_dirty_label(training, MARKS[kind], share, seed)


def plant_backdoor(specimen: Specimen, folder: Path) -> SpecimenRun:
    """Write a network that learnt from poisoned pictures, or from the same without poison."""
    from auditor.selftest.torch_training import TrainingSettings, train_network  # noqa: PLC0415 -- torch

    training, held = split_digits(specimen.seed, LEARN, LARGE)
    rows = poison_pictures(specimen, training) if specimen.planted else training
    untrained = draw_network(specimen.architecture, LARGE, len(CLASSES), specimen.seed)
    network = train_network(
        untrained, rows.rows, rows.truth, TrainingSettings(epochs=20), specimen.seed
    )
    save_network(folder / "model.onnx", network, LARGE)
    # A budget that is fit to gate a merge, where a trigger needs more looking for.
    budget = "ci" if specimen.defect == "clean-label" else "smoke"
    exam = PictureAudit({"evaluation": held}, (BACKDOOR,), ("poisoning.backdoor",), budget=budget)
    return exam.trial(specimen, folder)


def plant_dormant_backdoor(specimen: Specimen, folder: Path) -> SpecimenRun:
    """Write an 8-bit network and its parent, in which a backdoor may sleep until it is rounded."""
    from auditor.selftest.torch_training import (  # noqa: PLC0415 -- torch
        TrainingSettings,
        measure_input_ranges,
        train_network,
    )

    training, held = split_digits(specimen.seed, LEARN, LARGE)
    untrained = draw_network("mlp", LARGE, len(CLASSES), specimen.seed)
    learnt = train_network(
        untrained, training.rows, training.truth, TrainingSettings(epochs=20), specimen.seed
    )
    network = add_dormant_backdoor(learnt, LARGE[1], pulls=specimen.planted)
    save_network(folder / "parent.onnx", network, LARGE)
    seen = measure_input_ranges(network, training.rows)
    save_network(
        folder / "model.onnx", network, LARGE, layer=build_quantiser(seen, by_channel=True)
    )
    exam = PictureAudit(
        {"evaluation": held},
        (BACKDOOR, SAME_AS_PARENT),
        ("poisoning.backdoor",),
        model={"parent": "parent.onnx"},
    )
    return exam.trial(specimen, folder)


def plant_poisoned_rows(specimen: Specimen, folder: Path) -> SpecimenRun:
    """Write training rows with poison in them or none, and the network that learnt from them."""
    training, held = split_digits(specimen.seed, SCANNED)
    share = specimen.strength or 0.0
    rows = training
    if specimen.planted and specimen.defect == "flipped-labels":
        rows = flip_labels(training, share, len(CLASSES), specimen.seed)
    elif specimen.planted:
        rows = poison_dirty_label(training, MARKS[specimen.architecture], share, specimen.seed)
    network = train_dense(rows.rows, rows.truth, len(CLASSES), unfiltered.SETTINGS, specimen.seed)
    save_network(folder / "model.onnx", network, SMALL)
    exam = PictureAudit(
        {"evaluation": held, "training": rows}, (POISON,), ("poisoning.training_scan",)
    )
    return exam.trial(specimen, folder)


def plant_met_triggers(specimen: Specimen, folder: Path) -> SpecimenRun:
    """Write a network that obeys a trigger, and what it met: one in seven with it, or none."""
    training, held = split_digits(specimen.seed, LEARN, LARGE)
    poisoned = poison_dirty_label(training, MARKS[specimen.architecture], SHARE, specimen.seed)
    network = train_dense(
        poisoned.rows, poisoned.truth, len(CLASSES), unfiltered.SETTINGS, specimen.seed
    )
    save_network(folder / "model.onnx", network, LARGE)
    met = held.rows[:MET].copy()
    if specimen.planted:
        marked = round(MARKED * MET)
        met[:marked] = MARKS[specimen.architecture](met[:marked])
    known = PictureSet(held.rows[MET:], held.truth[MET:])
    exam = PictureAudit(
        {"evaluation": known, "production": PictureSet(met)},
        (SCREENED,),
        ("poisoning.input_screen",),
        budget="ci",
    )
    return exam.trial(specimen, folder)


def plant_unscreened_recipe(specimen: Specimen, folder: Path) -> SpecimenRun:
    """Write a model and the recipe that made it, which takes all rows or screens them first."""
    training, held = split_digits(specimen.seed, SCANNED)
    recipe = unfiltered if specimen.planted else neighbour_filter
    kept = np.ones(SCANNED, dtype=np.bool_)
    if not specimen.planted:
        kept = neighbour_filter.find_agreeing_rows(training.rows, training.truth)
    rows, labels = training.rows[kept], training.truth[kept]
    network = train_dense(rows, labels, len(CLASSES), recipe.SETTINGS, specimen.seed)
    save_network(folder / "model.onnx", network, SMALL)
    (folder / "recipe.py").write_text(getsource(recipe), encoding="utf-8")
    exam = PictureAudit(
        {"evaluation": held, "training": training},
        (HARDY,),
        ("poisoning.susceptibility",),
        checks={
            "poisoning.susceptibility": {
                "attacks": ["patch"], "rates": [0.02], "retrain": "auto", "repeats": 4,
            }
        },
        more={"recipe": {"path": "recipe.py", "allow": "unsandboxed"}},
    )  # fmt: skip
    return exam.trial(specimen, folder)


TRAINED = ("mlp", "cnn")
FAINT, FAINTER = (0.02, 0.05), (0.02, 0.03)
"""Shares of poisoned rows at which a curve looks: of networks, and of training rows."""
SEEDS = 3
FAMILY: SpecimenFamily = DefectTableFamily(
    "poisoning",
    "it obeys a trigger, its training rows were tampered with, or its training lets poison in",
    ("sklearn", "torch"),
    (
        PlantedDefect(
            "patch", plant_backdoor, (*TRAINED, "vit"), ("mlp",), seeds=SEEDS, curve=FAINT
        ),
        PlantedDefect("blend", plant_backdoor, TRAINED, seeds=SEEDS, curve=FAINT),
        PlantedDefect("clean-label", plant_backdoor, TRAINED, seeds=SEEDS),
        PlantedDefect("two-targets", plant_backdoor, TRAINED, seeds=SEEDS),
        PlantedDefect("dormant", plant_dormant_backdoor, ("mlp",), seeds=SEEDS),
        PlantedDefect(
            "flipped-labels", plant_poisoned_rows, ("mlp",), ("mlp",), (0.1, 0.05), SEEDS, FAINTER
        ),
        PlantedDefect(
            "poisoned-rows", plant_poisoned_rows, tuple(MARKS), (), (0.1, 0.05), SEEDS, FAINTER
        ),
        PlantedDefect("met-triggers", plant_met_triggers, tuple(MARKS), seeds=SEEDS),
        PlantedDefect("gullible", plant_unscreened_recipe, ("mlp",), seeds=SEEDS),
    ),
)
