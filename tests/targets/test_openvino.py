"""The runtime openvino: what its chip makes of float32, and how a target pins it down."""

import numpy as np
import pytest
from subjects_on import picture_model, placement_readings, subject_on
from tiny_models import Classes, Workshop
from workers import worker

from auditor.domain.operator_placement import PlacementSource
from auditor.domain.readings import Gap, GapReason, Measurement
from auditor.domain.targets import TargetSpec
from auditor.errors import TargetError
from auditor.targets.probe import probe_target
from auditor.targets.session import open_model

pytestmark = pytest.mark.slow
PINNED = {"INFERENCE_PRECISION_HINT": "f32"}


def openvino(**more: object) -> TargetSpec:
    return TargetSpec("ov", runtime="openvino", interpreter=worker("openvino"), **more)


def has_bf16() -> bool:
    flags = probe_target(openvino())["machine"]["cpu"]["flags"]
    return bool({"avx512_bf16", "amx_bf16"} & set(flags))


def test_pinned_to_float32_it_scores_as_onnxruntime_does(
    workshop: Workshop, classes: Classes
) -> None:
    artifact, rows = picture_model(workshop)
    with open_model(TargetSpec("cpu"), workshop.folder, artifact, classes(3), rows) as model:
        expected = model.predict(rows)
    spec = openvino(provider_options=PINNED)
    with open_model(spec, workshop.folder, artifact, classes(3), rows) as model:
        found = model.predict(rows)
        facts = model.fingerprint.identity_facts
        timing = model.time(rows, calls=5, warmup=1, batch_rows=4)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert facts["precision"]["inference"] == "f32"
    assert set(facts["precision"]["nodes"]) == {"f32"}
    assert facts["provider_options"] == PINNED
    assert (len(timing.single), facts["runtime"]["name"]) == (5, "openvino")


def test_left_alone_the_chip_decides_the_precision_and_the_facts_say_which(
    workshop: Workshop, classes: Classes
) -> None:
    if not has_bf16():
        pytest.skip("this processor has no bf16, which OpenVINO would choose")
    artifact, rows = picture_model(workshop)
    with open_model(TargetSpec("cpu"), workshop.folder, artifact, classes(3), rows) as model:
        expected = model.predict(rows)
    with open_model(openvino(), workshop.folder, artifact, classes(3), rows) as model:
        found, facts = model.predict(rows), model.fingerprint.identity_facts
    assert facts["precision"]["inference"] == "bf16"
    assert facts["precision"]["nodes"]["bf16"] > 0
    assert np.abs(found - expected).max() > 1e-3  # float32 would differ by 1e-5


def test_its_placement_is_the_vendors_word_and_its_nodes_are_counted(workshop: Workshop) -> None:
    artifact, rows = picture_model(workshop)
    with subject_on(openvino(), workshop, artifact, rows) as subject:
        assert not isinstance(subject.placement, Gap)
        assert subject.placement.source is PlacementSource.VENDOR
        readings = placement_readings(subject)
    share, count = readings["share_on_target"], readings["unaccounted_nodes"]
    assert isinstance(share, Measurement)
    assert share.value == 1.0
    assert share.details["nodes"]["CPU"]["Convolution"] == 1
    assert isinstance(count, Gap)
    assert count.reason is GapReason.NEEDS_REFERENCE


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ({"device": "AUTO"}, "no device 'AUTO'.*choose for themselves"),
        ({"device": "NPU.7"}, "no device 'NPU.7'"),
        ({"session": {"a": "b"}}, "does not know `session`"),
        ({"graph_optimization": "basic"}, "`graph_optimization: basic`"),
        ({"free_dimensions": {"N": 4}}, "`free_dimensions`"),
    ],
    ids=str,
)
def test_what_it_does_not_know_is_refused(
    workshop: Workshop, classes: Classes, more: dict[str, object], match: str
) -> None:
    artifact, rows = picture_model(workshop)
    with (
        pytest.raises(TargetError, match=match),
        open_model(openvino(**more), workshop.folder, artifact, classes(3), rows),
    ):
        pass


def test_a_property_that_it_does_not_have_is_a_gap(workshop: Workshop) -> None:
    artifact, rows = picture_model(workshop)
    wrong = openvino(provider_options={"NO_SUCH_PROPERTY": "1"})
    with subject_on(wrong, workshop, artifact, rows) as subject:
        assert isinstance(subject.model, Gap)
        assert subject.model.reason is GapReason.MODEL_FAILED
        assert "NO_SUCH_PROPERTY" in subject.model.detail
