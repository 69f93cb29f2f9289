"""hardware.attestation: the same stack signs alike, another one does not, and no answer replays."""

import base64
import hashlib
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from scored_subjects import ABSENT, measured, read, stored

from auditor.attacks.hardware.fingerprint_inputs import (
    ChallengeResponse,
    commit_nonce,
    majority_labels,
    read_response,
)
from auditor.checks.hardware.attestation import AttestationCheck, _named
from auditor.domain.artifacts import Artifact, FileDigest, SignatureMaterial
from auditor.domain.budgets import AuditSize, Budget
from auditor.domain.check_subject import Subject
from auditor.domain.checks import is_attack
from auditor.domain.datasets import Dataset, DatasetRole
from auditor.domain.models import CompanionModel, Model
from auditor.domain.readings import Gap, GapReason
from auditor.domain.targets import Fingerprint, TargetSpec
from auditor.domain.tasks import Array, ClassificationTask, Floats
from auditor.targets.session import open_model
from auditor.workflows.engine.audit_subject import REFERENCE

ROWS, CLASSES = 400, 4
TASK = ClassificationTask(("0", "1", "2", "3"), "3", "3")
Open = Callable[[TargetSpec], Model]
FEW = AttestationCheck(inputs=128, repeats=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with enough sums that their order decides the last bits."""
    rng = np.random.default_rng(11)
    weights = {
        "k": rng.normal(size=(16, 1, 3, 3)) / 3,
        "k2": rng.normal(size=(16, 16, 3, 3)) / 12,
        "w": rng.normal(size=(16 * 64, CLASSES)) / 32,
    }
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Conv", ["r", "k2"], ["c2"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node("Flatten", ["r2"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 1, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", CLASSES])],
        [numpy_helper.from_array(a.astype(np.float32), name) for name, a in weights.items()],
    )
    made = tmp_path_factory.mktemp("staged")
    sets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=sets, ir_version=8), made / "net.onnx")
    return made


@pytest.fixture(scope="module")
def rows() -> Array:
    return np.random.default_rng(2).normal(size=(ROWS, 1, 8, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def open_on(folder: Path, rows: Array) -> Iterator[Open]:
    raw = (folder / "net.onnx").read_bytes()
    digest = FileDigest("net.onnx", len(raw), hashlib.sha256(raw).hexdigest())
    artifact = Artifact("net", "1", (digest,))
    with ExitStack() as stack:
        yield lambda spec: stack.enter_context(open_model(spec, folder, artifact, TASK, rows[:64]))


@pytest.fixture(scope="module")
def reference(open_on: Open) -> Model:
    return open_on(REFERENCE)


def subject(model: Model, reference: Model, rows: Array, seed: int = 7) -> Subject:
    ids = tuple(str(row) for row in range(len(rows)))
    data = Dataset(DatasetRole.EVALUATION, (FileDigest("t", 1, "0" * 64),), rows, None, ids)
    return Subject(
        artifact=Artifact("net", "1", (FileDigest("net.onnx", 1, "0" * 64),)),
        structure=ABSENT,
        signature=SignatureMaterial(),
        model=model,
        twin=ABSENT,
        task=TASK,
        space=ABSENT,
        datasets={DatasetRole.EVALUATION: data},
        audit_seed=7,
        seed=seed,
        budget=Budget.SMOKE,
        reference=CompanionModel(lambda: reference, about=REFERENCE.to_json()),
    )


@dataclass
class Impostor:
    """An endpoint that answers what it has seen from memory, and all else by another stack."""

    honest: Model
    other: Model
    seen: dict[bytes, Floats] = field(default_factory=dict)
    learning: bool = True

    @property
    def fingerprint(self) -> Fingerprint:
        return self.honest.fingerprint

    def predict(self, inputs: Array) -> Floats:
        answers = (self.honest if self.learning else self.other).predict(inputs)
        for index, row in enumerate(inputs):
            key = row.tobytes()
            if self.learning:
                self.seen[key] = answers[index]
            answers[index] = self.seen.get(key, answers[index])
        return answers

    def probabilities(self, scores: Floats) -> Floats:
        return self.honest.probabilities(scores)


@dataclass
class Unsteady:
    """A stack whose border moves: every fourth answer of a call is another class."""

    honest: Model
    calls: int = 0

    def predict(self, inputs: Array) -> Floats:
        scores = self.honest.predict(inputs)
        if self.calls % 2:
            scores[::4] = np.roll(scores[::4], 1, axis=1)
        self.calls += 1
        return scores

    def probabilities(self, scores: Floats) -> Floats:
        return self.honest.probabilities(scores)


def agreement(model: Model, reference: Model, rows: Array, check: AttestationCheck = FEW) -> float:
    value = measured(read(check, subject(model, reference, rows)), "label_agreement").value
    assert isinstance(value, float)
    return value


def test_repeats_and_threads_sign_alike(open_on: Open, reference: Model, rows: Array) -> None:
    readings = read(FEW, subject(reference, reference, rows))
    assert measured(readings, "label_agreement").value == 1.0
    assert measured(readings, "repeat_agreement").value == 1.0
    assert agreement(open_on(TargetSpec("two", threads=2)), reference, rows) >= 0.99


def test_rows_a_request_do_not_matter(reference: Model, rows: Array) -> None:
    @dataclass
    class OneByOne:
        honest: Model

        def predict(self, inputs: Array) -> Floats:
            return np.concatenate([self.honest.predict(row[None]) for row in inputs])

        def probabilities(self, scores: Floats) -> Floats:
            return self.honest.probabilities(scores)

    assert agreement(OneByOne(reference), reference, rows) >= 0.99


@pytest.mark.parametrize("level", ["none", "basic"])
def test_another_graph_optimisation_signs_otherwise(
    open_on: Open, reference: Model, rows: Array, level: str
) -> None:
    other = open_on(TargetSpec(level, graph_optimization=level))
    # Where the fast layout brings nothing, its kernels are those of the plain one.
    if np.array_equal(other.predict(rows), reference.predict(rows)):
        pytest.skip("on this processor both levels choose the same kernels")
    assert agreement(other, reference, rows) <= 0.8


def test_the_same_seed_gives_the_same_bytes(reference: Model, rows: Array) -> None:
    first, second = (stored(FEW, subject(reference, reference, rows)) for _ in range(2))
    assert first["about"] == second["about"]
    assert np.array_equal(first["labels"], second["labels"])
    other = stored(FEW, subject(reference, reference, rows, seed=8))
    assert other["about"]["inputs_digest"] != first["about"]["inputs_digest"]


def signed(readings: tuple[object, ...]) -> str:
    return str(measured(readings, "label_agreement").details["signature"])


def test_a_recorded_signature_knows_its_target_again_and_no_other(
    open_on: Open, reference: Model, rows: Array
) -> None:
    other = open_on(TargetSpec("none", graph_optimization="none"))
    fast, plain = (
        signed(read(FEW, subject(model, reference, rows))) for model in (reference, other)
    )
    check = replace(FEW, recorded=(f"fast={fast}", f"again={fast}", f"plain={plain}"))
    readings = read(check, subject(reference, reference, rows))
    assert measured(readings, "recorded_agreement", recorded="fast").value == 1.0
    same = measured(readings, "recorded_agreement", recorded="fast").details["not_told_from"]
    assert "again" in same
    if fast != plain:
        assert measured(readings, "recorded_agreement", recorded="plain").value < 0.9
        assert "plain" not in same


def test_a_signature_over_other_inputs_is_a_gap(reference: Model, rows: Array) -> None:
    kept = signed(read(FEW, subject(reference, reference, rows, seed=8)))
    check = replace(FEW, recorded=(f"edge={kept}", "broken=nonsense"))
    found = [
        item
        for item in read(check, subject(reference, reference, rows))
        if item.metric == "recorded_agreement"
    ]
    assert [item.params["recorded"] for item in found] == ["edge", "broken"]
    assert all(isinstance(item, Gap) for item in found)
    assert {item.reason for item in found if isinstance(item, Gap)} == {GapReason.OTHER_PARAMETERS}


def test_replayed_answers_pass_a_recorded_signature_and_fail_fresh_challenges(
    open_on: Open, reference: Model, rows: Array
) -> None:
    other = open_on(TargetSpec("none", graph_optimization="none"))
    if np.array_equal(other.predict(rows), reference.predict(rows)):
        pytest.skip("on this processor both levels choose the same kernels")
    impostor = Impostor(reference, other)
    kept = signed(read(replace(FEW, nonce="first"), subject(impostor, reference, rows)))
    impostor.learning = False
    check = replace(FEW, recorded=(f"edge={kept}",), spent=(commit_nonce("first"),))
    readings = read(replace(check, nonce="second"), subject(impostor, reference, rows))
    assert measured(readings, "recorded_agreement").value == 1.0  # a recording is fooled
    fresh = measured(readings, "fresh_agreement")
    assert fresh.value <= 0.8
    assert fresh.details["commitment"] == commit_nonce("second")
    honest = read(replace(check, nonce="second"), subject(reference, reference, rows))
    assert measured(honest, "fresh_agreement").value == 1.0


def test_a_nonce_that_was_spent_proves_nothing(reference: Model, rows: Array) -> None:
    check = replace(FEW, nonce="first", spent=(commit_nonce("first"),))
    (gap,) = [
        item
        for item in read(check, subject(reference, reference, rows))
        if item.metric == "fresh_agreement"
    ]
    assert isinstance(gap, Gap)
    assert "was spent before" in gap.detail


def test_without_a_nonce_or_a_recording_those_figures_are_gaps(
    reference: Model, rows: Array
) -> None:
    found = {item.metric: item for item in read(FEW, subject(reference, reference, rows))}
    assert isinstance(found["fresh_agreement"], Gap)
    assert isinstance(found["recorded_agreement"], Gap)
    assert "replayed" in found["fresh_agreement"].detail


def test_an_unsteady_target_is_seen_and_decided_by_the_majority(
    reference: Model, rows: Array
) -> None:
    check = replace(FEW, repeats=3)
    readings = read(check, subject(Unsteady(reference), reference, rows))
    stable = measured(readings, "repeat_agreement").value
    assert 0.75 <= stable < 0.8  # where two classes tie, the moved answer may be the same
    assert measured(readings, "label_agreement").value == 1.0


def test_rows_of_one_class_have_no_border(reference: Model, rows: Array) -> None:
    alike = np.repeat(rows[:1], 50, axis=0)
    (gap,) = read(FEW, subject(reference, reference, alike))
    assert isinstance(gap, Gap)
    assert "No two rows are of different classes" in gap.detail


def test_without_a_reference_there_is_no_border_to_ask_about(reference: Model, rows: Array) -> None:
    made = replace(subject(reference, reference, rows), reference=CompanionModel())
    (gap,) = read(FEW, made)
    assert isinstance(gap, Gap)
    assert gap.reason is GapReason.NEEDS_REFERENCE


def test_a_signature_is_read_back_and_nonsense_is_none() -> None:
    labels = np.array([0, 3, 2, 500])
    kept = ChallengeResponse("sha256:" + "ab" * 32, labels)
    again = read_response(kept.written())
    assert again is not None
    assert again.same(kept) is not None
    assert np.array_equal(again.labels, labels)
    assert [read_response(text) for text in ("", "x", "ab.!!", "ab.AAAA")] == [None] * 4


@pytest.mark.parametrize("count", [1, 2, 3, 16, 17])
def test_a_signature_without_a_name_is_read_as_one_however_it_ends(count: int) -> None:
    """Its last characters may be the sign that stands behind a name."""
    text = ChallengeResponse("0123456789abcdef", np.arange(count)).written()
    assert _named(text) == ("recorded", text)
    assert _named(f"edge={text}") == ("edge", text)


def test_two_signatures_under_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="2 signatures under 1 names"):
        AttestationCheck(recorded=("edge=ab.cd", "edge=ab.ef"))


def test_a_text_that_unpacks_into_far_more_than_it_is_is_no_signature() -> None:
    bomb = base64.urlsafe_b64encode(zlib.compress(bytes(2**26), 9)).decode()
    assert len(bomb) < 10**5
    assert read_response(f"0123456789abcdef.{bomb}") is None


def test_of_labels_that_disagree_the_commonest_wins() -> None:
    told: NDArray[np.int64] = np.array([[1, 2, 0], [1, 0, 2], [0, 2, 1]])
    assert majority_labels(told).tolist() == [1, 2, 0]


def test_nobody_is_asked_at_the_border_without_leave() -> None:
    assert is_attack(AttestationCheck)


@pytest.mark.parametrize("budget", list(Budget))
def test_the_cost_covers_what_a_budget_spends(
    budget: Budget, reference: Model, rows: Array
) -> None:
    check = AttestationCheck(**{**AttestationCheck.presets[budget], "nonce": "n"})
    asked, beside = CountingModel(reference), CountingModel(reference)
    check.observe(subject(asked, beside, rows), shard=None)
    cost = check.cost(AuditSize(ROWS, CLASSES))
    assert asked.rows <= cost.queries
    assert asked.rows < beside.rows <= cost.reference


@dataclass
class CountingModel:
    """Counts the rows that the target is asked about."""

    honest: Model
    rows: int = 0

    @property
    def fingerprint(self) -> Fingerprint:
        return self.honest.fingerprint

    def predict(self, inputs: Array) -> Floats:
        self.rows += len(inputs)
        return self.honest.predict(inputs)

    def probabilities(self, scores: Floats) -> Floats:
        return self.honest.probabilities(scores)
