"""Texts go into a model letter for letter, and models of numbers and of texts are told apart."""

from contextlib import AbstractContextManager

import numpy as np
import pytest
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import StringTensorType
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from tiny_models import Classes, Workshop

from auditor.domain.artifacts import Artifact
from auditor.domain.isolation import IsolationLevel
from auditor.domain.readings import Gap, GapReason
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import Array, Task
from auditor.errors import ArtifactError, ModelFailedError
from auditor.targets.model import OpenedModel
from auditor.targets.protocol import MOST_TEXT
from auditor.targets.session import open_model
from auditor.targets.twin import open_twin

CPU = TargetSpec("cpu")
ODD = [
    "",
    " ",
    "plain",
    "gr\u00fc\u00dfe, \u0433\u043e\u0440\u043e\u0434",
    "\U0001f642 a\nb",
    "x" * 9000,
]


def opened(
    workshop: Workshop, artifact: Artifact, task: Task, sample: Array
) -> AbstractContextManager[OpenedModel]:
    return open_model(CPU, workshop.folder, artifact, task, sample, isolation=IsolationLevel.LIMITS)


def encoder(workshop: Workshop, texts: list[str], shape: list[int | str | None]) -> Artifact:
    """Save a model whose logits are one-hot by which of ``texts`` a row is, letter for letter."""
    strings = [text.encode() for text in texts]
    numbers = helper.make_attribute("values_int64s", list(range(1, len(texts) + 1)))
    encode = helper.make_node(
        "LabelEncoder", ["x"], ["code"], domain="ai.onnx.ml", keys_strings=strings, default_int64=0
    )
    encode.attribute.append(numbers)
    rest = [
        workshop.node("Reshape", ["code", "flat"], ["row"]),
        workshop.node("Equal", ["row", "codes"], ["same"]),
        workshop.node("Cast", ["same"], ["f"], to=TensorProto.FLOAT),
        workshop.node("Mul", ["f", "nine"], ["y"]),
    ]
    weights = workshop.weights(
        flat=np.array([-1, 1], np.int64),
        codes=np.arange(len(texts) + 1, dtype=np.int64)[None],
        nine=np.array(9, np.float32),
    )
    graph = helper.make_graph(
        [encode, *rest],
        "g",
        [workshop.value("x", shape, TensorProto.STRING)],
        [workshop.value("y", [shape[0], len(texts) + 1])],
        weights,
    )
    sets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 2)]
    model = helper.make_model(graph, opset_imports=sets, ir_version=8)
    return workshop.keep(model.SerializeToString())


@pytest.mark.parametrize("shape", [["N"], ["N", 1], [None, None], [2], [1, 1]], ids=str)
def test_every_letter_of_a_text_arrives(
    workshop: Workshop, classes: Classes, shape: list[int | str | None]
) -> None:
    rows = np.array([*ODD, "of none of them"])
    with opened(workshop, encoder(workshop, ODD, shape), classes(len(ODD) + 1), rows) as model:
        assert model.interface.input_dtype == "str"
        assert model.interface.scores == "logits"
        assert model.predict(rows).argmax(axis=1).tolist() == [*range(1, len(ODD) + 1), 0]
        assert model.deterministic
        timing = model.time(rows, calls=3, warmup=1, batch_rows=2)
        assert len(timing.single) == 3


TEXTS = ["a good film", "good good fun", "bad film", "a bad end", "fun end", "good end"]


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    model = make_pipeline(CountVectorizer(lowercase=False), LogisticRegression())
    return model.fit(TEXTS, [1, 1, 0, 0, 1, 1])


@pytest.mark.parametrize("shape", [[None], [None, 1]], ids=str)
def test_a_pipeline_of_scikit_learn_scores_texts_as_it_does_itself(
    workshop: Workshop, classes: Classes, pipeline: Pipeline, shape: list[int | None]
) -> None:
    kind = [("text", StringTensorType(shape))]
    program = to_onnx(pipeline, initial_types=kind, options={"zipmap": False}, target_opset=18)
    artifact = workshop.keep(program.SerializeToString())
    rows = np.array([*TEXTS, "", "nothing of this", "good " * 900])
    with opened(workshop, artifact, classes(2), rows) as model:
        found = model.probabilities(model.predict(rows))
        assert found == pytest.approx(pipeline.predict_proba(rows), abs=1e-6)
        with open_twin(CPU, workshop.folder, artifact, model, rows) as twin:
            assert isinstance(twin, Gap)
            assert twin.reason is GapReason.NEEDS_NUMERIC_INPUT


def test_numbers_for_a_model_of_texts_are_refused_with_the_cure(
    workshop: Workshop, classes: Classes
) -> None:
    artifact = encoder(workshop, ["1.0"], ["N", 1])
    with (
        pytest.raises(ModelFailedError, match="takes text, but the data holds float64") as refused,
        opened(workshop, artifact, classes(2), np.ones((4, 1))),
    ):
        pass
    assert "input.text" in refused.value.cure


def test_texts_for_a_model_of_numbers_are_refused(workshop: Workshop, classes: Classes) -> None:
    rows = np.array(["1", "2", "3"])
    with (
        pytest.raises(ModelFailedError, match="takes float32, but the data holds str"),
        opened(workshop, workshop.linear(np.ones((1, 2))), classes(2), rows),
    ):
        pass
    with (
        pytest.raises(ArtifactError, match=r"shape \(\), but the input 'x' takes \[any, 5\]"),
        opened(workshop, workshop.linear(np.ones((5, 2))), classes(2), rows),
    ):
        pass


def test_a_text_that_no_frame_carries_is_refused_with_its_row(
    workshop: Workshop, classes: Classes
) -> None:
    with opened(workshop, encoder(workshop, ["a"], ["N"]), classes(2), np.array(["a"])) as model:
        rows = np.array(["a", "\u00e9" * (MOST_TEXT // 2 + 1)])
        with pytest.raises(ModelFailedError, match="row 1 has 100,000 bytes"):
            model.predict(rows)
        assert model.predict(np.array(["a" * MOST_TEXT])).argmax() == 0
