"""What checks say of their rows is true, and a committed record names none of them."""

import json
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from everything import SUBJECTS
from watching import Nobody

from auditor.checks.discovery import discover
from auditor.disclosing.commitments import Commitment
from auditor.disclosing.rows import Form, put_together, take_apart
from auditor.disclosing.sealing import count_rows, seal
from auditor.domain.budgets import Budget, Size
from auditor.domain.datasets import Role
from auditor.domain.disclosures import NAMING, without_rows
from auditor.domain.evidence import Evidence
from auditor.domain.observed import Result, Seen
from auditor.domain.readings import Measurement
from auditor.domain.rows import IDS, by_row
from auditor.engines.local import observe_all
from auditor.measuring import instantiate, readings

CHECKS = discover()
DECLARED = sorted(name for name, check in CHECKS.items() if by_row(check).each)
SIZE = Size(240, 2, {"0": 120, "1": 120}, {}, "1")
KEY = bytes(32)


@cache
def observed(name: str, subject: str) -> Result:
    check = instantiate(CHECKS[name], dict(CHECKS[name].presets.get(Budget.SMOKE, {})))
    (result,) = observe_all([check], SUBJECTS[subject](), lambda blob: None, Nobody(), SIZE)
    return result


@pytest.mark.parametrize("name", DECLARED)
def test_what_a_check_says_of_its_rows_hangs_together(name: str) -> None:
    told = by_row(CHECKS[name])
    assert IDS in told.each
    assert not told.each & told.apart
    assert told.counted <= set(CHECKS[name].emits)


@pytest.mark.parametrize("subject", ["binary", "many_classes", "numbers"])
@pytest.mark.parametrize("name", DECLARED)
def test_what_goes_by_row_has_a_row_for_each_id(name: str, subject: str) -> None:
    result = observed(name, subject)
    if not isinstance(result, Seen):
        return  # the check says why it has nothing to say of this subject
    told, rows = by_row(result.check), count_rows(result.evidence)
    for item in told.each & set(result.evidence):
        header, parts = take_apart(result.evidence[item], rows)
        assert header.form is not Form.WHOLE, item
        assert len(parts) == rows


@pytest.mark.parametrize("subject", ["binary", "many_classes", "numbers"])
@pytest.mark.parametrize("name", [name for name in DECLARED if by_row(CHECKS[name]).adds])
def test_what_rows_add_up_to_is_the_figure_itself(name: str, subject: str) -> None:
    result = observed(name, subject)
    if not isinstance(result, Seen) or IDS not in result.evidence:
        return  # the check says why it has nothing to say of this subject
    adds = by_row(result.check).adds
    assert adds is not None
    found = [item for item in readings([result], 0.95) if isinstance(item, Measurement)]
    for added in adds(result.evidence):
        assert len(added.values) == count_rows(result.evidence)
        values = [m.value for m in found if (m.metric, m.params) == (added.metric, added.params)]
        assert values in ([], [pytest.approx(added.values.mean())]), added.metric


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("name", CHECKS)
def test_a_sealed_reading_names_no_row(name: str, subject: str) -> None:
    result = observed(name, subject)
    if not isinstance(result, Seen):
        return
    sealed, parts = seal(result, KEY)
    named = {part.commitment.digest for part in parts}
    assert set(sealed.observation.evidence.values()) == named
    assert not named & {part.plain for part in parts}
    said = json.dumps([item.to_json() for item in readings([sealed], 0.95)])
    ids = {f'"{role.value}-{row}"' for role in Role for row in range(240)}
    assert not {word for word in ids if word in said}


def test_figures_of_some_rows_are_those_of_a_smaller_sample() -> None:
    result = observed("quality.accuracy", "binary")
    assert isinstance(result, Seen)
    kept = np.arange(0, 240, 3)
    some: Evidence = {
        name: item[kept] if isinstance(item, np.ndarray) else item
        for name, item in result.evidence.items()
    }
    sealed, parts = seal(result, KEY)
    by_digest = {part.commitment.digest: part.commitment for part in parts}
    shown: dict[str, Any] = {}
    for name, item in result.evidence.items():
        bound: Commitment = by_digest[sealed.observation.evidence[name]]
        whole = bound.header.form is Form.WHOLE
        _, rows = take_apart(item, None if whole else 240)
        picked = rows if whole else [rows[at] for at in kept]
        shown[name] = put_together(bound.header, picked)
    assert result.check.figures(shown, 0.95) == result.check.figures(some, 0.95)


def test_details_keep_their_counts_and_lose_their_rows() -> None:
    lists = {name: ["r1"] for name in NAMING}
    assert without_rows({**lists, "k": 1}) == {"k": 1}
    assert without_rows({"groups": {"f": 1}}) == {"groups": {"f": 1}}


def test_the_same_observation_under_another_key_shares_no_digest() -> None:
    result = observed("quality.accuracy", "binary")
    assert isinstance(result, Seen)
    other = replace(result.observation, target="gpu")
    found = [
        set(seal(seen, key)[0].observation.evidence.values())
        for key in (KEY, b"k" * 32)
        for seen in (result, replace(result, observation=other))
    ]
    assert len(set().union(*found)) == sum(map(len, found))
