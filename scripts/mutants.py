"""Mutates the code that decides, and counts how many mutants its tests notice.

    python scripts/mutants.py [--seed N] [--count N] [--only TEXT] [--workers N] [--every]

A mutant is one module with one small change: another comparison, a condition that always holds, a
``yield`` or ``raise`` left out. Mutants are drawn from ``TARGETS`` by a seed. Each is put in place
in a copy of a process that has collected the tests, and runs against those that reach its line, by
coverage, until one of them fails; what none notices there runs again from its import on. A survivor
must be named in ``scripts/mutants.yaml`` with the reason why it changes nothing. Exit code 1: fewer
than 97 % were killed, or a survivor has no reason.
"""  # noqa: INP001 -- a script

import argparse
import ast
import contextlib
import copy
import gc
import importlib
import importlib.machinery
import inspect
import io
import os
import resource
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from pathlib import Path
from random import Random
from types import CodeType, FunctionType
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parents[1]
REASONS: Final = ROOT / "scripts" / "mutants.yaml"
GOAL: Final = 0.97
COUNT: Final = 360
CPU_SECONDS: Final = 60
"""A mutant that takes so much longer than its tests did has hung, and is killed by that."""
WALL_SECONDS: Final = 900
FIRST: Final = 24
SPOKEN_OF: Final = 20
"""Progress is told after so many mutants, and of each one that survives."""
TEST_SECONDS: Final = 20.0
"""Tests of a mutant that are run, the quickest first, take so long together and no longer."""
LOADED: Final = (
    "numpy",
    "scipy.stats",
    "onnx",
    "onnxruntime",
    "pydantic",
    "jinja2",
    "cryptography.x509",
    "sqlalchemy.orm",
    "jsonschema_rs",
    "rich.console",
    "click",
    "cel_expr_python",
    "yaml",
)
"""What tests load of others, and what no thread of it has been started in: loaded once."""

TARGETS: Final = (
    "auditor/policy/evaluate/*.py",
    "auditor/workflows/gate.py",
    "auditor/service/gate.py",
    "auditor/workflows/approvals.py",
    "auditor/workflows/human_decisions.py",
    "auditor/workflows/waivers.py",
    "auditor/domain/approvals.py",
    "auditor/domain/evidence_levels.py",
    "auditor/domain/record_scope.py",
    "auditor/domain/verification_steps.py",
    "auditor/domain/findings.py",
    "auditor/domain/waivers.py",
    "auditor/service/approvals/status.py",
    "auditor/trust/policies/*.py",
    "auditor/trust/signatures/decisions.py",
    "auditor/trust/encoding/dsse.py",
    "auditor/trust/signatures/verify.py",
    "auditor/trust/verification_result.py",
    "auditor/trust/signatures/records.py",
    "auditor/trust/artifacts/verify.py",
    "auditor/trust/ledger/merkle.py",
    "auditor/trust/ledger/receipts.py",
    "auditor/trust/ledger/notes.py",
    "auditor/trust/ledger/key_events.py",
    "auditor/workflows/verify/folder.py",
    "auditor/workflows/verify/inclusion.py",
    "auditor/workflows/verify/key_lifecycle.py",
    "auditor/workflows/verify/sealed_seed.py",
)
"""What decides: judging, gates, approvals, waivers, trust, verification, the ledger's proofs."""
SPOKEN: Final = frozenset({"auditor/policy/evaluate/messages.py"})
"""Texts alone, which no decision rests on."""
TESTS: Final = (
    "tests/policy/evaluate",
    "tests/domain",
    "tests/trust/keys",
    "tests/trust/ledger",
    "tests/trust/policies",
    "tests/trust/signatures",
    "tests/service/approvals",
    "tests/workflows",
    "tests/workflows/verify",
    "tests/service/api/test_approvals_that_endure.py",
    "tests/service/api/test_people_decide.py",
    "tests/cli/test_approvals_in_use.py",
    "tests/cli/test_pins_of_policies.py",
    "tests/store/test_sealed_seeds.py",
)
"""Tests that stand beside what decides, or ask it from outside, and take seconds each."""

