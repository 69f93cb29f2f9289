import base64
import io

import numpy as np
import pytest
from PIL import Image
from rendering_records import BLOBS, FAILING, inputs_of

from auditor.domain.evidence import Evidence, encode
from auditor.domain.records import AuditRecord, Observation
from auditor.rendering.examples import galleries
from auditor.rendering.pictures import as_pictures, picture_triples


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
    found = as_pictures(np.zeros(shape))
    assert found is not None
    assert found.shape == picture


@pytest.mark.parametrize("shape", [(2, 12), (2, 1, 12), (2, 4, 8, 9), (2, 1, 1, 3)])
def test_tables_are_no_pictures(shape: tuple[int, ...]) -> None:
    assert as_pictures(np.zeros(shape)) is None


def test_the_difference_is_magnified_over_grey() -> None:
    clean = np.array([[[[0.0], [1.0]], [[0.5], [0.5]]]])
    moved = clean + np.array([[[[0.1], [-0.1]], [[0.0], [0.1]]]])
    triple = picture_triples(clean, moved)[0]
    assert triple.times == 5.0
    grey = np.asarray(opened(triple.difference))
    assert grey.tolist() == [[255, 0], [128, 255]]
    assert np.asarray(opened(triple.clean)).tolist() == [[0, 255], [128, 128]]


def test_an_input_that_did_not_change_has_a_plain_difference() -> None:
    same = np.linspace(0, 1, 4).reshape(1, 2, 2, 1)
    assert np.asarray(opened(picture_triples(same, same)[0].difference)).tolist() == [[128] * 2] * 2


def test_large_pictures_are_made_small() -> None:
    large = np.random.default_rng(0).uniform(size=(1, 600, 300, 3))
    assert max(opened(picture_triples(large, large)[0].clean).size) <= 160


def seen(evidence: Evidence) -> tuple[AuditRecord, dict[str, bytes]]:
    blobs = {name: encode(item) for name, item in evidence.items()}
    names = {name: blob.digest for name, blob in blobs.items()}
    record = AuditRecord(
        **{
            **{name: getattr(FAILING, name) for name in FAILING.__dataclass_fields__},
            "observations": (Observation("cpu", "evasion.linf", 1, {}, 1, names),),
        }
    )
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
    (gallery,) = galleries(inputs_of(record, blob=blobs.__getitem__))
    (example,) = gallery.examples
    moved = [(change.feature, change.before, change.after) for change in example.changes]
    assert moved == [("debt", "3", "1"), ("age", "1", "1.5")]
    assert (example.row, example.budget, example.pictures) == ("r9", "eps = 0.05", None)


def test_examples_that_contradict_each_other_are_not_shown() -> None:
    record, blobs = seen(
        {"example_clean": np.zeros((2, 3)), "example_adversarial": np.zeros((1, 3))}
    )
    assert galleries(inputs_of(record, blob=blobs.__getitem__)) == ()
