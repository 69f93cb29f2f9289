"""Code of the owner's trains in a child, and whatever it does is an answer or a plain failure."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from auditor.domain.isolation import IsolationLevel
from auditor.domain.readings import Gap, GapReason
from auditor.domain.tasks import ClassificationTask, RegressionTask
from auditor.domain.training_recipes import NO_SANDBOX, RecipeRef, RecipeSource, RetrainingTask
from auditor.errors import CancelledError, RecipeError
from auditor.targets.isolation import find_strongest_isolation
from auditor.targets.training_recipe import OpenedRecipe, open_recipe

GIB = 2**30
TASK = ClassificationTask(("a", "b", "c"), "c", "c")
TWO = ClassificationTask(("no", "yes"), "yes", "yes")
ROWS = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.9, 0.1]], dtype=np.float32)
LESSON = RetrainingTask(ROWS, np.array([0, 1, 2, 1]), seed=5)
NEAREST = """
import numpy as np

def train(X, y, seed):
    means = np.stack([X[y == k].mean(axis=0) for k in range(3)])
    def predict(Z):
        far = ((Z[:, None] - means) ** 2).sum(axis=2)
        near = np.exp(-far)
        return near / near.sum(axis=1, keepdims=True)
    return predict
"""

Write = Callable[[str], RecipeSource]


def source(
    folder: Path, code: str, *, seconds: float = 60.0, memory: int = 4 * GIB
) -> RecipeSource:
    path = folder / "recipe.py"
    path.write_text(code)
    ref = RecipeRef(digest="sha256:" + "0" * 64, function="train", allowed=True, unsandboxed=True)
    return RecipeSource(path=path, ref=ref, time_limit=seconds, memory_limit=memory)


@contextmanager
def opened(written: RecipeSource, task: ClassificationTask = TASK) -> Iterator[OpenedRecipe]:
    with open_recipe(written, task) as recipe:
        assert isinstance(recipe, OpenedRecipe)
        yield recipe


def refused(folder: Path, code: str, match: str, **limits: float) -> RecipeError:
    seconds, memory = limits.get("seconds", 60.0), int(limits.get("memory", 4 * GIB))
    written = source(folder, code, seconds=seconds, memory=memory)
    with opened(written) as recipe, pytest.raises(RecipeError, match=match) as caught:
        recipe.answers(LESSON, [ROWS])
    assert caught.value.cure
    assert str(folder) not in str(caught.value)
    return caught.value


def test_what_is_trained_answers_with_probabilities_in_the_order_of_the_questions(
    tmp_path: Path,
) -> None:
    with opened(source(tmp_path, NEAREST)) as recipe:
        first, second = recipe.answers(LESSON, [ROWS, ROWS[::-1]])
    assert first.argmax(axis=1).tolist() == [0, 1, 2, 1]
    assert first.sum(axis=1) == pytest.approx(np.ones(4))
    assert (second == first[::-1]).all()


def test_the_code_is_known_by_its_digest(tmp_path: Path) -> None:
    with opened(source(tmp_path, NEAREST)) as recipe:
        assert recipe.digest == "sha256:" + "0" * 64


@pytest.mark.parametrize(
    "level", [IsolationLevel.LANDLOCK, IsolationLevel.NAMESPACES, IsolationLevel.LIMITS]
)
def test_without_bubblewrap_code_is_run_only_on_leave_for_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: IsolationLevel
) -> None:
    monkeypatch.setattr("auditor.targets.training_recipe.find_strongest_isolation", lambda: level)
    written = source(tmp_path, NEAREST)
    careful = replace(written, ref=replace(written.ref, unsandboxed=False))
    with open_recipe(careful, TASK) as recipe:
        assert recipe is NO_SANDBOX
    with opened(written) as recipe:
        (answer,) = recipe.answers(LESSON, [ROWS])
    assert answer.argmax(axis=1).tolist() == [0, 1, 2, 1]


def test_what_is_not_run_for_want_of_bubblewrap_says_what_to_do() -> None:
    assert NO_SANDBOX.reason is GapReason.NEEDS_RECIPE
    assert "Install bubblewrap" in NO_SANDBOX.cure
    assert "recipe.allow: unsandboxed" in NO_SANDBOX.cure


@pytest.mark.skipif(
    find_strongest_isolation() is not IsolationLevel.BUBBLEWRAP,
    reason="bubblewrap is not to be had",
)
def test_within_bubblewrap_no_more_leave_is_needed(tmp_path: Path) -> None:
    written = source(tmp_path, NEAREST)
    with opened(replace(written, ref=replace(written.ref, unsandboxed=False))) as recipe:
        (answer,) = recipe.answers(LESSON, [ROWS])
    assert answer.argmax(axis=1).tolist() == [0, 1, 2, 1]


def test_nothing_starts_before_it_is_asked(tmp_path: Path) -> None:
    with opened(source(tmp_path, "raise RuntimeError")):
        pass


DRAWS = """
import random
import numpy as np

