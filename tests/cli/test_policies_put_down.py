"""A policy that an audit uses stands in the ledger, and a changed one is told."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auditor.trust.ledger.events import LedgerEventType
from auditor.workflows.ledger import open_existing_store
from auditor.workflows.settings import AuditorSettings

Command = Callable[..., Any]
AUDITED = ("audit", "audit.yaml", "--only", "quality.accuracy", "--out", "out")


def editions() -> list[str]:
    """The digests of the policies that the ledger holds, the oldest first."""
    with open_existing_store(AuditorSettings.from_environment().place) as store:
        assert store is not None
        with store.ledger() as ledger:
            found = ledger.find_under("policy-")
    assert {item.leaf.type for item in found} == {LedgerEventType.POLICY}
    return [item.event.digest for item in found]


def change(place: Path, old: str, new: str) -> None:
    text = (place / "policy.yaml").read_text()
    assert old in text
    (place / "policy.yaml").write_text(text.replace(old, new))


@pytest.fixture
def audited(auditor: Command, inside: Path) -> Path:
    ended = auditor(*AUDITED)
    assert (ended.code, "Note" in ended.said) == (0, False)
    return inside


@pytest.mark.slow
def test_a_policy_is_put_down_once_and_each_edition_of_it(auditor: Command, audited: Path) -> None:
    assert auditor(*AUDITED).code == 0
    assert len(editions()) == 1
    change(audited, "version: 1.0.0", "version: 1.1.0")
    ended = auditor(*AUDITED)
    assert (ended.code, "Note" in ended.said) == (0, False)
    assert len(set(editions())) == 2
    assert auditor("ledger", "verify").code == 0


def test_other_words_under_one_version_are_told(auditor: Command, audited: Path) -> None:
    change(audited, "at_least: 0.6", "at_least: 0.5")
    ended = auditor(*AUDITED)
    assert ended.code == 0
    assert f"tiny 1.0.0 had other words before ({editions()[0]}, registered" in ended.said
    assert "a changed policy needs a new version" in ended.said


@pytest.mark.slow
def test_a_version_that_goes_down_is_told_also_where_it_was_used_before(
    auditor: Command, audited: Path
) -> None:
    change(audited, "version: 1.0.0", "version: 1.10.0")
    assert auditor("judge", "out", "--policy", "policy.yaml", "--out", "newer").code == 0
    change(audited, "version: 1.10.0", "version: 1.9.0")
    ended = auditor("judge", "out", "--policy", "policy.yaml", "--out", "older")
    assert "Note tiny 1.9.0 is older than 1.10.0, which was used before" in ended.said
    change(audited, "version: 1.9.0", "version: 1.0.0")
    assert "tiny 1.0.0 is older than" in auditor(*AUDITED).said
    assert len(editions()) == 3
