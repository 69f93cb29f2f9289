"""hardware.parity: the same rows on the target and on the reference, compared one by one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evasion_toys import ToyModel, box, classes, linear, subject

from auditor.checks.hardware.parity import ParityCheck
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.evidence import Evidence, decode_evidence, encode_evidence
from auditor.domain.models import CompanionModel
from auditor.domain.readings import Gap, GapReason, Measurement, Reading
from auditor.domain.targets import CascadeSpec, EndpointSpec, TargetSpec
from auditor.domain.tasks import Array, ClassificationTask, FeatureKind, Floats, InputFeature
from auditor.errors import LimitReachedError

ROWS = 400


def pair(change: float, *, labelled: bool = True) -> Subject:
    """A target whose first score is moved by ``change`` against the reference's."""
    reference, _, weights, bias = linear(0, 4, classes=3)
    moved = ToyModel(lambda x: x @ weights + bias + np.array([change, 0.0, 0.0]))
    rows = np.random.default_rng(1).random((ROWS, 4))
    labels = np.argmax(rows @ weights + bias, axis=1)
    seen = subject(moved, _absent(), rows, labels, box((4,)), classes(3))
    if not labelled:
        role = next(iter(seen.datasets))
        seen.datasets = {role: replace(seen.datasets[role], labels=None)}
    seen.reference = CompanionModel(lambda: reference, about={"name": "reference"})
    return seen


def _absent() -> Gap:
    return Gap(reason=GapReason.NEEDS_TWIN, detail="absent", cure="none")


def looked(seen: Subject, confidence: float = 0.95) -> tuple[Reading, ...]:
    evidence = ParityCheck().observe(seen, CheckShard())
    kept: Evidence = {
        name: decode_evidence(encode_evidence(item).raw) for name, item in evidence.items()
    }
    return ParityCheck().figures(kept, confidence)


def one(found: tuple[Reading, ...], metric: str) -> Measurement:
    (reading,) = [item for item in found if isinstance(item, Measurement) and item.metric == metric]
    return reading


def test_a_target_that_computes_the_same_flips_nothing() -> None:
    found = looked(pair(0.0))
    assert one(found, "flip_rate").value == 0
    assert one(found, "flip_rate").high < 0.01  # type: ignore[operator]  # a share
    assert one(found, "max_logit_diff").value == 0
    assert one(found, "max_logit_diff").details["bit_equal_rows"] == 1


def test_flips_are_counted_row_by_row() -> None:
    seen = pair(0.3)
    found = looked(seen)
    model, reference = seen.model, seen.reference.model()
    assert not isinstance(model, Gap)
    assert not isinstance(reference, Gap)
    inputs = next(iter(seen.datasets.values())).inputs
    assert inputs is not None
    differ = np.argmax(model.predict(inputs), 1) != np.argmax(reference.predict(inputs), 1)
    rate = one(found, "flip_rate")
    assert rate.details["flips"] == differ.sum() > 0
    assert rate.value == pytest.approx(differ.mean())
    assert set(rate.details["to"]) == {"0"}  # type: ignore[arg-type]  # all flips go where it leans
    assert one(found, "max_logit_diff").value == pytest.approx(0.3)


def test_flips_that_cancel_out_leave_accuracy_alone_and_are_seen() -> None:
    """Half of the labels are wrong from the start, so that flips gain as often as they lose."""
    seen = pair(0.3)
    role, dataset = next(iter(seen.datasets.items()))
    assert dataset.labels is not None
    assert dataset.inputs is not None
    assert not isinstance(seen.model, Gap)
    decided = np.argmax(seen.model.predict(dataset.inputs), axis=1)
    mixed = np.where(np.arange(ROWS) % 2, dataset.labels, decided)
    seen.datasets = {role: replace(dataset, labels=mixed)}
    found = looked(seen)
    change = one(found, "accuracy_change")
    assert change.low < 0 < change.high  # type: ignore[operator]  # an interval
    assert one(found, "flip_rate").low > 0.01  # type: ignore[operator]  # a share
    assert one(found, "right_to_wrong").value > 0  # type: ignore[operator]  # a share


def test_every_class_has_a_rate_and_they_hold_together() -> None:
    found = looked(pair(0.3))
    rates = [item for item in found if item.metric == "class_flip_rate"]
    assert [item.params["class"] for item in rates] == ["0", "1", "2"]
    levels = [getattr(item, "confidence", None) for item in rates]
    assert levels == pytest.approx([1 - 0.05 / 3] * 3)


