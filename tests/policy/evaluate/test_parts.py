"""Readings and gaps split by the places that a rule is asked for each of."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from judging_cases import GAP, RULE, measured

from auditor.domain.readings import Reading, Scalar
from auditor.policy.evaluate.readings_index import (
    ReadingGroup,
    ReadingIndex,
    build_place_key,
    split_readings,
)

Places = list[tuple[Mapping[str, Scalar], list[int], list[int]]]


def split(for_each: tuple[str, ...], *readings: Reading) -> Places:
    """Return each place with the indices of its readings and gaps, in order."""
    rule = replace(RULE, for_each=for_each)
    found = split_readings(rule, "cpu", ReadingIndex.of(readings, [rule]))
    return [(it.place, [at for at, _ in it.matching], [at for at, _ in it.missing]) for it in found]


def at(params: Mapping[str, Scalar], **sliced: str) -> Reading:
    return measured(0.9, params=params, slice=sliced)


def gap(**params: Scalar) -> Reading:
    return replace(GAP, metric="accuracy", params=params)


@pytest.mark.parametrize("for_each", [(), ("target",)])
def test_a_rule_that_is_not_asked_for_each_place_has_all_in_one_part(
    for_each: tuple[str, ...],
) -> None:
    assert split(for_each, at({"eps": 1}), gap(eps=2), at({"eps": 2})) == [({}, [0, 2], [1])]
    assert split(for_each) == [({}, [], [])]
    assert split(for_each, at({"target": "npu"}), at({})) == [({}, [0, 1], [])]


@pytest.mark.parametrize(
    ("for_each", "places"),
    [
        (("eps",), [{}, {"eps": 1}, {"eps": 2}]),
        (("sex",), [{}, {"sex": "F"}, {"sex": "M"}]),
        (("slice",), [{}, {"age": "old", "sex": "F"}, {"sex": "M"}]),
        (("eps", "sex"), [{}, {"eps": 1, "sex": "F"}, {"eps": 2, "sex": "M"}]),
        (("eps", "slice"), [{}, {"age": "old", "eps": 1, "sex": "F"}, {"eps": 2, "sex": "M"}]),
        (("norm",), [{}]),
    ],
)
def test_a_reading_lies_at_the_coordinates_that_are_asked_for(
    for_each: tuple[str, ...], places: list[Mapping[str, Scalar]]
) -> None:
    readings = at({"eps": 2}, sex="M"), at({"eps": 1}, sex="F", age="old"), at({})
    assert [place for place, _, _ in split(for_each, *readings)] == places


def test_a_parameter_comes_before_a_slice_of_the_same_name() -> None:
    reading = at({"group": "a"}, group="b")
    assert [place for place, _, _ in split(("group",), reading)] == [{"group": "a"}]


def test_every_reading_is_in_one_part_and_in_the_order_of_the_record() -> None:
    readings = [at({"eps": number % 3}) for number in range(9)]
    assert split(("eps",), *readings) == [
        ({"eps": 0}, [0, 3, 6], []),
        ({"eps": 1}, [1, 4, 7], []),
        ({"eps": 2}, [2, 5, 8], []),
    ]


def test_numbers_come_before_texts_and_after_yes_and_no_and_are_told_from_them() -> None:
    values: tuple[Scalar, ...] = ("2", "1", 10, 2, 1.0, True, False, 0)
    order = [place["eps"] for place, _, _ in split(("eps",), *(at({"eps": it}) for it in values))]
    assert list(map(repr, order)) == ["False", "True", "0", "1.0", "2", "10", "'1'", "'2'"]
    assert (
        build_place_key({"b": 1, "a": "x"})
        == build_place_key({"a": "x", "b": 1.0})
        != build_place_key({"a": "x"})
    )
    assert ReadingGroup({"a": "x"}).key == build_place_key({"a": "x"})
    assert build_place_key({"a": True}) != build_place_key({"a": 1}) != build_place_key({"a": "1"})


@pytest.mark.parametrize(
    ("named", "held"),
    [
        ({}, [{"eps": 1, "norm": "l2"}, {"eps": 2, "norm": "l2"}, {"norm": "linf"}]),
        ({"eps": 1 - 1e-15}, [{"eps": 1 - 1e-15}, {"eps": 1, "norm": "l2"}]),
        ({"norm": "l2"}, [{"eps": 1, "norm": "l2"}, {"eps": 2, "norm": "l2"}, {"norm": "l2"}]),
        ({"eps": 1, "norm": "l2"}, [{"eps": 1, "norm": "l2"}]),
        ({"eps": 3}, [{"eps": 3}]),
        ({"steps": 9}, [{"eps": 1, "norm": "l2"}, {"eps": 2, "norm": "l2"}, {"norm": "linf"}]),
    ],
)
def test_a_gap_holds_back_every_place_that_it_may_be_of_and_makes_the_one_that_it_names(
    named: dict[str, Scalar], held: list[Mapping[str, Scalar]]
) -> None:
    readings = at({"eps": 1, "norm": "l2"}), at({"eps": 2, "norm": "l2"}), at({"norm": "linf"})
    found = split(("eps", "norm"), *readings, gap(**named))
    assert [place for place, _, missing in found if missing] == held
    assert sum(len(matching) for _, matching, _ in found) == len(readings)


def test_gaps_alone_are_one_part_where_they_name_no_place() -> None:
    assert split(("eps",), gap(), gap(norm="l2")) == [({}, [], [0, 1])]
    assert split(("eps",), gap(), gap(eps=1)) == [({"eps": 1}, [], [0, 1])]
    assert split(("eps",)) == [({}, [], [])]
