"""Whatever is done to a bundle, nothing crashes, and only what says the same is accepted."""

import pytest
from authority_forge import MOMENT
from bundle_mutations import (
    BUNDLES,
    TRUST,
    means_the_same,
    mutated_bundles,
    mutated_statements,
    says_the_same,
)
from hypothesis import given, settings
from signature_forge import FILES

from auditor.trust.signatures.model_signing import verify_model
from auditor.trust.verification_result import VerificationProfile

MANY = 1_000


def judge(raw: bytes) -> None:
    for profile in VerificationProfile:
        found = verify_model(raw, TRUST, FILES, moment=MOMENT, profile=profile)
        assert found.verified == (found.payload is not None and not found.mistakes)
        if found.verified:
            assert says_the_same(raw) or means_the_same(raw)


@given(mutated_bundles())
def test_a_changed_bundle_is_accepted_only_where_it_says_the_same(raw: bytes) -> None:
    judge(raw)


@given(mutated_statements())
def test_a_changed_statement_is_accepted_only_where_it_names_the_same_files(raw: bytes) -> None:
    judge(raw)


@pytest.mark.slow
@settings(max_examples=MANY)
@given(mutated_bundles())
def test_thousands_of_changed_bundles(raw: bytes) -> None:
    judge(raw)


@pytest.mark.slow
@settings(max_examples=MANY)
@given(mutated_statements())
def test_thousands_of_changed_statements(raw: bytes) -> None:
    judge(raw)


def test_the_unchanged_bundles_are_accepted() -> None:
    for raw in BUNDLES:
        assert verify_model(raw, TRUST, FILES, moment=MOMENT).verified
        judge(raw)
