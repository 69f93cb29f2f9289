"""What was changed in a text, as people read it."""

from dataclasses import replace

import pytest
from rendering_records import BLOBS, FAILING, inputs_of

from auditor.domain.evidence import Item, encode_evidence
from auditor.domain.records import CheckObservation
from auditor.reports.html.examples import ExampleGallery, build_galleries
from auditor.reports.wording import list_word_changes


def test_words_that_were_changed_are_named_by_their_place() -> None:
    before, after = "Return the  path, as it is.", "Return the  pth, as it si."
    assert list(list_word_changes(before, after)) == [
        ("word 3", "path,", "pth,"),
        ("word 6", "is.", "si."),
    ]


def test_letters_that_only_look_alike_are_named_by_their_code() -> None:
    ((place, one, other),) = list_word_changes("a caf\u00e9 path", "a caf\u00e9 p\u0430th")
    assert (place, one) == ("word 3", "path")
    assert other == "p\u0430th (\u0430 is U+0430)"
    assert list(list_word_changes("caf\u00e9", "c\u00e9f\u00e9")) == [
        ("word 1", "caf\u00e9", "c\u00e9f\u00e9")
    ]


def shown(**evidence: Item) -> tuple[ExampleGallery, ...]:
    blobs = {f"example_{name}": encode_evidence(item) for name, item in evidence.items()}
    names = {name: blob.digest for name, blob in blobs.items()}
    seen = CheckObservation("cpu", "evasion.text", 1, {}, 1, names)
    raw = {**BLOBS, **{blob.digest: blob.raw for blob in blobs.values()}}
    return build_galleries(inputs_of(replace(FAILING, observations=(seen,)), blob=raw.__getitem__))


def test_a_text_is_shown_by_its_changed_words() -> None:
    (gallery,) = shown(
        clean=["a good film", "so bad"],
        adversarial=["a good movie", "so baad"],
        rows=["r1", "r2"],
        clean_class=["fine", "poor"],
        adversarial_class=["poor", "fine"],
        budget=["1 word", "1 word"],
    )
    assert gallery.done == "changed"
    first, second = gallery.examples
    assert (first.row, first.budget, first.said_before, first.said_after) == (
        *("r1", "1 word"),
        *("fine", "poor"),
    )
    told = [(change.feature, change.before, change.after) for change in first.changes]
    assert told == [("word 3", "film", "movie")]
    assert second.changes[0].after == "baad"


@pytest.mark.parametrize("adversarial", [["one"], [], "one", [1, 2], None])
def test_texts_that_contradict_each_other_are_not_shown(adversarial: Item) -> None:
    assert shown(clean=["one", "two"], adversarial=adversarial) == ()


def test_texts_of_other_lengths_stand_in_full() -> None:
    assert list(list_word_changes("one two", "one")) == [("text", "one two", "one")]
    assert not list(list_word_changes("same", "same"))
