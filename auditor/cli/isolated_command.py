"""Runs a command in this process, isolated from the caller's store, keys and CI."""

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from auditor.cli.main import run
from auditor.selftest.run import CommandResult

OWN = ("AUDITOR_", "GITHUB_", "GITLAB_", "FORCE_COLOR", "CI")
"""How variables begin by which the command would find the user's things, or speak to a runner."""
WIDE = "200"


@dataclass(frozen=True, slots=True)
class IsolatedCommand:
    """The command with a home of its own, in which a first call makes keys and a store."""

    home: Path

    def __call__(self, arguments: Sequence[str], folder: Path) -> CommandResult:
        """Call it from a folder, and keep what it says."""
        said = io.StringIO()
        with _environment(self.home), chdir(folder), redirect_stdout(said), redirect_stderr(said):
            code = run(list(arguments))
        return CommandResult(code, said.getvalue())


@contextmanager
def _environment(home: Path) -> Iterator[None]:
    before = dict(os.environ)
    try:
        for name in before:
            if name.startswith(OWN):
                del os.environ[name]
        os.environ.update(AUDITOR_HOME=str(home), COLUMNS=WIDE, NO_COLOR="1")
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
