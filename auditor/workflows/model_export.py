"""Exports a model of a Python library as an ONNX file, and compares that with its original."""

import importlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import EncodeError

from auditor.domain.artifacts import Artifact
from auditor.domain.export_origin import ExportDifference, ExportOrigin
from auditor.domain.name_suggestions import format_name_list
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import Array, Floats
from auditor.errors import AuditorError, ModelExportError
from auditor.onnx.scan.external_data import external_tensors
from auditor.onnx.scan.graph_walk import walk_graphs, walk_nodes
from auditor.targets.session import ask_first_rows, connect_model
from auditor.trust.artifacts.files import digest_artifact
from auditor.workflows.model_conversion import (
    EXPORT_YOURSELF,
    ModelConversion,
    convert_model,
    describe_class,
    failing_as,
    identify_library,
)

NAME = "model.onnx"
CHUNK = 1024
MOST_ROWS = 10_000
"""Rows that are compared at most."""
LEAST_AGREEMENT = 0.5
"""Of the rows, how many the export must answer alike to be taken for the same model."""
NEAR = 0.01
"""Of the range of a model's numbers, how far two that are alike lie apart at most."""
FRAME = (
    "Give the inputs that it was fitted on, in that order: in a table, "
    "frame[[*model.feature_names_in_, 'label']]"
)
NUMBERED = re.compile(r"Column_\d+")
"""How LightGBM names columns of arrays."""
LEAST_MEMORY = 4 * 2**30
PAIR = 2


@dataclass(frozen=True, slots=True)
class ExportedModel:
    """An ONNX file; ``origin`` says what it was exported from, unless it was given as it is."""

    path: Path
    origin: ExportOrigin | None = None


def export_model(model: object, sample: Array, folder: Path) -> ExportedModel:
    """Write ``model`` as ONNX into ``folder``, and compare both on the rows of ``sample``.

    A path is returned as it is, an ``onnx.ModelProto`` is written as it is. The same object gives
    the same bytes. The export runs in a child process, the original in this one. Raises
    ``ModelExportError`` for what cannot be exported, or does not answer these rows;
    ``MissingExtraError`` where the exporter is not installed.
    """
    if isinstance(model, str | os.PathLike):
        return ExportedModel(Path(model))
    if identify_library(model) == "onnx":
        return ExportedModel(_write(_require_whole(model), folder))
    made, title = convert_model(model, sample), describe_class(model)
    _make_canonical(made.proto)
    path = _write(made.proto, folder)
    origin = ExportOrigin(
        original=title,
        library=made.library,
        library_version=_version(made.library),
        exporter=made.exporter,
        exporter_version=_version(made.exporter),
        opsets={item.domain or "ai.onnx": item.version for item in made.proto.opset_import},
        difference=_compare(made, path, sample, title),
    )
    return ExportedModel(path, origin)


def refuse_other_columns(model: object, columns: Sequence[str]) -> None:
    """Refuse data whose ``columns`` are not those that ``model`` was fitted on, in that order.

    The export knows no names: it would take other columns for them. Models that were fitted on
    arrays, and data without names, are let be. Raises ``ModelExportError``.
    """
    fitted = _list_fitted_columns(model)
    alike = [_as_lightgbm_writes(name) for name in columns]
    if not fitted or not columns or fitted in ([*columns], alike):
        return
    title, known = describe_class(model), {*columns, *alike}
    missing = [name for name in fitted if name not in known]
    if missing:
        foreign = [name for name, other in zip(columns, alike, strict=True)
                   if not {name, other} & {*fitted}]  # fmt: skip
        there = f", which has {format_name_list(foreign)} instead" if foreign else ""
        raise ModelExportError(
            f"{title} was fitted on {format_name_list(missing)}, not among the inputs of the data"
            f"{there}",
            cure=f"{FRAME}. Names in `groups` and the like take columns out of the inputs: for a "
            "column that the model reads too, pass values under another name.",
        )
    raise ModelExportError(
        f"{title} was fitted on the columns {format_name_list(fitted)}, and the inputs of the "
        f"data are {format_name_list(list(columns))}",
        cure=f"{FRAME}.",
    )


def _list_fitted_columns(model: Any) -> list[str]:  # noqa: ANN401 -- of any library
    """Return the names of the columns that a model was fitted on; none where it knows none."""
    library = identify_library(model)
    names = getattr(model, "feature_names_in_", None)
    if library == "lightgbm":
        booster = getattr(model, "booster_", model) if hasattr(model, "fitted_") else model
        ask = getattr(booster, "feature_name", None)
        names = ask() if callable(ask) else names
        if names is not None and all(NUMBERED.fullmatch(name) for name in names):
            names = None
    elif library == "xgboost" and names is None:
        names = getattr(model, "feature_names", None)
    return [] if names is None else [str(name) for name in names]


