from pathlib import Path
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from saturated_networks import noisy_rows, opened
from scipy.special import expit, log_softmax
from scored_subjects import ends, measured, read, scored, stored

from auditor.checks.fairness.calibration import GroupCalibrationCheck
from auditor.checks.hardware.variant import VariantCheck
from auditor.checks.quality.accuracy import AccuracyCheck
from auditor.checks.quality.calibration import CalibrationCheck
from auditor.checks.quality.claims import ClaimedQualityCheck
from auditor.domain.datasets import DatasetRole
from auditor.domain.models import CompanionModel
from auditor.domain.readings import BiasDirection, Gap
from auditor.domain.tasks import Floats
from auditor.metrics.stats.means import exact_log_losses, log_losses, log_odds, log_probabilities
from auditor.metrics.stats.roc_auc import macro_auc

SURE = 400.0
"""Logits in the thousands: 400 times what is right."""


def test_the_log_loss_of_large_logits_is_that_of_the_logits(tmp_path: Path) -> None:
    with opened(tmp_path, factor=SURE) as (subject, logits, labels):
        found = measured(read(AccuracyCheck(), subject), "nll")
    truth = -log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean()
    assert truth > 100
    assert found.value == pytest.approx(truth, rel=1e-6)
    assert not found.doubted
    assert found.details == {"of": "logits"}


def test_slope_and_temperature_of_large_logits_are_theirs(tmp_path: Path) -> None:
    with opened(tmp_path, factor=SURE) as (subject, _, _):
        readings = read(CalibrationCheck(), subject)
    slope, gain = measured(readings, "slope"), measured(readings, "temperature_gain")
    assert 0.5 / SURE < ends(slope)[0] < ends(slope)[1] < 2 / SURE
    assert not slope.doubted
    assert gain.details["temperature"] == pytest.approx(SURE, rel=0.1)
    assert "divide" in str(gain.details["advice"])
    assert gain.low is not None
    assert gain.low > 100  # what the temperature saves a row, on rows that it was not learnt on


def test_a_model_of_two_classes_is_read_by_its_logit(tmp_path: Path) -> None:
    with opened(tmp_path, factor=SURE, single=True, classes=2) as (subject, logits, labels):
        loss = measured(read(AccuracyCheck(), subject), "nll")
        readings = read(CalibrationCheck(), subject)
    truth = -log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean()
    assert loss.value == pytest.approx(truth, rel=1e-6)
    slope, line = measured(readings, "slope"), measured(readings, "platt_gain")
    assert ends(slope)[0] < 1 / SURE < ends(slope)[1]
    assert line.details["slope"] == pytest.approx(1 / SURE, rel=0.2)
    assert not line.doubted


@pytest.mark.parametrize("single", [True, False])
def test_what_hangs_on_the_clip_is_doubted_where_there_are_no_logits(
    tmp_path: Path, *, single: bool
) -> None:
    classes = 2 if single else 4
    with opened(tmp_path, factor=SURE, softmax=True, single=single, classes=classes) as seen:
        loss = measured(read(AccuracyCheck(), seen[0]), "nll")
        readings = read(CalibrationCheck(), seen[0])
    assert loss.doubted
    assert loss.astray is BiasDirection.TOO_LOW
    assert "export the model with its logits" in str(loss.details["doubt"])
    for metric in ("slope", "intercept"):
        assert measured(readings, metric).doubted
    for metric in ("temperature_gain", *(["platt_gain"] if single else [])):
        gain = measured(readings, metric)
        assert gain.doubted
        assert str(gain.details["advice"]).startswith("none: the probabilities are cut off")


def test_groups_are_read_by_their_logits_too(tmp_path: Path) -> None:
    towns = ["north", "south"] * 1000
    with opened(tmp_path, factor=SURE, groups=towns) as (subject, _, _):
        readings = read(GroupCalibrationCheck(), subject)
    slope = measured(readings, "slope", group="north")
    assert 0.5 / SURE < ends(slope)[0] < ends(slope)[1] < 2 / SURE
    assert not measured(readings, "slope_gap").doubted


def test_lines_and_gaps_of_groups_are_doubted_without_logits(tmp_path: Path) -> None:
    towns = ["north", "south"] * 1000
    with opened(tmp_path, factor=SURE, softmax=True, groups=towns) as (subject, _, _):
        readings = read(GroupCalibrationCheck(), subject)
    assert measured(readings, "slope", group="north").doubted
    assert measured(readings, "slope_gap").doubted
    assert not measured(readings, "in_the_large_gap").doubted


def test_an_ordinary_model_keeps_its_evidence_and_its_figures(tmp_path: Path) -> None:
    with opened(tmp_path, factor=1.0) as (subject, _, labels):
        probabilities = subject.probabilities(DatasetRole.EVALUATION)
        for check in (AccuracyCheck(), CalibrationCheck()):
            seen = stored(check, subject)
            assert not {"log_chances", "odds"} & set(seen)
            assert "cut" not in cast("dict[str, object]", seen["task"])
        loss = measured(read(AccuracyCheck(), subject), "nll")
    assert loss.value == log_losses(probabilities, labels)[0].mean()
    assert set(loss.details) == {"floor", "clipped"}


def test_right_answers_that_are_clipped_raise_no_doubt() -> None:
    # All that is cut off is right, and so costs nothing: a deeper floor would change no figure.
    odds, labels = noisy_rows(2000, 2)
    chance = 1 / (1 + np.exp(odds[:, 0] - odds[:, 1]))
    chance[:50], labels[:50] = 1.0, 1
    subject = scored(chance, labels)
    assert not measured(read(AccuracyCheck(), subject), "nll").doubted
    readings = read(CalibrationCheck(), subject)
    assert not measured(readings, "slope").doubted
    assert not measured(readings, "platt_gain").doubted


