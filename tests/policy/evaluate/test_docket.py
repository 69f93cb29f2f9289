"""Which readings and gaps a rule speaks of, however many there are."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from judging_cases import GAP, RULE, measured

from auditor.domain.policies import Rule
from auditor.domain.readings import Gap, Measurement, Scalar
from auditor.policy.evaluate.readings_index import MANY, SAME, ReadingIndex, is_same_coordinate

PLACE = ("cpu", "quality.accuracy", "accuracy")


def at(where: Mapping[str, Scalar]) -> Rule:
    return replace(RULE, where=where)


def matching(readings: list[Measurement | Gap], where: Mapping[str, Scalar]) -> list[int]:
    """Return the indices of the readings that a rule takes on the target ``cpu``."""
    rule = at(where)
    return [index for index, _ in ReadingIndex.of(readings, [rule]).matching(rule, "cpu")]


@pytest.mark.parametrize(
    ("wanted", "found", "alike"),
    [
        (0.1, 0.1, True),
        (0.1, 0.1 + 1e-14, True),
        (SAME, 0.0, True),
        (0.0, SAME, True),
        (2 * SAME, 0.0, False),
        (0.1, 0.2, False),
        (1, 1.0, True),
        (True, True, True),
        (True, False, False),
        (True, 1, False),
        (1, True, False),
        (0, False, False),
        ("1", 1, False),
        (1, "1", False),
        (1.0, None, False),
        ("a", "a", True),
        ("a", "b", False),
        ("a", None, False),
    ],
)
def test_coordinates_are_equal_but_for_rounding_and_a_yes_is_no_one(
    wanted: Scalar,
    found: Scalar | None,
    alike: bool,  # noqa: FBT001 -- pytest's
) -> None:
    assert is_same_coordinate(wanted, found) is alike


EDGE = 5e-10
"""Lies where rounding to nine digits goes up from one side and down from the other."""
VALUES: tuple[Scalar, ...] = (
    0.1, 0.3, 0.1 + 1e-15, 1, True, "1", "True", 1.0, "a", False, 0,
    EDGE - SAME / 2, EDGE + SAME / 2, EDGE - SAME / 2, EDGE, 2 * EDGE,
)  # fmt: skip


@pytest.mark.parametrize("count", [len(VALUES), MANY - 1, MANY, 5 * MANY])
def test_many_readings_are_found_as_few_are_in_the_order_of_the_record(count: int) -> None:
    found = [
        measured(0.9, params={"eps": VALUES[at % len(VALUES)]}, slice={"sex": "FM"[at % 2]})
        for at in range(count)
    ]
    for wanted in (*VALUES, 0.2, "b"):
        expected = [
            at for at, item in enumerate(found) if is_same_coordinate(wanted, item.params["eps"])
        ]
        assert matching([*found], {"eps": wanted}) == expected
        assert matching([*found], {"sex": "F", "eps": wanted}) == [
            at for at in expected if at % 2 == 0
        ]
        assert matching([*found], {"target": "cpu", "eps": wanted}) == expected
    assert matching([*found], {"target": "cpu"}) == list(range(count))
    assert matching([*found], {"target": "gpu"}) == []
    assert matching([*found], {"sex": "M"}) == list(range(1, count, 2))
    assert matching([*found], {"norm": 2}) == []
    docket = ReadingIndex.of(found, [at({"eps": 1}), RULE])
    assert [index for index, _ in docket.matching(RULE, "cpu")] == list(range(count))


def test_coordinates_of_a_parameter_come_before_those_of_a_slice_and_of_the_target() -> None:
    found = measured(0.9, params={"group": "a", "target": "npu"}, slice={"group": "b", "sex": "F"})
    for where, count in (
        ({"group": "a"}, 1),
        ({"group": "b"}, 0),
        ({"sex": "F"}, 1),
        ({"target": "npu"}, 1),
        ({"target": "cpu"}, 0),
        ({"device": "cpu"}, 0),
    ):
        assert len(matching([found], where)) == count, where
    sliced = measured(0.9, slice={"target": "npu"})
    assert len(matching([sliced], {"target": "npu"})) == 1
    assert len(matching([sliced], {"target": "cpu"})) == 0


def test_readings_of_other_metrics_checks_and_targets_are_no_business_of_a_rule() -> None:
    own = measured(0.9)
    others = (
        replace(own, metric="auc"),
        replace(own, check="quality.other"),
        replace(own, target="gpu"),
    )
    docket = ReadingIndex.of([*others, own, GAP], [RULE])
    assert docket.matching(RULE, "cpu") == ((3, own),)
    assert docket.matching(RULE, "gpu") == ((2, others[2]),)
    assert docket.matching(RULE, "npu") == ()
    assert set(docket.measurements) == {PLACE, ("gpu", *PLACE[1:])}


@pytest.mark.parametrize(
    ("count", "wheres", "sorted_"),
    [
        (MANY, [{"eps": 1}], True),
        (MANY - 1, [{"eps": 1}], False),
        (MANY, [{}], False),
        (MANY, [{"eps": 1}, {}], True),
        (MANY, [{}, {"eps": 1}], True),
        (2 * MANY, [], False),
    ],
)
def test_readings_are_sorted_by_coordinate_where_there_are_many_and_a_rule_names_one(
    count: int,
    wheres: list[Mapping[str, Scalar]],
    sorted_: bool,  # noqa: FBT001 -- pytest's
) -> None:
    found = [measured(0.9, params={"eps": row % 4}, slice={"sex": "F"}) for row in range(count)]
    docket = ReadingIndex.of(found, [at(where) for where in wheres])
    assert (PLACE in docket.index) is sorted_
    if sorted_:
        lengths = sorted(len(bucket) for bucket in docket.index[PLACE].values())
        assert lengths == [count // 4] * 4 + [count]


def test_what_is_sorted_by_coordinate_is_not_looked_through_one_by_one() -> None:
    """Else rules for each of thousands of groups take the square of that to judge."""
    found = [measured(0.9, params={"eps": at / 7, "norm": "linf"}) for at in range(MANY)]
    rule = at({"eps": 3 / 7, "norm": "linf"})
    docket = ReadingIndex.of(found, [rule])
    (bucket,) = (key for key, items in docket.index[PLACE].items() if items == [(3, found[3])])
    emptied = {PLACE: {**docket.index[PLACE], bucket: []}}
    assert docket.matching(rule, "cpu") == ((3, found[3]),)
    assert replace(docket, index=emptied).matching(rule, "cpu") == ()


def gap(metric: str = "", **changes: object) -> Gap:
    return replace(GAP, metric=metric, params=changes)


def test_a_gap_of_a_whole_check_is_told_from_one_of_a_metric() -> None:
    gaps = [gap(), gap("accuracy"), gap("auc"), replace(GAP, target="gpu"), gap()]
    docket = ReadingIndex.of(gaps, [RULE])
    assert docket.whole_gaps(RULE, "cpu") == ((0, gaps[0]), (4, gaps[4]))
    assert docket.whole_gaps(RULE, "gpu") == ((3, gaps[3]),)
    assert docket.whole_gaps(RULE, "npu") == ()
    assert docket.missing(RULE, "cpu") == ((1, gaps[1]),)
    assert docket.missing(RULE, "gpu") == ()
    assert docket.missing(RULE, "npu") == ()
    other = replace(RULE, check="quality.other")
    assert docket.whole_gaps(other, "cpu") == docket.missing(other, "cpu") == ()


@pytest.mark.parametrize(
    ("named", "held"),
    [
        ({}, True),
        ({"eps": 0.1}, True),
        ({"eps": 0.2}, False),
        ({"norm": "linf"}, True),
        ({"norm": "l2"}, False),
        ({"eps": 0.1, "norm": "linf", "steps": 7}, True),
        ({"eps": 0.1, "norm": "l2"}, False),
        ({"steps": 7}, True),
    ],
)
def test_a_gap_holds_back_a_rule_unless_it_names_another_place(
    named: dict[str, Scalar],
    held: bool,  # noqa: FBT001 -- pytest's
) -> None:
    rule = at({"eps": 0.1, "norm": "linf"})
    docket = ReadingIndex.of([gap("accuracy", **named)], [rule])
    assert bool(docket.missing(rule, "cpu")) is held
