"""Nothing is held against a record of its own bytes, or of predictions that any file may hold."""

from dataclasses import replace

import pytest
from test_gates import GOOD

from auditor.domain.artifacts import Artifact, FileDigest
from auditor.domain.baselines import refuse_same_artifact
from auditor.domain.records import AuditRecord
from auditor.errors import RecordError


def model(**files: bytes) -> Artifact:
    return Artifact("line", "1", tuple(FileDigest.of(name, raw) for name, raw in files.items()))


def of(artifact: Artifact | None) -> AuditRecord:
    return replace(GOOD, request=replace(GOOD.request, artifact=artifact))


def test_a_record_of_other_bytes_stands() -> None:
    refuse_same_artifact(model(onnx=b"new"), of(model(onnx=b"old")))
    refuse_same_artifact(model(onnx=b"graph", data=b"new"), of(model(onnx=b"graph", data=b"old")))


@pytest.mark.parametrize("name", ["onnx", "renamed"])
def test_the_same_bytes_are_the_same_model_whatever_they_are_called(name: str) -> None:
    with pytest.raises(RecordError, match="of the same artifact"):
        refuse_same_artifact(model(**{name: b"one"}), of(model(onnx=b"one")))


def test_predictions_alone_stand_against_predictions_alone() -> None:
    with pytest.raises(RecordError, match="of predictions alone"):
        refuse_same_artifact(model(onnx=b"one"), of(None))
    refuse_same_artifact(None, of(None))
