"""The law that a policy rests on: told with its source, and plainly where nobody may rely on it."""

from dataclasses import replace

import pytest
from dossier_records import told
from pages import Page
from rendering_records import FAILING, HOSTILE, POLICY

from auditor.domain.policies import LegalBasis
from auditor.reports.formats.annex_iv import render_annex
from auditor.reports.formats.html import render_html
from auditor.reports.html.controls import list_legal_basis

ENDED = FAILING.finished[:10]
LAW = LegalBasis(
    datum="Rules apply from",
    value="2027-12-02",
    source="https://example.org/law (Article 113)",
    verified="2026-11-20",
    review_by="2027-05-27",
)


@pytest.mark.parametrize(
    ("verified", "review_by", "warning", "read"),
    [
        ("2026-11-20", "2027-05-27", "", "Read on 2026-11-20, to be read again by 2027-05-27."),
        ("unread", "2027-05-27", "Unverified.", "Nobody has read it at its source."),
        ("2026-01-01", "2026-11-23", "it was to be reviewed by 2026-11-23.", "Read on 2026-01-01"),
        ("2025-11-23", "2027-05-27", "more than a year ago.", "Read on 2025-11-23"),
        ("2026-11-25", "2027-05-27", "a day yet to come.", "Read on 2026-11-25"),
    ],
)
def test_law_is_told_as_it_stood_on_the_day_on_which_the_audit_ended(
    verified: str, review_by: str, warning: str, read: str
) -> None:
    assert ENDED == "2026-11-24"
    law = replace(LAW, verified=verified, review_by=review_by)
    inputs = told(policy=replace(POLICY, legal=(law,)))
    (said,) = list_legal_basis(inputs)
    assert said.warning.endswith(warning)
    assert bool(said.warning) is bool(warning)
    assert said.read.startswith(read)
    text = Page(render_html(inputs)).text()
    annex = render_annex(inputs)
    assert annex is not None
    assert "Law that the policy rests on" in annex
    for words in (said.read, said.warning, "https://example.org/law", "2027-12-02"):
        assert words in text
        assert words in annex.replace("\\", "")


def test_a_policy_that_names_no_law_says_nothing_of_it() -> None:
    inputs = told()
    assert "Law that the policy" not in render_html(inputs)
    assert "Law that the policy" not in (render_annex(inputs) or "")


def test_law_from_a_policy_is_text() -> None:
    law = replace(LAW, datum=HOSTILE, value=HOSTILE, source=HOSTILE)
    inputs = told(policy=replace(POLICY, legal=(law,)))
    assert "<script>" not in render_html(inputs)
    assert "<script>" not in (render_annex(inputs) or "").replace("\\<script\\>", "")