def train(X, y, seed):
    table = np.random.rand(3) + np.random.default_rng(seed).random(3) + random.random()
    return lambda Z: np.tile(table / table.sum(), (len(Z), 1))
"""


def test_the_same_seed_gives_the_same_bytes_even_where_the_code_draws_without_one(
    tmp_path: Path,
) -> None:
    other = RetrainingTask(ROWS, LESSON.labels, seed=6)
    with opened(source(tmp_path, DRAWS)) as recipe:
        (one,) = recipe.answers(LESSON, [ROWS])
        (two,) = recipe.answers(other, [ROWS])
        (again,) = recipe.answers(LESSON, [ROWS])
    assert one.tobytes() == again.tobytes()
    assert (one != two).any()


def test_one_column_of_a_model_of_two_classes_speaks_of_the_positive_one(tmp_path: Path) -> None:
    code = "def train(X, y, seed):\n    return lambda Z: Z[:, 0]\n"
    with opened(source(tmp_path, code), TWO) as recipe:
        (answer,) = recipe.answers(LESSON, [ROWS])
    assert answer[:, 1] == pytest.approx(ROWS[:, 0])
    assert answer.sum(axis=1) == pytest.approx(np.ones(4))


MODULE = """
import torch

def train(X, y, seed):
    layer = torch.nn.Linear(2, 3)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]]))
        layer.bias.copy_(torch.tensor([4.0, 0.0, 0.0]))
    return torch.nn.Sequential(layer, torch.nn.Dropout(0.9))
"""
FILE = """
import numpy as np
from onnx import TensorProto, helper, numpy_helper

