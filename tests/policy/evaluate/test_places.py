"""Rules that are asked for each slice, group or setting: one finding a place, and none dropped."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from judging_cases import CONTEXT, GAP, POLICY, RULE, measured

from auditor.domain.findings import Finding, Outcome
from auditor.domain.policies import Rule
from auditor.domain.readings import Measurement, Reading
from auditor.policy.evaluate.engine import judge_readings

BY_GROUP = replace(RULE, for_each=("group",))
BY_SLICE = replace(RULE, for_each=("slice",), accept_withstood=True)


def found(rule: Rule, *readings: Reading) -> dict[str, Finding]:
    """Return the findings of a rule by their names."""
    findings = judge_readings(replace(POLICY, rules=(rule,)), lambda _: readings, CONTEXT)
    return {finding.name: finding for finding in findings}


def outcomes(rule: Rule, *readings: Reading) -> dict[str, Outcome]:
    return {name: finding.outcome for name, finding in found(rule, *readings).items()}


def of_group(group: str, low: float, high: float, **more: str) -> Measurement:
    return measured((low + high) / 2, low, high, params={"group": group, **more})


def of_slice(low: float, high: float, **place: str) -> Measurement:
    return measured((low + high) / 2, low, high, slice=place)


def test_each_value_of_a_coordinate_has_a_finding_of_its_own() -> None:
    readings = of_group("b", 0.7, 0.75), of_group("a", 0.85, 0.9), of_group("c", 0.7, 0.9)
    told = found(BY_GROUP, *readings)
    assert [(name, item.outcome) for name, item in told.items()] == [
        ("accurate[group=a]", Outcome.PASSED),
        ("accurate[group=b]", Outcome.FAILED),
        ("accurate[group=c]", Outcome.UNKNOWN),
    ]
    assert told["accurate[group=b]"].slice == {"group": "b"}
    assert told["accurate[group=b]"].readings == (0,)
    assert told["accurate[group=b]"].title == "The model is accurate (group b)"
    assert "accuracy at group b of at least" in told["accurate[group=b]"].message


def test_several_coordinates_split_together() -> None:
    rule = replace(RULE, for_each=("group", "city"))
    readings = of_group("a", 0.85, 0.9, city="x"), of_group("a", 0.6, 0.7, city="y")
    assert outcomes(rule, *readings) == {
        "accurate[city=x,group=a]": Outcome.PASSED,
        "accurate[city=y,group=a]": Outcome.FAILED,
    }


def test_numbers_come_in_their_order_and_no_two_places_share_a_name() -> None:
    rule = replace(RULE, for_each=("eps",))
    values = (10.0, 2.0, True, "2", 1, "true", "a,b=c")
    readings = [measured(0.9, 0.85, 0.95, params={"eps": value}) for value in values]
    assert list(outcomes(rule, *readings)) == [
        "accurate[eps=true]",
        "accurate[eps=1]",
        "accurate[eps=2]",
        "accurate[eps=10]",
        'accurate[eps="2"]',
        'accurate[eps="a,b=c"]',
        'accurate[eps="true"]',
    ]


def test_a_reading_without_the_coordinate_is_judged_by_itself_and_not_dropped() -> None:
    readings = of_group("a", 0.85, 0.9), measured(0.5, 0.4, 0.6)
    assert outcomes(BY_GROUP, *readings) == {
        "accurate": Outcome.FAILED,
        "accurate[group=a]": Outcome.PASSED,
    }


def test_a_rule_for_each_place_without_any_reading_stays_unknown() -> None:
    (told,) = found(BY_GROUP).values()
    assert told.outcome is Outcome.UNKNOWN
    assert "No check reported" in told.message
    (gap,) = found(BY_GROUP, GAP).values()
    assert gap.outcome is Outcome.UNKNOWN
    assert gap.readings == (0,)


def test_a_gap_at_one_place_holds_back_that_place_alone() -> None:
    gap = replace(GAP, metric="accuracy", params={"group": "b"})
    readings = of_group("a", 0.85, 0.9), gap
    assert outcomes(BY_GROUP, *readings) == {
        "accurate[group=a]": Outcome.PASSED,
        "accurate[group=b]": Outcome.UNKNOWN,
    }


def test_a_gap_that_names_no_place_holds_back_every_place() -> None:
    gap = replace(GAP, metric="accuracy")
    readings = of_group("a", 0.85, 0.9), of_group("b", 0.6, 0.7), gap
    assert outcomes(BY_GROUP, *readings) == {
        "accurate[group=a]": Outcome.UNKNOWN,
        "accurate[group=b]": Outcome.FAILED,
    }


def test_each_place_counts_in_the_family_of_denying_rules() -> None:
    def at(confidence: float) -> list[Reading]:
        width = 0.05 if confidence < 0.96 else 0.15
        return [of_group(name, 0.7 - width, 0.7 + width) for name in ("a", "b")]

    findings = judge_readings(replace(POLICY, rules=(BY_GROUP,)), at, CONTEXT)
    assert [finding.outcome for finding in findings] == [Outcome.UNKNOWN] * 2
    assert "over all 2 denying rules" in findings[0].message
    alone = judge_readings(replace(POLICY, rules=(BY_GROUP,)), lambda level: at(level)[:1], CONTEXT)
    assert [finding.outcome for finding in alone] == [Outcome.FAILED]


def test_each_confirmed_slice_has_a_finding_beside_the_whole_sample() -> None:
    readings = of_slice(0.85, 0.9), of_slice(0.6, 0.7, sex="F"), of_slice(0.85, 0.9, age="old")
    assert outcomes(BY_SLICE, *readings) == {
        "accurate": Outcome.WITHSTOOD,
        "accurate[age=old]": Outcome.PASSED,
        "accurate[sex=F]": Outcome.FAILED,
    }


def test_a_search_that_confirmed_no_slice_can_be_withstood_and_never_passes() -> None:
    whole = of_slice(0.85, 0.9)
    assert outcomes(BY_SLICE, whole) == {"accurate": Outcome.WITHSTOOD}
    (told,) = found(replace(BY_SLICE, accept_withstood=False), whole).values()
    assert told.outcome is Outcome.UNKNOWN
    assert told.would_decide is not None
    assert "accepts withstood" in str(told.would_decide["needs"])


def test_a_whole_sample_that_breaks_the_limit_breaks_it_for_some_slice() -> None:
    assert outcomes(BY_SLICE, of_slice(0.6, 0.7)) == {"accurate": Outcome.FAILED}


def test_a_rule_for_each_target_has_a_finding_a_target_as_any_rule() -> None:
    rule = replace(RULE, for_each=("target",))
    readings = measured(0.9, 0.85, 0.95), measured(0.7, 0.6, 0.75, target="gpu")
    context = replace(CONTEXT, targets=("cpu", "gpu"))
    findings = judge_readings(replace(POLICY, rules=(rule,)), lambda _: readings, context)
    assert [(item.target, item.slice, item.outcome) for item in findings] == [
        ("cpu", {}, Outcome.PASSED),
        ("gpu", {}, Outcome.FAILED),
    ]


spans = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted)


@given(st.lists(st.tuples(st.sampled_from("abc"), spans), min_size=1, max_size=6))
def test_splitting_a_rule_finds_no_better_than_the_worst_place(
    given_: list[tuple[str, list[float]]],
) -> None:
    readings = [of_group(group, low, high) for group, (low, high) in given_]
    order = [Outcome.FAILED, Outcome.UNKNOWN, Outcome.PASSED]
    (whole,) = outcomes(RULE, *readings).values()
    split = outcomes(BY_GROUP, *readings)
    assert min(split.values(), key=order.index) is whole
    assert set(split) == {f"accurate[group={group}]" for group, _ in given_}
