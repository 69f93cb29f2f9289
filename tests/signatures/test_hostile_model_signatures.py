"""Bundles that a careless verifier accepts, each properly signed unless the case is the signature.

The classes are those in which the reference verifier was found wanting, and their neighbours.
"""

import hostile_bundles
import hostile_manifests
import pytest
from hostile_corpus import CASES
from signature_forge import FILES, Forge

from auditor.signatures.oms import verify

COLLECTED = (hostile_bundles, hostile_manifests)
"""The modules that fill ``CASES`` on import."""


def test_the_corpus_is_not_thinned_out() -> None:
    assert len(CASES) >= 85


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_bundle_is_refused_with_its_code(name: str, forge: Forge) -> None:
    code, build = CASES[name]
    bundle, files = build(forge)
    found = verify(bundle, forge.pem, files)
    assert not found.verified
    assert code in found.codes


@pytest.mark.parametrize("name", CASES)
def test_every_refusal_is_said_in_printable_words(name: str, forge: Forge) -> None:
    bundle, files = CASES[name][1](forge)
    for item in verify(bundle, forge.pem, files).objections:
        assert item.text.isascii()
        assert item.text.isprintable()
        assert len(item.text) < 400


def test_the_forge_makes_good_bundles_when_nothing_is_changed(forge: Forge) -> None:
    found = verify(forge.sign(forge.statement()), forge.pem, FILES)
    assert found.verified
    assert found.objections == ()
