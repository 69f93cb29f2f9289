"""Conditions: what CEL answers, what it refuses, and how soon a hostile one ends."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from auditor.domain.canonical import Json
from auditor.errors import ConditionError, PolicyError
from auditor.expressions import ABOUT_MODEL, ABOUT_READINGS, as_doubles, compile_condition

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
    assert as_doubles({"a": [1, True, "1", None]}) == {"a": [1.0, True, "1", None]}


def test_a_mistake_is_named_with_line_column_and_a_caret() -> None:
    with pytest.raises(PolicyError) as caught:
        compile_condition('true &&\n modl.name == "x"', ABOUT_MODEL)
    line, written, caret = caught.value.problem.splitlines()
    assert line.startswith("line 2, column 6 of the condition: undeclared reference to 'modl.name'")
    assert written == '   modl.name == "x"'
    assert caret.index("^") == written.index(".")
    assert "claims, model, params, target" in caught.value.cure


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
        "readings.all(a, readings.all(b, readings.all(c, a.n + b.n + c.n > 0.0)))", ABOUT_READINGS
    )
    with pytest.raises(ConditionError, match="budget"):
        condition.evaluate({**BINDINGS, "readings": [READING] * 30})


def test_one_condition_serves_many_threads() -> None:
    condition = compile_condition("reading.value > params.floor", ABOUT_READINGS)

    def answer(value: int) -> bool:
        return condition.evaluate({**BINDINGS, "reading": {"value": value}})

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(answer, [index % 3 for index in range(600)]))
    assert answers == [index % 3 > 1 for index in range(600)]
