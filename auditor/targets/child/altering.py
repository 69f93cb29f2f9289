"""The artifact in sessions otherwise than as declared: other options, bits, or outputs."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from auditor.targets.child.faults import Stored
from auditor.targets.child.outputs import as_given
from auditor.targets.child.scoring import Opened, Runtime, reply, run
from auditor.targets.child.serving import Operation
from auditor.targets.child.tapping import find_tap, tapped
from auditor.targets.frames import Anything, Frame

BESIDE = "session.model_external_initializers_file_folder_path"
"""Where a model that is given by its bytes finds the numbers that it keeps outside."""


class Workbench:
    """Opens the artifact anew as a request's ``opening`` says; holds the last session.

    ``flips`` turn over bits of its weights, and ``tap`` names a value inside it that is an output
    too.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._key = ""
        self._opened: Opened | None = None
        self._stored: tuple[Path, Stored] | None = None

    def operations(self) -> Mapping[str, Operation]:
        """Return what is answered here."""
        return {"altered": self.score, "weights": self.weights, "tap": self.tap}

    def score(self, request: Frame) -> Frame:
        """Score the rows of the one input array in an altered session; as ``infer`` answers."""
        said = request.header
        opened, (name, rows) = self.session(said), rows_of(request)
        answers = self.call(said, opened, name, rows)
        names = said.get("outputs") or list(opened.outputs)
        return reply(names, answers, said.get("fixed_batch"), len(rows))

    def weights(self, request: Frame) -> Frame:
        """List the weights as JSON in the bytes of the array ``weights``: there may be many."""
        listed = self._weights(Path(request.header["opening"]["path"])).listed()
        return Frame({}, {"weights": np.frombuffer(json.dumps(listed).encode(), dtype=np.uint8)})

    def tap(self, request: Frame) -> Frame:
        """Say what the last layer before the output ``before`` is given, if there is one."""
        stored = self._weights(Path(request.header["opening"]["path"]))
        found = find_tap(stored.model, str(request.header["before"]))
        return Frame({"tap": None if found is None else asdict(found)})

    def call(
        self, said: Mapping[str, Any], opened: Opened, name: str, rows: Anything
    ) -> list[list[object]]:
        """Call a session with rows. Raises ``RefusalError`` in the runtime's words."""
        try:
            return run(opened, said.get("outputs"), name, rows, said.get("fixed_batch"))
        except self._runtime.errors as error:
            file = Path(said["opening"]["path"]).name
            raise self._runtime.refuse(file, "score a batch", error) from error

    def session(self, said: Mapping[str, Any]) -> Opened:
        """Return the session that a request's header asks for, the last one where it is that."""
        opening, flips, tap = said["opening"], said.get("flips") or [], said.get("tap")
        key = json.dumps([opening, flips, tap], sort_keys=True)
        if key != self._key or self._opened is None:
            self._opened, self._key = None, ""  # never two at a time
            self._opened, self._key = self._open(opening, flips, tap), key
        return self._opened

    def _open(
        self, opening: Mapping[str, Any], flips: list[tuple[str, int, int]], tap: str | None
    ) -> Opened:
        path = Path(opening["path"])
        try:
            if not flips and tap is None:
                return self._runtime.open(path, opening)
            beside = {**(opening.get("session") or {}), BESIDE: str(path.parent)}
            stored = self._weights(path)
            raw = stored.damaged(flips) if tap is None else tapped(stored.model, tap)
            return self._runtime.open(path, {**opening, "session": beside, "bytes": raw})
        except self._runtime.errors as error:
            raise self._runtime.refuse(path.name, "open it", error) from error

    def _weights(self, path: Path) -> Stored:
        if self._stored is None or self._stored[0] != path:
            self._stored = (path, Stored(path))
        return self._stored[1]


def rows_of(request: Frame) -> tuple[str, Anything]:
    """Return the input's name, as the header says it, and its rows as a session takes them."""
    name = str(request.header["input"])
    return name, as_given(request.arrays[name])
