"""What may be said of a leak."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.attacks.privacy.membership_statistics import (
    AttackAuc,
    NegativeControl,
    apply_threshold,
    attack_auc,
    rank_test,
    tail_advantage,
)
from auditor.attacks.privacy.membership_verdicts import (
    LeakVerdict,
    MembershipFinding,
    detectable_leaks,
    most_exposed_members,
    overall_leak_verdict,
)
from auditor.domain.readings import BiasDirection

ROWS = 1000
MEMBER = np.arange(ROWS) < ROWS // 2
NOISE = np.random.default_rng(0).normal(size=ROWS)


def gated(scores: np.ndarray, member: np.ndarray = MEMBER) -> NegativeControl:
    return NegativeControl(attack_auc(scores, member), tail_advantage(scores, member))


FAIR = gated(np.random.default_rng(1).normal(size=ROWS))
RAISED = gated(NOISE + 0.5 * MEMBER)
LOWERED = gated(NOISE - 0.5 * MEMBER)


def finding(
    gain: float,
    unseen: NegativeControl | None = FAIR,
    blind: AttackAuc = FAIR.area,
    sided: NegativeControl | None = FAIR,
) -> MembershipFinding:
    scores = NOISE + gain * MEMBER
    return MembershipFinding(
        ("rmia", "network"), scores, MEMBER, rank_test(scores, MEMBER),
        apply_threshold(scores, MEMBER, 0.01), attack_auc(scores, MEMBER),
        tail_advantage(scores, MEMBER), unseen, sided, blind, 1e-4,
    )  # fmt: skip


def test_a_leak_is_shown_beyond_chance_and_beyond_models_that_saw_neither() -> None:
    assert finding(0.6).said is LeakVerdict.SHOWN
    assert finding(0.0).said is LeakVerdict.NO_EVIDENCE
    assert not finding(0.6).doubted


@pytest.mark.parametrize(
    "gates", [{"unseen": RAISED}, {"blind": RAISED.area}, {"unseen": None}, {"sided": RAISED},
              {"sided": None}],
)  # fmt: skip
def test_no_leak_counts_where_rows_differ_by_themselves(
    gates: dict[str, NegativeControl | None],
) -> None:
    assert finding(0.6, **gates).said is LeakVerdict.INCONCLUSIVE
    assert finding(0.0, **gates).said is LeakVerdict.INCONCLUSIVE


def test_a_few_members_above_the_limit_count_if_other_models_put_none_there() -> None:
    """One in eight stands out, which ranks do not see and a shift of spread would do as well."""
    out = np.where(MEMBER & (np.arange(ROWS) % 8 == 0), 9.0, 0.0)
    found = replace(finding(0.05), scores=NOISE + out, ranks=0.01)
    seen = replace(
        found, cut=apply_threshold(found.scores, MEMBER, 0.01),
        tail=tail_advantage(found.scores, MEMBER),
        area=attack_auc(found.scores + 0.1 * MEMBER, MEMBER), unseen=gated(NOISE),
        sided=gated(NOISE),
    )  # fmt: skip
    assert seen.said is LeakVerdict.SHOWN
    elsewhere = replace(gated(NOISE), tail=tail_advantage(NOISE + out, MEMBER))
    assert not elsewhere.area.raised
    for gate in ("unseen", "sided"):
        assert replace(seen, **{gate: elsewhere}).said is LeakVerdict.INCONCLUSIVE


def test_a_leak_no_larger_than_on_models_that_saw_neither_is_not_decided() -> None:
    """The gates themselves do not fail, but explain what chance does not."""
    rows = 40_000
    member, noise = np.arange(rows) < rows // 2, np.random.default_rng(4).normal(size=rows)
    told, gate = noise + 0.07 * member, noise + 0.07 * member
    few = np.random.default_rng(5).normal(size=rows)
    slight = AttackAuc(attack_auc(gate, member).value, 20 * attack_auc(few, member).influence)
    assert not slight.raised
    fair = gated(few, member)
    found = replace(
        finding(0.6), scores=told, member=member, area=attack_auc(told, member),
        sided=replace(fair, area=slight), unseen=fair, ranks=rank_test(told, member),
        cut=apply_threshold(told, member, 0.01),
    )  # fmt: skip
    assert found.found
    assert found.said is LeakVerdict.INCONCLUSIVE
    assert "chance does not explain" in str(found.details()["doubt"])


def test_rows_that_hide_a_leak_make_silence_worthless_and_a_leak_the_surer() -> None:
    assert finding(0.6, LOWERED).said is LeakVerdict.SHOWN
    assert finding(0.0, LOWERED).said is LeakVerdict.INCONCLUSIVE


def test_silence_among_rows_that_could_not_see_a_plain_leak_is_not_decided() -> None:
    few = np.r_[np.arange(30), np.arange(ROWS - 30, ROWS)]
    silent = replace(finding(0.0), scores=NOISE[few], member=MEMBER[few])
    silent = replace(silent, cut=apply_threshold(silent.scores, silent.member, 0.01))
    assert silent.said is LeakVerdict.INCONCLUSIVE
    assert "too few rows" in silent.reason
    assert not silent.doubted, "no gate failed: the figures are what they are"
    assert finding(0.0).reason == ""


def test_a_sample_of_the_size_of_digits_is_enough() -> None:
    rows = 1347 + 450
    member, scores = np.arange(rows) < 1347, np.random.default_rng(2).normal(size=rows)
    for tests in (6, 26):
        found = replace(finding(0.0), scores=scores, member=member, level=0.001 / tests)
        found = replace(found, cut=apply_threshold(scores, member, 0.01), ranks=0.5)
        assert found.said is LeakVerdict.NO_EVIDENCE


@pytest.mark.parametrize(
    ("found", "astray"),
    [
        (finding(0.6), None),
        (finding(0.6, RAISED), BiasDirection.TOO_HIGH),
        (finding(0.6, blind=RAISED.area), BiasDirection.TOO_HIGH),
        (finding(0.6, None), BiasDirection.TOO_HIGH),
        (finding(0.0, LOWERED), BiasDirection.TOO_LOW),
        (finding(0.0, LOWERED, sided=RAISED), BiasDirection.EITHER),
    ],
)
def test_gates_say_on_which_side_the_figures_may_lie(
    found: MembershipFinding, astray: BiasDirection | None
) -> None:
    assert found.astray is astray
    assert found.doubted == (astray is not None)


def test_a_doubted_finding_says_why() -> None:
    assert "saw neither" in str(finding(0.6, RAISED).details()["doubt"])
    assert "labels drifted" in str(finding(0.6, sided=RAISED).details()["doubt"])
    assert "doubt" not in finding(0.6).details()


@given(st.lists(st.sampled_from([0.0, 0.6]), min_size=1, max_size=4))
def test_one_more_leak_is_never_less_of_a_leak(gains: list[float]) -> None:
    before = overall_leak_verdict(tuple(finding(gain) for gain in gains))
    after = overall_leak_verdict((finding(0.6), *(finding(gain) for gain in gains)))
    assert after is LeakVerdict.SHOWN
    assert before in {LeakVerdict.SHOWN, LeakVerdict.NO_EVIDENCE}


def test_silence_counts_as_far_as_that_of_the_strongest_attack_does() -> None:
    silent, doubtful = finding(0.0), finding(0.0, RAISED)
    assert overall_leak_verdict((doubtful, silent)) is LeakVerdict.NO_EVIDENCE
    assert overall_leak_verdict((silent, doubtful)) is LeakVerdict.INCONCLUSIVE


def test_the_rows_at_risk_are_members_above_the_limit_the_worst_first() -> None:
    found = finding(0.6)
    rows = most_exposed_members(found, 5)
    assert MEMBER[rows].all()
    assert (np.diff(found.scores[rows]) <= 0).all()
    assert (found.scores[rows] > found.cut.at).all()
    assert rows[0] == np.argmax(np.where(MEMBER, found.scores, -np.inf))


def test_a_stricter_level_sees_less() -> None:
    loose, strict = (detectable_leaks(replace(finding(0.0), level=it)) for it in (0.05, 1e-6))
    assert float(str(loose["smallest_auc"])) < float(str(strict["smallest_auc"]))
