"""Planted defects of declarations: audit files that buy a pass by false rows, tasks or inputs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auditor.domain.json import Json
from auditor.selftest.datasets import PACKAGES, SampleRows, load_split
from auditor.selftest.families.deceit import GATE
from auditor.selftest.record_forgery import OUT, keep_key
from auditor.selftest.specimens import (
    AUDIT,
    ID,
    LABEL,
    DeceptionRun,
    DefectTableFamily,
    PlantedDefect,
    Specimen,
    SpecimenFamily,
    SpecimenFiles,
    build_deny_rule,
    encode_csv_table,
)
from auditor.selftest.train import TrainedModel, train_model

HELD, FEW, COPIES = "held/evaluation.csv", 20, 40
RULES = (
    build_deny_rule(
        "right-enough", "quality.accuracy/accuracy", "It is right often enough", at_least=0.85
    ),
)
TASK: Mapping[str, Json] = {"kind": "classification"}
INPUT: Mapping[str, Json] = {"domain": [0.0, 1.0]}


@dataclass(frozen=True, slots=True)
class DeclarationCase:
    """What a cheat declares, what the gate is asked beside the record, and the words of refusal."""

    word: str
    task: Mapping[str, Json] | None = None
    input: Mapping[str, Json] | None = None
    choose: Callable[[TrainedModel, SampleRows], SampleRows] | None = None
    asked: tuple[str, ...] = ()


def _easy(model: TrainedModel, rows: SampleRows) -> SampleRows:
    """Return the rows of which the model is surest and right."""
    stated = model.scores(rows.inputs)[np.arange(len(rows)), rows.labels]
    return rows.take(np.argsort(-stated, kind="stable")[: len(rows) // 2])


def _copied(model: TrainedModel, rows: SampleRows) -> SampleRows:
    """Return a few of the easy rows, many times."""
    return _easy(model, rows).take(np.tile(np.arange(FEW), COPIES))


PURCHASES: Mapping[str, DeclarationCase] = {
    "copied-rows": DeclarationCase("failed verdict", choose=_copied),
    "picked-rows": DeclarationCase("failed data", choose=_easy, asked=("--data", HELD)),
    "declared-threshold": DeclarationCase("failed pins", task={"threshold": 0.05}),
    "declared-costs": DeclarationCase("failed pins", task={"costs": {"malignant": {"benign": 1}}}),
    "declared-quantum": DeclarationCase("failed pins", input={"quantum": 0.25}),
}


def plant_declaration(specimen: Specimen, folder: Path) -> DeceptionRun:
    """Write an audit whose file makes a pass easier, or one that declares nothing of the kind."""
    deal, sample = PURCHASES[specimen.defect], load_split("cancer", specimen.seed)
    learn = sample.training
    model = train_model(specimen.architecture, learn.inputs, learn.labels, specimen.seed)
    rows, more = sample.evaluation, dict[str, Json]()
    if specimen.planted:
        rows = rows if deal.choose is None else deal.choose(model, rows)
        more = {
            "task": {**TASK, "classes": list(sample.classes), **(deal.task or {})},
            "input": {**INPUT, **(deal.input or {})},
        }
    settings: Mapping[str, Json] = {
        "task.classes": list(sample.classes),
        "input.domain": INPUT["domain"],
        "data.evaluation.labels": LABEL,
        "data.evaluation.id": ID,
    }
    pins: Mapping[str, Json] = (
        {"pins": {"settings": settings}} if deal.word == "failed pins" else {}
    )
    papers = SpecimenFiles(
        model.parts().onnx(), sample.classes, {"evaluation": rows}, RULES, more=more, asks=pins
    )
    papers.write(specimen, folder)
    (folder / HELD).parent.mkdir()
    (folder / HELD).write_bytes(encode_csv_table(sample.evaluation, sample.classes))
    audit = ("audit", AUDIT, "--only", "quality.accuracy", "--out", OUT)
    return DeceptionRun((audit, keep_key), (*GATE, *deal.asked), 1, (deal.word,))


FAMILY: SpecimenFamily = DefectTableFamily(
    name="declarations",
    title="audit files that make a pass easier: by rows, costs, thresholds or grids of inputs",
    packages=PACKAGES,
    defects=tuple(
        PlantedDefect(name, plant_declaration, ("logistic", "forest"), quick=("logistic",))
        for name in PURCHASES
    ),
)
