"""Runs the owner's training recipe in a child process: arrays in, probabilities out."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from auditor._resources import scratch_folder
from auditor.domain.artifacts import Artifact, FileDigest
from auditor.domain.isolation import IsolationLevel
from auditor.domain.json import Json
from auditor.domain.readings import Gap, GapReason
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import Array, ClassificationTask, Floats, ScoreKind, Task
from auditor.domain.training_recipes import NO_SANDBOX, RecipeSource, RetrainingTask
from auditor.errors import (
    ArtifactError,
    AuditorError,
    ModelCrashedError,
    ModelFailedError,
    ModelOutOfMemoryError,
    ModelTimeoutError,
    RecipeError,
)
from auditor.targets.child_process import ChildProcess, Pulse, ignore_pulse
from auditor.targets.isolation import RECIPE, SandboxBounds, find_strongest_isolation
from auditor.targets.outputs import (
    PROBABILITIES,
    ModelOutput,
    find_score_output,
    to_probabilities,
    to_scores,
)
from auditor.targets.protocol import Anything, MessageFrame
from auditor.targets.session import open_model
from auditor.targets.supervisor import ProcessSupervisor

FILE = "model.onnx"
NUMBERS = "biuf"
ROWS = 65536
"""Rows that are asked at once."""
CURES: Mapping[type[AuditorError], str] = {
    ModelTimeoutError: "Raise recipe.time_limit in the audit file, or train on fewer rows or "
    "epochs.",
    ModelOutOfMemoryError: "Raise recipe.memory_limit in the audit file, or train with less.",
    ModelCrashedError: "Run the code alone to see the crash.",
}
ANOTHER_SHAPE = (
    "Return a function predict(X) -> [n, classes] probabilities in the order of task.classes, a "
    "torch module, or an ONNX file."
)


class OpenedRecipe:
    """A recipe in its own child process; implements ``domain.recipes.Recipe``.

    All that it is asked in one audit runs in one process, one thing after the other; the next
    question after a failure starts it anew.
    """

    def __init__(
        self,
        keeper: ProcessSupervisor,
        source: RecipeSource,
        task: ClassificationTask,
        pulse: Pulse = ignore_pulse,
    ) -> None:
        self._keeper = keeper
        self._source = source
        self._task = replace(task, output=ScoreKind.AUTO)
        self._pulse = pulse

    def attended(self, pulse: Pulse) -> "OpenedRecipe":
        """Return the recipe in the same process, which calls ``pulse`` while its code works."""
        return OpenedRecipe(self._keeper, self._source, self._task, pulse)

    @property
    def digest(self) -> str:
        """The digest of the code, ``sha256:…``."""
        return self._source.ref.digest

    @property
    def dp_train(self) -> str | None:
        """The function that trains with differential privacy, where one is named."""
        return self._source.ref.dp_train

    def answers(self, lesson: RetrainingTask, asked: Sequence[Array]) -> tuple[Floats, ...]:
        """Train once, and return the ``[n, classes]`` probabilities of each array that is asked.

        Raises ``RecipeError`` where the code fails, takes too long or answers in another shape.
        """
        for rows in (lesson.inputs, *asked):
            if rows.dtype.kind not in NUMBERS:
                raise RecipeError(
                    "the inputs are not numbers, and only numbers are handed to a recipe",
                    cure="Audit this model without a recipe.",
                )
        with _in_its_words():
            told = {"function": self._source.ref.function, "seed": lesson.seed}
            taught = {"inputs": lesson.inputs, "labels": lesson.labels.astype(np.int64)}
            reply = self._ask("recipe_train", told, taught)
            if not asked:
                return ()
            if reply.header.get("kind") == "onnx":
                # Open the bytes of a trained ONNX file as any artifact is opened, and ask that
                raw = reply.arrays.get("onnx")
                content = b"" if raw is None else raw.tobytes()
                limit = self._source.memory_limit
                spec = TargetSpec("retrained", time_limit=self._keeper.seconds, memory_limit=limit)
                with scratch_folder() as root:
                    (root / FILE).write_bytes(content)
                    file = FileDigest(FILE, len(content), hashlib.sha256(content).hexdigest())
                    artifact = Artifact("the retrained model", "0", (file,))
                    with open_model(spec, root, artifact, self._task, asked[0]) as model:
                        return tuple(model.probabilities(model.predict(rows)) for rows in asked)
            module = reply.header.get("kind") == "module"
            # Probabilities; only a module may have answered with logits
            scores = [self._scores(rows) for rows in asked]
            kind = find_score_output(
                [ModelOutput("scores", np.concatenate(scores))], self._task
            ).scores
            if not module and kind not in PROBABILITIES:
                raise RecipeError(
                    f"{self._source.path.name} answers with numbers that are not probabilities",
                    cure=ANOTHER_SHAPE,
                )
            return tuple(
                to_probabilities(to_scores(part, None, kind, self._task), kind) for part in scores
            )

    def call(
        self, function: str, arrays: Mapping[str, Array], settings: Mapping[str, Json], seed: int
    ) -> Mapping[str, Anything]:
        """Call a function of the owner's file with arrays and settings, both by name.

        It returns arrays by name. Raises ``RecipeError`` as ``answers`` does.
        """
        with _in_its_words():
            told = {"function": function, "settings": dict(settings), "seed": seed}
            return self._ask("recipe_call", told, arrays).arrays

    def _ask(
        self, op: str, told: Mapping[str, Any], arrays: Mapping[str, Anything]
    ) -> MessageFrame:
        return self._keeper.ask({"op": op, **told}, arrays, self._pulse)

    def _scores(self, rows: Array) -> Anything:
        parts = np.array_split(rows, range(ROWS, len(rows), ROWS))
        found = []
        for part in parts:
            scores = self._ask("recipe_ask", {}, {"inputs": part}).arrays.get("scores")
            if scores is None or scores.shape[:1] != (len(part),):
                shape = None if scores is None else scores.shape
                raise RecipeError(f"{len(part)} rows gave {shape}", cure=ANOTHER_SHAPE)
            found.append(scores)
        return np.concatenate(found)


def is_sandbox_available() -> bool:
    """Return whether code can be kept from all files and networks here: by bubblewrap."""
    return find_strongest_isolation() is IsolationLevel.BUBBLEWRAP


@contextmanager
def open_recipe(
    source: RecipeSource, task: Task, *, isolation: IsolationLevel | None = None, runs: bool = True
) -> Iterator[OpenedRecipe | Gap]:
    """Return what trains again, and end its process afterwards.

    Nothing is started before it is asked, nor ever unless it ``runs``: a plan only has to know
    that it is there. Whoever calls this has made sure of the owner's leave; a Gap where bubblewrap
    does not work and the leave is not for that.
    """
    if not isinstance(task, ClassificationTask):
        yield Gap(
            reason=GapReason.UNSUPPORTED,
            detail="Only classifiers are trained again.",
            cure="Audit this model without a recipe.",
        )
        return
    level = isolation or find_strongest_isolation()
    if level is not IsolationLevel.BUBBLEWRAP and not source.ref.unsandboxed:
        yield NO_SANDBOX
        return
    path = source.path.resolve()
    bounds = SandboxBounds(
        level=level,
        readable=(path.parent,),
        memory_limit=source.memory_limit,
        threads=1,
        driven=level is IsolationLevel.BUBBLEWRAP,  # its own /tmp may be written to
    )
    title = f"the process that trains by {path.name}"
    opening = {"op": "recipe_open", "path": str(path)}
    start = partial(ChildProcess, RECIPE, bounds, title) if runs else _refuse_to_run
    keeper = ProcessSupervisor(start, opening, source.time_limit)
    try:
        yield OpenedRecipe(keeper, source, task)
    finally:
        keeper.close()


def _refuse_to_run() -> ChildProcess:
    raise RecipeError("a plan runs no code that a file names", cure="Run the audit.")


@contextmanager
def _in_its_words() -> Iterator[None]:
    """Say whatever becomes of the process as a failure of the recipe."""
    try:
        yield
    except (RecipeError, ModelTimeoutError, ModelOutOfMemoryError, ModelCrashedError) as error:
        raise RecipeError(error.problem, cure=CURES.get(type(error), error.cure)) from None
    except (ModelFailedError, ArtifactError) as error:
        raise RecipeError(
            f"what was trained cannot be asked: {error.problem}", cure=ANOTHER_SHAPE
        ) from None