def test_without_labels_the_truth_is_a_gap_and_flips_are_still_told() -> None:
    found = looked(pair(0.3, labelled=False))
    gaps = [item for item in found if isinstance(item, Gap)]
    assert [(gap.metric, gap.reason) for gap in gaps] == [
        ("right_to_wrong", GapReason.NEEDS_LABELS),
        ("accuracy_change", GapReason.NEEDS_LABELS),
    ]
    assert one(found, "flip_rate").value > 0  # type: ignore[operator]  # a share


def test_without_a_reference_there_is_one_gap() -> None:
    seen = pair(0.3)
    seen.reference = CompanionModel(
        lambda: Gap(reason=GapReason.MODEL_FAILED, detail="broken", cure="x")
    )
    (gap,) = looked(seen)
    assert isinstance(gap, Gap)
    assert gap.reason is GapReason.NEEDS_REFERENCE
    assert "broken" in gap.detail


def test_the_target_is_asked_once_for_rows_that_others_need_too(tmp_path: Path) -> None:
    seen = pair(0.1)
    looked(seen)
    assert isinstance(seen.model, ToyModel)
    before = seen.model.queries
    seen.probabilities(next(iter(seen.datasets)))
    assert seen.model.queries == before == ROWS


LEAVE = EndpointSpec(url="https://models.example", authorisation="The owner, for this audit.")
PROD = TargetSpec("prod", "endpoint", endpoint=LEAVE)
KINDS = ("noise", "crafted")


def served(answers: ToyModel, *, twin: bool = True, spec: TargetSpec = PROD) -> Subject:
    """A linear file, its twin, and a server that answers in its place."""
    file, own, weights, bias = linear(0, 4, classes=3)
    rows = np.random.default_rng(1).random((ROWS, 4))
    labels = np.argmax(rows @ weights + bias, axis=1)
    seen = subject(answers, _absent(), rows, labels, box((4,)), classes(3))
    seen.target = spec
    there = (lambda: own) if twin else _absent
    seen.reference = CompanionModel(lambda: file, there, {"name": "reference"})
    return seen


def file_logits(x: Floats) -> Floats:
    _, _, weights, bias = linear(0, 4, classes=3)
    return np.asarray(x @ weights + bias)


def knowing(x: Floats) -> Floats:
    """Give each row the file's answer to the evaluation row that it lies nearest to.

    On the evaluation rows that is parity to the last bit; near them no attack turns a decision.
    """
    known = np.random.default_rng(1).random((ROWS, 4))
    nearest = np.abs(x[:, None, :] - known[None]).max(axis=2).argmin(axis=1)
    return file_logits(known[nearest])


def perturbed(found: tuple[Reading, ...]) -> dict[str, Measurement]:
    """The flip rates on moved rows, by how they were moved."""
    return {
        str(item.params["perturbation"]): item
        for item in found
        if isinstance(item, Measurement) and item.metric == "perturbed_flip_rate"
    }


def missing(found: tuple[Reading, ...]) -> Gap:
    (gap,) = [it for it in found if isinstance(it, Gap) and it.metric == "perturbed_flip_rate"]
    return gap


def test_a_target_that_runs_the_file_is_compared_as_ever() -> None:
    seen = pair(0.3)
    evidence = ParityCheck().observe(seen, CheckShard())
    assert evidence.keys() == {
        "ids", "before", "after", "expected", "decided", "classes", "labels", "reference",
    }  # fmt: skip
    assert not perturbed(looked(seen))


@pytest.mark.parametrize("twin", [True, False], ids=["gradient", "search"])
def test_a_server_of_the_file_flips_nothing_on_moved_rows(twin: bool) -> None:  # noqa: FBT001
    found = looked(served(ToyModel(file_logits), twin=twin))
    rates = perturbed(found)
    assert rates.keys() == {*KINDS}
    for rate in rates.values():
        assert (rate.value, rate.n) == (0, ROWS)
        assert rate.high < 0.01  # type: ignore[operator]  # a share
        assert rate.details["by"] == ("gradient" if twin else "search")
    # Rows were crafted to turn the file's decision, and most of them do.
    assert rates["crafted"].details["turned"] > rates["noise"].details["turned"] > 0  # type: ignore[operator]


