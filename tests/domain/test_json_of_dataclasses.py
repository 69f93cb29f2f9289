"""Dataclasses to JSON and back: what is read is what was written, and nothing else is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Annotated, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.domain.artifacts import FileDigest
from auditor.domain.json import (
    Json,
    JsonPart,
    Name,
    OmitUnset,
    build_field_error,
    encode_canonical,
    parse_json,
    read_json,
    refuse_unknown_fields,
    write_fields,
)
from auditor.domain.readings import Gap, GapReason, Measurement, Unit, read_reading
from auditor.domain.requests import InputFile
from auditor.domain.targets import CascadeSpec, TargetSpec
from auditor.errors import RecordError


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    A0 = 0
    A1 = 1


def _refuse_odd(number: int, place: str) -> None:
    if number % 2:
        raise build_field_error(place, "an even number")


@dataclass(frozen=True, slots=True)
class Leaf:
    tag: ClassVar[str] = "leaf"
    colour: Colour
    share: float
    count: int
    known: bool
    label: str | None
    told: OmitUnset[str | None] = None
    even: Annotated[int, _refuse_odd] = 0

    to_json = write_fields


@dataclass(frozen=True, slots=True)
class Tree:
    name: Name
    level: Level
    leaves: tuple[Leaf, ...]
    by_name: Mapping[str, Leaf]
    counts: Mapping[str, int]
    place: Mapping[str, bool | int | float | str]
    more: Mapping[str, Json]
    inner: Leaf | None = None
    below: OmitUnset[tuple[str, ...]] = ()
    _kept: list[bytes] = field(default_factory=list, init=False, compare=False)

    to_json = write_fields


FINITE = st.floats(-(2.0**53) + 1, 2.0**53 - 1)
WHOLE = st.integers(-(2**53) + 1, 2**53 - 1)
WORDS = st.text(st.characters(codec="utf-8"), max_size=9)
LEAVES = st.builds(
    Leaf,
    colour=st.sampled_from(Colour),
    share=FINITE,
    count=WHOLE,
    known=st.booleans(),
    label=st.none() | WORDS,
    told=st.none() | WORDS,
    even=st.integers(-9, 9).map(lambda it: 2 * it),
)
TREES = st.builds(
    Tree,
    name=WORDS,
    level=st.sampled_from(Level),
    leaves=st.lists(LEAVES, max_size=3).map(tuple),
    by_name=st.dictionaries(WORDS, LEAVES, max_size=2),
    counts=st.dictionaries(WORDS, WHOLE, max_size=2),
    place=st.dictionaries(WORDS, st.booleans() | WHOLE | WORDS, max_size=2),
    more=st.just({"any": [1, None, {"thing": 0.5}]}),
    inner=st.none() | LEAVES,
    below=st.lists(WORDS, max_size=2).map(tuple),
)
LEAF = Leaf(Colour.RED, 0.5, 3, known=True, label=None)


@given(TREES)
def test_what_is_written_reads_as_the_same_value(tree: Tree) -> None:
    raw = encode_canonical(tree.to_json())
    found = read_json(Tree, parse_json(raw), "tree")
    assert found == tree
    assert encode_canonical(found.to_json()) == raw


def test_fields_stand_under_their_names_and_unset_ones_nowhere() -> None:
    assert LEAF.to_json() == {
        "tag": "leaf",
        "colour": "red",
        "share": 0.5,
        "count": 3,
        "known": True,
        "label": None,
        "even": 0,
    }


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("tag", None, "leaf.tag is not 'leaf'"),
        ("tag", "tree", "leaf.tag is not 'leaf'"),
        ("colour", "green", "leaf.colour is not one of red, blue"),
        ("colour", ["red"], "leaf.colour is not one of red, blue"),
        ("share", "0.5", "leaf.share is not float"),
        ("share", True, "leaf.share is not float"),
        ("share", float("nan"), "leaf.share is not float"),
        ("share", float("inf"), "leaf.share is not float"),
        ("share", 10**400, "leaf.share is not float"),
        ("share", 2**53 + 1, "leaf.share is not float"),
        ("count", True, "leaf.count is not int (a whole number)"),
        ("count", 1.0, "leaf.count is not int (a whole number)"),
        ("count", None, "leaf.count is not int (a whole number)"),
        ("known", 1, "leaf.known is not bool"),
        ("label", 1, "leaf.label is not str"),
        ("told", None, "leaf.told is not a value"),
        ("even", 1, "leaf.even is not an even number"),
    ],
)
def test_a_field_of_another_kind_is_refused_by_its_place(
    name: str, value: Json, expected: str
) -> None:
    with pytest.raises(RecordError) as caught:
        read_json(Leaf, {**LEAF.to_json(), name: value}, "leaf")
    assert caught.value.problem == expected
    assert caught.value.cure


@pytest.mark.parametrize("name", ["colour", "share", "count", "known", "even"])
def test_a_field_that_is_always_written_may_not_be_missing(name: str) -> None:
    without = {key: value for key, value in LEAF.to_json().items() if key != name}
    with pytest.raises(RecordError, match=rf"leaf has no field .{name}."):
        read_json(Leaf, without, "leaf")


def test_whole_numbers_serve_as_floats() -> None:
    found = read_json(Leaf, {**LEAF.to_json(), "share": 1}, "leaf")
    assert isinstance(found.share, float)


def test_mistakes_within_lists_and_objects_are_found_at_their_place() -> None:
    said = Tree("t", Level.A1, (LEAF,), {"x": LEAF}, {}, {}, {}).to_json()
    broken = {**LEAF.to_json(), "count": "3"}
    for change, place in (
        ({"leaves": [LEAF.to_json(), broken]}, r"tree\.leaves\[1\]\.count is not int"),
        ({"by_name": {"x": broken}}, r"tree\.by_name\.x\.count is not int"),
        ({"counts": {"n": True}}, r"tree\.counts\.n is not int"),
        ({"place": {"n": None}}, r"tree\.place\.n is not"),
        ({"place": {"n": float("nan")}}, r"tree\.place\.n is not"),
        ({"below": ["a", 1]}, r"tree\.below\[1\] is not str"),
        ({"below": "ab"}, r"tree\.below is not a list"),
        ({"more": []}, r"tree\.more is not an object"),
        ({"level": 1}, r"tree\.level is not one of A0, A1"),
        ({"name": "n" * 501}, r"tree\.name: .* 501 characters"),
        ({"inner": {}}, r"tree\.inner\.tag is not 'leaf'"),
    ):
        with pytest.raises(RecordError, match=place):
            read_json(Tree, {**said, **change}, "tree")


def test_a_class_may_refuse_fields_that_it_does_not_know() -> None:
    part = JsonPart({**LEAF.to_json(), "smuggled": 1}, "leaf")
    with pytest.raises(RecordError, match=r"leaf has a field 'smuggled' that is unknown"):
        refuse_unknown_fields(Leaf, part)
    refuse_unknown_fields(Leaf, JsonPart(LEAF.to_json(), "leaf"))


def test_readings_are_told_apart_by_their_kind_alone() -> None:
    gap = Gap(reason=GapReason.NEEDS_LABELS, detail="d", cure="c", target="cpu", check="x.y")
    figure = Measurement(metric="m", value=True, method="count", n=1, unit=Unit.COUNT)
    for reading in (gap, figure):
        assert read_reading(reading.to_json(), "reading") == reading
    for kind in ("figure", None, 1):
        with pytest.raises(RecordError, match=r"reading\.kind is not one of measurement, gap"):
            read_reading({**figure.to_json(), "kind": kind}, "reading")


@pytest.mark.parametrize("name", ["doubted", "bound", "unit", "version", "evidence", "method"])
def test_a_measurement_says_all_that_decides_what_it_may_prove(name: str) -> None:
    said = Measurement(metric="m", value=0.5, method="count", n=1, doubted=True).to_json()
    with pytest.raises(RecordError, match=rf"reading has no field .{name}."):
        read_reading({key: value for key, value in said.items() if key != name}, "reading")


def test_a_file_of_an_audit_stands_beside_its_path() -> None:
    item = InputFile("data/a.csv", FileDigest.of("a.csv", b"1"))
    assert read_json(InputFile, item.to_json(), "input") == item
    with pytest.raises(RecordError, match=r"input\.size is not int"):
        read_json(InputFile, {**item.to_json(), "size": True}, "input")


def test_a_cascade_holds_targets_as_targets_hold_a_cascade() -> None:
    spec = TargetSpec("both", "cascade", cascade=CascadeSpec(TargetSpec("e"), TargetSpec("c")))
    assert read_json(TargetSpec, spec.to_json(), "target") == spec


def test_a_type_without_a_json_form_is_a_mistake_of_the_class() -> None:
    @dataclass
    class Odd:
        raw: bytes

    with pytest.raises(TypeError, match="has no JSON form"):
        write_fields(Odd(b""))
