"""Measures the house: its rooms, floors and names, and how much of it one audit walks through.

    python scripts/house.py [ROOT] [--static] [--json]

Prints one table: what is measured, its figure, its goal, and whether that is met. It only measures,
so that its exit code is always 0; `tests/project/test_house.py` holds what has been reached. Each
definition is the one under which the figures that the goals were set by come out again. `--static`
leaves out what runs `auditor` (an audit, a call of the service, a verification: a minute together).
"""  # noqa: INP001 -- a script

import argparse
import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Final

HERE: Final = Path(__file__).resolve().parent
PACKAGE: Final = "auditor"
INIT: Final = "__init__.py"
LEAST_ROOM: Final = 160
"""A file at the package's root that has fewer lines is a closet, and no room of the table.

The goals of 30 rooms, 11 floors and 160 arrows were set beside "69, 17, 427". Of the tree that this
was said of, all 133 children of the package make 22 floors and 866 arrows; those of at least 160
lines are 70, on 17 floors, with 417 arrows.
"""
MOST_LINES: Final = 800
ABOUT_180: Final = range(144, 217)
"""The median's goal, and a fifth to either side."""
VERBS: Final = frozenset({"plan", "observe", "conclude"})
FIELD_TERMS: Final = frozenset({
    "confident_learning", "encoding", "gradient_masking", "image_resampling", "indexing",
    "label_smoothing", "masking", "ml_preprocessing", "model_signing", "poisoning",
    "privacy_accounting", "profiling", "request_timing", "routing", "scope_wording", "scoring",
    "shadow_training", "testing", "timing", "torch_training", "training", "wiring", "wording",
})  # fmt: skip
"""Names in -ing by which somebody of the field would search, and nouns that only look like it."""
REQUESTS: Final[Mapping[str, tuple[str, ...]]] = {
    "as an audit file and its caller say it": ("AuditFile",),
    "as a program asks for it": ("AuditSpec",),
    "as the record has it": ("AuditRequest",),
    "as a client sends it": ("AuditOrder", "client/orders.py:Order"),
}
"""The classes that stand for one request of an audit, by name, or by the file that defines one.

Kept by hand: no tool can tell them from what is shown of an audit. A test asks for each of them, so
that one which goes is taken out of here as well.
"""
HOLDERS: Final[Mapping[str, tuple[str, ...]]] = {
    "PreparedAudit": ("AuditFile", "AuditRequest"),
    "Submission": ("AuditOrder",),
}
"""Classes that hold a request beside what was read or done for it, and the requests that they hold.

One that is derived from what it holds, or repeats a field of it, is one more representation.
"""

Function = ast.FunctionDef | ast.AsyncFunctionDef
Graph = Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class SourceFile:
    """One file of the package, by its path below the package."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax."""
        return ast.parse(self.text)

    @property
    def lines(self) -> int:
        """The number of its lines."""
        return len(self.text.splitlines())

    @property
    def name(self) -> str:
        """Its name without folders."""
        return self.path.rpartition("/")[2]

    @property
    def module(self) -> str:
        """The name under which it is imported."""
        parts = [PACKAGE, *self.path.removesuffix(".py").split("/")]
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def room(self) -> str:
        """The child of the package that it is, or is part of; the package itself for its root."""
        return PACKAGE if self.path == INIT else self.path.partition("/")[0].removesuffix(".py")

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """All nodes of its syntax."""
        return list(ast.walk(self.tree))

    @cached_property
    def functions(self) -> list[Function]:
        """All functions and methods in it."""
        return [node for node in self.nodes if isinstance(node, Function)]

    @cached_property
    def classes(self) -> list[ast.ClassDef]:
        """All classes in it."""
        return [node for node in self.nodes if isinstance(node, ast.ClassDef)]


@dataclass(frozen=True)
class House:
    """The package as it is written, every file read once."""

    root: Path
    files: tuple[SourceFile, ...]

    @property
    def modules(self) -> tuple[SourceFile, ...]:
        """Its files, but for those that only make a folder a package."""
        return tuple(file for file in self.files if file.name != INIT)


