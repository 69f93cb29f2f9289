"""When a declared input is confirmed, contradicted, or only claimed."""

import pytest
from supply_papers import BASE, CODE, EVALUATION, GIVEN, MODEL, TRAINING, hexed

from auditor.declaring.declarations import Declaration, Declared, Kind
from auditor.declaring.matching import Match, Outcome, base_name, match, undeclared
from auditor.declaring.reading import Told
from auditor.domain.supplies import Given, Part

OTHER = {"sha256": hexed("other")}


def outcomes(*declared: Declared, given: tuple[Given, ...] = GIVEN) -> list[Outcome]:
    return [item.outcome for item in matches(*declared, given=given)]


def matches(*declared: Declared, given: tuple[Given, ...] = GIVEN) -> tuple[Match, ...]:
    return match(Told("paper.json", Declaration(Kind.UNKNOWN, declared)), given)


@pytest.mark.parametrize("given", GIVEN, ids=lambda item: item.part)
def test_the_digest_of_what_was_given_confirms(given: Given) -> None:
    declared = Declared("here", "any name", {"sha256": given.sha256})
    (found,) = matches(declared)
    assert found.outcome is Outcome.CONFIRMED
    assert found.given_as == (given.part,)


@pytest.mark.parametrize("given", GIVEN, ids=lambda item: item.part)
def test_another_digest_of_the_same_part_contradicts(given: Given) -> None:
    assert outcomes(Declared.of(given.part, "here", "x", OTHER)) == [Outcome.CONTRADICTED]


def test_a_part_that_was_not_given_is_only_claimed() -> None:
    declared = Declared.of(Part.TRAINING, "here", "train.csv", OTHER)
    assert outcomes(declared, given=(MODEL, EVALUATION)) == [Outcome.CLAIMED]


def test_the_same_name_with_another_digest_contradicts_even_without_a_part() -> None:
    declared = Declared("here", "https://acme.example/d/train.csv?v=1", OTHER)
    assert outcomes(declared) == [Outcome.CONTRADICTED]
    assert outcomes(Declared("here", "else.csv", OTHER)) == [Outcome.CLAIMED]


def test_a_name_contradicts_only_among_the_parts_that_are_meant() -> None:
    declared = Declared.dataset("here", "model.onnx", OTHER)
    assert outcomes(declared) == [Outcome.CLAIMED]


def test_one_of_several_files_of_a_part_leaves_the_others_claimed() -> None:
    first = Declared.of(Part.TRAINING, "a", "train.csv", {"sha256": TRAINING.sha256})
    second = Declared.of(Part.TRAINING, "b", "more.csv", OTHER)
    assert outcomes(first, second) == [Outcome.CONFIRMED, Outcome.CLAIMED]


def test_without_a_sha256_nothing_is_more_than_claimed() -> None:
    bare = Declared.of(Part.MODEL, "here", "model.onnx")
    weak = Declared.of(Part.MODEL, "here", "model.onnx", {"md5": "0" * 32})
    assert [item.why for item in matches(bare, weak)] == [
        "no digest is declared",
        "it is declared by md5 and no SHA-256",
    ]
    assert outcomes(bare, weak) == [Outcome.CLAIMED, Outcome.CLAIMED]


def test_what_was_given_as_something_else_is_confirmed_and_said() -> None:
    declared = Declared.of(Part.TRAINING, "here", "x", {"sha256": EVALUATION.sha256})
    (found,) = matches(declared)
    assert found.outcome is Outcome.CONFIRMED
    assert found.why == "it is declared as training, and was given as evaluation"


def test_what_no_document_declares_is_listed() -> None:
    confirmed = matches(Declared("here", "x", {"sha256": MODEL.sha256}))
    assert undeclared(confirmed, GIVEN) == (BASE, CODE, TRAINING, EVALUATION)


def test_one_digest_of_several_files_speaks_for_all_of_them() -> None:
    files = (MODEL, Given(Part.MODEL, "w.bin", hexed("w")), Given(Part.MODEL, "", hexed("all")))
    confirmed = matches(Declared("here", "x", {"sha256": hexed("all")}), given=files)
    assert undeclared(confirmed, files) == ()


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("a/b.csv", "b.csv"),
        ("https://h/x%20y.csv?q#f", "x y.csv"),
        ("", ""),
        ("https://[oops/a.csv", "a.csv"),
        ("folder/", "folder"),
    ],
)
def test_the_last_part_of_a_path_is_its_name(name: str, base: str) -> None:
    assert base_name(name) == base