SWAPS: Final[Mapping[type[ast.cmpop], tuple[type[ast.cmpop], ...]]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
SUMS: Final[Mapping[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}


@dataclass(frozen=True, slots=True, order=True)
class Mutant:
    """One change of one module: where it is, what stood there, and what stands there now."""

    path: str
    function: str
    line: int
    column: int
    before: str
    after: str

    @property
    def key(self) -> str:
        """What names it in the list of reasons, whatever moves above it in its file."""
        return f"{self.path} {self.function}: {self.before} -> {self.after}"


@dataclass(frozen=True, slots=True)
class Reach:
    """Which tests reach which lines, and how long (s) each test takes."""

    lines: Mapping[tuple[str, int], frozenset[str]]
    files: Mapping[str, frozenset[str]]
    seconds: Mapping[str, float]

    def tests(self, mutant: Mutant) -> list[str]:
        """Return the tests that may notice a mutant, the quickest first, for ``TEST_SECONDS``."""
        here = self.lines.get((mutant.path, mutant.line))
        there = here or self.files.get(mutant.path, frozenset())
        ordered = sorted(there, key=lambda test: (self.seconds.get(test, 0.0), test))
        spent = accumulate(self.seconds.get(test, 0.0) for test in ordered)
        return [test for test, until in zip(ordered, spent, strict=True) if until <= TEST_SECONDS]


class MutationFinder(ast.NodeVisitor):
    """Walks a module and offers each change of it: the node, and the node that replaces it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.found: list[tuple[Mutant, ast.AST, ast.AST]] = []
        self._functions: list[str] = []

    def visit(self, node: ast.AST) -> None:
        """Offer the changes of a node, and walk on; annotations and f-strings decide nothing."""
        for after in _changes(node):
            self._offer(node, after)
        for name, field in ast.iter_fields(node):
            if name in {"annotation", "returns", "decorator_list"} or isinstance(
                field, ast.JoinedStr
            ):
                continue
            scoped = isinstance(node, ast.FunctionDef | ast.ClassDef)
            if scoped:
                self._functions.append(getattr(node, "name", ""))
            for item in field if isinstance(field, list) else [field]:
                if isinstance(item, ast.AST) and not isinstance(item, ast.JoinedStr):
                    self.visit(item)
            if scoped:
                self._functions.pop()

    def _offer(self, node: ast.AST, after: ast.AST) -> None:
        where = ".".join(self._functions) or "module"
        line, column = getattr(node, "lineno", 0), getattr(node, "col_offset", 0)
        shown = (_text(node), _text(after))
        self.found.append((Mutant(self.path, where, line, column, *shown), node, after))


def _text(node: ast.AST) -> str:
    """Return code as one line; of a condition, what it asks alone."""
    shown = f"if {ast.unparse(node.test)}" if isinstance(node, ast.If) else ast.unparse(node)
    return " ".join(shown.split())


def _changes(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            for at, op in enumerate(ops):
                for other in SWAPS[type(op)]:
                    yield ast.Compare(left, [*ops[:at], other(), *ops[at + 1 :]], comparators)
        case ast.BoolOp(op=op, values=values):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
            for at in range(len(values)):
                rest = [*values[:at], *values[at + 1 :]]
                yield rest[0] if len(rest) == 1 else ast.BoolOp(op, rest)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield operand
        case ast.BinOp(left=left, op=op, right=right) if type(op) in SUMS:
            yield ast.BinOp(left, SUMS[type(op)](), right)
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(number)):
            yield ast.Constant(number + 1)
        case _:
            yield from _changed_ways(node)


def _changed_ways(node: ast.AST) -> Iterator[ast.AST]:
    """Change which way is taken, what is returned, or leave out a step."""
    match node:
        case ast.IfExp(test=test, body=body, orelse=orelse):
            yield from (ast.IfExp(_fixed(it, test), body, orelse) for it in (True, False))
        case ast.If(test=test, body=body, orelse=orelse):
            yield from (ast.If(_fixed(it, test), body, orelse) for it in (True, False))
        case ast.comprehension(ifs=ifs) if ifs:
            yield ast.comprehension(node.target, node.iter, [], node.is_async)
        case ast.Return(value=value) if value is not None:
            yield from (ast.Return(other) for other in _returns(value))
        case ast.Expr(value=ast.Yield() | ast.YieldFrom()):
            yield ast.Expr(ast.IfExp(ast.Constant(value=False), node.value, ast.Constant(None)))
        case ast.Raise():
            yield ast.Pass()


def _fixed(value: bool, test: ast.expr) -> ast.expr:  # noqa: FBT001 -- it is the value
    """Return a condition that always comes out so; it is still asked, for what that may bind."""
    chosen = ast.Or() if value else ast.And()
    return ast.BoolOp(chosen, [test, ast.Constant(value)])


def _returns(value: ast.expr) -> Iterator[ast.expr]:
    match value:
        case ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
            yield ast.UnaryOp(ast.Not(), value)
        case ast.Tuple(elts=[_, *_]):
            yield ast.Tuple([], ast.Load())
        case ast.Constant():
            return
        case _:
            yield ast.Constant(None)


@cache
def _parsed(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def find_mutants(only: str = "") -> list[Mutant]:
    """Return every mutant of the targets whose path has the text ``only``, in order."""
    paths = {
        str(path.relative_to(ROOT)) for pattern in TARGETS for path in ROOT.glob(pattern)
    } - SPOKEN
    found: list[Mutant] = []
    for path in sorted(paths):
        if only in path:
            finder = MutationFinder(path)
            finder.visit(_parsed(path))
            found += [mutant for mutant, _, _ in finder.found]
    return sorted(set(found))


def mutated(mutant: Mutant) -> CodeType:
    """Return the code of a module with one change."""
    tree = copy.deepcopy(_parsed(mutant.path))
    finder = MutationFinder(mutant.path)
    finder.visit(tree)
    node, after = next((node, after) for it, node, after in finder.found if it == mutant)
    for parent in ast.walk(tree):
        for name, field in ast.iter_fields(parent):
            if field is node:
                setattr(parent, name, ast.copy_location(after, node))
            elif isinstance(field, list) and any(item is node for item in field):
                changed = [
                    ast.copy_location(after, node) if item is node else item for item in field
                ]
                setattr(parent, name, changed)
    return compile(ast.fix_missing_locations(tree), str(ROOT / mutant.path), "exec")


class MutantLoader(importlib.machinery.SourceFileLoader):
    """Loads one module with a change, and leaves every other one to Python."""

    def __init__(self, mutant: Mutant) -> None:
        name = mutant.path.removesuffix(".py").replace("/", ".")
        super().__init__(name, str(ROOT / mutant.path))
        self._mutant = mutant

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the spec of the changed module; nothing for every other one."""
        del path, target
        if fullname != self.name:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, origin=self.path)

    def get_code(self, fullname: str) -> CodeType:
        """Return the changed code; nothing is read from or written to a cache."""
        del fullname
        return mutated(self._mutant)


class Contexts:
    """Tells coverage which test runs, and remembers how long each took."""

    def __init__(self, measured: Any) -> None:  # noqa: ANN401 -- coverage's
        self._measured = measured
        self.seconds: dict[str, float] = defaultdict(float)
        self.failed: list[str] = []

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Name the test that begins."""
        self._measured.switch_context(nodeid)

    def pytest_runtest_logreport(self, report: Any) -> None:  # noqa: ANN401 -- pytest's
        """Add the time of one of its three parts."""
        self.seconds[report.nodeid] += report.duration
        if report.failed:
            self.failed.append(report.nodeid)


def run_tests(tests: Sequence[str], *plugins: object) -> int:
    """Run tests here, in a fixed order and with fixed draws, and return pytest's exit code."""
    import pytest  # noqa: PLC0415 -- after the mutant has been put in its place

    quiet = ["-x", "-q", "--no-header", "-p", "no:cacheprovider", "-p", "no:randomly"]
    quiet += ["-p", "no:schemathesis", "-m", "not slow", "--tb=no"]
    return int(pytest.main([*quiet, *tests], plugins=list(plugins)))


def _in_child(work: Callable[[], int], limit: int | None) -> int:
    """Run work in a process of its own and return its exit code; a signal's is negative."""
    child = os.fork()
    if child == 0:
        code = 70
        try:
            os.setsid()
            if limit is not None:
                resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
                signal.alarm(WALL_SECONDS)
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 1)
            if limit is not None:
                os.dup2(quiet, 2)
            code = work()
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # what a mutant left behind
    return os.waitstatus_to_exitcode(status)


