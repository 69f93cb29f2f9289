"""A small real audit, and the command as a user calls it."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from disclosed_folders import HIDDEN, ONLY
from small_audits import write_example

from auditor.cli.main import main

AUDITED = ("audit", "audit.yaml", "--only", "quality.accuracy", "--out", "out")


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return " ".join((self.out + self.err).split())


Command = Callable[..., Ended]
Once = Callable[[str, Callable[[], None]], None]


@pytest.fixture
def auditor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command in this process: arguments in, exit code and words out."""

    def call(*arguments: object, width: int = 200) -> Ended:
        monkeypatch.setattr(sys, "argv", ["auditor", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", str(width))
        with pytest.raises(SystemExit) as stopped:
            main()
        captured = capsys.readouterr()
        return Ended(int(stopped.value.code or 0), captured.out, captured.err)

    return call


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """A folder with a small model, its data, a policy and an audit file; nothing is signed."""
    folder = tmp_path / "example"
    folder.mkdir()
    write_example(folder)
    return folder


@pytest.fixture
def inside(example: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the small audit, as the working directory."""
    monkeypatch.chdir(example)
    return example


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where what one test has made is kept for the other tests of its module."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def once(example: Path, home: Path, kept: Path) -> Once:
    """Make the folder of the audit and the home what they are once a module; copy them later."""

    def bring(name: str, make: Callable[[], None]) -> None:
        folders = {"example": example, "home": home}
        if (kept / name).exists():
            for stem, folder in folders.items():
                shutil.copytree(kept / name / stem, folder, dirs_exist_ok=True)
            return
        make()
        for stem, folder in folders.items():
            shutil.copytree(folder, kept / name / stem)

    return bring


@pytest.fixture
def finished(auditor: Command, inside: Path, once: Once) -> Path:
    """The folder with a finished, passing audit and a signed model in it."""

    def make() -> None:
        assert auditor(*AUDITED).code == 0
        assert auditor("sign", "model.onnx", "--out", "model.sig").code == 0

    once("finished", make)
    return inside


@pytest.fixture
def disclosed(auditor: Command, inside: Path, once: Once) -> Path:
    """The folder with a committed record (`full`), and one of which rows are withheld (`part`)."""

    def make() -> None:
        with (inside / "audit.yaml").open("a") as file:
            file.write("disclosure: rows\n")
        assert auditor("audit", "audit.yaml", *ONLY, "--out", "full").code == 0
        (inside / "ids.txt").write_text("\n".join(HIDDEN))
        assert auditor("disclose", "full", "--withhold", "ids.txt", "--out", "part").code == 0

    once("disclosed", make)
    return inside


@pytest.fixture
def verify(auditor: Command, home: Path) -> Command:
    def call(folder: str, *more: object) -> Ended:
        return auditor("verify", folder, "--key", home / "signer.pub", *more)

    return call
