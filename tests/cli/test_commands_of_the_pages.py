"""The command line takes every command that README and the docs print, and runs it."""

import inspect
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import polars as pl
import pytest
from pages_not_run import BLOCKS, COMMANDS, PROGRAMS

from auditor.cli.main import auditor as program
from auditor.trust.signatures.keys import Signer

Command = Callable[..., Any]
Reason = tuple[str, str]

ROOT = Path(__file__).parents[2]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (
        ROOT / "README.md",
        *sorted((ROOT / "docs").glob("*.md")),
        *sorted(ROOT.glob("examples/**/README.md")),
    )
}
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?<=\n\n)(?:(?: {4}.*)?\n)+")
SHELL = ("sh", "bash", "yaml", "")

RUN_BY = {
    "docs/checks-of-your-own.md": "tests/cli/test_checks_of_other_packages.py",
    "docs/ci.md": "tests/cli/test_the_page_on_ci.py",
    "docs/first-gate.md": "tests/cli/test_the_page_on_a_first_gate.py",
}
"""Pages of which another test runs every command."""
PYTHON_RUN_BY = {
    "README.md": "tests/workflows/test_the_page_on_python.py",
    "docs/checks-of-your-own.md": "tests/cli/test_checks_of_other_packages.py",
    "docs/compare.md": "tests/cli/test_commands_of_the_pages.py",
    "docs/extending.md": "tests/cli/test_packages_that_extend.py",
    "docs/keys.md": "tests/cli/test_commands_of_the_pages.py",
    "docs/python.md": "tests/workflows/test_the_page_on_python.py",
}
"""Pages of which a test runs every block of Python."""
PROGRAM = re.compile(
    r"^\s*(pip|curl|jq|make|docker|kubectl|helm|openssl|pg_\w+|python3?|mkdir|echo|chmod|cat"
    r"|scripts/\w+\.sh)\s"
)


