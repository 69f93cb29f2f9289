"""A served model is known again by its answers alone, and another stack behind the url is seen."""

import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from endpoint_servers import Host, hosting
from subjects_on import subject_on
from tiny_models import Workshop

from auditor.checks.hardware.attestation import AttestationCheck
from auditor.checks.requirements import find_unmet_need
from auditor.domain.artifacts import Artifact
from auditor.domain.check_subject import CheckShard
from auditor.domain.readings import Gap, GapReason, Measurement
from auditor.domain.targets import EndpointSpec, TargetSpec, TensorEncoding
from auditor.domain.tasks import Array

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
CHECK = AttestationCheck(inputs=128, repeats=2, nonce="never told before")


def spec_of(host: Host, encoding: TensorEncoding, leave: str | None = "the tests") -> TargetSpec:
    endpoint = EndpointSpec(url=host.url, model="tiny", encoding=encoding, authorisation=leave)
    return TargetSpec("served", runtime="endpoint", endpoint=endpoint)


@pytest.fixture
def rows() -> Array:
    return np.load(DIGITS / "test.npz")["x"]


@pytest.fixture
def artifact(workshop: Workshop) -> Artifact:
    shutil.copy(DIGITS / "model.onnx", workshop.folder / "model.onnx")
    return Artifact("digits", "1", (workshop.digest("model.onnx"),))


def fresh(spec: TargetSpec, workshop: Workshop, artifact: Artifact, rows: Array) -> float:
    with subject_on(spec, workshop, artifact, rows, classes=10) as subject:
        assert not isinstance(subject.model, Gap), subject.model
        readings = CHECK.figures(CHECK.observe(subject, CheckShard()), 0.95)
    (found,) = [item for item in readings if item.metric == "fresh_agreement"]
    assert isinstance(found, Measurement)
    assert isinstance(found.value, float)
    return found.value


@pytest.mark.parametrize("encoding", [TensorEncoding.JSON, TensorEncoding.BINARY])
def test_the_same_stack_behind_a_url_is_known_again_and_another_is_seen(
    workshop: Workshop, artifact: Artifact, rows: Array, encoding: TensorEncoding
) -> None:
    with hosting(workshop.folder / "model.onnx") as host:
        assert fresh(spec_of(host, encoding), workshop, artifact, rows) >= 0.99
        plain = onnxruntime.SessionOptions()
        plain.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        other = onnxruntime.InferenceSession(str(workshop.folder / "model.onnx"), plain)
        assert host._server is not None  # noqa: SLF001 -- the stack behind the url is exchanged
        name = other.get_inputs()[0].name
        if np.array_equal(
            other.run(None, {name: rows})[0],
            host._server.session.run(None, {name: rows})[0],  # noqa: SLF001
        ):
            pytest.skip("on this processor both levels choose the same kernels")
        host._server.session = other  # noqa: SLF001
        assert fresh(spec_of(host, encoding), workshop, artifact, rows) <= 0.8


def test_without_leave_an_endpoint_is_not_asked_at_the_border(
    workshop: Workshop, artifact: Artifact, rows: Array
) -> None:
    with hosting(workshop.folder / "model.onnx") as host:
        spec = spec_of(host, TensorEncoding.JSON, leave=None)
        with subject_on(spec, workshop, artifact, rows, classes=10) as subject:
            gap = find_unmet_need(CHECK, subject)
    assert gap is not None
    assert gap.reason is GapReason.NEEDS_AUTHORISATION