def train(X, y, seed):
    weights = numpy_helper.from_array(np.array([[0, 9, 0], [0, 0, 9]], np.float32), "w")
    bias = numpy_helper.from_array(np.array([4, 0, 0], np.float32), "b")
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w", "b"], ["y"])], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])], [weights, bias])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    return model.SerializeToString()
"""
AT_A_PATH = FILE.replace(
    "return model.SerializeToString()",
    "open('/tmp/made.onnx', 'wb').write(model.SerializeToString())\n    return '/tmp/made.onnx'",
)
LOGITS = np.array([[4.0, 0, 0], [4, 9, 0], [4, 0, 9], [4, 8.1, 0.9]])
SOFTMAX = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
WRITABLE = pytest.mark.skipif(
    find_strongest_isolation() is not IsolationLevel.BUBBLEWRAP,
    reason="only in a sandbox of its own can files be kept",
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "code",
    [
        pytest.param(MODULE, id="a torch module"),
        pytest.param(FILE, id="the bytes of an ONNX file"),
        pytest.param(AT_A_PATH, id="the path of an ONNX file", marks=WRITABLE),
    ],
)
def test_a_trained_network_may_answer_with_logits(tmp_path: Path, code: str) -> None:
    written = source(tmp_path, code, memory=12 * GIB)
    with opened(written) as recipe:
        left, right = recipe.answers(LESSON, [ROWS[:2], ROWS[2:]])
    assert np.concatenate([left, right]) == pytest.approx(SOFTMAX, abs=1e-6)


def test_what_the_code_raises_is_told_with_its_line_and_its_last_words(tmp_path: Path) -> None:
    code = (
        "def train(X, y, seed):\n    print('epoch 1 of 9')\n    raise ValueError('no such layer')\n"
    )
    refused(
        tmp_path,
        code,
        r"train of recipe\.py raised ValueError at line 3: .*ValueError: no such layer",
    )


def test_code_that_does_not_load_is_told_so(tmp_path: Path) -> None:
    refused(tmp_path, "import nowhere_to_be_found\n", r"recipe\.py raised ModuleNotFoundError")


def test_code_that_is_no_python_is_told_so(tmp_path: Path) -> None:
    refused(tmp_path, "def train(:\n", r"recipe\.py raised SyntaxError")


def test_a_function_that_is_not_there_is_named_beside_those_that_are(tmp_path: Path) -> None:
    code = "def fit(X, y, seed):\n    pass\n"
    refused(tmp_path, code, "defines no function train; it defines fit")


def test_a_crash_is_told_with_its_signal_and_its_last_words(tmp_path: Path) -> None:
    code = (
        "import os\n\ndef train(X, y, seed):\n    print('half way')\n    os.kill(os.getpid(), 11)\n"
    )
    error = refused(tmp_path, code, r"trains by recipe\.py died \(SIGSEGV\): half way")
    assert "Run the code alone" in error.cure


def test_an_exit_is_no_way_out(tmp_path: Path) -> None:
    refused(tmp_path, "def train(X, y, seed):\n    raise SystemExit(0)\n", "SystemExit at line 2")


def test_code_that_hangs_is_ended_and_its_last_words_are_kept(tmp_path: Path) -> None:
    endless = "    while True:\n        time.sleep(1)\n"
    code = f"import time\n\ndef train(X, y, seed):\n    print('epoch 1')\n{endless}"
    begun = time.monotonic()
    error = refused(tmp_path, code, r"did not answer within 3 s.*: epoch 1", seconds=3.0)
    assert "recipe.time_limit" in error.cure
    assert time.monotonic() - begun < 120


@pytest.mark.parametrize("taken", ["bytearray(2**33)", "np.ones(2**30)", "torch.ones(2**31)"])
def test_code_that_takes_too_much_memory_is_told_so(tmp_path: Path, taken: str) -> None:
    library = {"np": "import numpy as np", "torch": "import torch"}.get(taken.partition(".")[0], "")
    code = f"def train(X, y, seed):\n    {library}\n    return {taken}\n"
    limit = 8 if "torch" in taken else 2
    error = refused(tmp_path, code, rf"more memory than it has \({limit} GiB\)", memory=limit * GIB)
    assert "recipe.memory_limit" in error.cure


@pytest.mark.parametrize(
    ("returned", "match"),
    [
        ("None", "returned nothing"),
        ("[1, 2]", "returned a list"),
        ("b'no model'", "what was trained cannot be asked"),
        ("lambda Z: Z", "3 classes"),
        ("lambda Z: Z[:2, [0, 1, 1]]", r"4 rows gave \(2, 3\)"),
        ("lambda Z: Z[:, [0, 1, 1]] * 7", "numbers that are not probabilities"),
        ("lambda Z: Z[:, [0, 1, 1]] * float('nan')", "nan, which is not a number"),
        ("lambda Z: 'yes'", "ValueError"),
        ("lambda Z: 3", r"4 rows gave \(\)"),
    ],
)
def test_what_answers_in_another_shape_is_refused(
    tmp_path: Path, returned: str, match: str
) -> None:
    refused(tmp_path, f"def train(X, y, seed):\n    return {returned}\n", match)


def test_texts_are_not_handed_over(tmp_path: Path) -> None:
    texts = np.array(["one", "two"])
    with (
        opened(source(tmp_path, NEAREST)) as recipe,
        pytest.raises(RecipeError, match="the inputs are not numbers"),
    ):
        recipe.answers(RetrainingTask(texts, np.array([0, 1]), 1), [texts])


def test_the_next_question_after_a_failure_is_answered(tmp_path: Path) -> None:
    code = NEAREST.replace(
        "    means", "    if seed == 1:\n        import os; os.abort()\n    means", 1
    )
    with opened(source(tmp_path, code)) as recipe:
        with pytest.raises(RecipeError, match="SIGABRT"):
            recipe.answers(RetrainingTask(ROWS, LESSON.labels, 1), [ROWS])
        (answer,) = recipe.answers(LESSON, [ROWS])
    assert answer.argmax(axis=1).tolist() == [0, 1, 2, 1]


SNOOPS = """
import os
import socket
import numpy as np

def train(X, y, seed):
    found = np.array([0.0, 0.0, 1.0])
    try:
        socket.create_connection(("127.0.0.1", {port}), timeout=2).close()
        found = np.array([1.0, 0.0, 0.0])
    except OSError:
        pass
    if os.path.exists({secret!r}):
        found = np.array([0.0, 1.0, 0.0])
    return lambda Z: np.tile(found, (len(Z), 1))