@dataclass(frozen=True)
class PrintedCommand:
    """A command of ours as a page prints it."""

    page: str
    line: str
    words: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left out that the reader fills in."""
        return "…" not in self.line


def blocks(text: str) -> Iterator[str]:
    for _, language, block in FENCE.findall(text):
        if language in SHELL:
            yield block
    yield from INDENTED.findall(FENCE.sub("\n", text))


def commands(page: str) -> Iterator[PrintedCommand]:
    """Yield the commands of a page in order; what a pipe does with their output is left out."""
    for block in blocks(PAGES[page]):
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(r" && | \| ", re.sub(r"(^|\s)#.*", "", line)):
                found = re.match(r"\s*(?:- run: |- |\$ )?(?:[A-Z_]+=\S+ )*auditor (.+)", part)
                if found:
                    yield PrintedCommand(page, part.strip(), tuple(shlex.split(found[1])))


PRINTED = [command for page in PAGES for command in commands(page)]


def refuse_unknown(command: PrintedCommand) -> None:
    """Parse a command with the command line's own parser.

    Raises ``click.UsageError`` for a command, an option or an argument that it does not know, for
    an option without its value, and for what is required and missing.
    """
    known: click.Command = program
    words = list(command.words)
    context = click.Context(known, info_name="auditor")
    while isinstance(known, click.Group):
        name, *words = words
        found = known.get_command(context, name)
        if found is None:
            raise click.UsageError(f"no command {name}")
        known, context = found, click.Context(found, info_name=name, parent=context)
    given, rest, _ = known.make_parser(context).parse_args(words)
    if rest := [word for word in rest if word != "…"]:
        raise click.UsageError(f"unexpected {rest}")
    for parameter in known.get_params(context):
        name = parameter.name or ""
        absent = name not in given or parameter.value_is_missing(given[name])
        if command.is_whole and parameter.required and not parameter.envvar and absent:
            raise click.UsageError(f"{parameter.name} is missing")


@pytest.mark.parametrize("command", PRINTED, ids=lambda it: f"{it.page}: {it.line}")
def test_a_printed_command_is_one_that_the_command_line_takes(command: PrintedCommand) -> None:
    refuse_unknown(command)


@pytest.mark.parametrize(
    "line",
    ["nosuch", "gate --nosuch", "keys nosuch", "compare a", "audit a --out", "verify a b"],
)
def test_a_command_that_is_not_there_is_noticed(line: str) -> None:
    with pytest.raises(click.UsageError):
        refuse_unknown(PrintedCommand("page", f"auditor {line}", tuple(line.split())))


QUICK = ("--only", "quality.accuracy")
"""The check of audits that name none: the others have tests of their own."""
EXITS = {
    ("README.md", "auditor audit audit.yaml"): 3,  # most of baseline was left out
    ("README.md", "auditor gate"): 1,
    ("docs/index.md", "auditor audit audit.yaml --budget smoke"): 3,
    ("docs/keys.md", "auditor verify report"): 1,  # its key was revoked above
    ("docs/disclosure.md", "$ auditor verify public"): 3,  # rows are withheld
    ("docs/privacy-and-poisoning.md", "auditor audit audit.yaml --policy privacy"): 3,
}
"""Commands that end otherwise than with 0 here, by page and beginning."""
BEFORE = {
    "auditor verify model/ --signature model.sig --key release.pub": (
        "sign", "model/", "--out", "model.sig", "--key", "release.key",
    ),
}  # fmt: skip
"""What a page describes without a command of its own."""


def is_run(command: PrintedCommand) -> bool:
    """Whether the test below runs a command."""
    listed = COMMANDS.get(command.page, {})
    return command.page not in RUN_BY and find_reason(command.line, listed) is None


def find_reason(line: str, listed: Mapping[str, Reason]) -> str | None:
    """Return the longest beginning of a line that is listed."""
    return max((it for it in listed if line.startswith(it)), key=len, default=None)


HERE = sorted({command.page for command in PRINTED if is_run(command)})


@dataclass(frozen=True)
class Reader:
    """The files of a reader, who has audited a model before."""

    folder: Path
    home: Path
    auditor: Command

    def copy(self, source: str, *names: str) -> None:
        """Let a file or folder be there by other names too."""
        path = self.home / source if (self.home / source).exists() else self.folder / source
        for name in names:
            if path.is_dir():
                shutil.copytree(path, self.folder / name, dirs_exist_ok=True)
            else:
                shutil.copy(path, self.folder / name)

    @property
    def record(self) -> dict[str, Any]:
        """The record of the audit."""
        record: dict[str, Any] = json.loads((self.folder / "out" / "record.json").read_bytes())
        return record


def prepare(reader: Reader, page: str) -> Mapping[str, str]:
    """Make the files that a page speaks of; return the words that stand for the reader's own."""
    reader.copy("out", "report", "before", "after", "earlier", "report-released")
    reader.copy("signer.pub", "signer.pub", "released.pub", "trusted.pub")
    reader.auditor("keys", "new", "--role", "model", "--home", "released")
    reader.copy("released/model.key", "release.key")
    reader.copy("released/model.pub", "release.pub")
    reader.copy("ledger.pub", "ledger.pub")
    reader.copy("policy.yaml", "release.yaml")
    (reader.folder / "ids.txt").write_text("r1\nr5\n")
    (reader.folder / "password").write_text("correct horse\n")
    write_rows(reader.folder)
    if page == "docs/lineage.md":
        reader.copy("test.csv", "test.npz")
    if page in {"README.md", "docs/index.md"}:
        shutil.rmtree(reader.folder / "report")
    (reader.folder / "model").mkdir()
    reader.copy("model.onnx", "model/model.onnx")
    record = reader.record
    identity = reader.auditor("keys", "show", "signer.pub").said.split("key:sha256:")[1][:6]
    begun = [
        it for it in reader.auditor("ledger", "show", width=400).out.split() if "key-rep" in it
    ]
    return {
        "/mnt/backup": str(reader.folder / "mnt"),
        "/run/secrets/key": str(reader.folder / "password"),
        "aud-0123456789abcdef01234567": str(record["id"]),
        "4f2a09": str(record["request"]["artifact"]["digest"])[7:15],
        "key:sha256:8fd286": f"key:sha256:{identity}",
        "key-report-…": begun[0] if begun else "",
    }


def write_rows(folder: Path) -> None:
    """Write the rows of the example as an archive, and predictions of them."""
    table = pl.read_csv(folder / "test.csv")
    inputs = table.select("a", "b", "c").to_numpy().astype(np.float32)
    labels = (table["y"] == "yes").to_numpy().astype(np.int64)
    np.savez(folder / "test.npz", inputs=inputs, labels=labels)
    score = 1 / (1 + np.exp(-(6 * inputs[:, 0] + 4 * inputs[:, 1] - 5)))
    table.select("id", "town", "y").with_columns(
        p_yes=pl.Series(score.round(6)), p_no=pl.Series((1 - score).round(6))
    ).write_csv(folder / "predictions.csv")


def clear_way(reader: Reader, words: Sequence[str]) -> None:
    """Remove what a command writes anew: pages show several ways to do the same."""
    named = [words[at + 1] for at, word in enumerate(words[:-1]) if word == "--out"]
    if words[0] == "init":
        named = ["audit.yaml", "schema.yaml", "system.yaml", "risks.yaml"]
    for name in named:
        path = reader.folder / name
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)


