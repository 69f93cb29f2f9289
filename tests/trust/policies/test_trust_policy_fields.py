"""Each setting of a trust policy is asked for by kind: what is read, and what is refused where."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from auditor.errors import TrustPolicyError
from auditor.trust.policies.fields import PolicyFields
from auditor.trust.verification_result import VerificationProfile

Read = Callable[[PolicyFields], object]
SHA = "0123456789abcdef" * 4
CURE = "Write it otherwise."


def holding(value: object, name: str = "at") -> PolicyFields:
    return PolicyFields({name: value}, ("rules", 0), lambda place: f"trust.yaml {place[2:]}")  # type: ignore[dict-item]


def text(found: PolicyFields) -> object:
    return found.text("at", CURE)


def content(found: PolicyFields) -> object:
    return found.content("at", CURE)


def whole(found: PolicyFields) -> object:
    return found.whole("at", CURE)


def flag(found: PolicyFields) -> object:
    return found.flag("at")


def choice(found: PolicyFields) -> object:
    return found.choice("at", VerificationProfile, VerificationProfile.COMPAT)


def items(found: PolicyFields) -> object:
    return found.items("at", CURE)


def texts(found: PolicyFields) -> object:
    return found.texts("at", CURE)


def named(found: PolicyFields) -> object:
    return found.named("at")


def time(found: PolicyFields) -> object:
    return found.time("at")


def age(found: PolicyFields) -> object:
    return found.age("at")


def one_of(found: PolicyFields) -> object:
    return found.one_of("at", {"b": 1, "a": 2}, "keys")


def one_of_none(found: PolicyFields) -> object:
    return found.one_of("at", {}, "keys")


def digest(found: PolicyFields) -> object:
    return found.digest(found.value["at"], "at")


def short(part: object) -> str:
    """Name a case, however long its value."""
    return getattr(part, "__name__", repr(part))[:40]


READ: list[tuple[Read, object, object]] = [
    (text, "Risk & co.", "Risk & co."),
    (text, "x" * 2000, "x" * 2000),
    (content, "two\nlines\n", b"two\nlines\n"),
    (content, "x" * 4_194_304, b"x" * 4_194_304),
    (whole, 1, 1),
    (whole, 2, 2),
    (whole, 9_007_199_254_740_991, 9_007_199_254_740_991),
    (flag, None, False),
    (flag, False, False),
    (flag, True, True),
    (choice, None, VerificationProfile.COMPAT),
    (choice, "strict", VerificationProfile.STRICT),
    (items, None, ()),
    (items, [], ()),
    (items, [1, None, "a"], (1, None, "a")),
    (items, [0] * 1000, (0,) * 1000),
    (texts, None, ()),
    (texts, ["a", "b"], ("a", "b")),
    (named, None, {}),
    (named, {"a": 1}, {"a": 1}),
    (time, None, None),
    (time, "2027-01-31", datetime(2027, 1, 31, tzinfo=UTC)),
    (time, "2027-01-31T12:00:01Z", datetime(2027, 1, 31, 12, 0, 1, tzinfo=UTC)),
    (age, None, None),
    (age, "1h", timedelta(hours=1)),
    (age, "12h", timedelta(hours=12)),
    (age, "400d", timedelta(days=400)),
    (age, "4w", timedelta(days=28)),
    (age, "99999d", timedelta(days=99_999)),
    (one_of, "a", "a"),
    (digest, SHA, SHA),
    (digest, f"sha256:{SHA}", SHA),
    (digest, f"key:sha256:{SHA}", SHA),
]


@pytest.mark.parametrize(("read", "value", "result"), READ, ids=short)
def test_a_setting_of_its_kind_is_read(read: Read, value: object, result: object) -> None:
    found = read(holding(value))
    assert found == result
    assert type(found) is type(result)


NO_LINE = "which is not a single line of text"
NO_WHOLE = "which is not a whole number from 1 on"
REFUSED: list[tuple[Read, object, str]] = [
    *((text, it, f".at is {it!r}, {NO_LINE}") for it in (5, ["a"], "", " ", "a\nb", "\x1b[2J")),
    (text, None, " has no at"),
    (text, "x" * 2001, ".at has more than 2000 characters"),
    *((content, it, ".at is not text") for it in (5, [b"a"], "", " \n")),
    (content, None, " has no at"),
    (content, "x" * 4_194_305, ".at has more than 4194304 characters"),
    (content, "\ud800", ".at holds half a character"),
    *((whole, it, f".at is {it!r}, {NO_WHOLE}") for it in (0, -1, True, False, 1.0, "1", 2**53)),
    (whole, None, " has no at"),
    *((flag, it, f".at is {it!r}") for it in ("yes", "true", 0, 1, [])),
    *((choice, it, f".at is {it!r}") for it in ("STRICT", "lax", "", 1, ["strict"])),
    *((items, it, f".at is {it!r}, which is not a list") for it in ("ab", 5, {"a": 1}, True)),
    (items, [0] * 1001, ".at lists more than 1000"),
    (texts, ["a", ""], f".at[1] is '', {NO_LINE}"),
    (texts, "ab", ".at is 'ab', which is not a list"),
    *((named, it, ".at is not a mapping") for it in ([], "a", 5)),
    *(
        (time, it, f".at is {it!r}, which is not a time")
        for it in (
            *(5, True, "", "soon", "2027-02-30", "2027-01-31T12:00:00", "2027-01-31T25:00:00Z"),
            *("2027-01-31T12:00:00+02:00", "2027-01-31Z1", ["2027-01-31"]),
        )
    ),
    *(
        (age, it, f".at is {it!r}, which is not an age")
        for it in (4, "4", "0d", "d", "100000d", "1m", "1.5d", "-1d", "4w ", "1d1h", ["4w"])
    ),
    (one_of, "c", ".at names 'c', which is not under keys"),
    (one_of, None, " has no at"),
    *(
        (digest, it, f".at is {it!r}, which is not a SHA-256")
        for it in (5, None, "", SHA[1:], f"{SHA}0", SHA.upper(), f"sha512:{SHA}", [SHA])
    ),
]


@pytest.mark.parametrize(("read", "value", "said"), REFUSED, ids=short)
def test_a_setting_of_another_kind_is_refused_at_its_place(
    read: Read, value: object, said: str
) -> None:
    with pytest.raises(TrustPolicyError) as refused:
        read(holding(value))
    place, _, problem = refused.value.problem.partition(": ")
    assert problem == f"rules[0]{said}"
    assert place.startswith("trust.yaml ('at'," if said.startswith(".") else "trust.yaml ()")
    assert refused.value.cure


@pytest.mark.parametrize(
    ("read", "cure"), [(one_of, "There are a, b."), (one_of_none, "Add it under keys.")]
)
def test_who_names_what_is_not_there_is_told_what_there_is(read: Read, cure: str) -> None:
    with pytest.raises(TrustPolicyError) as refused:
        read(holding("c"))
    assert refused.value.cure == cure


def test_a_setting_that_is_null_is_not_there() -> None:
    assert holding(None).has("at") is holding(1).has("of") is False
    assert holding(False).has("at") is True  # noqa: FBT003 -- it is the value


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "is not a mapping"),
        ("key", "is not a mapping"),
        (None, "is not a mapping"),
        ({"kye": 1}, "kye 'kye' is an unknown setting"),
        ({"a": 1, "key": 1, "z": 2, "b": 1}, "a 'a' is an unknown setting"),
    ],
)
def test_a_mapping_has_no_settings_but_the_known_ones(value: Any, said: str) -> None:  # noqa: ANN401 -- whatever YAML has
    with pytest.raises(TrustPolicyError) as refused:
        PolicyFields.of(value, (), lambda _: "here", ("key", "root"))
    assert refused.value.problem == f"here: {said}"
    assert "key, root" in refused.value.cure


def test_a_mapping_of_known_settings_is_taken_where_it_stands() -> None:
    found = PolicyFields.of({"key": "a"}, ("rules", 0), lambda _: "here", ("key", "root"))
    assert (found.value, found.place, found.where(())) == ({"key": "a"}, ("rules", 0), "here")