@dataclass(frozen=True, slots=True)
class Measure:
    """One line of the table. ``met`` is ``None`` where people judge, or nothing was measured."""

    name: str
    figure: str
    goal: str
    met: bool | None


@dataclass(frozen=True, slots=True)
class Walk:
    """What one run of something enters: functions, and the files that they are in.

    ``inner`` counts what lies below the use case alone, without the door that calls it.
    """

    functions: int
    modules: int
    inner: tuple[int, int] | None = None


def read_house(root: Path) -> House:
    """Read the package that lies in a folder. Raises ``FileNotFoundError`` where there is none."""
    package = root / PACKAGE
    paths = sorted(package.rglob("*.py"))
    if not paths:
        raise FileNotFoundError(f"{root} has no package {PACKAGE}")
    return House(
        root,
        tuple(
            SourceFile(path.relative_to(package).as_posix(), path.read_text(encoding="utf-8"))
            for path in paths
        ),
    )


# Rooms, floors and arrows.


def root_modules(house: House) -> list[str]:
    """Return the files at the package's root, but for its ``__init__.py``."""
    return [file.path for file in house.modules if "/" not in file.path]


def root_packages(house: House) -> list[str]:
    """Return the folders directly below the package."""
    return sorted({file.room for file in house.files if "/" in file.path})


def contract_layers(root: Path) -> list[list[str]]:
    """Return the layers of the import contract, the top one first; none where there is no file."""
    path = root / "pyproject.toml"
    settings = tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    contracts = settings.get("tool", {}).get("importlinter", {}).get("contracts", [])
    for contract in contracts:
        if contract.get("type") == "layers" and PACKAGE in contract.get("containers", [PACKAGE]):
            rooms = (re.findall(r"[\w.]+", layer) for layer in contract["layers"])
            return [[room.rpartition(".")[2] for room in layer] for layer in rooms]
    return []


def imports_of(file: SourceFile, known: frozenset[str]) -> Iterator[str]:
    """Yield the modules of the package that a file imports, wherever it does so."""
    folder = file.module if file.name == INIT else file.module.rpartition(".")[0]
    for node in file.nodes:
        if isinstance(node, ast.Import):
            yield from (it.name for it in node.names if it.name in known)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = folder.split(".")[: len(folder.split(".")) - node.level + 1]
                base = ".".join([*above, *filter(None, [base])])
            for alias in node.names:
                inside = f"{base}.{alias.name}"
                yield from [inside] if inside in known else [base] if base in known else []


def room_arrows(house: House) -> Graph:
    """Return, for each child of the package, the others that it imports from."""
    rooms = {file.module: file.room for file in house.files}
    known = frozenset(rooms)
    arrows: dict[str, set[str]] = {room: set() for room in rooms.values()}
    for file in house.files:
        arrows[file.room] |= {rooms[name] for name in imports_of(file, known)}
    return {room: frozenset(others - {room}) for room, others in arrows.items()}


def large_rooms(house: House) -> Graph:
    """Return the arrows between rooms that are no closets."""
    sizes: Counter[str] = Counter()
    for file in house.files:
        sizes[file.room] += file.lines
    kept = {room for room, lines in sizes.items() if lines >= LEAST_ROOM}
    arrows = room_arrows(house)
    return {room: arrows[room] & kept for room in arrows if room in kept}


def reachable(arrows: Graph) -> dict[str, frozenset[str]]:
    """Return all that each room comes to by following arrows."""
    found: dict[str, frozenset[str]] = {}
    for room in arrows:
        seen: set[str] = set()
        ahead = list(arrows[room])
        while ahead:
            other = ahead.pop()
            if other not in seen:
                seen.add(other)
                ahead.extend(arrows[other])
        found[room] = frozenset(seen)
    return found


