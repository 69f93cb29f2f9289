"""privacy.obfuscation: what altering hides of a model that remembers, and what it costs."""

from dataclasses import replace

import numpy as np
import pytest
from exposed_subjects import GREEDY, MODEST, exposed
from scored_subjects import ends, measured, read

from auditor.attacks.privacy.membership_verdicts import LeakVerdict
from auditor.checks.measure import instantiate_check
from auditor.checks.privacy.obfuscation import CHECK
from auditor.domain.budgets import AuditSize, Budget
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.datasets import DatasetRole
from auditor.domain.readings import BoundKind, Gap, GapReason, Measurement, Reading

NONE = {"mitigation": "none"}
HOT = {"mitigation": "temperature", "strength": 8.0}


def of(subject: Subject, **fields: object) -> tuple[Reading, ...]:
    return read(CHECK(**fields), subject)


def greedy() -> Subject:
    return exposed(GREEDY, seed=1, members=200, others=800)


def test_a_model_that_remembers_is_shown_to_until_its_answers_say_less() -> None:
    found = of(greedy(), temperatures=(8.0,), noise=(4.0,))
    assert measured(found, "verdict", **NONE).value == LeakVerdict.SHOWN
    plain = measured(found, "auc", **NONE)
    assert plain.bound is BoundKind.AT_LEAST
    assert ends(plain)[0] > 0.55
    less = measured(found, "auc_change", mitigation="noise")
    assert ends(less)[1] < 0
    assert measured(found, "auc", mitigation="noise").value == pytest.approx(
        plain.value + less.value
    )


def test_what_altering_hides_is_a_bound_against_who_does_not_adapt() -> None:
    for item in (it for it in of(greedy()) if it.metric in {"auc_change", "verdict"}):
        assert item.bound is BoundKind.AT_LEAST
        adapts = item.params["mitigation"] == "labels"
        assert ("does not adapt" in item.details["attacker"]) != adapts


def test_labels_alone_are_attacked_by_one_label_and_by_those_of_noisy_copies() -> None:
    found = of(greedy(), copies=10)
    single, asked = (
        measured(found, "verdict", mitigation="labels", strength=strength) for strength in (0, 10)
    )
    assert "asks for no more" in single.details["attacker"]
    assert "10 noisy copies" in asked.details["attacker"]
    assert ends(measured(found, "auc", mitigation="labels", strength=10))[0] > 0.5
    costs = [it for it in found if it.metric == "accuracy_change"]
    assert [it.params["strength"] for it in costs if it.params["mitigation"] == "labels"] == [0]


def test_labels_of_noisy_copies_of_a_model_that_saw_neither_tell_nothing() -> None:
    found = of(exposed(MODEST, on="neither"), copies=10)
    said = measured(found, "verdict", mitigation="labels", strength=10)
    assert said.value == LeakVerdict.NO_EVIDENCE


def test_one_label_is_right_or_wrong_and_no_more() -> None:
    seen = CHECK().observe(greedy(), CheckShard())
    assert set(np.unique(seen["chance_labels_0"])) <= {0.0, 1.0}


def test_rounding_hides_next_to_nothing() -> None:
    found = of(greedy())
    assert measured(found, "verdict", mitigation="rounding").value == LeakVerdict.SHOWN
    assert measured(found, "auc_change", mitigation="rounding").value > -0.05


def test_heat_keeps_every_decision_and_ruins_calibration() -> None:
    found = of(exposed(MODEST, others=400, on="neither"), temperatures=(8.0,))
    assert measured(found, "accuracy_change", **HOT).value == 0
    assert ends(measured(found, "smece_change", **HOT))[0] > 0.1
    assert ends(measured(found, "brier_change", **HOT))[0] > 0


def test_the_label_alone_keeps_accuracy_and_states_certainty() -> None:
    found = of(exposed(MODEST, others=400, on="neither"))
    labels = {"mitigation": "labels"}
    assert measured(found, "accuracy_change", **labels).value == 0
    assert ends(measured(found, "smece_change", **labels))[0] > 0


def test_costs_are_those_of_rows_that_were_not_learnt() -> None:
    found = of(exposed(GREEDY, members=120, others=80))
    assert measured(found, "brier_change", mitigation="rounding").n == 80
    assert measured(found, "auc", mitigation="rounding").n == 200


def test_a_model_that_saw_neither_leaks_nothing_however_it_answers() -> None:
    found = of(exposed(MODEST, on="neither"))
    said = {item.value for item in found if item.metric == "verdict"}
    assert said == {LeakVerdict.NO_EVIDENCE}


def test_figures_are_doubted_where_the_rows_differ_by_themselves() -> None:
    found = of(exposed(MODEST, on="neither", stretched=2.5))
    assert measured(found, "verdict", **NONE).value == LeakVerdict.INCONCLUSIVE
    assert measured(found, "verdict", **NONE).doubted
    assert measured(found, "auc", **NONE).doubted
    assert measured(found, "auc_change", mitigation="rounding").doubted
    assert not measured(found, "brier_change", mitigation="rounding").doubted


def test_thirty_rows_of_a_kind_decide_nothing() -> None:
    found = of(exposed(MODEST, on="neither", members=30, others=30))
    for verdict in (item for item in found if item.metric == "verdict"):
        assert verdict.value == LeakVerdict.INCONCLUSIVE
        assert verdict.doubted
        assert "too few rows" in verdict.details["reason"]


@pytest.mark.parametrize("copies", [0, 2])
def test_altering_asks_nothing_more_than_labels_of_noisy_copies(copies: int) -> None:
    subject = greedy()
    subject.model.queries = 0
    check = CHECK(copies=copies)
    check.observe(subject, CheckShard())
    size = AuditSize(800, 3, beside={DatasetRole.TRAINING.value: 200})
    assert subject.model.queries == check.cost(size).queries == (7000 + 1000 if copies else 1000)


def test_ways_that_change_nothing_of_so_few_classes_are_left_out() -> None:
    found = of(greedy(), top=(1, 2, 3))
    tops = {item.params["strength"] for item in found if item.params["mitigation"] == "top"}
    assert tops == {1.0}, "of three classes, the second and third follow from the first two"


def test_too_few_rows_are_a_gap() -> None:
    (gap,) = of(exposed(GREEDY, others=12))
    assert isinstance(gap, Gap)
    assert gap.reason is GapReason.TOO_FEW_ROWS


def test_the_same_seed_sees_the_same() -> None:
    first, again = (CHECK().observe(greedy(), CheckShard()) for _ in range(2))
    arrays = [name for name, item in first.items() if isinstance(item, np.ndarray)]
    assert all(first[name].tobytes() == again[name].tobytes() for name in arrays)
    other = CHECK().observe(replace(greedy(), seed=4), CheckShard())
    assert first["chance_noise_0.5"].tobytes() != other["chance_noise_0.5"].tobytes()


@pytest.mark.parametrize("budget", Budget)
def test_every_budget_alters_in_ways_of_its_own(budget: Budget) -> None:
    check = instantiate_check(CHECK, dict(CHECK.presets[budget]))
    keys = [way.key for way in check.ways]
    assert len(set(keys)) == len(keys)
    assert check.copies > 0


@pytest.mark.parametrize(
    "wrong", [{"top": (0,)}, {"noise": (-1.0,)}, {"temperatures": (0.0,)}, {"models": 2}]
)
def test_parameters_without_meaning_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="altered"):
        CHECK(**wrong)


def test_every_figure_names_how_answers_were_altered() -> None:
    found = of(greedy())
    assert all(
        set(item.params) == {"mitigation", "strength"}
        for item in found
        if isinstance(item, Measurement)
    )
