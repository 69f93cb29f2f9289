"""What checks say of their rows is true, and a committed record names none of them."""

import json
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from everything import SUBJECTS
from watching import Nobody

from auditor.checks.measure import compute_readings, instantiate_check
from auditor.checks.registry import discover_checks
from auditor.domain.budgets import AuditSize, Budget
from auditor.domain.datasets import DatasetRole
from auditor.domain.disclosure import NAMING, strip_row_details
from auditor.domain.evidence import Evidence
from auditor.domain.observed_checks import ObservedCheck, Result
from auditor.domain.readings import Measurement
from auditor.domain.row_evidence import IDS
from auditor.domain.targets import TargetSpec
from auditor.trust.disclosure import (
    EvidenceCommitment,
    RowEncoding,
    commit_observation,
    count_evidence_rows,
    join_item_rows,
    split_item_rows,
)
from auditor.workflows.engine.local import observe_checks
from auditor.workflows.engine.time_allowance import TimeAllowance

CHECKS = discover_checks()
DECLARED = sorted(name for name, check in CHECKS.items() if check.by_row.each)
SIZE = AuditSize(240, 2, {"0": 120, "1": 120}, {}, "1")
KEY = bytes(32)


@cache
def observed(name: str, subject: str) -> Result:
    check = instantiate_check(CHECKS[name], dict(CHECKS[name].presets.get(Budget.SMOKE, {})))
    (result,) = observe_checks(
        [check],
        SUBJECTS[subject](),
        lambda blob: None,
        Nobody(),
        TimeAllowance(TargetSpec("cpu"), SIZE),
    )
    return result


@pytest.mark.parametrize("name", DECLARED)
def test_what_a_check_says_of_its_rows_hangs_together(name: str) -> None:
    told = CHECKS[name].by_row
    assert IDS in told.each
    assert not told.each & told.apart
    assert told.counted <= set(CHECKS[name].emits)


@pytest.mark.parametrize("subject", ["binary", "many_classes", "numbers"])
@pytest.mark.parametrize("name", DECLARED)
def test_what_goes_by_row_has_a_row_for_each_id(name: str, subject: str) -> None:
    result = observed(name, subject)
    if not isinstance(result, ObservedCheck):
        return  # the check says why it has nothing to say of this subject
    told, rows = result.check.by_row, count_evidence_rows(result.evidence)
    for item in told.each & set(result.evidence):
        header, parts = split_item_rows(result.evidence[item], rows)
        assert header.form is not RowEncoding.WHOLE, item
        assert len(parts) == rows


@pytest.mark.parametrize("subject", ["binary", "many_classes", "numbers"])
@pytest.mark.parametrize("name", [name for name in DECLARED if CHECKS[name].by_row.adds])
def test_what_rows_add_up_to_is_the_figure_itself(name: str, subject: str) -> None:
    result = observed(name, subject)
    if not isinstance(result, ObservedCheck) or IDS not in result.evidence:
        return  # the check says why it has nothing to say of this subject
    adds = result.check.by_row.adds
    assert adds is not None
    found = [item for item in compute_readings([result], 0.95) if isinstance(item, Measurement)]
    for added in adds(result.evidence):
        assert len(added.values) == count_evidence_rows(result.evidence)
        values = [m.value for m in found if (m.metric, m.params) == (added.metric, added.params)]
        assert values in ([], [pytest.approx(added.values.mean())]), added.metric


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("name", CHECKS)
def test_a_sealed_reading_names_no_row(name: str, subject: str) -> None:
    result = observed(name, subject)
    if not isinstance(result, ObservedCheck):
        return
    sealed, parts = commit_observation(result, KEY)
    named = {part.commitment.digest for part in parts}
    assert set(sealed.observation.evidence.values()) == named
    assert not named & {part.plain for part in parts}
    said = json.dumps([item.to_json() for item in compute_readings([sealed], 0.95)])
    ids = {f'"{role.value}-{row}"' for role in DatasetRole for row in range(240)}
    assert not {word for word in ids if word in said}


def test_figures_of_some_rows_are_those_of_a_smaller_sample() -> None:
    result = observed("quality.accuracy", "binary")
    assert isinstance(result, ObservedCheck)
    kept = np.arange(0, 240, 3)
    some: Evidence = {
        name: item[kept] if isinstance(item, np.ndarray) else item
        for name, item in result.evidence.items()
    }
    sealed, parts = commit_observation(result, KEY)
    by_digest = {part.commitment.digest: part.commitment for part in parts}
    shown: dict[str, Any] = {}
    for name, item in result.evidence.items():
        bound: EvidenceCommitment = by_digest[sealed.observation.evidence[name]]
        whole = bound.header.form is RowEncoding.WHOLE
        _, rows = split_item_rows(item, None if whole else 240)
        picked = rows if whole else [rows[at] for at in kept]
        shown[name] = join_item_rows(bound.header, picked)
    assert result.check.figures(shown, 0.95) == result.check.figures(some, 0.95)


def test_details_keep_their_counts_and_lose_their_rows() -> None:
    lists = {name: ["r1"] for name in NAMING}
    assert strip_row_details({**lists, "k": 1}) == {"k": 1}
    assert strip_row_details({"groups": {"f": 1}}) == {"groups": {"f": 1}}


def test_the_same_observation_under_another_key_shares_no_digest() -> None:
    result = observed("quality.accuracy", "binary")
    assert isinstance(result, ObservedCheck)
    other = replace(result.observation, target="gpu")
    found = [
        set(commit_observation(seen, key)[0].observation.evidence.values())
        for key in (KEY, b"k" * 32)
        for seen in (result, replace(result, observation=other))
    ]
    assert len(set().union(*found)) == sum(map(len, found))
