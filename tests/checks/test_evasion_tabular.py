"""evasion.tabular: counted on the target, recounted from evidence, aimed, and told in full."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import tabular_toys as toys
from evasion_toys import NOTHING, ToyModel, box, classes, subject

from auditor.checks.evasion.tabular import CHECK, TabularAttackCheck
from auditor.domain.budgets import AuditSize, Budget
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import find_refusal_gap
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence, decode_evidence, encode_evidence
from auditor.domain.json import encode_canonical
from auditor.domain.readings import BoundKind, Gap, GapReason, Measurement, Reading, Repeatability
from auditor.domain.tasks import ClassificationTask, FeatureKind, InputSpace
from auditor.errors import PolicyError

ROWS = 30
EPS = (0.1, 0.2)
QUICK = TabularAttackCheck(eps=EPS, stages=("capgd:10", "search:60"))


def table(
    seed: int = 0, *, twin: bool = True, show: bool = True, space: InputSpace | None = None
) -> Subject:
    entered, model, slope, rows = toys.linear_table(seed, count=ROWS)
    own = space or entered.constraints.space
    labels = entered.arena.labels
    seen = subject(model, slope if twin else NOTHING, rows, labels, own, classes(2))
    data = seen.datasets[DatasetRole.EVALUATION]
    groups = {"side": tuple("left" if row[7] < 5 else "right" for row in rows)}
    model.queries = 0
    model.seen.clear()
    datasets = {DatasetRole.EVALUATION: replace(data, groups=groups)}
    return replace(seen, datasets=datasets, show_examples=show)


@cache
def usual() -> dict[str, Any]:
    """What the quick check sees of the usual table; nobody changes it."""
    return observed(QUICK, table())


def observed(check: TabularAttackCheck, seen: Subject) -> dict[str, Any]:
    evidence = check.observe(seen, CheckShard())
    return {name: decode_evidence(encode_evidence(item).raw) for name, item in evidence.items()}


def read(
    check: TabularAttackCheck, evidence: Evidence, confidence: float = 0.95
) -> tuple[Reading, ...]:
    readings = check.figures(evidence, confidence)
    encode_canonical([reading.to_json() for reading in readings])
    return readings


def measured(readings: tuple[Reading, ...], metric: str, **params: float) -> Measurement:
    (found,) = (
        item
        for item in readings
        if isinstance(item, Measurement) and item.metric == metric
        if params.items() <= dict(item.params).items()
    )
    return found


def model_of(seen: Subject) -> ToyModel:
    assert isinstance(seen.model, ToyModel)
    return seen.model


def truth(seen: Subject) -> tuple[toys.Rows, Any, Any]:
    """Rows, labels, and the fewest moves that break each, in the order of the audit."""
    data, sample = seen.datasets[DatasetRole.EVALUATION], seen.sample(DatasetRole.EVALUATION, ROWS)
    assert data.inputs is not None
    assert data.labels is not None
    rows, labels = np.asarray(data.inputs[sample], dtype=np.float32), data.labels[sample]
    return rows, labels, toys.breakable(model_of(seen), rows, labels)


@pytest.mark.parametrize("twins", [1, pytest.param(0, marks=pytest.mark.slow)])
def test_robust_accuracy_is_what_listing_every_row_gives(twins: int) -> None:
    seen = table(twin=bool(twins))
    check = TabularAttackCheck(eps=EPS, stages=("capgd:20", "search:150x2"))
    readings = read(check, observed(check, seen))
    _, _, fewest = truth(seen)
    assert measured(readings, "clean_accuracy").value == pytest.approx((fewest > 0).mean())
    robust = measured(readings, "robust_accuracy", eps=0.2)
    assert robust.value == pytest.approx((fewest > 8).mean())
    assert robust.bound is BoundKind.AT_MOST
    assert robust.details["skipped"] == ([] if twins else ["capgd, 20 steps x 1"])


def test_readings_come_in_one_order_and_are_what_the_check_emits() -> None:
    evidence = usual()
    for confidence in (0.5, 0.95, 0.9999):
        readings = read(QUICK, evidence, confidence)
        assert [(item.metric, dict(item.params)) for item in readings] == [
            ("clean_accuracy", {}),
            *(("robust_accuracy", {"eps": eps}) for eps in EPS),
            ("min_breaking_eps", {}),
            ("features_moved", {}),
        ]
        for item in readings:
            assert isinstance(item, Measurement)
            assert item.unit is QUICK.emits[item.metric].unit
            assert item.bound is QUICK.emits[item.metric].bound
            assert item.repeat is Repeatability.EXACT
            assert isinstance(item.value, float)
            assert item.low is not None
            assert item.high is not None
            assert item.low <= item.value <= item.high


def test_features_moved_is_the_median_over_rows_that_were_right_of_minimal_changes() -> None:
    seen = table()
    evidence = usual()
    found = measured(read(QUICK, evidence), "features_moved")
    rows, labels, _ = truth(seen)
    own, minimal = evidence["minimal_rows"], evidence["minimal"]
    counts = toys.units_moved(rows[own], minimal)
    right = (
        len(rows)
        - found.details["left_out"]
        - measured(  # type: ignore[operator]
            read(QUICK, evidence), "robust_accuracy", eps=0.2
        ).details["wrong_without_attack"]
    )
    assert found.n == right
    everything = np.concatenate([counts, np.full(right - len(counts), minimal.shape[1])])
    assert found.value <= np.sort(everything)[(right + 1) // 2 - 1]
    assert found.value >= np.sort(counts)[(len(counts) + 1) // 2 - 1]
    widest = measured(read(QUICK, evidence), "robust_accuracy", eps=0.2)
    assert found.details["counterexamples"] == len(counts) == widest.details["broken"]
    assert (toys.decisions(model_of(seen), minimal) != labels[own]).all()
    assert toys.keep(minimal).all()
    assert found.details["not_certain"] == 0
    by_count: Any = found.details["by_count"]
    assert {int(count): rows for count, rows in by_count.items()} == {
        int(count): int((counts == count).sum()) for count in np.unique(counts)
    }
    moved: Any = found.details["moved"]
    for item in moved:
        (unit,) = (u for u in evidence["settings"]["units"] if u["name"] == item["feature"])
        apart = (rows[own] != minimal)[:, unit["columns"]].any(axis=1)
        assert item["share"] == pytest.approx(apart.mean())


def test_a_candidate_counts_only_if_its_probabilities_and_its_relations_say_so() -> None:
    evidence = usual()
    before = measured(read(QUICK, evidence), "robust_accuracy", eps=0.2)
    lied = {**evidence, "adversarial_probabilities": evidence["clean_probabilities"]}
    clean = measured(read(QUICK, evidence), "clean_accuracy")
    assert measured(read(QUICK, lied), "robust_accuracy", eps=0.2).value == clean.value
    impossible = {**evidence, "crafted_kept": np.zeros_like(evidence["crafted_kept"])}
    assert measured(read(QUICK, impossible), "robust_accuracy", eps=0.2).value == clean.value
    assert before.value != clean.value
    no_minimum = {**evidence, "minimal_kept": np.zeros_like(evidence["minimal_kept"])}
    gap = read(QUICK, no_minimum)[-1]
    assert isinstance(gap, Gap)
    assert gap.metric == "features_moved"


def test_shown_rows_are_measured_anew() -> None:
    evidence = usual()
    lied = {**evidence, "minimal_moved": np.zeros_like(evidence["minimal_moved"])}
    shown = len(evidence["example_rows"])
    counts: Any = measured(read(QUICK, lied), "features_moved").details["by_count"]
    assert sum(rows for count, rows in counts.items() if count != "0") == shown == QUICK.examples


def test_examples_stand_beside_their_clean_rows_and_only_with_leave() -> None:
    seen = table()
    evidence = usual()
    data = seen.datasets[DatasetRole.EVALUATION]
    assert data.inputs is not None
    places = [data.ids.index(name) for name in evidence["example_rows"]]
    np.testing.assert_array_equal(evidence["example_clean"], data.inputs[places])
    assert evidence["features"] == [feature.name for feature in toys.FEATURES]
    for before, after in zip(
        evidence["example_clean_class"], evidence["example_adversarial_class"], strict=True
    ):
        assert before != after
    units = toys.units_moved(evidence["example_clean"], evidence["example_adversarial"])
    assert units[0] == 1
    without = observed(QUICK, table(show=False))
    assert not [name for name in without if name.startswith("example_")]
    assert read(QUICK, without)[1].value == read(QUICK, evidence)[1].value  # type: ignore[union-attr]  # both are measured


def test_one_harm_counts_alone_when_it_is_named() -> None:
    seen = table()
    rows, labels, _ = truth(seen)
    check = TabularAttackCheck(eps=(0.2,), stages=("search:200",), label="0", decision="1")
    evidence = observed(check, seen)
    readings = read(check, evidence)
    refused = labels == 0
    fewest = toys.breakable(model_of(seen), rows[refused], labels[refused])
    robust = measured(readings, "robust_accuracy", eps=0.2)
    assert (evidence["labels"] == 0).all()
    assert robust.n == refused.sum()
    assert robust.value == pytest.approx((fewest > 8).mean())
    assert (robust.params["label"], robust.params["decision"]) == ("0", "1")
    any_label = read(TabularAttackCheck(eps=(0.2,), stages=("search:5",), decision="1"), evidence)
    assert measured(any_label, "robust_accuracy").n == refused.sum()


def test_rows_that_break_a_relation_as_they_are_are_left_out_and_counted() -> None:
    seen = table()
    data = seen.datasets[DatasetRole.EVALUATION]
    assert data.inputs is not None
    rows = np.array(data.inputs)
    dirty = seen.sample(DatasetRole.EVALUATION, 5)[:2]
    rows[dirty, :2] = 9
    datasets = {DatasetRole.EVALUATION: replace(data, inputs=rows)}
    again = replace(seen, datasets=datasets, space=toys.space(keeps=0.9), clean={})
    check = replace(QUICK, rows=10)
    evidence = observed(check, again)
    robust = measured(read(check, evidence), "robust_accuracy", eps=0.2)
    assert robust.n == 10
    assert robust.details["left_out"] == 2
    assert set(robust.details["left_out_rows"]) == {data.ids[row] for row in dirty}  # type: ignore[arg-type]  # a list of names
    assert not set(evidence["ids"]) & {data.ids[row] for row in dirty}
    assert robust.details["relations"] == [*toys.TEXTS, "one of purpose"]


def test_the_same_subject_gives_the_same_bytes() -> None:
    first, second = (QUICK.observe(table(), CheckShard()) for _ in range(2))
    assert list(first) == list(second)
    for name in first:
        assert encode_evidence(first[name]).digest == encode_evidence(second[name]).digest, name


@pytest.mark.parametrize("twins", [1, 0])
def test_queries_and_passes_stay_within_the_cost_and_are_all_told(twins: int) -> None:
    seen = table(twin=bool(twins))
    check = replace(QUICK, stages=("capgd:10x2", "search:40"), minimising=30)
    cost = check.cost(AuditSize(rows=ROWS, classes=2))
    log: list[Mapping[str, int]] = observed(check, seen)["settings"]["log"]
    bought = sum(bill["queries"] for bill in log)
    assert model_of(seen).queries == ROWS + bought <= cost.queries
    assert sum(bill["passes"] for bill in log) <= cost.passes
    assert bool(sum(bill["passes"] for bill in log)) == bool(twins)


def test_groups_and_classes_are_told_apart() -> None:
    robust = measured(read(QUICK, usual()), "robust_accuracy", eps=0.1)
    by_group: Any = robust.details["by_group"]
    assert {item["name"] for item in by_group["side"]} == {"left", "right"}
    by_class: Any = robust.details["by_class"]
    assert sum(item["rows"] for item in by_class) == ROWS


def test_a_model_that_nothing_breaks_withstands_and_has_no_counterexample() -> None:
    seen = table(twin=False)
    constant = replace(seen, model=ToyModel(lambda x: np.tile([3.0, 0.0], (len(x), 1))), clean={})
    readings = read(QUICK, observed(QUICK, constant))
    clean = measured(readings, "clean_accuracy").value
    assert measured(readings, "robust_accuracy", eps=0.2).value == clean
    assert measured(readings, "min_breaking_eps").details["unbroken_share"] == clean
    gap = readings[-1]
    assert isinstance(gap, Gap)
    assert (gap.reason, gap.metric) == (GapReason.NOT_DEFINED, "features_moved")


def test_a_target_that_answers_at_random_is_doubted() -> None:
    seen = table()
    model = model_of(seen)
    doubted = replace(seen, model=ToyModel(model.logits, deterministic=False), clean={})
    for item in read(QUICK, observed(QUICK, doubted)):
        assert isinstance(item, Measurement)
        assert item.doubted
        assert item.repeat is Repeatability.INTERVAL


def test_what_is_no_table_or_cannot_move_is_a_gap() -> None:
    seen = table()
    frozen = tuple(replace(item, immutable=True, direction=None) for item in toys.FEATURES)
    for check, other, words in (
        (QUICK, replace(seen, space=box((8,))), "declares no features"),
        (QUICK, replace(seen, space=toys.space(frozen)), "none of the features"),
    ):
        (gap,) = read(check, observed(check, other))
        assert isinstance(gap, Gap)
        assert gap.reason is GapReason.NOT_DEFINED
        assert words in gap.detail
    told = find_refusal_gap(QUICK, replace(seen, space=box((8,))))
    assert told is not None
    (gap,) = read(QUICK, observed(QUICK, replace(seen, space=box((8,)))))
    assert isinstance(gap, Gap)
    assert (told.reason, told.detail, told.cure) == (gap.reason, gap.detail, gap.cure)
    assert find_refusal_gap(QUICK, seen) is None


def test_a_budget_within_which_nothing_moves_withstands_nothing() -> None:
    whole = tuple(
        replace(it, kind=FeatureKind.INTEGER) if it.kind is FeatureKind.NUMERIC else it
        for it in toys.FEATURES
    )
    still = tuple(
        it if it.kind is FeatureKind.INTEGER else replace(it, immutable=True, direction=None)
        for it in whole
    )
    check = TabularAttackCheck(eps=(1e-4, 0.2), stages=("capgd:10", "search:60"))
    readings = read(check, observed(check, table(space=toys.space(still))))
    (gap,) = (it for it in readings if isinstance(it, Gap) and it.metric == "robust_accuracy")
    assert gap.params == {"eps": 1e-4}
    assert measured(readings, "robust_accuracy").params["eps"] == 0.2


def test_a_class_that_the_task_does_not_have_is_refused() -> None:
    with pytest.raises(PolicyError, match="'yes'"):
        replace(QUICK, label="yes").observe(table(), CheckShard())


def test_decisions_under_attack_cost_what_the_task_says() -> None:
    seen = table()
    assert isinstance(seen.task, ClassificationTask)
    priced = replace(seen, task=replace(seen.task, costs=((0.0, 5.0), (0.0, 0.0))))
    check = TabularAttackCheck(eps=(0.2,), stages=("search:200",))
    evidence = observed(check, priced)
    rows, labels, _ = truth(seen)
    harmed = (labels == 0) & (toys.breakable(model_of(seen), rows, labels) <= 8)
    found = measured(read(check, evidence), "expected_cost", eps=0.2)
    assert found.value == pytest.approx(5 * harmed.mean())
    assert found.bound is BoundKind.AT_LEAST
    assert measured(read(check, evidence), "robust_accuracy").value == pytest.approx(
        1 - harmed.mean()
    )


def test_a_rejection_is_neither_right_nor_a_break() -> None:
    seen = table(twin=False)
    assert isinstance(seen.task, ClassificationTask)
    model = ToyModel(lambda x: np.stack([x[:, 0] * 0 + 1, x[:, 0] * 0, x[:, 3] * 2], axis=1))
    names = ("0", "1", "person")
    task = ClassificationTask(names, "1", "1", reject="person")
    data = seen.datasets[DatasetRole.EVALUATION]
    assert data.inputs is not None
    labels = np.zeros(data.rows, dtype=np.int64)
    datasets = {DatasetRole.EVALUATION: replace(data, labels=labels)}
    rejecting = replace(seen, model=model, task=task, datasets=datasets, clean={})
    readings = read(QUICK, observed(QUICK, rejecting))
    robust = measured(readings, "robust_accuracy", eps=0.2)
    assert robust.value == pytest.approx((np.asarray(data.inputs)[:, 3] == 0).mean())
    assert robust.details["broken"] == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"eps": ()}, {"eps": (0.0,)}, {"eps": (2.0,)}, {"stages": ()}, {"stages": ("pgd:5",)},
        {"rows": 0}, {"minimising": 0}, {"most_features": -1}, {"label": "1", "decision": "1"},
    ],
)  # fmt: skip
def test_parameters_without_a_meaning_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(PolicyError):
        TabularAttackCheck(**wrong)


@pytest.mark.parametrize("budget", list(Budget))
def test_every_preset_measures_at_three_budgets_at_least(budget: Budget) -> None:
    preset: dict[str, Any] = dict(TabularAttackCheck.presets[budget])
    check = TabularAttackCheck(**preset)
    assert len(set(check.eps)) >= 3
    assert CHECK is TabularAttackCheck


def test_precision_is_the_half_width_of_a_share_of_all_rows() -> None:
    best = QUICK.precision(AuditSize(rows=ROWS, classes=2), 0.95)
    clean = TabularAttackCheck(stages=("search:1",)).precision(AuditSize(rows=0, classes=2), 0.95)
    assert 0 < best["robust_accuracy"] < 0.1
    assert clean["robust_accuracy"] == 1.0
