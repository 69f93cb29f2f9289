"""Command declarations: options and help of a command, without the code that it runs.

A command's module imports all that the command works with, which takes seconds. Usage errors, help
and completion need its click decorators alone. They are built from the source of the module: the
decorated functions without their bodies, and of the rest only what the decorators use. They never
run a command: that is parsed again by the module itself.
"""

import ast
import importlib
import sys
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from auditor.cli.input_paths import require_inputs

DOOR = "auditor.cli."
"""Modules of which only the used part is taken; those below are imported as usual."""
Definition = ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign


def declare_command(module: str) -> click.Command:
    """Return the command of a module as it is declared; it parses, and does nothing."""
    tree = _parse(module)
    commands = [node for node in tree.body if isinstance(node, ast.FunctionDef) and _is_one(node)]
    shown = [_without_body(node) for node in commands]
    used = {name for node in shown for name in _names(node)}
    space = _execute(tree, module, used, shown)
    command: click.Command = space["command"]
    return command


def check_arguments(
    command: click.Command, name: str, arguments: list[str], parent: click.Context
) -> None:
    """Parse arguments by a declaration, down to the last subcommand.

    Raises ``click.UsageError`` as the command would, ``click.exceptions.Exit`` after its help, and
    an ``InvalidInputError`` for an input file that does not exist.
    """
    with command.make_context(name, list(arguments), parent=parent) as context:
        if isinstance(command, click.Group):
            rest = [*context._protected_args, *context.args]  # noqa: SLF001 -- as click's own invoke
            below, found, others = command.resolve_command(context, rest)
            if below is not None and found is not None:
                check_arguments(found, below, others, context)
        else:
            require_inputs(context)


def _parse(module: str) -> ast.Module:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(module)
    return ast.parse(Path(spec.origin).read_text(encoding="utf-8"), spec.origin)


def _is_one(node: ast.FunctionDef) -> bool:
    """Whether a function is a command: decorated by ``click.command`` or a group's ``command``."""
    calls = (item.func for item in node.decorator_list if isinstance(item, ast.Call))
    return any(isinstance(it, ast.Attribute) and it.attr in {"command", "group"} for it in calls)


def _without_body(node: ast.FunctionDef) -> ast.FunctionDef:
    """Return a command's function that takes anything, and has its docstring alone."""
    takes = ast.arguments([], [], ast.arg("args"), [], [], ast.arg("options"), [])
    said = ast.Expr(ast.Constant(ast.get_docstring(node, clean=False) or ""))
    bare = ast.FunctionDef(node.name, takes, [said], node.decorator_list)
    return ast.fix_missing_locations(ast.copy_location(bare, node))


def _execute(
    tree: ast.Module, module: str, used: Iterable[str], shown: Iterable[ast.FunctionDef]
) -> dict[str, Any]:
    """Return the names of a module that ``used`` ones need, and the functions ``shown``."""
    space: dict[str, Any] = {"__name__": module}
    kept, wanted, replaced = set[int](), set(used), {node.name: node for node in shown}
    defined = {
        name: node for node in tree.body if isinstance(node, Definition) for name in _defines(node)
    }
    pending = list(wanted)
    while pending:
        node = defined.get(pending.pop())
        if node is None or id(node) in kept or set(_defines(node)) & replaced.keys():
            continue
        kept.add(id(node))
        fresh = set(_names(node)) - wanted
        wanted |= fresh
        pending += fresh
    body: list[ast.stmt] = []
    for statement in tree.body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            _import(statement, wanted, space)
        elif isinstance(statement, ast.FunctionDef) and statement.name in replaced:
            body.append(replaced[statement.name])
        elif id(statement) in kept:
            body.append(statement)
    code = compile(ast.Module(body, []), f"<declaration of {module}>", "exec")
    exec(code, space)  # noqa: S102 -- our own source, as an import would run it
    return space


def _import(node: ast.Import | ast.ImportFrom, wanted: set[str], space: dict[str, Any]) -> None:
    """Bring the wanted names of an import into a namespace."""
    names = {(it.asname or it.name).partition(".")[0]: it.name for it in node.names}
    found = {bound: name for bound, name in names.items() if bound in wanted}
    if not found:
        return
    if isinstance(node, ast.Import):
        for bound, name in found.items():
            module = importlib.import_module(name)
            space[bound] = module if bound == name else sys.modules[bound]
        return
    source = node.module or ""
    if source.startswith(DOOR) and source not in sys.modules:
        there = _execute(_parse(source), source, found.values(), ())
        space.update((bound, there[name]) for bound, name in found.items())
        return
    held = importlib.import_module(source)
    space.update((bound, getattr(held, name)) for bound, name in found.items())


def _names(node: ast.AST) -> Iterator[str]:
    return (item.id for item in ast.walk(node) if isinstance(item, ast.Name))


def _defines(node: Definition) -> tuple[str, ...]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return (node.name,)
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return tuple(
        item.id for target in targets for item in ast.walk(target) if isinstance(item, ast.Name)
    )
