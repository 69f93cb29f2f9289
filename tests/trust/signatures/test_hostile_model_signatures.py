"""Bundles that a careless verifier accepts, each properly signed unless the case is the signature.

The classes are those in which the reference verifier was found wanting, and their neighbours.
"""

import hostile_bundles
import hostile_certificates
import hostile_manifests
import hostile_materials
import hostile_shards
import hostile_trust
import pytest
from authority_forge import MOMENT, Pki
from hostile_corpus import CASES, looked_at
from hostile_reference import ACCEPTED_BY_THE_REFERENCE
from signature_forge import FILES, Forge

from auditor.trust.signatures.model_signing import verify_model
from auditor.trust.verification_result import IssueCode, IssueGrade, VerificationProfile

COLLECTED = (
    hostile_bundles,
    hostile_certificates,
    hostile_manifests,
    hostile_materials,
    hostile_shards,
    hostile_trust,
)
"""The modules that fill ``CASES`` on import."""
HABITS = frozenset(code for code in IssueCode if VerificationProfile.COMPAT.tolerates(code))


def test_the_corpus_is_not_thinned_out() -> None:
    assert len(CASES) >= 200


def test_every_code_has_a_case() -> None:
    elsewhere = {
        IssueCode.UNSIGNED,  # there is no bundle
        IssueCode.NO_KEY,
        IssueCode.KEY_HINT,  # a warning
        IssueCode.CONTRADICTION,  # of records
        *(code for code in IssueCode if code.startswith("TIMESTAMP")),  # of authorities of time
    }
    # What a trust policy says is tested with trust policies.
    elsewhere |= set(list(IssueCode)[list(IssueCode).index(IssueCode.POLICY_EXPIRED) :])
    assert {code for code, _ in CASES.values()} == set(IssueCode) - elsewhere


def test_what_the_reference_is_known_to_accept_is_all_in_it() -> None:
    assert ACCEPTED_BY_THE_REFERENCE.keys() <= CASES.keys()


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_bundle_is_refused_with_its_code_in_printable_words(
    name: str, forge: Forge
) -> None:
    found = looked_at(name, forge, MOMENT)
    assert not found.verified
    assert CASES[name][0] in found.codes
    for item in found.objections:
        assert item.text.isascii()
        assert item.text.isprintable()
        assert len(item.text) < 400


@pytest.mark.parametrize("name", CASES)
def test_compat_takes_only_habits(name: str, forge: Forge) -> None:
    found = looked_at(name, forge, MOMENT, VerificationProfile.COMPAT)
    if CASES[name][0] not in HABITS:
        assert not found.verified
    warned = {item.code for item in found.objections if item.grade is IssueGrade.WARNING}
    assert warned <= HABITS | {IssueCode.KEY_HINT}


def test_each_habit_has_a_case_that_compat_takes_with_its_warning(forge: Forge) -> None:
    taken = set()
    for name, (code, _) in CASES.items():
        if code in HABITS:
            found = looked_at(name, forge, MOMENT, VerificationProfile.COMPAT)
            if found.verified:
                taken.add(code)
    assert taken == HABITS


def test_the_forges_make_good_bundles_when_nothing_is_changed(forge: Forge) -> None:
    pki = Pki.made()
    for found in (
        verify_model(forge.sign(forge.statement()), forge.pem, FILES),
        verify_model(pki.sign(), pki.trusted, FILES, moment=MOMENT),
    ):
        assert found.verified
        assert found.objections == ()
