"""Counts what one run enters of `auditor`: functions, and the files that they are in.

    python scripts/house_probe.py audit|post|verify ROOT

Prints JSON: `all`, two numbers; `inner`, the same below the use case alone, where that can be told.
Counted is this process, with all of its threads; a model runs in a child of it, which is not. What
importing runs of functions counts as well: modules are imported when they are first needed.
"""  # noqa: INP001 -- a script

import contextlib
import importlib
import inspect
import json
import os
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final

CHECK: Final = "quality.accuracy"
SUBMITS: Final = frozenset({"submit", "submit_audit"})
"""The use case below `POST /v1/audits`, which the goal of that row was set for."""
UNNAMED: Final = frozenset({"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"})
"""Code that stands in a function and is none for its reader."""
VERDICTS: Final = frozenset({0, 1, 3})


class Recorder:
    """Notes what is entered while it is on, in every thread that began after it was made."""

    def __init__(self, package: Path) -> None:
        self._prefix = f"{package}{os.sep}"
        self._entered: dict[int, CodeType] = {}
        self._inner: dict[int, CodeType] = {}
        self._use_cases: dict[int, FrameType] = {}
        self.on = False
        # The threads of a service live in a pool: what is set later does not reach them.
        threading.setprofile(self._note)
        sys.setprofile(self._note)

    def counts(self) -> dict[str, Any]:
        """Return what was entered, as it is printed."""
        return {
            "all": self._count(self._entered.values()),
            "inner": self._count(self._inner.values()) if self._inner else None,
        }

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        if not self.on or event not in {"call", "return"}:
            return
        thread, code = threading.get_ident(), frame.f_code
        if event == "return":
            if self._use_cases.get(thread) is frame:
                del self._use_cases[thread]
            return
        self._entered[id(code)] = code  # kept, so that no other code gets its id
        if code.co_name in SUBMITS and code.co_filename.startswith(self._prefix):
            self._use_cases.setdefault(thread, frame)
        if thread in self._use_cases:
            self._inner[id(code)] = code

    def _count(self, entered: Iterable[CodeType]) -> tuple[int, int]:
        functions = {
            (code.co_filename, code.co_firstlineno, code.co_name)
            for code in entered
            if code.co_filename.startswith(self._prefix)
            # Bodies of modules and classes are code as well, and not optimized.
            and code.co_flags & inspect.CO_OPTIMIZED
            and code.co_name not in UNNAMED
        }
        return len(functions), len({file for file, *_ in functions})


def call(recorder: Recorder, *arguments: str) -> int:
    """Run the command line in this process, and return its exit code."""
    sys.argv = ["auditor", *arguments]
    recorder.on = True
    try:
        code = importlib.import_module("auditor.cli.main").main()
    except SystemExit as ended:
        code = ended.code
    finally:
        recorder.on = False
    return code if isinstance(code, int) else 0


def audit(recorder: Recorder, root: Path, folder: Path) -> bool:
    """Audit one check of the digits."""
    file, out = root / "examples" / "digits" / "audit.yaml", folder / "report"
    options = ("--only", CHECK, "--budget", "smoke", "--out", str(out))
    return call(recorder, "audit", str(file), *options) in VERDICTS


def verify(recorder: Recorder, root: Path, folder: Path) -> bool:
    """Verify the golden record, and that it is in its ledger."""
    with zipfile.ZipFile(_one(root, "golden/records/v1.zip")) as packed:
        packed.extractall(folder)
    keys = ("--key", str(folder / "signer.pub"), "--ledger-key", str(folder / "ledger.pub"))
    return call(recorder, "verify", str(folder / "out"), *keys) == 0


def post(recorder: Recorder, root: Path, folder: Path) -> bool:
    """Hand in an audit under a pack, at a service that has done so before."""
    worlds = _one(root, "opened_worlds.py")
    sys.path[1:1] = [str(worlds.parent), str(root / "tests")]
    with importlib.import_module("opened_worlds").opened(folder) as world:
        world.upload_example()
        body = world.body(policy="baseline")
        world.call("POST", "/v1/audits", json=body)
        recorder.on = True
        answer = world.call("POST", "/v1/audits", json=body)
        recorder.on = False
    return bool(answer.status_code == 201)  # noqa: PLR2004 -- made


def _one(root: Path, path: str) -> Path:
    """Return the file that ends so, in whichever folder of the tests."""
    (found,) = (root / "tests").rglob(path)
    return found


RUNS: Final[dict[str, Callable[[Recorder, Path, Path], bool]]] = {
    "audit": audit,
    "post": post,
    "verify": verify,
}


def main() -> None:
    """Run one thing with a home of its own, and print what it entered."""
    what, root = sys.argv[1], Path(sys.argv[2]).resolve()
    sys.path[0] = str(root)
    for name in ("GITHUB_ACTIONS", "GITLAB_CI"):
        os.environ.pop(name, None)
    with tempfile.TemporaryDirectory() as made:
        os.environ["AUDITOR_HOME"] = str(Path(made) / "home")
        recorder = Recorder(root / "auditor")
        with contextlib.redirect_stdout(sys.stderr):
            done = RUNS[what](recorder, root, Path(made))
        sys.setprofile(None)
    if not done:
        sys.exit(f"{what} did not end as it should")
    sys.stdout.write(json.dumps(recorder.counts()) + "\n")


if __name__ == "__main__":
    main()
