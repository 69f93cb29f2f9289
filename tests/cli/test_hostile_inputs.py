"""The hostile-input walk: whatever is broken, the command says what, where and what helps."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hostile import AUDIT, Case, edited
from hostile_data import DATA
from hostile_models import MODELS
from hostile_papers import FILES, RULES
from hostile_records import KEYS, RECORDS, SIGNATURES

from auditor._resources import PACKAGE
from auditor.reports.folder import RECORD

Command = Callable[..., Any]
NEVER = ("Traceback", "Internal error", "\x1b", str(PACKAGE), "object at 0x")


def cases(table: Mapping[str, Case]) -> Any:  # noqa: ANN401 -- pytest's own decorator
    marked = [
        pytest.param(case, id=name, marks=[pytest.mark.slow] * case.slow)
        for name, case in table.items()
    ]
    return pytest.mark.parametrize("case", marked)


def contents(folder: Path) -> Mapping[str, str]:
    """What every file holds and every link points to, by name."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            found[name] = "no file"
    return found


def walk(auditor: Command, folder: Path, case: Case) -> None:
    """Break the folder, run the command in it, and look at all that it says and leaves."""
    case.breaks(folder)
    before = contents(folder)
    ended = auditor(*case.command)
    assert ended.code == case.code, ended.said
    whole = ended.out + ended.err
    assert [word for word in NEVER if word in whole] == [], whole
    after = dict(contents(folder))
    if case.gap:
        gaps = json.loads((folder / "out" / RECORD).read_bytes())["readings"]
        assert {gap.get("reason") for gap in gaps} == {case.gap}
        after = {name: digest for name, digest in after.items() if name.split("/")[0] != "out"}
    assert after == before
    assert [word for word in case.says if word not in ended.said] == [], ended.said


@cases(MODELS)
def test_a_model(auditor: Command, inside: Path, case: Case) -> None:
    walk(auditor, inside, case)


@cases(DATA)
def test_data(auditor: Command, inside: Path, case: Case) -> None:
    walk(auditor, inside, case)


@cases(FILES)
def test_an_audit_file(auditor: Command, inside: Path, case: Case) -> None:
    walk(auditor, inside, case)


@cases(RULES)
def test_a_policy(auditor: Command, inside: Path, case: Case) -> None:
    walk(auditor, inside, case)


@cases(RECORDS)
def test_a_record(auditor: Command, finished: Path, case: Case) -> None:
    walk(auditor, finished, case)


@cases(KEYS)
def test_a_key(auditor: Command, finished: Path, case: Case) -> None:
    walk(auditor, finished, case)


@cases(SIGNATURES)
def test_a_signature(auditor: Command, finished: Path, case: Case) -> None:
    walk(auditor, finished, case)


def test_the_unbroken_audit_passes(auditor: Command, inside: Path) -> None:
    assert auditor(*AUDIT).code == 0


@pytest.mark.slow
@pytest.mark.parametrize("word", ["[/red]", "[bold", "[link=https:example.org]a"])
def test_a_word_that_a_terminal_takes_for_markup_is_shown_as_it_is(
    auditor: Command, inside: Path, word: str
) -> None:
    edited(
        "audit.yaml",
        ("name: line", f'name: "{word}"'),
        ("targets: [cpu]", f'targets: [{{name: "{word}"}}]'),
    )(inside)
    edited("policy.yaml", ("version: 1.0.0", f'version: "{word}"'))(inside)
    planned = auditor("plan", "audit.yaml")
    audited = auditor(*AUDIT[:-1], word)
    assert (planned.code, audited.code) == (0, 0), planned.said + audited.said
    assert f"{word} on {word}" in planned.said
    for place in (f"Auditing {word}", f"on {word}:", f"tiny {word}", f"Report: {word}"):
        assert place in audited.said