def _test_files(path: Path) -> Iterable[Path]:
    return path.glob("test_*.py") if path.is_dir() else [path]


def reach(workers: int) -> Reach:
    """Run the tests once under coverage, and say which of them reach which lines."""
    import coverage  # noqa: PLC0415 -- slow to load, and only the first step needs it

    files = sorted(
        (path for name in TESTS for path in _test_files(ROOT / name)),
        key=lambda path: -path.stat().st_size,
    )
    include = [str(ROOT / pattern) for pattern in TARGETS]
    with tempfile.TemporaryDirectory() as folder:
        data = [f"{folder}/{number}" for number in range(workers)]

        def measure(number: int) -> int:
            measured = coverage.Coverage(data_file=data[number], include=include)
            contexts = Contexts(measured)
            measured.start()
            code = run_tests([str(path) for path in files[number::workers]], contexts)
            measured.stop()
            measured.save()
            times = "".join(f"{took:.4f} {name}\n" for name, took in contexts.seconds.items())
            Path(f"{data[number]}.times").write_text(times, encoding="utf-8")
            failed = f"exit code {code}: {', '.join(contexts.failed)}"
            Path(f"{data[number]}.failed").write_text(failed, encoding="utf-8")
            return code

        with ThreadPoolExecutor(workers) as threads:
            codes = list(
                threads.map(lambda it: _in_child(lambda: measure(it), None), range(workers))
            )
        if any(codes):
            told = "; ".join(Path(f"{name}.failed").read_text(encoding="utf-8") for name in data)
            message = f"The tests fail without a mutant: mend them first. {told}"
            raise SystemExit(message)
        return _read_reach(data)


