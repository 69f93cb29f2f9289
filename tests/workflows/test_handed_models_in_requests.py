"""Shadow models and a generator are inputs like any other: copied, digested, and found again."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from handed_models import decoder, drawn, handed, write
from watching import Nobody

from auditor.domain.datasets import DatasetRole
from auditor.domain.json import compute_digest
from auditor.domain.record_json import read_record
from auditor.errors import AuditFileError
from auditor.inputs.materialize import materialize_inputs
from auditor.reports.schemas import validate_record
from auditor.workflows.audit import run_audit
from auditor.workflows.prepare import PreparedAudit, prepare_audit, read_overridden_audit_file
from auditor.workflows.settings import AuditorSettings
from auditor.workflows.wiring import build_input_finder, build_path_resolver, build_resolvers
from auditor.workflows.workspace import open_workspace

AUDIT = """\
apiVersion: auditor/v1
kind: Audit
model: {name: m, artifact: model.onnx}
task: {classes: ["0", "1", "2"], output: logits}
input: {domain: [-6.0, 6.0]}
data:
  evaluation: {path: test.npz, labels: y}
  training: {path: train.npz, labels: y}
"""
SHADOWS = "shadows: {models: MODELS, inclusion: inclusion.npy, rows: [training, evaluation]}\n"
BOTH = SHADOWS.replace("MODELS", "shadows") + "generator: {path: generator.onnx}\n"
ONE = ("quality.accuracy",)
MEMBERS, OTHERS = 40, 60


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, handed(shadows=11, members=MEMBERS, others=OTHERS, held=5))
    decoder(tmp_path / "generator.onnx", drawn(8, 100)[0], 4)
    return tmp_path


def prepared(folder: Path, more: str) -> PreparedAudit:
    text, parts = AUDIT + more, build_resolvers(folder)
    (folder / "audit.yaml").write_text(text)
    file = read_overridden_audit_file(text.encode(), "audit.yaml", parts, only=ONE)
    with prepare_audit(file, build_path_resolver(folder / "audit.yaml"), parts) as found:
        return found


def test_each_model_and_the_matrix_are_in_the_request_by_digest(folder: Path) -> None:
    found = prepared(folder, BOTH)
    request, source = found.request, found.materials.shadows
    assert request.shadows is not None
    assert source is not None
    assert request.generator is not None
    assert request.shadows.inclusion == compute_digest((folder / "inclusion.npy").read_bytes())
    assert request.shadows.rows == ("training", "evaluation")
    names = [item.artifact.files[0].name for item in source.models]
    assert names == [f"shadow-{at}.onnx" for at in range(11)], "10 comes after 9"
    assert list(request.shadows.models) == [item.artifact.digest for item in source.models]
    whole = np.load(folder / "inclusion.npy")
    assert np.array_equal(source.include[DatasetRole.TRAINING], whole[:, :MEMBERS])
    assert np.array_equal(source.include[DatasetRole.EVALUATION], whole[:, MEMBERS:])
    assert (found.size.shadows, found.size.generator) == (11, True)


def test_a_pattern_and_a_list_name_the_same_models(folder: Path) -> None:
    listed = ", ".join(f"shadows/shadow-{at}.onnx" for at in range(11))
    (folder / "shadows" / "other.onnx").write_bytes(b"not one of them")
    ways = (f"[{listed}]", "shadows/shadow-*.onnx")
    one, two = (prepared(folder, SHADOWS.replace("MODELS", it)).request.shadows for it in ways)
    assert one == two


def test_models_that_differ_in_the_weights_beside_them_are_different(folder: Path) -> None:
    listed = []
    for at in range(11):
        own = folder / f"apart-{at}"
        own.mkdir()
        model = onnx.load(folder / "shadows" / f"shadow-{at}.onnx")
        onnx.save(
            model, own / "model.onnx", save_as_external_data=True, location="w", size_threshold=0
        )
        listed.append(f"apart-{at}/model.onnx")
    assert len({(folder / path).read_bytes() for path in listed}) == 1
    found = prepared(folder, SHADOWS.replace("MODELS", f"[{', '.join(listed)}]")).request.shadows
    assert found is not None
    assert len(set(found.models)) == 11


def test_names_with_signs_that_only_look_like_numbers_are_put_in_order(folder: Path) -> None:
    (folder / "shadows" / "shadow-0.onnx").rename(folder / "shadows" / "\u00b21.onnx")
    found = prepared(folder, SHADOWS.replace("MODELS", "shadows"))
    assert found.materials.shadows is not None
    assert len(found.materials.shadows.models) == 11


def test_a_request_without_them_says_nothing_of_them(folder: Path) -> None:
    said = prepared(folder, "").request.to_json()
    assert {"shadows", "generator"}.isdisjoint(said)


def test_a_record_rests_on_them_and_lays_them_out_again(folder: Path, tmp_path: Path) -> None:
    text, parts = AUDIT + BOTH, build_resolvers(folder)
    (folder / "audit.yaml").write_text(text)
    file = read_overridden_audit_file(text.encode(), "audit.yaml", parts, only=ONE)
    settings = AuditorSettings(tmp_path / "home", f"sqlite:///{tmp_path / 'auditor.db'}")
    with (
        prepare_audit(file, build_path_resolver(folder / "audit.yaml"), parts) as found,
        open_workspace(settings) as place,
    ):
        place.keep_inputs(found, build_path_resolver(folder / "audit.yaml"))
        record = run_audit(found, place.surroundings(), Nobody())
        laid = materialize_inputs(
            record.request.inputs, build_input_finder(place.store.blobs, None), tmp_path / "laid"
        )
    request = record.request
    assert request.shadows is not None
    assert request.generator is not None
    assert read_record(record.canonical()).request == request
    assert validate_record(record.to_json()) == []
    roles = {edge.destination: edge.role for edge in record.lineage}
    assert {roles[model] for model in request.shadows.models} == {"shadow"}
    assert roles[request.shadows.inclusion] == "inclusion"
    assert roles[request.generator.digest] == "generator"
    with prepare_audit(file, laid.locate, parts) as again:
        assert again.request.digest == request.digest


def refused(folder: Path, more: str = SHADOWS.replace("MODELS", "shadows")) -> str:
    with pytest.raises(AuditFileError) as raised:
        prepared(folder, more)
    assert raised.value.cure
    return raised.value.problem


def test_a_matrix_of_another_shape_is_refused_with_what_it_should_be(folder: Path) -> None:
    whole = np.load(folder / "inclusion.npy")
    np.save(folder / "inclusion.npy", whole[:, :MEMBERS])
    said = refused(folder)
    assert "is 11 x 40, but there are 11 models and 40 of data.training + 60 of" in said
    assert "11 x 100" in said
    np.save(folder / "inclusion.npy", whole[:9])
    assert "is 9 x 100, but there are 11 models" in refused(folder)


@pytest.mark.parametrize(("value", "word"), [(1, "every row"), (0, "no row")])
def test_a_model_that_learnt_from_all_or_nothing_is_no_shadow(
    folder: Path, value: int, word: str
) -> None:
    whole = np.load(folder / "inclusion.npy")
    whole[[2, 4]] = bool(value)
    np.save(folder / "inclusion.npy", whole)
    assert f"model 2, 4 (counted from 0) learnt from {word}" in refused(folder)


def test_a_model_that_stands_twice_is_refused(folder: Path) -> None:
    raw = (folder / "shadows" / "shadow-3.onnx").read_bytes()
    (folder / "shadows" / "shadow-7.onnx").write_bytes(raw)
    assert "shadow-7.onnx is the same file as shadow-3.onnx" in refused(folder)


def test_what_is_not_there_is_named(folder: Path) -> None:
    more = SHADOWS.replace("MODELS", "[shadows/shadow-0.onnx, shadows/shadow-1.onnx, gone.onnx]")
    assert "shadows.models.2: gone.onnx does not exist" in refused(folder, more)
    assert "nowhere is not a folder" in refused(folder, SHADOWS.replace("MODELS", "nowhere"))
    found = refused(folder, SHADOWS.replace("MODELS", "shadows/x-*.onnx"))
    assert "finds 0 files in shadows" in found
    assert "generator.path: gone.onnx does not" in refused(folder, "generator: {path: gone.onnx}\n")


def test_a_generator_that_no_check_wants_is_recorded_and_never_opened(folder: Path) -> None:
    (folder / "generator.onnx").write_bytes((folder / "model.onnx").read_bytes())
    found = prepared(folder, "generator: {path: generator.onnx}\n")
    assert found.request.generator is not None
    assert not found.materials.wants_generator
