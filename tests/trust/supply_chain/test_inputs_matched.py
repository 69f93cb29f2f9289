"""When a declared input is confirmed, contradicted, or only claimed."""

import pytest
from supply_papers import BASE, CODE, EVALUATION, GIVEN, MODEL, TRAINING, hexed

from auditor.domain.supply_chain import SupplyItem, SupplyPart
from auditor.trust.supply_chain.document_parsers import (
    DeclaredInput,
    DocumentDeclaration,
    DocumentKind,
)
from auditor.trust.supply_chain.verify import (
    InputMatch,
    MatchOutcome,
    SignedDeclaration,
    base_name,
    list_undeclared_files,
    match_declaration,
)

OTHER = {"sha256": hexed("other")}


def outcomes(*declared: DeclaredInput, given: tuple[SupplyItem, ...] = GIVEN) -> list[MatchOutcome]:
    return [item.outcome for item in matches(*declared, given=given)]


def matches(
    *declared: DeclaredInput, given: tuple[SupplyItem, ...] = GIVEN
) -> tuple[InputMatch, ...]:
    return match_declaration(
        SignedDeclaration("paper.json", DocumentDeclaration(DocumentKind.UNKNOWN, declared)), given
    )


@pytest.mark.parametrize("given", GIVEN, ids=lambda item: item.part)
def test_the_digest_of_what_was_given_confirms(given: SupplyItem) -> None:
    declared = DeclaredInput("here", "any name", {"sha256": given.sha256})
    (found,) = matches(declared)
    assert found.outcome is MatchOutcome.CONFIRMED
    assert found.given_as == (given.part,)


@pytest.mark.parametrize("given", GIVEN, ids=lambda item: item.part)
def test_another_digest_of_the_same_part_contradicts(given: SupplyItem) -> None:
    assert outcomes(DeclaredInput.of(given.part, "here", "x", OTHER)) == [MatchOutcome.CONTRADICTED]


def test_a_part_that_was_not_given_is_only_claimed() -> None:
    declared = DeclaredInput.of(SupplyPart.TRAINING, "here", "train.csv", OTHER)
    assert outcomes(declared, given=(MODEL, EVALUATION)) == [MatchOutcome.CLAIMED]


def test_the_same_name_with_another_digest_contradicts_even_without_a_part() -> None:
    declared = DeclaredInput("here", "https://acme.example/d/train.csv?v=1", OTHER)
    assert outcomes(declared) == [MatchOutcome.CONTRADICTED]
    assert outcomes(DeclaredInput("here", "else.csv", OTHER)) == [MatchOutcome.CLAIMED]


def test_a_name_contradicts_only_among_the_parts_that_are_meant() -> None:
    declared = DeclaredInput.dataset("here", "model.onnx", OTHER)
    assert outcomes(declared) == [MatchOutcome.CLAIMED]


def test_one_of_several_files_of_a_part_leaves_the_others_claimed() -> None:
    first = DeclaredInput.of(SupplyPart.TRAINING, "a", "train.csv", {"sha256": TRAINING.sha256})
    second = DeclaredInput.of(SupplyPart.TRAINING, "b", "more.csv", OTHER)
    assert outcomes(first, second) == [MatchOutcome.CONFIRMED, MatchOutcome.CLAIMED]


def test_without_a_sha256_nothing_is_more_than_claimed() -> None:
    bare = DeclaredInput.of(SupplyPart.MODEL, "here", "model.onnx")
    weak = DeclaredInput.of(SupplyPart.MODEL, "here", "model.onnx", {"md5": "0" * 32})
    assert [item.why for item in matches(bare, weak)] == [
        "no digest is declared",
        "it is declared by md5 and no SHA-256",
    ]
    assert outcomes(bare, weak) == [MatchOutcome.CLAIMED, MatchOutcome.CLAIMED]


def test_what_was_given_as_something_else_is_confirmed_and_said() -> None:
    declared = DeclaredInput.of(SupplyPart.TRAINING, "here", "x", {"sha256": EVALUATION.sha256})
    (found,) = matches(declared)
    assert found.outcome is MatchOutcome.CONFIRMED
    assert found.why == "it is declared as training, and was given as evaluation"


def test_what_no_document_declares_is_listed() -> None:
    confirmed = matches(DeclaredInput("here", "x", {"sha256": MODEL.sha256}))
    assert list_undeclared_files(confirmed, GIVEN) == (BASE, CODE, TRAINING, EVALUATION)


def test_one_digest_of_several_files_speaks_for_all_of_them() -> None:
    files = (
        MODEL,
        SupplyItem(SupplyPart.MODEL, "w.bin", hexed("w")),
        SupplyItem(SupplyPart.MODEL, "", hexed("all")),
    )
    confirmed = matches(DeclaredInput("here", "x", {"sha256": hexed("all")}), given=files)
    assert list_undeclared_files(confirmed, files) == ()


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