def _read_reach(data: Iterable[str]) -> Reach:
    import coverage  # noqa: PLC0415 -- as above

    lines: dict[tuple[str, int], set[str]] = defaultdict(set)
    files: dict[str, set[str]] = defaultdict(set)
    seconds: dict[str, float] = {}
    for name in data:
        read = coverage.CoverageData(name)
        read.read()
        for measured in read.measured_files():
            path = str(Path(measured).relative_to(ROOT))
            for line, contexts in read.contexts_by_lineno(measured).items():
                tests = {it for it in contexts if it}
                lines[path, line] |= tests
                files[path] |= tests
        for row in Path(f"{name}.times").read_text(encoding="utf-8").splitlines():
            took, _, test = row.partition(" ")
            seconds[test] = float(took)
    return Reach(
        {place: frozenset(tests) for place, tests in lines.items()},
        {path: frozenset(tests) for path, tests in files.items()},
        seconds,
    )


def survives(mutant: Mutant | None, tests: Sequence[str]) -> bool:
    """Whether no test notices a mutant that is there from the first import on.

    One that hangs, or does not import, is noticed.
    """
    if not tests:
        return True

    def run(some: Sequence[str]) -> bool:
        def work() -> int:
            if mutant is not None:
                sys.meta_path.insert(0, MutantLoader(mutant))
            return run_tests(some)

        return _in_child(work, CPU_SECONDS) == 0

    # Most mutants fall to the first tests that see them; collecting hundreds costs more than that.
    return run(tests[:FIRST]) and (len(tests) <= FIRST or run(tests[FIRST:]))


Place = tuple[str, str, int]
"""Where a function stands: its file, its qualified name, the line where it begins."""


def functions_in(code: CodeType) -> tuple[list[object], dict[Place, CodeType]]:
    """Return what a module runs when it is imported, and the functions that stand in it.

    Functions in functions belong to those around them; methods stand for themselves.
    """
    runs: list[object] = [code.co_code, code.co_names]
    found: dict[Place, CodeType] = {}
    for constant in code.co_consts:
        if not isinstance(constant, CodeType):
            runs.append((type(constant), constant))
        elif constant.co_flags & inspect.CO_NEWLOCALS:
            found[constant.co_filename, constant.co_qualname, constant.co_firstlineno] = constant
        else:  # the body of a class
            inner, more = functions_in(constant)
            runs.append(inner)
            found |= more
    return runs, found


