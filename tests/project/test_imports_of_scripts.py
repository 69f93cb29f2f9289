"""What no type checker reads imports names that there are, after any move or renaming."""

import ast
import importlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("alembic", "benchmarks", "examples", "scripts")
SCRIPTS = [
    path.relative_to(ROOT).as_posix()
    for folder in FOLDERS
    for path in sorted((ROOT / folder).rglob("*.py"))
]


def list_imports(tree: ast.Module) -> Iterator[tuple[str, str | None]]:
    """Give each module of ours that a script imports, with the name that it takes from it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((it.name, None) for it in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None and not node.level:
            yield from ((node.module, it.name) for it in node.names)


def is_there(module: str, name: str | None) -> bool:
    """Whether a module can be imported and has the name, or a module of that name in it."""
    found = importlib.import_module(module)
    return (
        name is None
        or hasattr(found, name)
        or (hasattr(found, "__path__") and importlib.util.find_spec(f"{module}.{name}") is not None)
    )


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_imports_what_there_is(script: str) -> None:
    imports = list_imports(ast.parse((ROOT / script).read_text(encoding="utf-8")))
    ours = [(module, name) for module, name in imports if module.split(".")[0] == "auditor"]
    assert [it for it in ours if not is_there(*it)] == []


def test_a_name_that_has_moved_is_noticed() -> None:
    assert is_there("auditor.domain", "readings")
    assert not is_there("auditor.domain", "nothing")
    assert not is_there("auditor.domain.readings", "Nothing")
