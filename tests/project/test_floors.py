"""The limits that we set ourselves and that no linter holds."""

import ast
from collections import Counter
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "auditor"
TEXTS = {
    str(path.relative_to(PACKAGE)): path.read_text(encoding="utf-8")
    for path in sorted(PACKAGE.rglob("*.py"))
}
MOST_LINES = 800
MOST_LINES_OF_A_FUNCTION = 50

Function = ast.FunctionDef | ast.AsyncFunctionDef


def length(function: Function) -> int:
    """Count the lines of a function, without decorators and its docstring."""
    first = function.body[0]
    documented = ast.get_docstring(function, clean=False) is not None
    docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def functions(text: str) -> list[Function]:
    return [node for node in ast.walk(ast.parse(text)) if isinstance(node, Function)]


def test_a_function_is_measured_without_its_docstring_and_decorators() -> None:
    (found,) = functions(
        '@once\ndef f(\n    x,\n):\n    """One.\n\n    Two.\n    """\n    return x\n'
    )
    assert length(found) == 4


def test_a_file_holds_one_idea() -> None:
    lines = {name: len(text.splitlines()) for name, text in TEXTS.items()}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def test_a_function_does_one_thing() -> None:
    lines = {
        f"{name}:{function.lineno} {function.name}": length(function)
        for name, text in TEXTS.items()
        for function in functions(text)
    }
    assert {name: count for name, count in lines.items() if count > MOST_LINES_OF_A_FUNCTION} == {}


def test_a_folder_says_nothing_by_itself() -> None:
    folders = {name: text for name, text in TEXTS.items() if name.endswith("/__init__.py")}
    assert {name for name, text in folders.items() if text} == set()
    assert folders


def test_no_two_modules_beside_the_tests_share_a_name() -> None:
    """All folders of tests are on one path: of two `fleets.py`, the first that is read is both."""
    tests = Path(__file__).parents[1]
    shown = Counter(
        path.name for path in tests.rglob("*.py") if path.name not in {"conftest.py", "__init__.py"}
    )
    assert shown["test_floors.py"] == 1
    assert [name for name, count in shown.items() if count > 1] == []