def count_floors(arrows: Graph) -> int:
    """Return how many rooms the longest way down passes; rooms in a circle share a floor."""
    below = reachable(arrows)
    heights: dict[str, int] = {}
    # Whatever lies below a room, and not in a circle with it, comes to fewer rooms than it does.
    for room in sorted(arrows, key=lambda it: len(below[it] - {it})):
        lower = [other for other in below[room] if room not in below[other]]
        heights[room] = 1 + max((heights[other] for other in lower), default=0)
    return max(heights.values(), default=0)


# Names.


def words_of(name: str) -> list[str]:
    """Return the words of a class's name: ``JSONPart`` and ``_JsonPart`` have two."""
    return re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", name)


def one_word_classes(house: House) -> list[str]:
    """Return the classes whose name is one word."""
    return [
        f"{file.path}:{it.name}"
        for file in house.files
        for it in file.classes
        if len(words_of(it.name)) == 1
    ]


def shared_class_names(house: House, most: int) -> dict[str, list[str]]:
    """Return the class names that stand in more modules than that, and where."""
    places: dict[str, list[str]] = defaultdict(list)
    for file in house.files:
        for name in sorted({it.name for it in file.classes}):
            places[name].append(file.path)
    return {name: found for name, found in sorted(places.items()) if len(found) > most}


def gerund_modules(house: House) -> list[str]:
    """Return modules and folders that are called by a gerund that is no term of the field."""
    parts = {
        "/".join(steps[: depth + 1])
        for file in house.files
        if (steps := file.path.removesuffix("/" + INIT).removesuffix(".py").split("/"))
        for depth in range(len(steps))
    }
    return sorted(path for path in parts if _is_gerund(path.rpartition("/")[2]))


def _is_gerund(name: str) -> bool:
    """Whether a name's last word is one: a ``signing_key`` is a key."""
    return re.fullmatch(r"\w{2,}ing", name) is not None and name not in FIELD_TERMS


def shared_basenames(house: House) -> list[str]:
    """Return the modules whose file is called as another one is, in another folder."""
    names = Counter(file.name for file in house.modules)
    return [file.path for file in house.modules if names[file.name] > 1]


# Sizes.


def length_of(function: Function) -> int:
    """Count the lines of a function, without decorators and its docstring."""
    return (function.end_lineno or 0) - function.lineno + 1 - len(_docstring_lines(function))


def long_files(house: House, most: int) -> dict[str, int]:
    """Return the files with more lines than that."""
    return {file.path: file.lines for file in house.files if file.lines > most}


def long_functions(house: House, most: int) -> dict[str, int]:
    """Return the functions with more lines than that."""
    return {
        f"{file.path}:{it.lineno} {it.name}": length_of(it)
        for file in house.files
        for it in file.functions
        if length_of(it) > most
    }


def speaking_folders(house: House) -> list[str]:
    """Return each ``__init__.py`` below the top that says something."""
    return [it.path for it in house.files if it.name == INIT and "/" in it.path and it.text]


def _docstring_lines(node: ast.Module | ast.ClassDef | Function) -> range:
    if ast.get_docstring(node, clean=False) is None:
        return range(0)
    return range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)


def count_code(file: SourceFile) -> int:
    """Count the lines of a file without blank ones, comments and docstrings."""
    documentable: list[ast.Module | ast.ClassDef | Function] = [
        file.tree,
        *file.classes,
        *file.functions,
    ]
    documented = {number for node in documentable for number in _docstring_lines(node)}
    lines = enumerate(file.text.splitlines(), 1)
    return sum(
        1
        for number, line in lines
        if number not in documented and line.strip()[:1] not in {"", "#"}
    )


# Shapes.


def single_use_helpers(house: House) -> list[str]:
    """Return the private functions and methods whose name is used once, in their own module."""
    return [f"{file.path}:{name}" for file in house.files for name in _used_once(file)]


def _used_once(file: SourceFile) -> list[str]:
    uses = Counter(
        node.id if isinstance(node, ast.Name) else node.attr
        for node in file.nodes
        if isinstance(node, ast.Attribute | ast.Name)
    )
    owners: list[ast.Module | ast.ClassDef] = [file.tree, *file.classes]
    helpers = [it.name for owner in owners for it in owner.body if isinstance(it, Function)]
    return [it for it in helpers if it[0] == "_" and it[:2] != "__" and uses[it] == 1]


