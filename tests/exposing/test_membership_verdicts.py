"""What may be said of a leak."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.exposing.gates import Area, area
from auditor.exposing.thresholds import cut, rank_test
from auditor.exposing.verdicts import Finding, Said, at_risk, overall, power

ROWS = 1000
MEMBER = np.arange(ROWS) < ROWS // 2
NOISE = np.random.default_rng(0).normal(size=ROWS)
FAIR = area(np.random.default_rng(1).normal(size=ROWS), MEMBER)
RAISED = area(NOISE + 0.5 * MEMBER, MEMBER)
LOWERED = area(NOISE - 0.5 * MEMBER, MEMBER)


def finding(gain: float, unseen: Area | None = FAIR, blind: Area = FAIR) -> Finding:
    scores = NOISE + gain * MEMBER
    return Finding(
        ("rmia", "network"), scores, MEMBER, rank_test(scores, MEMBER), cut(scores, MEMBER, 0.01),
        area(scores, MEMBER), unseen, blind, 1e-4,
        () if unseen is FAIR and blind is FAIR else ("a gate failed",),
    )  # fmt: skip


def test_a_leak_is_shown_beyond_chance_and_beyond_models_that_saw_neither() -> None:
    assert finding(0.6).said is Said.SHOWN
    assert finding(0.0).said is Said.NO_EVIDENCE
    assert not finding(0.6).doubted


@pytest.mark.parametrize(("unseen", "blind"), [(RAISED, FAIR), (FAIR, RAISED), (None, FAIR)])
def test_no_leak_counts_where_rows_differ_by_themselves(unseen: Area | None, blind: Area) -> None:
    assert finding(0.6, unseen, blind).said is Said.INCONCLUSIVE
    assert finding(0.0, unseen, blind).said is Said.INCONCLUSIVE


def test_rows_that_hide_a_leak_make_silence_worthless_and_a_leak_the_surer() -> None:
    assert finding(0.6, LOWERED).said is Said.SHOWN
    assert finding(0.0, LOWERED).said is Said.INCONCLUSIVE


def test_a_doubted_finding_says_why() -> None:
    assert finding(0.6, RAISED).details()["doubt"] == "a gate failed"
    assert "doubt" not in finding(0.6).details()


@given(st.lists(st.sampled_from([0.0, 0.6]), min_size=1, max_size=4))
def test_one_more_leak_is_never_less_of_a_leak(gains: list[float]) -> None:
    before = overall(tuple(finding(gain) for gain in gains))
    after = overall((finding(0.6), *(finding(gain) for gain in gains)))
    assert after is Said.SHOWN
    assert before in {Said.SHOWN, Said.NO_EVIDENCE}


def test_silence_counts_as_far_as_that_of_the_strongest_attack_does() -> None:
    silent, doubtful = finding(0.0), finding(0.0, RAISED)
    assert overall((doubtful, silent)) is Said.NO_EVIDENCE
    assert overall((silent, doubtful)) is Said.INCONCLUSIVE


def test_the_rows_at_risk_are_members_above_the_limit_the_worst_first() -> None:
    found = finding(0.6)
    rows = at_risk(found, 5)
    assert MEMBER[rows].all()
    assert (np.diff(found.scores[rows]) <= 0).all()
    assert (found.scores[rows] > found.cut.at).all()
    assert rows[0] == np.argmax(np.where(MEMBER, found.scores, -np.inf))


def test_a_stricter_level_sees_less() -> None:
    loose, strict = (power(replace(finding(0.0), level=it)) for it in (0.05, 1e-6))
    assert float(str(loose["smallest_auc"])) < float(str(strict["smallest_auc"]))
