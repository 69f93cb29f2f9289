"""A twin that the audit file names: digested apart, run in a child, and held to the same gate."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import Classes, Workshop
from twin_pairs import examined, opened

from auditor.domain.artifacts import Artifact
from auditor.domain.models import TwinKind, TwinSource
from auditor.domain.readings import Gap, GapReason
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import Array, Task
from auditor.errors import AuditFileError
from auditor.onnx.twin.build import TwinPlan
from auditor.targets.session import open_model
from auditor.targets.twin import OpenedTwin, open_twin
from auditor.workflows.prepare import (
    PreparedAudit,
    prepare_audit,
    read_overridden_audit_file,
)
from auditor.workflows.wiring import build_path_resolver, build_resolvers

CPU = TargetSpec("cpu")


def program_of(weights: Array, folder: Path) -> TwinSource:
    """Save ``y = x w`` as an exported program."""
    folder.mkdir()
    network = torch.nn.Linear(*weights.shape, bias=False)
    with torch.no_grad():
        network.weight.copy_(torch.from_numpy(weights.T))
    rows = torch.export.Dim("n", min=1, max=4096)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own exporter
        program = torch.export.export(
            network.eval(), (torch.zeros(2, len(weights)),), dynamic_shapes=({0: rows},)
        )
        torch.export.save(program, folder / "twin.pt2")
    return TwinSource(TwinKind.EXPORTED, folder / "twin.pt2")


@contextmanager
def twin_from(
    workshop: Workshop, artifact: Artifact, task: Task, rows: Array, source: TwinSource
) -> Iterator[OpenedTwin | Gap]:
    with (
        open_model(CPU, workshop.folder, artifact, task, rows) as model,
        open_twin(CPU, workshop.folder, artifact, model, rows, source=source) as twin,
    ):
        yield twin


@pytest.mark.slow
def test_an_exported_program_of_the_same_weights_is_the_models_twin(
    workshop: Workshop, tmp_path: Path, classes: Classes, rng: np.random.Generator
) -> None:
    weights, rows = rng.normal(size=(5, 3)), rng.normal(size=(100, 5))
    artifact, source = workshop.linear(weights), program_of(weights, tmp_path / "twin")
    with twin_from(workshop, artifact, classes(3), rows, source) as twin:
        assert isinstance(twin, OpenedTwin), twin
        twin.forward(rows)
        slope = twin.backward(np.tile([1.0, 0.0, -1.0], (100, 1)))
    assert slope == pytest.approx(np.tile(weights[:, 0] - weights[:, 2], (100, 1)), abs=1e-5)
    assert twin.source == source.to_json()
    assert twin.distance["gradient_correlation"] > 0.99


def test_an_exported_program_of_other_weights_is_refused(
    workshop: Workshop, tmp_path: Path, classes: Classes, rng: np.random.Generator
) -> None:
    weights, rows = rng.normal(size=(5, 3)), rng.normal(size=(100, 5))
    program = program_of(weights * 1.1, tmp_path / "twin").path
    with opened(workshop, workshop.linear(weights), classes(3), rows) as model:
        plan = TwinPlan(workshop.folder / "model.onnx", model.interface, TwinKind.EXPORTED, program)
        gap = examined(model, plan, rows).gap
    assert gap is not None
    assert gap.reason is GapReason.TWIN_DIFFERS
    assert "differ from the model's" in gap.detail


def test_an_adjoint_twin_runs_in_the_child(
    workshop: Workshop, classes: Classes, rng: np.random.Generator
) -> None:
    weights, rows = rng.normal(size=(5, 3)), rng.normal(size=(100, 5))
    source = TwinSource(TwinKind.ADJOINT)
    with twin_from(workshop, workshop.linear(weights), classes(3), rows, source) as twin:
        assert isinstance(twin, OpenedTwin), twin
        twin.forward(rows)
        slope = twin.backward(np.tile([1.0, 0.0, -1.0], (100, 1)))
    assert slope == pytest.approx(np.tile(weights[:, 0] - weights[:, 2], (100, 1)), abs=1e-5)


AUDIT = """\
apiVersion: auditor/v1
kind: Audit
model: {{name: tiny, artifact: staged/model.onnx, twin: {twin}}}
input: {{domain: [-9.0, 9.0]}}
data: {{evaluation: {{path: test.npz, labels: y}}}}
"""


@contextmanager
def prepared(folder: Path, twin: str) -> Iterator[PreparedAudit]:
    """Prepare the audit of ``staged/model.onnx`` with a twin."""
    np.savez(folder / "test.npz", x=np.eye(5), y=np.array(list("abcab")))
    place = folder / "audit.yaml"
    found, raw = build_resolvers(folder), AUDIT.format(twin=twin).encode()
    file = read_overridden_audit_file(raw, "audit.yaml", found, only=("quality.accuracy",))
    with prepare_audit(file, build_path_resolver(place), found) as ready:
        yield ready


def test_a_twins_file_is_digested_apart_from_the_artifact(
    workshop: Workshop, tmp_path: Path
) -> None:
    workshop.linear(np.eye(5)[:, :3])
    program_of(np.eye(5)[:, :3], tmp_path / "twin")
    with prepared(tmp_path, "auto") as plain, prepared(tmp_path, "twin/twin.pt2") as ready:
        source, request = ready.materials.twin, ready.request
        assert source.path is not None
        assert source.path.parent not in {tmp_path / "twin", ready.materials.staged}
        assert source.path.read_bytes() == (tmp_path / "twin" / "twin.pt2").read_bytes()
        assert request.artifact is not None
        assert request.artifact == plain.request.artifact
        assert plain.materials.twin == TwinSource()
    (listed,) = [item for item in request.inputs if item.path == "twin/twin.pt2"]
    assert source.digest == f"sha256:{listed.file.sha256}"
    assert not source.path.exists()
    assert replace(source, path=None).to_json() == {"kind": "exported", "digest": source.digest}


@pytest.mark.parametrize("word", ["none", "adjoint"])
def test_words_name_other_twins(workshop: Workshop, tmp_path: Path, word: str) -> None:
    workshop.linear(np.eye(5)[:, :3])
    with prepared(tmp_path, word) as ready:
        assert ready.materials.twin == TwinSource(TwinKind(word))


def test_a_twin_that_is_not_there_is_refused_before_anything_runs(
    workshop: Workshop, tmp_path: Path
) -> None:
    workshop.linear(np.eye(5)[:, :3])
    with (
        pytest.raises(AuditFileError, match=r"model\.twin: twin\.pt2"),
        prepared(tmp_path, "twin.pt2"),
    ):
        pass


def test_a_twin_of_another_kind_is_refused(workshop: Workshop, tmp_path: Path) -> None:
    workshop.linear(np.eye(5)[:, :3])
    with pytest.raises(AuditFileError, match=r"'twin\.onnx'"), prepared(tmp_path, "twin.onnx"):
        pass