def _as_lightgbm_writes(name: str) -> str:
    return name.replace(" ", "_")


def _require_whole(model: object) -> onnx.ModelProto:
    """Return a model that has its weights in it. Raises ``ModelExportError``."""
    if not isinstance(model, onnx.ModelProto):
        raise ModelExportError(
            f"an object of the class {describe_class(model)} is not a whole ONNX model",
            cure="Give an onnx.ModelProto, or the path of a file.",
        )
    outside = external_tensors(model)
    if outside:
        raise ModelExportError(
            f"the onnx.ModelProto keeps {len(outside)} tensors in other files, and does not say "
            "in which folder",
            cure="Give the path of its file, or load its external data too: onnx.load(path).",
        )
    return model


def _write(model: onnx.ModelProto, folder: Path) -> Path:
    """Write a model; one that is too large for a file of protobuf has its weights beside it."""
    path = folder / NAME
    try:
        path.write_bytes(model.SerializeToString(deterministic=True))
    except EncodeError:
        beside = f"{NAME}.data"
        (folder / beside).unlink(missing_ok=True)  # what is there would be added to
        try:
            onnx.save_model(model, path, save_as_external_data=True, location=beside)
        finally:  # saving takes the weights out of the model, which is the caller's
            onnx.load_external_data_for_model(model, str(folder))
    return path


def _make_canonical(model: onnx.ModelProto) -> None:
    """Remove what speaks of the machine, and order what converters list in the order of a set."""
    opsets = {item.domain: item.version for item in model.opset_import}
    del model.opset_import[:]
    model.opset_import.extend(onnx.helper.make_opsetid(*item) for item in sorted(opsets.items()))
    described: list[Any] = [model, *model.functions, *walk_nodes(model)]
    for graph in walk_graphs(model):
        values = (*graph.input, *graph.output, *graph.value_info, *graph.initializer)
        described += [graph, *values]
    for item in described:
        item.ClearField("metadata_props")
        item.ClearField("doc_string")


def _version(module: str) -> str:
    return str(importlib.import_module(module).__version__)


def _compare(made: ModelConversion, path: Path, sample: Array, title: str) -> ExportDifference:
    """Compare what the export answers with what the original does.

    Raises ``ModelExportError`` where one of them fails, and where most rows are answered otherwise.
    """
    sample = sample[:MOST_ROWS]
    parts = [sample[start : start + CHUNK] for start in range(0, len(sample), CHUNK)]
    with failing_as(f"{title} fails on rows of the data", "Fix the model or the rows."):
        answers = [made.answer(rows) for rows in parts]
    wanted = _tabulate([item.scores for item in answers])
    chosen = [item.decisions for item in answers if item.decisions is not None]
    found = _tabulate(_run(path, parts, made.output, title))
    decided = found.argmax(axis=1) if found.shape[1] > 1 else found[:, 0] > 0
    if (wanted.shape[1], found.shape[1]) == (1, PAIR):
        found = found[:, 1:]
    if found.shape != wanted.shape or not np.isfinite([found, wanted]).all():
        raise ModelExportError(
            f"{title} and its export cannot be compared: {wanted.shape[1]} and {found.shape[1]} "
            "numbers a row, or some that are not finite",
            cure=f"Fix the model, or {EXPORT_YOURSELF}.",
        )
    difference = np.abs(found - wanted)
    if chosen:
        same = decided == np.concatenate(chosen)
    else:
        same = difference.max(axis=1) <= NEAR * (np.ptp(wanted) or 1.0)
    if same.mean() < LEAST_AGREEMENT:
        raise ModelExportError(
            f"{made.exporter} made another model of {title}: both answer {int(same.sum())} of "
            f"{len(sample)} rows alike",
            cure=f"Update {made.exporter}, or {EXPORT_YOURSELF}.",
        )
    return ExportDifference(
        of=answers[0].of,
        rows=len(sample),
        largest=float(difference.max()),
        equal=int(same.sum()) if chosen else None,
    )


def _tabulate(parts: Sequence[Array]) -> Floats:
    table: Floats = np.concatenate(parts).astype(np.float64)
    return table.reshape(len(table), -1)


def _run(path: Path, parts: Sequence[Array], output: int, title: str) -> list[Array]:
    """Return one output of an export, which runs in a child process, for parts of the rows."""
    artifact = Artifact(title, "0", digest_artifact(path))
    spec = TargetSpec("cpu", memory_limit=max(LEAST_MEMORY, 4 * artifact.size))
    connection = connect_model(spec, path.parent, artifact)
    try:
        return [ask_first_rows(connection, rows).answers[output].array for rows in parts]
    except AuditorError as error:
        raise ModelExportError(
            f"the export of {title} does not run: {error.problem}", cure=error.cure
        ) from None
    finally:
        connection.close()