def process_classes(house: House) -> list[str]:
    """Return the classes that define all of ``plan``, ``observe`` and ``conclude``."""
    return [
        f"{file.path}:{it.name}"
        for file in house.files
        for it in file.classes
        if {node.name for node in it.body if isinstance(node, Function)} >= VERBS
    ]


def request_classes(house: House) -> dict[str, list[str]]:
    """Return, for each representation of a request, the classes that are there of it."""
    found = [(file.path, it.name) for file in house.files for it in file.classes]
    return {
        meaning: [f"{path}:{name}" for path, name in found if _is_named(path, name, names)]
        for meaning, names in REQUESTS.items()
    }


def repeating_holders(house: House) -> list[str]:
    """Return the classes that say again what the request says that they hold."""
    classes = {it.name: it for file in house.files for it in file.classes}
    fields = {
        name: {
            ast.unparse(node).partition(" = ")[0]
            for node in it.body
            if isinstance(node, ast.AnnAssign)
        }
        for name, it in classes.items()
    }
    return [
        name
        for name, held in HOLDERS.items()
        if name in classes
        and (
            {ast.unparse(base) for base in classes[name].bases} & set(held)
            or any(fields[name] & fields.get(other, set()) for other in held)
        )
    ]


def _is_named(path: str, name: str, names: Sequence[str]) -> bool:
    return any(it == (f"{path}:{name}" if ":" in it else name) for it in names)


