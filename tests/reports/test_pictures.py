import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from attacked_records import ATTACKED, MOVED_BLOBS, shown_by
from PIL import Image
from rendering_records import BLOBS, FAILING, inputs_of

from auditor.domain.evidence import Evidence, encode_evidence
from auditor.domain.records import AuditRecord, CheckObservation
from auditor.reports.formats.html import render_html
from auditor.reports.html.examples import (
    build_galleries,
    build_heat_map,
    build_picture_triples,
    convert_to_pictures,
)

ROOM = 10**6


def opened(uri: str) -> Image.Image:
    raw = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    return Image.open(io.BytesIO(raw))


@pytest.mark.parametrize(
    ("shape", "picture"),
    [
        ((2, 8, 9), (2, 8, 9, 1)),
        ((2, 1, 8, 9), (2, 8, 9, 1)),
        ((2, 3, 8, 9), (2, 8, 9, 3)),
        ((2, 8, 9, 3), (2, 8, 9, 3)),
        ((2, 8, 9, 1), (2, 8, 9, 1)),
    ],
)
def test_pictures_are_recognised_by_their_shape(
    shape: tuple[int, ...], picture: tuple[int, ...]
) -> None:
    found = convert_to_pictures(np.zeros(shape))
    assert found is not None
    assert found.shape == picture


@pytest.mark.parametrize("shape", [(2, 12), (2, 1, 12), (2, 4, 8, 9), (2, 1, 1, 3)])
def test_tables_are_no_pictures(shape: tuple[int, ...]) -> None:
    assert convert_to_pictures(np.zeros(shape)) is None


def test_the_difference_is_magnified_over_grey() -> None:
    clean = np.array([[[[0.0], [1.0]], [[0.5], [0.5]]]])
    moved = clean + np.array([[[[0.1], [-0.1]], [[0.0], [0.1]]]])
    triple = build_picture_triples(clean, moved, ROOM)[0]
    assert triple.times == 5.0
    grey = np.asarray(opened(triple.difference))
    assert grey.tolist() == [[255, 0], [128, 255]]
    assert np.asarray(opened(triple.clean)).tolist() == [[0, 255], [128, 128]]


def test_an_input_that_did_not_change_has_a_plain_difference() -> None:
    same = np.linspace(0, 1, 4).reshape(1, 2, 2, 1)
    assert (
        np.asarray(opened(build_picture_triples(same, same, ROOM)[0].difference)).tolist()
        == [[128] * 2] * 2
    )


def test_large_pictures_are_made_small() -> None:
    large = np.random.default_rng(0).uniform(size=(1, 600, 300, 3))
    assert max(opened(build_picture_triples(large, large, ROOM)[0].clean).size) <= 96


def seen(evidence: Evidence) -> tuple[AuditRecord, dict[str, bytes]]:
    blobs = {name: encode_evidence(item) for name, item in evidence.items()}
    names = {name: blob.digest for name, blob in blobs.items()}
    observed = (CheckObservation("cpu", "evasion.linf", 1, {}, 1, names),)
    record = replace(FAILING, observations=observed)
    return record, {**BLOBS, **{blob.digest: blob.raw for blob in blobs.values()}}


def test_a_table_row_is_shown_by_the_features_that_moved_most_first() -> None:
    record, blobs = seen(
        {
            "example_clean": np.array([[1.0, 2.0, 3.0]]),
            "example_adversarial": np.array([[1.5, 2.0, 1.0]]),
            "example_rows": ["r9"],
            "example_eps": [0.05],
            "features": ["age", "income", "debt"],
        }
    )
    (gallery,) = build_galleries(inputs_of(record, blob=blobs.__getitem__))
    (example,) = gallery.examples
    moved = [(change.feature, change.before, change.after) for change in example.changes]
    assert moved == [("debt", "3", "1"), ("age", "1", "1.5")]
    assert (example.row, example.budget, example.pictures) == ("r9", "a change of 0.05", None)


