"""What a reader is shown of rows that attacks made up."""

from dataclasses import replace

import numpy as np
import pytest
from rendering_records import BLOBS, FAILING, inputs_of

from auditor.checks.privacy.inversion import ModelInversionCheck
from auditor.domain.evidence import Item, encode_evidence
from auditor.domain.records import CheckObservation
from auditor.reports.formats.html import render_html
from auditor.reports.html.examples import ReconstructionSheet, build_reconstruction_sheets

RNG = np.random.default_rng(0)
KEPT: dict[str, Item] = {
    "cells": [
        {"attack": "scores", "prior": "none"},
        {"attack": "gradient", "prior": "public"},
    ],
    "shown_classes": ["<b>cat", "dog", "cow"],
    "shown_made": RNG.random((2, 3, 1, 8, 8)),
    "shown_means": RNG.random((3, 1, 8, 8)),
    "shown_members": RNG.random((2, 3, 1, 8, 8)),
}


def sheets(
    kept: dict[str, Item], *, show: bool = True
) -> tuple[tuple[ReconstructionSheet, ...], str]:
    blobs = {name: encode_evidence(item) for name, item in kept.items()}
    names = {name: blob.digest for name, blob in blobs.items()}
    seen = CheckObservation("cpu", ModelInversionCheck.id, 1, {}, 1, names)
    raw = {**BLOBS, **{blob.digest: blob.raw for blob in blobs.values()}}
    record = replace(FAILING, observations=(seen,))
    inputs = inputs_of(record, blob=raw.__getitem__, show_examples=show)
    return build_reconstruction_sheets(inputs), render_html(inputs)


def test_each_class_stands_beside_its_public_mean_and_its_nearest_member() -> None:
    (first, second), page = sheets(KEPT)
    assert first.attack == "by scores, without a prior"
    assert second.attack == "by gradient, with public rows as prior"
    assert [item.label for item in first.classes] == ["<b>cat", "dog", "cow"]
    one, other = first.classes[0], second.classes[0]
    assert one.made != other.made
    assert all(it.startswith("data:image/png;base64,") for it in (one.made, one.mean, one.member))
    assert "nearest member" in page
    assert "<b>cat" not in page


def test_without_members_the_mean_stands_alone() -> None:
    (first, _), page = sheets({name: it for name, it in KEPT.items() if name != "shown_members"})
    assert first.classes[0].member == ""
    assert "public mean" in page
    assert "nearest member" not in page


def test_without_leave_nothing_is_shown() -> None:
    found, page = sheets(KEPT, show=False)
    assert found == ()
    assert "What was made up" not in page


@pytest.mark.parametrize("broken", ["shown_made", "shown_means", "shown_classes", "cells"])
def test_broken_evidence_shows_nothing(broken: str) -> None:
    assert sheets({**KEPT, broken: "broken"})[0] == ()