@pytest.mark.slow
@pytest.mark.parametrize("page", HERE)
def test_the_commands_of_a_page_run_in_order(
    page: str, auditor: Command, inside: Path, home: Path, monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    if page == "docs/disclosure.md":
        request.getfixturevalue("disclosed")
        shutil.copytree(inside / "full", inside / "out")
    else:
        request.getfixturevalue("finished")
    reader = Reader(inside, home, auditor)
    ours = prepare(reader, page)
    for command in (it for it in PRINTED if it.page == page and is_run(it)):
        line = command.line
        for printed, own in ours.items():
            line = line.replace(printed, own)
        assignments, _, rest = line.partition("auditor ")
        words = shlex.split(rest)
        with monkeypatch.context() as environment:
            for name, value in re.findall(r"([A-Z_]+)=(\S+)", assignments):
                environment.setenv(name, value)
            environment.setattr(sys, "stdin", io.StringIO("y\n"))
            if words[0] == "restore" or words[:2] == ["keys", "new"]:
                environment.setenv("AUDITOR_HOME", str(inside / f"home-{len(words)}"))
            if "--encrypt" in words:
                environment.setenv("AUDITOR_PASSWORD_FILE", str(inside / "password"))
            if command.line in BEFORE:
                assert auditor(*BEFORE[command.line]).code == 0
            clear_way(reader, words)
            more = QUICK if words[0] == "audit" and "--only" not in words else ()
            ended = auditor(*words, *more)
        known = (code for (at, it), code in EXITS.items() if (at, line[: len(it)]) == (page, it))
        expected = next(known, 0)
        assert ended.code == expected, f"{command.line}: {ended.said[-2000:]}"


@pytest.mark.slow
def test_the_example_of_a_comparison_gives_what_the_page_shows(tmp_path: Path) -> None:
    text = PAGES["docs/compare.md"].partition("## An example")[2]
    (noise,) = (block for _, language, block in FENCE.findall(text) if language == "python")
    found = INDENTED.findall(FENCE.sub("\n", text))
    commands_shown, *shown = [it for it in found if it.strip()]
    shutil.copytree(ROOT / "examples" / "digits", folder := tmp_path / "digits")
    (folder / "noise.py").write_text(noise)
    here = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    said, codes = "", []
    for line in commands_shown.strip().splitlines():
        done = subprocess.run(
            ["bash", "-c", line], cwd=folder, env={**os.environ, "PATH": here, "COLUMNS": "200"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        codes.append(done.returncode)
        said = done.stdout
    assert codes[-1] == 1
    assert codes[1] == 0
    told = " ".join(said.split())
    for line in "".join(shown).strip().splitlines():
        assert line.strip() == "\N{HORIZONTAL ELLIPSIS}" or " ".join(line.split()) in told, said


def test_the_signer_that_the_page_on_keys_shows_is_one() -> None:
    ((_, _, block),) = [it for it in FENCE.findall(PAGES["docs/keys.md"]) if it[1] == "python"]
    names: dict[str, Any] = {}
    exec(block, names)  # noqa: S102 -- our own page
    made = names["open_key"]("acmekms:release", None)
    for name, shape in vars(Signer).items():
        if callable(shape) and not name.startswith("_"):
            told = inspect.signature(getattr(made, name))
            assert list(told.parameters) == list(inspect.signature(shape).parameters)[1:]


def test_every_command_is_run_or_listed_and_every_listed_one_is_printed() -> None:
    assert len(PRINTED) > 120
    pages = {command.page for command in PRINTED}
    assert {*RUN_BY, *HERE, *COMMANDS} == pages
    for page, listed in COMMANDS.items():
        lines = [it.line for it in PRINTED if it.page == page]
        assert set(listed) == {find_reason(line, listed) for line in lines} - {None}, page


def test_every_other_program_of_a_page_is_listed_and_is_there() -> None:
    found = {
        (page, program)
        for page, text in PAGES.items()
        for block in blocks(text)
        for line in block.splitlines()
        for program in PROGRAM.findall(line)
    }
    assert found == set(PROGRAMS)


def test_every_page_with_python_is_run_or_listed() -> None:
    found = {
        page for page, text in PAGES.items() if re.search(r"^```py(thon)?$", text, re.MULTILINE)
    }
    assert found == {*PYTHON_RUN_BY, *BLOCKS}


def test_what_runs_a_page_or_its_like_in_place_of_this_test_is_there() -> None:
    for page, test in {**RUN_BY, **PYTHON_RUN_BY}.items():
        assert Path(page).stem in (ROOT / test).read_text(encoding="utf-8")
    reasons = [it for listed in COMMANDS.values() for it in listed.values()]
    for _, test in [*reasons, *PROGRAMS.values(), *BLOCKS.values()]:
        assert (ROOT / test).exists(), test