def test_examples_that_contradict_each_other_are_not_shown() -> None:
    record, blobs = seen(
        {"example_clean": np.zeros((2, 3)), "example_adversarial": np.zeros((1, 3))}
    )
    assert build_galleries(inputs_of(record, blob=blobs.__getitem__)) == ()


@pytest.mark.parametrize(
    ("norm", "size", "said"),
    [
        ("linf", 0.0339, "a change of 0.0339 of the range"),
        ("l2", 0.5523, "a change of 0.552 ranges (L2)"),
        ("l1", 1, "a change of 1 range (L1)"),
        ("l0", 1.0, "a change of 1 feature"),
        ("l0", 3.0, "a change of 3 features"),
    ],
)
def test_the_size_of_a_change_is_said_in_its_norms_own_words(
    norm: str, size: float, said: str
) -> None:
    record, blobs = seen(
        {
            "example_clean": np.zeros((1, 3)),
            "example_adversarial": np.ones((1, 3)),
            "example_eps": [size],
            "settings": {"norm": norm},
        }
    )
    (gallery,) = build_galleries(inputs_of(record, blob=blobs.__getitem__))
    assert gallery.done == "attacked"
    assert gallery.examples[0].budget == said


@pytest.mark.parametrize(
    ("check", "done"), [("evasion.corruption", "corrupted"), ("evasion.spatial", "changed")]
)
def test_nobody_is_said_to_attack_where_data_are_only_bad_or_seen_otherwise(
    check: str, done: str
) -> None:
    record = replace(ATTACKED, observations=(shown_by(check),))
    (gallery,) = build_galleries(inputs_of(record, blob=MOVED_BLOBS.__getitem__))
    assert gallery.done == done
    assert [example.budget for example in gallery.examples] == [
        "fog, severity 5",
        "jpeg noise, severity 1",
    ]


def test_where_changes_lie_is_a_picture_brightest_where_most_changes() -> None:
    found = np.asarray(opened(build_heat_map(np.array([[0.0, 0.05], [0.1, 0.0]]))))
    assert found.tolist() == [[0, 128], [255, 0]]
    record = replace(ATTACKED, observations=(shown_by("evasion.l2"),))
    shown = build_galleries(inputs_of(record, blob=MOVED_BLOBS.__getitem__))
    assert shown[0].changed is not None
    hidden = inputs_of(record, blob=MOVED_BLOBS.__getitem__, show_examples=False)
    assert build_galleries(hidden) == ()


def test_attacks_are_shown_before_what_nobody_chose() -> None:
    record = replace(ATTACKED, observations=(shown_by("evasion.spatial"), *FAILING.observations))
    blobs = {**BLOBS, **MOVED_BLOBS}
    found = build_galleries(inputs_of(record, blob=blobs.__getitem__))
    assert [gallery.done for gallery in found] == ["attacked", "changed"]


def test_large_noisy_pictures_of_many_attacks_leave_the_page_small() -> None:
    noise = np.random.default_rng(3).uniform(size=(2, 6, 96, 96, 3))
    record, blobs = seen({"example_clean": noise[0], "example_adversarial": noise[1]})
    many = replace(record, observations=record.observations * 16)
    inputs = inputs_of(many, blob=blobs.__getitem__)
    assert len(build_galleries(inputs)) == 16
    assert len(render_html(inputs).encode()) < 2_000_000


def test_a_missing_value_that_was_filled_in_is_a_change() -> None:
    record, blobs = seen(
        {
            "example_clean": np.array([[np.nan, np.nan, 1.0]]),
            "example_adversarial": np.array([[4.0, np.nan, 1.0]]),
            "features": ["age", "income", "debt"],
        }
    )
    (gallery,) = build_galleries(inputs_of(record, blob=blobs.__getitem__))
    moved = [(c.feature, c.before, c.after) for c in gallery.examples[0].changes]
    assert moved == [("age", "missing", "4")]
