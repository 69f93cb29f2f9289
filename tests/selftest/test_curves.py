"""Defects that are made weaker and stronger, so as to see where they fade."""

from collections import Counter

import pytest
from toy_family import Toys

from auditor.selftest.family_registry import discover_families
from auditor.selftest.scale import SelftestScale
from auditor.selftest.specimens import EACH, GradedFamily, build_strength_curve, select_specimens

KNOWN = discover_families()
GRADED = [name for name, family in KNOWN.items() if isinstance(family, GradedFamily)]


def test_a_family_without_strengths_has_no_curve() -> None:
    assert build_strength_curve(Toys()) == ()


@pytest.mark.parametrize("name", GRADED)
def test_a_curve_has_as_many_planted_specimens_at_each_strength(name: str) -> None:
    family = KNOWN[name]
    assert isinstance(family, GradedFamily)
    found = build_strength_curve(family)
    assert all(one.planted for one in found)
    counts = Counter((one.defect, one.strength) for one in found)
    asked = {(defect, at) for defect, given in family.strengths.items() for at in given}
    assert counts.keys() == asked
    assert all(count <= EACH for count in counts.values())
    for defect, strengths in family.strengths.items():
        assert len({counts[defect, at] for at in strengths}) == 1
    assert len({one.name for one in found}) == len(found)


@pytest.mark.parametrize("name", GRADED)
def test_a_curve_visits_every_architecture_of_a_defect(name: str) -> None:
    full = KNOWN[name].specimens(SelftestScale.FULL)
    for defect in {one.defect for one in select_specimens(KNOWN[name], SelftestScale.CURVE)}:
        there = {one.architecture for one in full if one.defect == defect}
        tried = {
            one.architecture for one in build_strength_curve(KNOWN[name]) if one.defect == defect
        }
        assert tried == there
