"""What a check refuses before it asks the model is what it ends in when it runs."""

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest
from everything import SUBJECTS
from scored_subjects import read

from auditor.checks.registry import discover_checks
from auditor.checks.requirements import find_unmet_need
from auditor.domain.checks import Check, find_refusal_gap
from auditor.domain.datasets import DatasetRole
from auditor.domain.readings import Gap

CHECKS = discover_checks()


@pytest.mark.parametrize("kind", SUBJECTS)
def test_a_refusal_is_all_that_the_check_would_say(kind: str) -> None:
    for name, made in CHECKS.items():
        check, asked = made(), SUBJECTS[kind]()
        told = None if find_unmet_need(check, asked) else find_refusal_gap(check, asked)
        if told is not None:
            (gap,) = read(check, asked)
            assert isinstance(gap, Gap), name
            assert (gap.reason, gap.detail, gap.cure) == (told.reason, told.detail, told.cure)


def test_some_checks_refused() -> None:
    refusing = {
        name
        for name, made in CHECKS.items()
        for subject in SUBJECTS.values()
        if not find_unmet_need(made(), subject())
        and find_refusal_gap(made(), subject()) is not None
    }
    assert refusing >= {"data.skew", "poisoning.susceptibility"}


def test_what_predictions_alone_cannot_answer_is_refused_before_it_runs() -> None:
    alone = SUBJECTS["binary"]()
    only = replace(alone.datasets[DatasetRole.EVALUATION], inputs=None)
    alone.datasets = {DatasetRole.EVALUATION: only}
    for name in ("data.anomalies", "data.duplicates", "data.drift"):
        check = CHECKS[name]()
        told = find_refusal_gap(check, alone)
        assert told is not None, name
        (gap,) = read(check, alone)
        assert isinstance(gap, Gap)
        assert (gap.reason, gap.detail, gap.cure) == (told.reason, told.detail, told.cure)


def test_a_check_refuses_by_a_gap_or_not_at_all() -> None:
    odd = SimpleNamespace(id="mine.own", refuses=lambda _: "no")
    with pytest.raises(TypeError, match=r"mine\.own refuses by str, which is no Gap"):
        find_refusal_gap(cast("Check", odd), SUBJECTS["nothing"]())
