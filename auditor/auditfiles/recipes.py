"""What can be wrong with the ``recipe`` section beyond the kind of each value."""

import ast
from collections.abc import Iterator
from keyword import iskeyword

from auditor.auditfiles.shapes import AuditShape
from auditor.auditfiles.tasks import REGRESSION, Mistake

SUFFIX = ".py"
LEAST_MEMORY = 2**28
"""Bytes without which no Python with numpy starts."""
DYNAMIC = frozenset({"*", "exec", "globals", "setattr", "vars", "__getattr__"})
"""With one of these a module may have names that nobody reads in its code."""
SCOPES = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda


def recipe_mistakes(shape: AuditShape) -> Iterator[Mistake]:
    """Name what could be no recipe, or trains what is not trained again."""
    recipe = shape.recipe
    if recipe is None:
        return
    if not recipe.path.endswith(SUFFIX):
        problem = f"is {recipe.path!r}, which is no Python file"
        yield ("recipe", "path"), problem, "Name a .py file that defines train(X, y, seed)."
    for name in ("function", "dp_train"):
        called = getattr(recipe, name)
        if called is not None and (not called.isidentifier() or iskeyword(called)):
            problem = f"is {called!r}, which is no name of a function"
            yield ("recipe", name), problem, "Write the function's name alone, as in train."
    if recipe.time_limit <= 0:
        problem = f"is {recipe.time_limit:g}, which is no time to train in"
        yield ("recipe", "time_limit"), problem, "Write the seconds that one training may take."
    if recipe.memory_limit < LEAST_MEMORY:
        problem = f"is {recipe.memory_limit} bytes, in which no Python starts"
        cure = f"Write the bytes that training may take, at least {LEAST_MEMORY}."
        yield ("recipe", "memory_limit"), problem, cure
    if shape.task.kind == REGRESSION:
        problem = "is set, but only classifiers are trained again"
        yield ("recipe",), problem, "Remove it."


def names_bound(raw: bytes) -> frozenset[str] | None:
    """Return the names that Python code binds at its top level, by reading it and running nothing.

    ``None`` where that cannot be known: what is imported by a star, or made while it runs. Raises
    ``SyntaxError`` for what is no Python.
    """
    try:
        tree = ast.parse(raw)
        nodes = list(_top(tree.body))
    except (ValueError, RecursionError, MemoryError):
        return None
    found = {name for node in nodes for name in _bound(node)}
    found |= {it for node in ast.walk(tree) if isinstance(node, ast.Global) for it in node.names}
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    return None if (found | used) & DYNAMIC else frozenset(found)


def _top(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Yield what stands at the top level, in ``if`` and ``try`` too, and not what is in a scope."""
    waiting: list[ast.AST] = list(body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, SCOPES):
            waiting.extend(ast.iter_child_nodes(node))


def _bound(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name
        case ast.Name(ctx=ast.Store()):
            yield node.id
        case ast.Import() | ast.ImportFrom():
            yield from ((item.asname or item.name).partition(".")[0] for item in node.names)
