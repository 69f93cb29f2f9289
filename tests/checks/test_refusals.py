"""What a check refuses before it asks the model is what it ends in when it runs."""

import pytest
from everything import SUBJECTS
from scored_subjects import read

from auditor.checks.discovery import discover
from auditor.domain.checks import refused
from auditor.domain.readings import Gap
from auditor.needs import unmet

CHECKS = discover()


@pytest.mark.parametrize("kind", SUBJECTS)
def test_a_refusal_is_all_that_the_check_would_say(kind: str) -> None:
    for name, made in CHECKS.items():
        check, asked = made(), SUBJECTS[kind]()
        told = None if unmet(check, asked) else refused(check, asked)
        if told is not None:
            (gap,) = read(check, asked)
            assert isinstance(gap, Gap), name
            assert (gap.reason, gap.detail, gap.cure) == (told.reason, told.detail, told.cure)


def test_some_checks_refuse() -> None:
    assert len([name for name, made in CHECKS.items() if hasattr(made, "refuses")]) >= 6