def exchanged(mutant: Mutant) -> tuple[Place, CodeType] | None:
    """Return the function that a mutant changes, and its code; nothing where imports differ."""
    path = str(ROOT / mutant.path)
    before, old = functions_in(compile(_parsed(mutant.path), path, "exec"))
    after, new = functions_in(mutated(mutant))
    changed = [place for place in new if new[place] != old.get(place)]
    if before != after or len(changed) != 1:
        return None
    return changed[0], new[changed[0]]


class Bench:
    """Collects the tests once, and tries each mutant in a copy of this process, in place.

    A pytest plugin that takes the place of running the tests. A mutant that is not noticed here,
    or cannot be put in place, is left to ``survives``.
    """

    def __init__(self, mutants: Sequence[Mutant], reached: Reach, noticed: Path) -> None:
        self._mutants, self._reached, self._noticed = mutants, reached, noticed
        self._broken: set[str] = set()
        self._sound: set[str] = set()
        self._failed: list[str] = []

    def pytest_runtestloop(self, session: Any) -> bool:  # noqa: ANN401 -- pytest's
        """Try every mutant, and write down which of them were noticed."""
        items = {item.nodeid: item for item in session.items}
        live = _live_functions()
        gc.freeze()
        with self._noticed.open("w", encoding="utf-8") as out:
            for number, mutant in enumerate(self._mutants):
                told = exchanged(mutant)
                functions = live.get(told[0], []) if told else []
                if told and functions and self._notices(session, items, mutant, told[1], functions):
                    out.write(f"{number}\n")
                    out.flush()
        return True

    def pytest_runtest_logreport(self, report: Any) -> None:  # noqa: ANN401 -- pytest's
        """Remember which test failed."""
        if report.failed:
            self._failed.append(report.nodeid)

    def _notices(
        self,
        session: Any,  # noqa: ANN401 -- pytest's
        items: Mapping[str, Any],
        mutant: Mutant,
        code: CodeType,
        functions: Sequence[FunctionType],
    ) -> bool:
        while True:
            tests = [it for it in self._reached.tests(mutant) if it in items.keys() - self._broken]
            killer = self._first_failing(session, [items[it] for it in tests], code, functions)
            if killer is None or killer in self._sound:
                return killer is not None
            # A test that fails here without a mutant notices nothing.
            sound = killer == "" or not self._first_failing(session, [items[killer]])
            (self._sound if sound else self._broken).add(killer)
            if sound:
                return True

    def _first_failing(
        self,
        session: Any,  # noqa: ANN401 -- pytest's
        items: Sequence[Any],
        code: CodeType | None = None,
        functions: Sequence[FunctionType] = (),
    ) -> str | None:
        """Return the first test that fails, "" where the process ended otherwise."""
        read, write = os.pipe()

        def work() -> int:
            os.close(read)
            for function in functions:
                function.__code__ = code or function.__code__
            for item, following in zip(items, [*items[1:], None], strict=True):
                session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                if self._failed:
                    os.write(write, self._failed[0].encode())
                    return 1
            return 0

        status = _in_child(work, CPU_SECONDS)
        os.close(write)
        with os.fdopen(read, encoding="utf-8") as said:
            return said.read() if status else None


def _live_functions() -> dict[Place, list[FunctionType]]:
    found: dict[Place, list[FunctionType]] = defaultdict(list)
    for item in gc.get_objects():
        if type(item) is FunctionType:
            code = item.__code__
            found[code.co_filename, code.co_qualname, code.co_firstlineno].append(item)
    return found


