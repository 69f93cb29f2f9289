"""An owner who multiplies logits decides alike, and hides no leak."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from exposed_subjects import GREEDY, MODEST, exposed, scaled
from hypothesis import given
from hypothesis import strategies as st
from saturated_networks import noisy_rows
from scored_subjects import measured, read
from sklearn.ensemble import RandomForestClassifier

from auditor.attacks.privacy.logit_recovery import is_saturated, reread_scores
from auditor.attacks.privacy.membership_evidence import MembershipEvidence, PoolAnswers
from auditor.attacks.privacy.membership_pool import MembershipPool, gather_pool
from auditor.attacks.privacy.membership_verdicts import (
    LeakVerdict,
    MembershipFinding,
    examine_attack,
    overall_leak_verdict,
)
from auditor.checks.privacy.membership import CHECK as MEMBERSHIP
from auditor.checks.privacy.obfuscation import CHECK as OBFUSCATION
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.readings import BiasDirection, Gap, Measurement, Reading
from auditor.metrics.stats.recalibration import fit_temperature

WORDS = {"attack": "all", "shadows": "all"}
FAR = st.one_of(st.floats(4, 400), st.floats(1 / 400, 1 / 4))
NEAR = 0.02
"""How far an area may move, of 400 rows a side whose area has a standard error of 0.02."""


@cache
def leaking() -> tuple[Subject, MembershipPool, MembershipEvidence]:
    subject = scaled(exposed(GREEDY, members=400, others=400), 1.0)
    pool = gather_pool(subject, 2000)
    assert isinstance(pool, MembershipPool)
    return subject, pool, MembershipEvidence.of(MEMBERSHIP().observe(subject, CheckShard()))


@cache
def findings(factor: float, *, softmax: bool = False) -> tuple[MembershipFinding, ...]:
    """What each attack finds where logits are multiplied, with the same stand-ins."""
    subject, pool, witness = leaking()
    said = PoolAnswers.of(scaled(subject, factor, softmax=softmax), pool)
    seen = replace(
        witness, target=pool.chances(said.read), temperature=said.temperature,
        saturated=said.saturated,
    )  # fmt: skip
    return tuple(examine_attack(seen, attack) for attack in seen.attacks)


@given(FAR)
def test_all_factors_are_read_alike(factor: float) -> None:
    subject, pool, _ = leaking()
    one, other = (PoolAnswers.of(scaled(subject, it), pool) for it in (factor, 7.0))
    assert np.allclose(one.read, other.read, atol=1e-5)
    assert np.array_equal(np.argsort(pool.chances(one.read)), np.argsort(pool.chances(other.read)))


@pytest.mark.parametrize("factor", [1 / 400, 1 / 20, 1 / 4, 4.0, 20.0, 400.0])
def test_no_factor_changes_what_is_found_or_may_be_said(factor: float) -> None:
    plain, moved = findings(1.0), findings(factor)
    assert overall_leak_verdict(moved) is overall_leak_verdict(plain) is LeakVerdict.SHOWN
    for before, after in zip(plain, moved, strict=True):
        assert after.area.value == pytest.approx(before.area.value, abs=NEAR)


@pytest.mark.parametrize("factor", [1 / 400, 4.0, 8.0, 20.0])
def test_a_softmax_hides_none_while_it_tells_small_numbers(factor: float) -> None:
    for before, after in zip(findings(1.0), findings(factor, softmax=True), strict=True):
        assert after.area.value == pytest.approx(before.area.value, abs=NEAR)


def test_scores_of_a_usual_scale_are_read_as_they_are() -> None:
    subject, pool, witness = leaking()
    said = PoolAnswers.of(subject, pool)
    assert said.read is said.plain
    assert (witness.temperature, witness.saturated) == (1.0, False)
    assert "temperature" not in findings(1.0)[0].details()
    assert findings(400.0)[0].details()["temperature"] == pytest.approx(
        400 * fit_temperature(subject.model.predict(pool.inputs), pool.labels)
    )


def audited(found: tuple[Reading, ...]) -> list[Measurement]:
    return [it for it in found if not isinstance(it, Gap) and it.metric == "auc"]


def test_where_the_softmax_ends_silence_is_doubted_and_the_cure_is_told() -> None:
    found = read(MEMBERSHIP(), scaled(exposed(MODEST, on="neither"), 400.0, softmax=True))
    verdict = measured(found, "verdict", **WORDS)
    assert verdict.value == LeakVerdict.INCONCLUSIVE
    assert "logits" in str(verdict.details["reason"])
    assert {it.astray for it in audited(found)} == {BiasDirection.TOO_LOW}
    plain = read(MEMBERSHIP(), scaled(exposed(MODEST, on="neither"), 400.0))
    assert not any(it.doubted for it in audited(plain))
    assert measured(plain, "verdict", **WORDS).value == LeakVerdict.NO_EVIDENCE


def test_altered_answers_are_rescaled_where_they_tell_how_sure_they_are() -> None:
    greedy = exposed(GREEDY, seed=1, members=200, others=800)
    usual, flat = (read(OBFUSCATION(), scaled(greedy, factor)) for factor in (1.0, 1 / 400))
    for way in ("none", "noise", "temperature"):
        before, after = (measured(it, "auc", mitigation=way).value for it in (usual, flat))
        assert after == pytest.approx(before, abs=NEAR), way
    costs = measured(flat, "accuracy_change", mitigation="temperature")
    assert costs.value == 0


def test_forests_that_are_sure_are_not_saturated() -> None:
    rows = np.random.default_rng(0).normal(size=(600, 4))
    labels = (rows[:, 0] > 0).astype(np.int64)
    forest = RandomForestClassifier(20, random_state=0).fit(rows, labels)
    said = forest.predict_proba(rows)
    assert (said == 1).any(axis=1).mean() > 0.5
    assert not is_saturated(said)
    assert reread_scores(said, labels) is said
    assert is_saturated(np.eye(2)[labels])


@pytest.mark.parametrize("factor", [1e-3, 1.0, 30.0, 1e4])
def test_the_temperature_is_the_factor_of_logits_that_are_right(factor: float) -> None:
    odds, labels = noisy_rows(4000, 5)
    assert fit_temperature(factor * odds, labels) == pytest.approx(factor, rel=0.1)


def test_rows_that_are_all_right_have_a_temperature() -> None:
    labels = np.arange(300) % 3
    found = fit_temperature(5.0 * np.eye(3)[labels], labels)
    assert 0.3 < found < 2
    assert fit_temperature(np.zeros((9, 3)), labels[:9]) == 1
    assert fit_temperature(-np.eye(3)[labels], labels) == 1
