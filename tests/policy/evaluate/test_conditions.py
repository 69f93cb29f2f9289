"""Conditions: what CEL answers, what it refuses, and how soon a hostile one ends."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from auditor.domain.json import Json, compute_digest
from auditor.errors import ConditionError, PolicyError
from auditor.policy.cel import ABOUT_MODEL, ABOUT_READINGS, compile_condition, convert_to_doubles

READING: dict[str, Json] = {
    "value": 1,
    "low": None,
    "n": 450,
    "details": {"identity": "release@example.org"},
}
BINDINGS: dict[str, Json] = {
    "params": {"identities": ("release@example.org",), "floor": 1},
    "model": {"name": "loans", "version": "1.0", "tags": ("people",)},
    "claims": {},
    "target": "cpu",
    "reading": READING,
    "readings": [READING],
}


def ask(text: str) -> bool:
    return compile_condition(text, ABOUT_READINGS).evaluate(BINDINGS)


def shared_loops(levels: int, width: int) -> str:
    text = f"x{levels} == x{levels}"
    for level in range(levels, 0, -1):
        text = f"[[{','.join([f'x{level - 1}'] * width)}]].exists(x{level}, {text})"
    return f"[[1]].exists(x0, {text})"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("reading.details.identity in params.identities", True),
        ('model.tags.exists(t, t == "people")', True),
        ('target == "gpu"', False),
        ("has(claims.accuracy) && claims.accuracy > 0.9", False),
        ('"%s of %s".format([model.name, target]) == "loans of cpu"', True),
        ("readings.all(r, r.n >= 100)", True),
    ],
)
def test_a_condition_answers_yes_or_no(text: str, answer: bool) -> None:  # noqa: FBT001 -- the known answer
    assert ask(text) is answer


def test_numbers_are_doubles_before_and_after_a_reload() -> None:
    assert ask("reading.value / 4.0 == 0.25")
    assert ask("reading.value >= params.floor")
    assert convert_to_doubles({"a": [1, True, "1", None]}) == {"a": [1.0, True, "1", None]}


def test_a_digest_is_a_text_to_a_condition() -> None:
    found = compute_digest(b"abc")
    reading: Json = {"evidence": [found], "details": {"data": found}}
    condition = compile_condition("reading.details.data in reading.evidence", ABOUT_READINGS)
    assert condition.evaluate({"reading": reading})
    assert type(convert_to_doubles(found)) is str


def test_a_mistake_is_named_with_line_column_and_a_caret() -> None:
    with pytest.raises(PolicyError) as caught:
        compile_condition('true &&\n modl.name == "x"', ABOUT_MODEL)
    line, written, caret = caught.value.problem.splitlines()
    assert line.startswith("line 2, column 6 of the condition: undeclared reference to 'modl.name'")
    assert written == '   modl.name == "x"'
    assert caret.index("^") == written.index(".")
    assert "claims, model, params, predictions_only, served, target, task." in caught.value.cure


@pytest.mark.parametrize("text", ["", "   ", "reading.value >", "((", '"\\ud800" == "a"'])
def test_what_is_not_cel_is_refused(text: str) -> None:
    with pytest.raises(PolicyError):
        compile_condition(text, ABOUT_READINGS)


def test_a_condition_that_gives_a_text_is_refused() -> None:
    with pytest.raises(PolicyError, match="gives a string, not yes or no"):
        compile_condition('"yes"', ABOUT_READINGS)


def test_a_when_cannot_see_what_was_measured() -> None:
    with pytest.raises(PolicyError, match="undeclared reference"):
        compile_condition("reading.doubted", ABOUT_MODEL)


@pytest.mark.parametrize(
    "text",
    [
        "reading.details.nobody == 1.0",
        "reading.details.identity > 3.0",
        "reading.details.identity",
        "reading.value",
        "1/0 == 1",
        "claims.accuracy > 0.5",
    ],
)
def test_no_answer_is_an_error_and_never_a_yes(text: str) -> None:
    with pytest.raises(ConditionError):
        ask(text)


HOSTILE = {
    "four nested loops": "l.all(a, l.all(b, l.all(c, l.all(d, true))))".replace(
        "l.", f"[{','.join('1' * 9)}]."
    ),
    "three long loops": "l.all(a, l.all(b, l.all(c, a+b+c >= 0)))".replace("l.", "readings."),
    "replace bomb": '"aaaaaaaaaa"' + '.replace("a","aaaaaaaaaa")' * 9 + ".size() > 3",
    "quote bomb": '"\\\\"' + ".quote()" * 30 + ".size() > 3",
    "doubling texts": '["abcdefghij"]' + ".map(x, x+x)" * 20 + "[0].size() > 3",
    "shared lists": shared_loops(7, 9),
    "shared lists that are few": shared_loops(2, 9),
    "deep nesting": "(" * 900 + "true" + ")" * 900,
    "long text": " || ".join(["false"] * 20_000),
    "nested repetition": '"' + "a" * 1500 + '".matches("(.*)*(a+)+$b")',
    "huge repetition": '"a".matches("((a{100}){100}){100}")',
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_condition_ends_quickly(text: str) -> None:
    bindings = {**BINDINGS, "readings": [READING] * 200}
    started = time.process_time()
    try:
        answer = compile_condition(text, ABOUT_READINGS).evaluate(bindings)
    except (PolicyError, ConditionError):
        answer = None
    assert time.process_time() - started < 0.25
    assert answer in (None, True, False)


def test_a_spent_budget_is_no_answer() -> None:
    condition = compile_condition(
        "readings.all(a, readings.all(b, a.n + b.n > 0.0))", ABOUT_READINGS
    )
    with pytest.raises(ConditionError, match="budget"):
        condition.evaluate({**BINDINGS, "readings": [READING] * 200})


REFUSED = {
    "three loops deep": ("l.all(a, l.all(b, l.all(c, true)))".replace("l.", "readings."), "deeper"),
    "a pattern within a loop": ('readings.all(r, r.metric.matches("a"))', "within a loop"),
    "a list made within a loop": ("readings.all(r, readings.map(q, q.n).size() > 0)", "within a"),
    "a pattern that is looked up": ("target.matches(params.pattern)", "not written out"),
    "a pattern of another text": ('matches(target, "a")', "not written out"),
    "brackets": ("(" * 13 + "true" + ")" * 13, "deeper than 12"),
    "lists": ("[" * 13 + "]" * 13 + " == []", "deeper than 12"),
    "denials": ("!" * 4 + "true", "signs in a row"),
    "signs": ("-" * 8 + "1.0 < 2.0", "signs in a row"),
    "choices": ("true ? " * 9 + "true" + " : false" * 9, "choices"),
    "a long text": (f'target == "{"a" * 200}"', "a text is longer than 200"),
    "split": ('target.split("").size() > 0', "'split' is not allowed"),
    "join": ('params.list.join("a") == "a"', "'join' is not allowed"),
    "replace": ('target.replace("a", "b") == "b"', "'replace' is not allowed"),
    "a function behind a text": ('target == "a" || target.split("\\"") == []', "'split' is not"),
    "a function behind a raw text": ('target == r"\\" || target.split("") == []', "'split' is not"),
    "a comment": ('true // "\n && target.split("") == []', "no text begins or ends there"),
    "a text over lines": ('target == """a""" && true', "no text begins or ends there"),
    "bytes": ('b"a" == b"a"', "no text begins or ends there"),
}


@pytest.mark.parametrize(("text", "words"), REFUSED.values(), ids=REFUSED)
def test_what_may_cost_too_much_is_refused_before_it_is_asked(text: str, words: str) -> None:
    with pytest.raises(PolicyError, match=words):
        compile_condition(text, ABOUT_READINGS)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("reading.details.it.all(x, x > 0.0)", [1.0] * 1_001),
        ("reading.details.it.filter(x, x > 0.0).size() > 0", [1.0] * 201),
        ('reading.details.it.exists(x, x == "a")', ["a" * 2_001]),
        ('reading.details.it.contains("a")', "a" * 100_001),
        ("reading.details.it.size() > 0", [[1.0] * 500] * 101),
    ],
)
def test_what_is_too_large_to_look_at_is_no_answer(text: str, value: object) -> None:
    condition = compile_condition(text, ABOUT_READINGS)
    large = {**BINDINGS, "reading": {**READING, "details": {"it": value}}}
    with pytest.raises(ConditionError, match="would have to look at"):
        condition.evaluate(large)


def test_values_that_a_condition_does_not_speak_of_are_as_large_as_they_like() -> None:
    condition = compile_condition("readings.all(r, r.n > 0.0)", ABOUT_READINGS)
    assert condition.evaluate({**BINDINGS, "params": {"list": [1.0] * 100_000}})


def test_a_text_may_hold_what_code_may_not() -> None:
    assert ask("target == 'cpu' || target == 'split(\"\"), ((((((((((((((, // and !!!!'")
    assert ask(r'target.matches(r"^c(p|\d)u$")')


def test_one_condition_serves_many_threads() -> None:
    condition = compile_condition("reading.value > params.floor", ABOUT_READINGS)

    def answer(value: int) -> bool:
        return condition.evaluate({**BINDINGS, "reading": {"value": value}})

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(answer, [index % 3 for index in range(600)]))
    assert answers == [index % 3 > 1 for index in range(600)]