def test_one_label_that_is_cut_off_doubts_the_log_loss() -> None:
    odds, labels = noisy_rows(500, 2)
    chance = 1 / (1 + np.exp(odds[:, 0] - odds[:, 1]))
    chance[0], labels[0] = 1.0, 0
    loss = measured(read(AccuracyCheck(), scored(chance, labels)), "nll")
    assert loss.doubted
    assert "the label of 1 rows" in str(loss.details["doubt"])


def test_evidence_of_earlier_records_is_read_as_it_was() -> None:
    odds, labels = noisy_rows(2000, 2)
    chance = np.where(odds[:, 0] < odds[:, 1], 1.0, 0.0)
    for check in (AccuracyCheck(), CalibrationCheck()):
        seen = dict(stored(check, scored(chance, labels)))
        task = dict(cast("dict[str, object]", seen["task"]))
        assert task.pop("cut") is True
        earlier = check.figures({**seen, "task": cast("dict[str, str]", task)}, 0.95)
        doubted = {item.metric for item in earlier if getattr(item, "doubted", False)}
        assert doubted <= {"ece_15"}


def test_rows_that_probabilities_tie_are_told_apart_by_logits(tmp_path: Path) -> None:
    with opened(tmp_path, factor=SURE) as (subject, logits, labels):
        found = measured(read(AccuracyCheck(), subject), "auc")
    assert found.value == macro_auc(log_odds(log_probabilities(logits)), labels, 0.95, None).value


@pytest.mark.parametrize("softmax", [False, True])
def test_a_claimed_log_loss_is_held_against_the_logits_or_doubted(
    tmp_path: Path, *, softmax: bool
) -> None:
    with opened(tmp_path, factor=SURE, softmax=softmax) as (subject, logits, labels):
        subject.claims = {"nll": 5.0}
        readings = read(ClaimedQualityCheck(), subject)
    found = measured(readings, "claimed_minus_measured", claim="nll")
    over = measured(readings, "overclaim", claim="nll")
    if softmax:
        assert (found.astray, over.astray) == (BiasDirection.TOO_HIGH, BiasDirection.TOO_LOW)
        assert found.doubted
        assert over.doubted
        return
    truth = -log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean()
    assert found.value == pytest.approx(5.0 - truth, rel=1e-6)
    assert not found.doubted


@pytest.mark.parametrize("softmax", [False, True])
def test_a_change_of_log_loss_is_that_of_the_logits_or_doubted(
    tmp_path: Path, *, softmax: bool
) -> None:
    (tmp_path / "parent").mkdir()
    with (
        opened(tmp_path, factor=2 * SURE, softmax=softmax) as (subject, logits, labels),
        opened(tmp_path / "parent", factor=SURE, softmax=softmax) as (parent, before, _),
    ):
        assert not isinstance(parent.model, Gap)
        other = parent.model
        subject.parent = CompanionModel(lambda: other, lambda: subject.twin, {"digest": "sha256:0"})
        found = measured(read(VariantCheck(rows=2000), subject), "nll_change")
    if softmax:
        assert found.doubted
        assert found.astray is BiasDirection.EITHER
        return
    now, was = (
        -log_softmax(it, axis=1)[np.arange(len(labels)), labels].mean() for it in (logits, before)
    )
    assert found.value == pytest.approx(now - was, rel=1e-6)
    assert found.value > 100
    assert not found.doubted


def test_what_another_model_said_is_never_taken_for_what_this_one_says(tmp_path: Path) -> None:
    with opened(tmp_path, factor=SURE) as (subject, logits, _):
        subject.scores(DatasetRole.EVALUATION)
        assert not isinstance(subject.model, Gap)
        (tmp_path / "second").mkdir()
        with opened(tmp_path / "second", factor=2 * SURE) as (second, _, _):
            assert not isinstance(second.model, Gap)
            other = subject.asked_of(second.model, subject.twin)
            theirs = other.scores(DatasetRole.EVALUATION)[1]
        ours = subject.scores(DatasetRole.EVALUATION)[1]
    assert ours == pytest.approx(logits, rel=1e-6)
    assert theirs == pytest.approx(2 * logits, rel=1e-6)


TABLES = st.lists(
    st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3), min_size=1, max_size=5
).map(lambda rows: np.array(rows, dtype=np.float64))


@given(TABLES)
def test_log_odds_are_finite_and_agree_with_log_chances(logits: Floats) -> None:
    chances = log_probabilities(logits)
    odds = log_odds(chances)
    assert np.isfinite(odds).all()
    top = chances.argmax(axis=1)
    assert (odds[np.arange(len(odds)), top] >= odds.max(axis=1) - 1e-9).all()
    assert (odds >= chances).all()
    assert expit(odds) == pytest.approx(np.exp(chances), abs=1e-12)


@given(TABLES, st.integers(0, 2))
def test_exact_losses_are_never_less_than_clipped_ones(logits: Floats, label: int) -> None:
    labels = np.full(len(logits), label)
    exact, worst = exact_log_losses(log_probabilities(logits), labels)
    clipped, _ = log_losses(np.exp(log_probabilities(logits)), labels)
    assert (exact >= clipped - 2e-7).all()
    assert (exact <= worst).all()
