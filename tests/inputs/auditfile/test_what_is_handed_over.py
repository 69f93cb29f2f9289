"""``shadows`` and ``generator`` in an audit file: what they may say, and mistakes by line."""

import pytest

from auditor.domain.auditfiles import AuditFile
from auditor.domain.datasets import DatasetRole
from auditor.errors import AuditFileError
from auditor.inputs.auditfile.read import read_audit_file
from auditor.targets.target_specs import resolve_target

HEAD = """\
apiVersion: auditor/v1
kind: Audit
model: {name: m, artifact: m.onnx}
task: {classes: ["no", "yes"]}
data:
  evaluation: {path: test.npz, labels: y}
  training: {path: train.npz, labels: y}
"""
GOOD = "shadows: {models: [a.onnx, b.onnx, c.onnx], inclusion: in.npz}\n"


def read(more: str, head: str = HEAD) -> AuditFile:
    return read_audit_file((head + more).encode(), "audit.yaml", resolve_target)


def refused(more: str, head: str = HEAD) -> str:
    with pytest.raises(AuditFileError) as raised:
        read(more, head)
    return f"{raised.value.problem} | {raised.value.cure}"


def test_shadows_are_listed_or_lie_in_a_folder_and_speak_of_training_rows() -> None:
    listed = read(GOOD).shadows
    assert listed is not None
    assert (listed.models, listed.inclusion) == (("a.onnx", "b.onnx", "c.onnx"), "in.npz")
    assert listed.rows == (DatasetRole.TRAINING,)
    folder = read(
        "shadows: {models: shadows/s-*.onnx, inclusion: in.csv, rows: [evaluation, training]}\n"
    ).shadows
    assert folder is not None
    assert folder.models == "shadows/s-*.onnx"
    assert folder.rows == (DatasetRole.EVALUATION, DatasetRole.TRAINING)


def test_a_generator_is_a_file_and_neither_need_be_named() -> None:
    given = read("generator: {path: g.onnx}\n").generator
    assert given is not None
    assert given.path == "g.onnx"
    assert read("").generator is None
    assert read("").shadows is None


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            "shadows:\n  models: [a.onnx, b.onnx]\n  inclusion: in.npy\n",
            "audit.yaml:9: shadows.models lists 2",
        ),
        (
            "shadows:\n  models:\n    - a.onnx\n    - b.pt\n  inclusion: in.npy\n",
            "audit.yaml:11: shadows.models.1 is 'b.pt', which is no .onnx file",
        ),
        (
            "shadows:\n  models: [a.onnx, b.onnx, a.onnx]\n  inclusion: in.npy\n",
            "audit.yaml:9: shadows.models.2 lists 'a.onnx' a second time",
        ),
        (
            "shadows:\n  models: s\n  inclusion: in.parquet\n",
            "audit.yaml:10: shadows.inclusion is 'in.parquet'",
        ),
        (
            "shadows:\n  models: s\n  inclusion: in.npy\n  rows: [training, production]\n",
            "audit.yaml:11: shadows.rows.1 is 'production'",
        ),
        (
            "shadows:\n  models: s\n  inclusion: in.npy\n  rows: [training, training]\n",
            "audit.yaml:11: shadows.rows.1 names training twice",
        ),
        (
            "shadows:\n  models: s\n  inclusion: in.npy\n  rows: [reference]\n",
            "audit.yaml:11: shadows.rows.0 speaks of rows of data.reference, which is not set",
        ),
        ("shadows:\n  models: s\n", "audit.yaml:8: shadows.inclusion: this setting is missing"),
        (
            "shadows:\n  models: s\n  inclusion: in.npy\n  rows: []\n",
            "audit.yaml:11: shadows.rows names no dataset",
        ),
        ("generator:\n  path: g.pt\n", "audit.yaml:9: generator.path is 'g.pt'"),
        ("generator:\n  file: g.onnx\n", "audit.yaml:9: generator.file: there is no such setting"),
        ("shadows: {models: 'https://a/b', inclusion: in.npy}\n", "the URL 'https://a/b'"),
    ],
)
def test_a_mistake_is_named_by_its_line(more: str, said: str) -> None:
    assert said in refused(more)


def test_rows_that_nobody_named_must_be_there_too() -> None:
    head = HEAD.replace("  training: {path: train.npz, labels: y}\n", "")
    assert "audit.yaml:7: shadows speaks of rows of data.training" in refused(GOOD, head)


def test_a_regression_has_neither() -> None:
    head = HEAD.replace('{classes: ["no", "yes"]}', "{kind: regression, tolerance: 1.0}")
    assert "only classifiers have shadow models" in refused(GOOD, head)
    assert "no classes to invert" in refused("generator: {path: g.onnx}\n", head)


def test_no_generator_makes_texts() -> None:
    assert "reads texts" in refused("input: {text: note}\ngenerator: {path: g.onnx}\n")
