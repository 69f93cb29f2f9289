"""What key events say of a key: documents that are read back, and lives that make sense."""

from dataclasses import replace

import pytest

from auditor.errors import LedgerError
from auditor.trust.ledger.key_events import (
    KeyChange,
    KeyEvent,
    KeyEventEntry,
    KeyRegistry,
    KeyStatus,
    key_event_id,
)

NOW, LATER, LAST = (f"2026-0{month}-01T00:00:00Z" for month in (1, 2, 3))
FIRST = KeyEvent(KeyChange.IN_USE, "report", "first")
NEXT = KeyEvent(KeyChange.IN_USE, "report", "next", replaces="first", rotation="word")
RETIRED = KeyEvent(KeyChange.RETIRED, "report", "first", replaced_by="next")
REVOKED = KeyEvent(KeyChange.REVOKED, "report", "first", since=NOW, reason="lost")


def book(*told: KeyEvent) -> KeyRegistry:
    found = KeyRegistry()
    for index, item in enumerate(told):
        found.add(KeyEventEntry(index, LATER, item))
    return found


@pytest.mark.parametrize("told", [FIRST, NEXT, RETIRED, REVOKED, replace(FIRST, not_after=LAST)])
def test_a_document_is_read_back_and_bears_the_events_digest(told: KeyEvent) -> None:
    event, document = told.event(NOW)
    assert KeyEvent.parse(document) == told
    assert event.id == key_event_id("report", told.public)


def test_the_document_of_a_key_in_use_is_the_one_of_older_ledgers() -> None:
    assert FIRST.document() == b'{"event":"in-use","key":"first","role":"report"}'


BROKEN = {
    "no JSON": b"[",
    "another member": b'{"event":"in-use","key":"k","role":"report","x":"y"}',
    "a number": b'{"event":"in-use","key":1,"role":"report"}',
    "no role": b'{"event":"in-use","key":"k"}',
    "an unknown event": b'{"event":"lent","key":"k","role":"report"}',
    "no time": b'{"event":"revoked","key":"k","reason":"r","role":"report"}',
    "another time": b'{"event":"revoked","key":"k","reason":"r","role":"report","since":"2026"}',
    "no successor": b'{"event":"retired","key":"k","role":"report"}',
    "no word": b'{"event":"in-use","key":"k","replaces":"j","role":"report"}',
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_document_that_no_version_writes_is_refused(case: str) -> None:
    with pytest.raises(LedgerError, match="key event"):
        KeyEvent.parse(BROKEN[case])


def test_a_key_is_in_use_until_something_ends_it() -> None:
    assert book(FIRST).lives["first"].status(LAST) is KeyStatus.IN_USE
    ending = replace(FIRST, not_after=LATER)
    assert book(ending).lives["first"].status(LATER) is KeyStatus.IN_USE
    assert book(ending).lives["first"].status(LAST) is KeyStatus.EXPIRED
    followed = book(FIRST, NEXT, RETIRED)
    assert followed.mistakes == []
    assert followed.lives["first"].status(NOW) is KeyStatus.RETIRED
    assert followed.lives["next"].status(LAST) is KeyStatus.IN_USE
    revoked = book(FIRST, NEXT, RETIRED, REVOKED)
    assert revoked.mistakes == []
    assert revoked.lives["first"].status(NOW) is KeyStatus.REVOKED
    assert "lost" in revoked.lives["first"].words(NOW)


WORDS = {
    "in use": ((FIRST,), LAST),
    f"in use until {LATER}": ((replace(FIRST, not_after=LATER),), LATER),
    f"expired on {LATER}": ((replace(FIRST, not_after=LATER),), LAST),
    f"retired on {LATER}": ((FIRST, NEXT, RETIRED), LAST),
    f"revoked since {NOW}: lost": ((FIRST, NEXT, RETIRED, REVOKED), LAST),
}


@pytest.mark.parametrize("words", WORDS)
def test_a_status_is_said_with_its_time(words: str) -> None:
    told, at = WORDS[words]
    assert book(*told).lives["first"].words(at) == words


def test_a_key_counts_for_nothing_since_its_revocation_alone() -> None:
    assert book(FIRST, NEXT, RETIRED).lives["first"].since is None
    assert book(FIRST, REVOKED).lives["first"].since == NOW


def test_a_key_that_is_told_of_twice_stays_in_use() -> None:
    found = book(FIRST, FIRST)
    assert found.mistakes == []
    assert found.lives["first"].words(LAST) == "in use"


def test_keys_are_listed_by_role() -> None:
    found = book(FIRST, NEXT, replace(FIRST, role="model", public="other"))
    assert found.of_role("report").keys() == {"first", "next"}
    assert found.of_role("model").keys() == {"other"}


OTHER = KeyEvent(KeyChange.IN_USE, "report", "other")
CONTRADICTIONS = {
    "a key has one role": (FIRST, KeyEvent(KeyChange.IN_USE, "model", "first")),
    "after its end": (FIRST, NEXT, RETIRED, FIRST),
    "comes into use again": (FIRST, REVOKED, FIRST),
    "never in use in that role": (NEXT,),
    "had come to its end": (FIRST, REVOKED, NEXT),
    "without ever coming into use": (REVOKED,),
    "a second time": (FIRST, REVOKED, REVOKED),
    "does not follow it": (FIRST, RETIRED),
    "retired after its end": (FIRST, NEXT, RETIRED, RETIRED),
    "is retired after its end": (FIRST, NEXT, REVOKED, RETIRED),
    "in that role": (replace(FIRST, role="model"), NEXT),
    "a key that had come to its end": (FIRST, NEXT, RETIRED, replace(OTHER, replaces="first")),
    "named after it does not": (FIRST, OTHER, replace(RETIRED, replaced_by="other")),
}


@pytest.mark.parametrize("words", CONTRADICTIONS)
def test_a_life_that_makes_no_sense_is_named_with_its_leaf(words: str) -> None:
    told = CONTRADICTIONS[words]
    (mistake,) = book(*told).mistakes
    assert words in mistake
    assert f"leaf {len(told) - 1}" in mistake


def test_a_mistake_names_a_key_by_what_tells_it_from_others() -> None:
    lines = (
        "-----BEGIN PUBLIC KEY-----",
        "A" * 64,
        "B" * 23 + "CD",
        "-----END PUBLIC KEY-----",
        "",
    )
    (mistake,) = book(replace(REVOKED, public="\n".join(lines))).mistakes
    assert mistake.startswith(f"leaf 0: the report key {'B' * 23}C is revoked without")
    (mistake,) = book(replace(REVOKED, public="")).mistakes
    assert mistake.startswith("leaf 0: the report key  is revoked without")
