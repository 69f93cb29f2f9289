"""Attacks of privacy with a model at hand: the same seed gives the same bytes, figures are pure."""

from collections.abc import Callable

import pytest
from privacy_toys import law, memory, people_audit
from scored_subjects import stored
from test_every_check import nested

from auditor.checks.privacy.attribute import CHECK as ATTRIBUTE
from auditor.checks.privacy.extraction import CHECK as EXTRACTION
from auditor.checks.privacy.inversion import CHECK as INVERSION
from auditor.domain.budgets import Budget
from auditor.domain.check_subject import Subject
from auditor.domain.checks import Check
from auditor.domain.evidence import encode_evidence
from auditor.domain.readings import Gap, Measurement
from auditor.errors import CancelledError
from auditor.policy.check_parameters import list_parameter_names
from auditor.policy.lint import COORDINATES

CHECKS = (ATTRIBUTE, EXTRACTION, INVERSION)
SUBJECTS: tuple[Callable[[], Subject], ...] = (
    lambda: people_audit(lambda rows, labels: law()),
    lambda: people_audit(lambda rows, labels: memory(rows, labels, 2)),
)


def made(check: type[Check]) -> Check:
    return check(**check.presets[Budget.SMOKE])


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("subject", SUBJECTS)
def test_the_same_seed_gives_the_same_bytes(
    check: type[Check], subject: Callable[[], Subject]
) -> None:
    first, second = (stored(made(check), subject()) for _ in range(2))
    assert {name: encode_evidence(item).digest for name, item in first.items()} == {
        name: encode_evidence(item).digest for name, item in second.items()
    }


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("subject", SUBJECTS)
def test_figures_keep_their_order_and_grow_with_confidence(
    check: type[Check], subject: Callable[[], Subject]
) -> None:
    one = made(check)
    seen = stored(one, subject())
    low, high = one.figures(seen, 0.8), one.figures(seen, 0.99)
    assert one.figures(seen, 0.8) == low
    known = COORDINATES | set(check.grid) | check.coordinates | set(list_parameter_names(check))
    for narrow, wide in zip(low, high, strict=True):
        assert (narrow.metric, narrow.params) == (wide.metric, wide.params)
        assert set(narrow.params) <= known
        assert isinstance(narrow, Gap) == isinstance(wide, Gap)
        if isinstance(narrow, Measurement) and isinstance(wide, Measurement):
            assert narrow.metric in check.emits
            assert narrow.value == wide.value
            assert nested(narrow, wide)


@pytest.mark.parametrize("check", CHECKS)
def test_a_user_can_stop_it(check: type[Check]) -> None:
    subject = people_audit(lambda rows, labels: law())

    def stop(done: int, total: int, note: str = "") -> None:
        assert 0 <= done <= total
        raise CancelledError("stopped", cure="none")

    subject.progress = stop
    with pytest.raises(CancelledError):
        stored(made(check), subject)
