"""Every reason of a Gap has words in a report."""

from auditor.domain.readings import GapReason
from auditor.reports.wording import REASONS


def test_every_reason_of_a_gap_is_told_in_words_of_its_own() -> None:
    assert set(REASONS) == set(GapReason)
    assert len(set(REASONS.values())) == len(REASONS)
