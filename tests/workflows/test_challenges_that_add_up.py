"""Files of examples are counted one after the other, whatever their kinds, on the one target."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from challenged import observed, offered
from evasion_toys import LinearTwin, ToyModel, box, classes, linear, subject
from test_gates import GOOD, POLICY

from auditor.checks.evasion.linf import LinfEvasionCheck
from auditor.checks.evasion.universal import UniversalPerturbationCheck
from auditor.checks.measure import get_check_parameters
from auditor.domain.challenges import Challenge, ChallengeOutcome
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import DatasetRole
from auditor.domain.observed_checks import ObservedCheck
from auditor.domain.records import CheckObservation
from auditor.domain.targets import Fingerprint, TargetSpec
from auditor.errors import RecordError
from auditor.inputs.datasets.counterexamples import CounterexampleSet
from auditor.workflows.challenge import RecordClaims, run_challenge

EPS = 0.1
SPREAD = UniversalPerturbationCheck(eps=(0.05, EPS), steps=1, rows=40)
BALL = LinfEvasionCheck(eps=(0.05, EPS), stages=("square:1",), rows=40)


WEIGHTS = linear(0, 6)[2]


@cache
def audited() -> tuple[RecordClaims, Subject]:
    """A linear model under two weak attacks, and the record of it."""
    model, _, _, _ = linear(0, 6)
    misled = LinearTwin(np.flip(WEIGHTS, axis=0), np.zeros(2))
    model.fingerprint = Fingerprint({"cpu": "cpu"}, {})
    rows = 0.5 + 0.1 * np.random.default_rng(0).normal(size=(100, 6)).clip(-3, 3)
    labels = model.logits(rows).argmax(axis=1)
    made = subject(model, misled, rows, labels, box((6,)), classes(2))
    seen = tuple(
        ObservedCheck(
            CheckObservation("cpu", check.id, 1, get_check_parameters(check), 1, {}),
            check,
            observed(check, made),
        )
        for check in (SPREAD, BALL)
    )
    return RecordClaims(GOOD, seen, POLICY), replace(made, target=TargetSpec("cpu"))


WAYS = np.stack([EPS * np.sign(WEIGHTS @ way) for way in ([-1.0, 1.0], [1.0, -1.0])])
"""The best steps on a linear model, towards each of its classes."""


def single(seen: Subject) -> CounterexampleSet:
    """Every row a step over the line."""
    data = seen.datasets[DatasetRole.EVALUATION]
    rows, model = np.asarray(data.inputs), seen.model
    assert isinstance(model, ToyModel)
    side = np.where(model.logits(rows).argmax(axis=1) == 1, 1.0, -1.0)[:, None]
    return offered(inputs=np.clip(rows - side * WAYS[0], 0, 1), rows=list(data.ids))


def tried(*files: CounterexampleSet) -> Challenge:
    claims, seen = audited()
    told = run_challenge(claims, files, seen, "key:x", "2026-01-01T00:00:00Z")
    assert isinstance(told, Challenge)
    return told


def test_one_file_of_each_kind_counts_under_the_claims_of_its_kind() -> None:
    _, seen = audited()
    common, own = offered(perturbations=WAYS), single(seen)
    first, second = tried(common), tried(common, own)
    assert {item.check for item in first.trials} == {"evasion.universal"}
    assert {item.check for item in second.trials} == {"evasion.linf"}
    assert first.outcome is second.outcome is ChallengeOutcome.LOWERED


def test_a_file_that_was_counted_before_brings_nothing_new_whatever_came_between() -> None:
    _, seen = audited()
    common, own = offered(perturbations=WAYS), single(seen)
    for again in (tried(common, own, common), tried(own, common, own)):
        assert again.outcome is ChallengeOutcome.FAILED
        assert {item.result.value for item in again.trials} <= {
            "no_worse", "broken_before", "not_misclassified", "not_looked_at", "wrong_before",
        }  # fmt: skip


def test_a_kind_of_which_the_record_claims_nothing_is_an_error_that_names_each_check() -> None:
    _, seen = audited()
    with pytest.raises(RecordError) as refused:
        tried(single(seen), offered(rows=["row-0"], angle=[1.0]))
    for words in ("x.npz could refute", "evasion.universal is challenged", "evasion.linf is"):
        assert words in refused.value.problem