@pytest.mark.parametrize("twin", [True, False], ids=["gradient", "search"])
def test_a_server_that_knows_the_rows_is_found_out_beside_them(twin: bool) -> None:  # noqa: FBT001
    found = looked(served(ToyModel(knowing), twin=twin))
    assert one(found, "flip_rate").value == 0
    assert one(found, "max_logit_diff").value == 0
    for kind, rate in perturbed(found).items():
        assert rate.low > 0.01, kind  # type: ignore[operator]  # beyond any limit of a pack


def test_a_cascade_is_held_to_moved_rows_too() -> None:
    both = TargetSpec("both", "cascade", cascade=CascadeSpec(TargetSpec("edge"), TargetSpec("npu")))
    assert perturbed(looked(served(ToyModel(knowing), spec=both)))["crafted"].value > 0  # type: ignore[operator]


def test_without_leave_nothing_but_ordinary_rows_is_sent() -> None:
    spec = replace(PROD, endpoint=replace(LEAVE, authorisation=None))
    seen = served(ToyModel(file_logits), spec=spec)
    found = looked(seen)
    assert missing(found).reason is GapReason.NEEDS_AUTHORISATION
    assert one(found, "flip_rate").value == 0
    assert isinstance(seen.model, ToyModel)
    assert seen.model.queries == ROWS


def test_a_reference_that_is_served_shows_nothing_of_the_file() -> None:
    seen = served(ToyModel(file_logits))
    seen.reference = replace(seen.reference, about={"name": "twin", "endpoint": {"url": "x"}})
    assert missing(looked(seen)).reason is GapReason.NEEDS_REFERENCE


def test_without_an_input_space_rows_cannot_be_moved() -> None:
    seen = served(ToyModel(file_logits))
    seen.space = Gap(reason=GapReason.NEEDS_NUMERIC_INPUT, detail="No space.", cure="Write it.")
    assert missing(looked(seen)).detail == "No space."


def test_a_limit_on_queries_leaves_what_was_compared_before() -> None:
    model = ToyModel(file_logits)

    def limited(x: Floats) -> Floats:
        if model.queries > ROWS:
            raise LimitReachedError("that would be more rows than were allowed", cure="Allow more.")
        return file_logits(x)

    model.logits = limited
    found = looked(served(model))
    assert missing(found).reason is GapReason.OVER_BUDGET
    assert one(found, "flip_rate").value == 0


def test_noise_and_crafted_rows_are_not_told_apart_by_how_they_are_sent() -> None:
    seen = served(ToyModel(file_logits))
    looked(seen)
    assert isinstance(seen.model, ToyModel)
    clean, both = seen.model.seen
    assert (len(clean), len(both)) == (ROWS, 2 * ROWS)
    moved = np.abs(both[:ROWS] - clean).max(axis=1)
    assert moved.max() > 0.2  # not in the order of the rows


def test_the_same_seed_moves_the_same_rows() -> None:
    def sent(seed: int) -> Array:
        seen = served(ToyModel(file_logits))
        seen.seed = seed
        looked(seen)
        assert isinstance(seen.model, ToyModel)
        return seen.model.seen[-1]

    assert np.array_equal(sent(7), sent(7))
    assert not np.array_equal(sent(7), sent(8))


def test_a_table_stays_what_its_schema_allows() -> None:
    features = (
        InputFeature("age", FeatureKind.INTEGER, 18, 90, immutable=True),
        InputFeature("income", FeatureKind.NUMERIC, 0, 100),
        InputFeature("red", FeatureKind.BINARY, 0, 1, one_hot="colour"),
        InputFeature("blue", FeatureKind.BINARY, 0, 1, one_hot="colour"),
    )
    rng = np.random.default_rng(4)
    red = rng.integers(0, 2, ROWS)
    rows = np.column_stack(
        [rng.integers(18, 90, ROWS), rng.uniform(0, 100, ROWS), red, 1 - red]
    ).astype(np.float64)
    space = replace(
        box((4,), features=features, mutable=np.array([False, True, True, True])),
        low=np.array([18.0, 0, 0, 0]), high=np.array([90.0, 100, 1, 1]),
    )  # fmt: skip
    weights = np.array([[0.0, 0.0], [-0.1, 0.1], [1.0, -1.0], [-1.0, 1.0]])
    model, file = (ToyModel(lambda x: (x - [0, 50, 0, 0]) @ weights) for _ in range(2))
    seen = subject(model, _absent(), rows, red, space, classes(2))
    seen.target = PROD
    seen.reference = CompanionModel(lambda: file, _absent, {})
    rates = perturbed(looked(seen))
    assert all(rate.value == 0 for rate in rates.values())
    assert rates["crafted"].details["turned"] > 0  # type: ignore[operator]
    moved = model.seen[-1]
    assert (moved[:, 2] + moved[:, 3] == 1).all()
    assert set(np.unique(moved[:, 2])) == {0.0, 1.0}
    assert sorted(moved[:, 0]) == sorted([*rows[:, 0], *rows[:, 0]])
    assert ((moved[:, 1] >= 0) & (moved[:, 1] <= 100)).all()