"""


@pytest.mark.skipif(
    find_strongest_isolation() is not IsolationLevel.BUBBLEWRAP,
    reason="bubblewrap is not to be had",
)
def test_the_code_reaches_neither_the_network_nor_other_files(tmp_path: Path) -> None:
    folder = tmp_path / "staged"
    folder.mkdir()
    secret = tmp_path / "secret"
    secret.write_text("a key")
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = SNOOPS.format(port=server.getsockname()[1], secret=str(secret))
        with opened(source(folder, code)) as recipe:
            (answer,) = recipe.answers(LESSON, [ROWS])
    assert answer[0].tolist() == [0.0, 0.0, 1.0]


def test_the_code_sees_one_thread_and_nothing_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_MINE", "1")
    code = """
import os
import numpy as np

def train(X, y, seed):
    alone = os.environ["OMP_NUM_THREADS"] == "1" and "SECRET_OF_MINE" not in os.environ
    return lambda Z: np.tile(np.array([0.0, alone, not alone], float), (len(Z), 1))
"""
    with opened(source(tmp_path, code)) as recipe:
        (answer,) = recipe.answers(LESSON, [ROWS])
    assert answer[0].tolist() == [0.0, 1.0, 0.0]


def test_an_interruption_ends_the_training(tmp_path: Path) -> None:
    def interrupt() -> None:  # called while the training is waited for, and not before
        os.kill(os.getpid(), signal.SIGINT)

    with opened(source(tmp_path, SLEEPER)) as recipe:
        begun = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            recipe.attended(interrupt).answers(LESSON, [ROWS])
        assert time.monotonic() - begun < LONG / 2


def test_another_function_takes_and_gives_arrays_by_name(tmp_path: Path) -> None:
    code = (
        "def dp_train(arrays, settings):\n    return {'twice': arrays['x'] * settings['times']}\n"
    )
    with opened(source(tmp_path, code)) as recipe:
        given = recipe.call("dp_train", {"x": ROWS}, {"times": 2.0}, seed=1)
        with pytest.raises(RecipeError, match="defines no function other"):
            recipe.call("other", {}, {}, seed=1)
    assert (given["twice"] == ROWS * 2).all()


@pytest.mark.parametrize("returned", ["7", "{'x': 'text'}"])
def test_another_function_that_gives_no_arrays_is_refused(tmp_path: Path, returned: str) -> None:
    code = f"def dp_train(arrays, settings):\n    return {returned}\n"
    with opened(source(tmp_path, code)) as recipe, pytest.raises(RecipeError, match="dp_train of"):
        recipe.call("dp_train", {}, {}, seed=1)


def test_a_regression_is_not_trained_again(tmp_path: Path) -> None:
    with open_recipe(source(tmp_path, NEAREST), RegressionTask(0.5)) as recipe:
        assert isinstance(recipe, Gap)
        assert recipe.reason is GapReason.UNSUPPORTED


LONG = 600
"""Seconds for which code sleeps that has to be ended: longer than a busy machine is ever late."""
SLEEPER = f"""
import time

def train(X, y, seed):
    time.sleep({LONG})
"""


def test_while_code_works_a_pulse_is_felt_and_what_it_raises_ends_the_code(tmp_path: Path) -> None:
    felt: list[float] = []

    def pulse() -> None:
        felt.append(time.monotonic())
        if len(felt) == 2:
            raise CancelledError("the user stopped", cure="Start again.")

    with opened(source(tmp_path, SLEEPER)) as recipe:
        began = time.monotonic()
        attended = recipe.attended(pulse)
        with pytest.raises(CancelledError):
            attended.answers(LESSON, [ROWS])
        assert 0.5 < felt[1] - felt[0] < LONG / 2
        assert time.monotonic() - began < LONG / 2
    assert attended.digest == recipe.digest


def test_code_that_talks_all_the_time_is_attended_too(tmp_path: Path) -> None:
    talker = (
        SLEEPER.replace(f"time.sleep({LONG})", "").replace("import time", "import sys, time")
        + "    while True: print('x', file=sys.stderr, flush=True); time.sleep(0.01)\n"
    )
    with opened(source(tmp_path, talker)) as recipe, pytest.raises(CancelledError):
        recipe.attended(stop).answers(LESSON, [ROWS])


def stop() -> None:
    raise CancelledError("the user stopped", cure="Start again.")