def has_api(house: House) -> bool:
    """Whether ``auditor.audit`` is there to be called."""
    (root,) = (file for file in house.files if file.path == INIT)
    bound = {it.name for it in root.tree.body if isinstance(it, Function)}
    imported = {
        alias.asname or alias.name
        for node in root.nodes
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    # Imported when it is first asked for, it is a text somewhere in the file.
    told = {it.value for it in root.nodes if isinstance(it, ast.Constant)}
    return "audit" in bound | imported | told


# What a run enters.


def walk(what: str, root: Path) -> Walk | str:
    """Run one thing in a process of its own; return what it entered, or why it could not."""
    command = [sys.executable, str(HERE / "house_probe.py"), what, str(root)]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(  # noqa: S603 -- our own script
        command, env=environment, capture_output=True, text=True, check=False, cwd=root
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return next((it for it in reversed(lines) if "error" in it.lower()), lines[-1])
    found = json.loads(done.stdout.splitlines()[-1])
    functions, modules = found["all"]
    return Walk(functions, modules, tuple(found["inner"]) if found["inner"] else None)


# The table.


def at_most(name: str, found: Sequence[float], goals: Sequence[float], beside: str = "") -> Measure:
    """Return a line whose figures are shares or counts, each of which has a highest value."""
    return Measure(
        name,
        " / ".join(map(_shown, found)) + beside,
        " / ".join(f"≤ {_shown(goal)}" if goal else "0" for goal in goals),
        all(figure <= goal for figure, goal in zip(found, goals, strict=True)),
    )


def _shown(figure: float) -> str:
    return f"{figure:,}" if isinstance(figure, int) else f"{100 * figure:.3g} %"


def static_measures(house: House) -> Iterator[Measure]:
    """Yield what is read from the files alone."""
    roots = len(root_modules(house)), len(root_packages(house))
    yield at_most("modules at the package's root / packages", roots, (8, 15))
    layers = len(contract_layers(house.root))
    yield Measure("import-linter layers", f"{layers}", "≤ 10", layers in range(1, 11))
    arrows = large_rooms(house)
    rooms = len(arrows), count_floors(arrows), sum(map(len, arrows.values()))
    yield at_most("rooms / floors / arrows", rooms, (30, 11, 160))
    yield Measure("30 random modules guessed from their path", "asked of people", "≥ 27", None)
    yield from _measures_of_names(house)
    yield from _measures_of_sizes(house)
    yield from _measures_of_shapes(house)


def _measures_of_names(house: House) -> Iterator[Measure]:
    classes = sum(len(file.classes) for file in house.files)
    yield at_most("classes of one word", [len(one_word_classes(house)) / max(classes, 1)], [0.35])
    often = shared_class_names(house, 2)
    most = max(often, key=lambda name: len(often[name]), default="")
    twice = len(shared_class_names(house, 1))
    beside = (
        f" ({twice} in two or more; {most} in {len(often[most])})"
        if often
        else f" ({twice} in two)"
    )
    yield at_most("class names in more than two modules", [len(often)], [0], beside)
    gerunds = len(gerund_modules(house))
    yield at_most("modules called by a gerund that is no term of the field", [gerunds], [0])
    alike = f"{len(shared_basenames(house)):,} of {len(house.modules):,}"
    yield Measure(
        "files that share their basename", alike, "where the folder tells them apart", None
    )


def _measures_of_sizes(house: House) -> Iterator[Measure]:
    sizes = [file.lines for file in house.modules]
    middle, largest = round(median(sizes)), max(sizes)
    yield Measure(
        "median / largest file",
        f"{middle} / {largest}",
        "about 180 / ≤ 800",
        middle in ABOUT_180 and largest <= MOST_LINES,
    )
    functions = sum(len(file.functions) for file in house.files)
    once = len(single_use_helpers(house)) / max(functions, 1)
    yield at_most("private helpers used once, of all functions", [once], [0.17])
    lines = sum(it.lines for it in house.files), sum(map(count_code, house.files))
    yield at_most("lines of auditor/: all / code", lines, (145_000, 104_000))


def _measures_of_shapes(house: House) -> Iterator[Measure]:
    yield at_most("classes with plan, observe, conclude", [len(process_classes(house))], [2])
    requests = request_classes(house)
    there = sum(map(bool, requests.values())) + len(repeating_holders(house))
    gone = sum(not found for found in requests.values())
    beside = f" ({gone} of those listed here are gone)" if gone else ""
    yield at_most("representations of one audit request", [there], [4], beside)
    api, typed = has_api(house), (house.root / PACKAGE / "py.typed").is_file()
    found = " / ".join("there" if it else "missing" for it in (api, typed))
    yield Measure("Python API: auditor.audit / py.typed", found, "there / there", api and typed)


WALKS: Final = (
    ("audit", "one check audited locally: functions / modules", (1000, 180)),
    ("post", "POST /v1/audits: functions / modules", (120, 30)),
    ("verify", "verify a record: functions / modules", (500, 110)),
)


def dynamic_measures(root: Path) -> Iterator[Measure]:
    """Yield what shows only while ``auditor`` runs."""
    for what, name, goals in WALKS:
        found = walk(what, root)
        if isinstance(found, str):
            goal = at_most(name, goals, goals).goal
            yield Measure(name, f"not measured: {found[:80]}", goal, None)
        elif found.inner:
            beside = f" (with the door {found.functions:,} / {found.modules})"
            yield at_most(name, found.inner, goals, beside)
        else:
            yield at_most(name, (found.functions, found.modules), goals)


def table(measures: Iterable[Measure]) -> str:
    """Return the table that people read."""
    words = {True: "yes", False: "no", None: "?"}
    rows = [("measure", "figure", "goal", "met")]
    rows += [(it.name, it.figure, it.goal, words[it.met]) for it in measures]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([lines[0], "-" * len(max(lines, key=len)), *lines[1:], ""])


def main() -> None:
    """Measure a checkout, this one or another, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("root", nargs="?", type=Path, default=HERE.parent, metavar="ROOT")
    parser.add_argument("--static", action="store_true", help="run nothing of auditor")
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    asked = parser.parse_args()
    root = asked.root.resolve()
    measures = list(static_measures(read_house(root)))
    measures += [] if asked.static else dynamic_measures(root)
    if asked.json:
        rows = [
            {"measure": it.name, "figure": it.figure, "goal": it.goal, "met": it.met}
            for it in measures
        ]
        sys.stdout.write(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(table(measures))


if __name__ == "__main__":
    main()