class Reader(ToyModel):
    """A model of texts that counts a word; ``blind`` to how it is written."""

    blind = False

    def predict(self, inputs: Array) -> Floats:
        self.queries += len(inputs)
        self.seen.append(inputs)
        found = [self._votes(str(text)) for text in inputs]
        return np.array([[-votes, votes] for votes in found], dtype=np.float64)

    def _votes(self, text: str) -> float:
        words = text.split()
        alike = (
            [word[:1] == "w" for word in words] if self.blind else [w == "wonderful" for w in words]
        )
        return sum(alike) - 0.5


def texts(model: Reader) -> Subject:
    rng = np.random.default_rng(2)
    good = rng.integers(0, 2, ROWS)
    said = np.array([
        f"these people found number{at} {'wonderful' if yes else 'terrible'} today"
        for at, yes in enumerate(good)
    ])  # fmt: skip
    task = ClassificationTask(("no", "yes"), "yes", "yes")
    seen = subject(model, _absent(), said, good, box((1,)), task)
    seen.space = Gap(reason=GapReason.NEEDS_NUMERIC_INPUT, detail="Texts.", cure="None.")
    seen.target = PROD
    file = Reader(lambda x: x)
    seen.reference = CompanionModel(lambda: file, _absent, {})
    return seen


@pytest.mark.slow
def test_texts_are_misspelt_and_a_server_that_reads_past_it_is_found_out() -> None:
    model = Reader(lambda x: x)
    rates = perturbed(looked(texts(model)))
    assert all(rate.value == 0 for rate in rates.values())
    assert rates["crafted"].details["turned"] > 0  # type: ignore[operator]
    assert all(len(str(text).split()) == 6 for text in model.seen[-1])
    forgiving = Reader(lambda x: x)
    forgiving.blind = True
    found = looked(texts(forgiving))
    assert one(found, "flip_rate").value == 0
    assert perturbed(found)["crafted"].low > 0.01  # type: ignore[operator]


def test_rows_that_cannot_be_moved_show_nothing() -> None:
    seen = served(ToyModel(knowing))
    seen.space = box((4,), mutable=np.zeros(4, dtype=np.bool_))
    gaps = [it for it in looked(seen) if isinstance(it, Gap)]
    assert [(gap.metric, gap.reason, gap.params) for gap in gaps] == [
        ("perturbed_flip_rate", GapReason.NOT_DEFINED, {"perturbation": kind}) for kind in KINDS
    ]
    assert isinstance(seen.model, ToyModel)
    assert seen.model.queries == ROWS


def test_only_rows_that_were_moved_count() -> None:
    """Within 0.05 of 0..10 a whole number cannot move, so that every second budget moves none."""
    file, _, weights, bias = linear(0, 4, classes=3)
    rows = np.random.default_rng(1).integers(0, 11, (ROWS, 4))
    model = ToyModel(lambda x: x @ weights + bias)
    seen = subject(
        model, _absent(), rows, np.zeros(ROWS, dtype=np.int64), box((4,), high=10), classes(3)
    )
    seen.target = PROD
    seen.reference = CompanionModel(lambda: file, _absent, {})
    for kind, rate in perturbed(looked(seen)).items():
        assert 0 < rate.n <= ROWS // 2, kind


def test_a_range_that_the_data_do_not_have_moves_nothing() -> None:
    seen = served(ToyModel(knowing))
    seen.space = box((4,), high=1e-9)
    assert missing(looked(seen)).reason is GapReason.NOT_DEFINED