def noticed_in_place(mutants: Sequence[Mutant], reached: Reach, workers: int) -> set[Mutant]:
    """Return the mutants that tests notice in processes where all is imported already."""
    with tempfile.TemporaryDirectory() as folder:

        def share(number: int) -> set[Mutant]:
            mine, file = mutants[number::workers], Path(folder) / str(number)
            tests = sorted({test for mutant in mine for test in reached.tests(mutant)})
            files = sorted({test.partition("::")[0] for test in tests})
            code = _in_child(lambda: run_tests(files, Bench(mine, reached, file)), None)
            if code or not file.exists():
                message = f"The tests could not be collected: exit code {code}"
                raise SystemExit(message)
            return {mine[int(line)] for line in file.read_text(encoding="utf-8").split()}

        with ThreadPoolExecutor(workers) as threads:
            return set().union(*threads.map(share, range(workers)))


def read_reasons() -> dict[str, str]:
    """Return why each survivor that is known changes nothing, by its key."""
    listed = yaml.safe_load(REASONS.read_text(encoding="utf-8")) if REASONS.exists() else None
    return {str(row["mutant"]): str(row["reason"]) for row in listed or []}


def drawn(mutants: Sequence[Mutant], count: int, seed: int) -> list[Mutant]:
    """Draw mutants by a seed, as many of each file as it has a share of them all."""
    return sorted(Random(seed).sample(mutants, min(count, len(mutants))))  # noqa: S311 -- no secret


def report(survivors: Sequence[Mutant], count: int, reasons: Mapping[str, str]) -> int:
    """Print what survived, and return the exit code."""
    out = io.StringIO()
    unnamed = [mutant for mutant in survivors if mutant.key not in reasons]
    for mutant in survivors:
        why = reasons.get(mutant.key, "NO REASON IS GIVEN")
        out.write(f"survived {mutant.path}:{mutant.line} {mutant.key}\n         {why}\n")
    killed = count - len(survivors)
    rate = killed / count
    by_file = Counter(mutant.path for mutant in survivors)
    for path, number in by_file.most_common():
        out.write(f"{number:4d} in {path}\n")
    out.write(f"{killed} of {count} mutants killed ({rate:.1%}); goal {GOAL:.0%}; ")
    out.write(f"{len(unnamed)} survivors without a reason\n")
    sys.stdout.write(out.getvalue())
    return 1 if unnamed or rate < GOAL else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw mutants, run them, and say which survive."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--only", default="", help="mutate files whose path has this text")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--every", action="store_true", help="all mutants, not a draw of them")
    asked = parser.parse_args(arguments)
    os.chdir(ROOT)
    os.environ.update(CI="true", OMP_NUM_THREADS="1", PYTHONDONTWRITEBYTECODE="1")
    began = time.monotonic()
    mutants = find_mutants(asked.only)
    chosen = mutants if asked.every else drawn(mutants, asked.count, asked.seed)
    sys.stderr.write(f"{len(chosen)} of {len(mutants)} mutants, seed {asked.seed}\n")
    for name in LOADED:
        importlib.import_module(name)
    reached = reach(asked.workers)
    sys.stderr.write(f"coverage after {time.monotonic() - began:.0f} s\n")
    if not all(
        survives(None, reached.tests(it)[:FIRST]) for it in chosen[:: len(chosen) // 5 or 1]
    ):
        message = "Tests fail in a process where nothing was changed, so that no mutant is killed."
        raise SystemExit(message)
    noticed = noticed_in_place(chosen, reached, asked.workers)
    survivors: list[Mutant] = []
    left = [mutant for mutant in chosen if mutant not in noticed]
    sys.stderr.write(f"{len(noticed)} noticed in place after {time.monotonic() - began:.0f} s\n")
    with ThreadPoolExecutor(asked.workers) as threads:
        alive = threads.map(lambda it: survives(it, reached.tests(it)), left)
        for tried, (mutant, lives) in enumerate(zip(left, alive, strict=True), 1):
            survivors += [mutant] * lives
            if lives or tried % SPOKEN_OF == 0:
                about = f"{tried} of {len(left)} others, {len(survivors)} alive"
                last = f": {mutant.path}:{mutant.line} {mutant.key}" if lives else ""
                sys.stderr.write(f"{time.monotonic() - began:.0f} s: {about}{last}\n")
    code = report(survivors, len(chosen), read_reasons())
    sys.stderr.write(f"{time.monotonic() - began:.0f} s\n")
    return code


if __name__ == "__main__":
    raise SystemExit(main())
