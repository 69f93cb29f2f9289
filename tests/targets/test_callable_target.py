"""A Python function as a target: every answer is checked, and nothing is believed of its place."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest

from auditor.domain.evidence_levels import assess_evidence, find_timing_gap
from auditor.domain.json import read_json
from auditor.domain.readings import GapReason
from auditor.domain.targets import CallableSpec, EvidenceLevel, TargetSpec
from auditor.domain.tasks import ClassificationTask, RegressionTask
from auditor.errors import ArtifactError, ModelFailedError, TargetError
from auditor.targets.callable_model import describe_callable
from auditor.targets.config import OperatorTargets, parse_targets
from auditor.targets.model import OpenedModel
from auditor.targets.session import connect_model, open_function, open_model
from auditor.targets.target_specs import resolve_target

Rows: TypeAlias = np.ndarray[Any, Any]
TASK = ClassificationTask(("no", "yes"), "yes", "yes")
X = np.random.default_rng(0).random((70, 3))


def chances(rows: Rows) -> Rows:
    """Return the chance of `yes`."""
    return 1 / (1 + np.exp(-(rows @ np.array([6.0, 4.0, 0.0]) - 5)))


def both(rows: Rows) -> Rows:
    return np.stack([1 - chances(rows), chances(rows)], axis=1)


def logits(rows: Rows) -> list[list[float]]:
    return [[0.0, row @ np.array([6.0, 4.0, 0.0]) - 5] for row in rows]


def labels(rows: Rows) -> Rows:
    return (chances(rows) > 0.5).astype(int)


class Scorer:
    """An object that can be called, and that counts and keeps what it is given."""

    def __init__(self) -> None:
        self.rows = 0
        self.kinds: set[str] = set()

    def __call__(self, rows: Rows) -> Rows:
        self.rows += len(rows)
        self.kinds.add(str(rows.dtype))
        return chances(rows)


def target(function: Callable[[Any], Any]) -> TargetSpec:
    return TargetSpec("python", runtime="callable", callable=describe_callable(function))


def opened(function: Callable[[Any], Any], rows: Rows = X, task: Any = TASK) -> Any:  # noqa: ANN401 -- a context
    return open_function({"python": function}, target(function), task, rows)


@pytest.mark.parametrize(
    ("function", "scores"),
    [
        (chances, "binary_probability"),
        (lambda rows: chances(rows)[:, None], "binary_probability"),
        (lambda rows: chances(rows).astype(np.float32).tolist(), "binary_probability"),
        (both, "probabilities"),
        (logits, "logits"),
        (labels, "labels"),
    ],
)
def test_scores_of_every_form_become_the_scores_of_the_task(
    function: Callable[[Any], Any], scores: str
) -> None:
    with opened(function) as model:
        found = model.probabilities(model.predict(X))
        assert model.interface.scores == scores
    wanted = np.eye(2)[labels(X)] if scores == "labels" else both(X)
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_a_regression_gives_one_number_a_row() -> None:
    with opened(lambda rows: rows.sum(axis=1), task=RegressionTask(0.1)) as model:
        np.testing.assert_array_equal(model.predict(X)[:, 0], X.sum(axis=1))
        assert model.interface.scores == "values"


@pytest.mark.parametrize(
    ("given", "kind"), [("float32", "float32"), ("float64", "float64"), ("int64", "float64")]
)
def test_rows_keep_their_precision_and_every_one_is_counted(given: str, kind: str) -> None:
    scorer = Scorer()
    with opened(scorer, X.astype(given)) as model:
        model.predict(X.astype(given))
        assert model.queries == scorer.rows
    assert scorer.kinds == {kind}


def mutate(rows: Rows) -> Rows:
    found = chances(rows)
    rows[0] = 0.5
    return found


def fail(_rows: Rows) -> Rows:
    message = "no such column"
    raise KeyError(message)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda rows: np.where(rows[:, 0] > 2, 0.5, np.nan), "row 0 of 64 with NaN or infinity"),
        (lambda rows: chances(rows)[:-1], r"answers 64 rows with the shape \(63,\)"),
        (lambda rows: np.zeros((len(rows), 0)), r"the shape \(64, 0\)"),
        (lambda rows: np.zeros((len(rows), 2, 2)), r"the shape \(64, 2, 2\)"),
        (lambda _rows: 0.5, r"the shape \(\)"),
        (lambda _rows: None, "answers object, which is not a number"),
        (lambda rows: ["yes"] * len(rows), "which is not a number"),
        (lambda rows: [[0.1]] * (len(rows) - 1) + [[0.1, 0.2]], "failed on 64 rows"),
        (mutate, "changes the rows that it is given"),
        (fail, r"failed on 64 rows \(fail, line \d+\): 'no such column'"),
        (lambda _rows: sys.exit(3), "failed on 64 rows"),
    ],
)  # fmt: skip
def test_an_answer_that_is_none_is_refused_with_a_cure(
    function: Callable[[Any], Any], said: str
) -> None:
    with pytest.raises(ModelFailedError, match=said) as refused, opened(function):
        pass
    assert refused.value.cure


def test_answers_have_one_shape_and_kind_for_as_long_as_they_are_asked() -> None:
    asked = []

    def changing(rows: Rows) -> Rows:
        asked.append(len(rows))
        return chances(rows) if len(asked) < 3 else both(rows)

    with opened(changing) as model, pytest.raises(ModelFailedError, match="did otherwise before"):
        model.predict(X)


def test_an_answer_that_is_changed_afterwards_stays_what_it_was() -> None:
    kept = np.empty(len(X))

    def reusing(rows: Rows) -> Rows:
        kept[: len(rows)] = chances(rows)
        return kept[: len(rows)]

    with opened(reusing) as model:
        assert model.deterministic
        first = model.predict(X[:10])
        model.predict(X[10:20])
        np.testing.assert_array_equal(first, model.predict(X[:10]))


def test_a_function_that_draws_is_not_called_deterministic() -> None:
    rng = np.random.default_rng(0)
    with opened(lambda rows: rng.random(len(rows))) as model:
        assert not model.deterministic


def test_more_scores_than_the_task_has_classes_are_an_error_of_the_input() -> None:
    with pytest.raises(ArtifactError, match="no output has so many scores"):
        opened(lambda rows: np.zeros((len(rows), 3))).__enter__()


def test_times_and_other_questions_are_refused() -> None:
    with opened(chances) as model:
        assert isinstance(model, OpenedModel)
        with pytest.raises(ModelFailedError, match="cannot be asked to time"):
            model.time(X, calls=1, warmup=1, batch_rows=1)


def test_the_fingerprint_names_the_function_and_never_a_device() -> None:
    with opened(chances) as model:
        print_ = model.fingerprint
    runtime = print_.identity_facts["runtime"]
    assert runtime["name"] == "python callable"
    assert runtime["function"] == f"{__name__}.chances"
    assert runtime["source"] == describe_callable(chances).source
    assert print_.conditions_facts["isolation"] == "none"
    told = assess_evidence(target(chances), print_)
    assert (told.level, told.level.is_native) == (EvidenceLevel.SIMULATED, False)
    gap = find_timing_gap(target(chances), print_)
    assert gap is not None
    assert (gap.reason, "Export" in gap.cure) == (GapReason.SIMULATED, True)


def test_a_function_goes_by_its_name_and_the_digest_of_its_source() -> None:
    assert describe_callable(both).function == f"{__name__}.both"
    assert describe_callable(both).source != describe_callable(chances).source
    assert describe_callable(partial(both)) == describe_callable(both)
    assert describe_callable(Scorer()).function == f"{__name__}.Scorer"
    assert describe_callable(Scorer().__call__).function == f"{__name__}.Scorer.__call__"
    assert describe_callable(max) == CallableSpec("builtins.max")
    built: dict[str, Any] = {"__name__": "typed"}
    exec("def here(rows): return rows", built)  # noqa: S102 -- a function without a file
    assert describe_callable(built["here"]) == CallableSpec("typed.here")


def test_another_function_or_none_is_a_clear_error() -> None:
    for functions, said in (({}, "runs only from Python"), ({"python": both}, "another source")):
        with pytest.raises(TargetError, match=said):
            open_function(functions, target(chances), TASK, X).__enter__()


def test_without_a_program_that_brings_the_function_nothing_is_opened(tmp_path: Path) -> None:
    spec = target(chances)
    with pytest.raises(TargetError, match="runs only from Python"):
        connect_model(spec, tmp_path, None)
    with pytest.raises(TargetError, match="runs only from Python"):
        open_model(spec, tmp_path, None, TASK, X).__enter__()
    with pytest.raises(TargetError, match="runs only from Python"):
        OperatorTargets(allows_code=True).permit_code(spec)
    assert OperatorTargets(functions=frozenset({"python"})).permit_code(spec) == spec
    raw = b"{apiVersion: auditor/v1, kind: Targets, targets: {f: {callable: {function: a.b}}}}"
    with pytest.raises(TargetError, match=r"runs only from Python"):
        parse_targets(raw, "targets.yaml")


def test_a_target_comes_back_from_an_audit_file_and_from_a_record() -> None:
    spec = target(chances)
    assert spec.callable is not None
    written = {"name": "python", "callable": spec.callable.to_json()}
    assert resolve_target(written) == spec
    assert read_json(TargetSpec, spec.to_json(), "target") == spec
    assert "callable" not in TargetSpec("cpu").to_json()
    assert (spec.brings_model, spec.served, spec.opens_file) == (True, True, False)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"callable": {"source": "sha256:" + "0" * 64}}, "names no function"),
        ({"callable": {"function": "a.b", "source": "0"}}, "source is '0'"),
        ({"callable": {"function": "a.b", "code": "x"}}, "no setting 'code'"),
        ({"callable": {"function": "a.b"}, "runtime": "onnxruntime"}, "a section `callable`"),
        ({"runtime": "callable"}, "no section `callable`"),
        ({"callable": {"function": "a.b"}, "emulated": "Haswell"}, "is emulated"),
        (
            {"cascade": {"edge": {"name": "e", "callable": {"function": "a.b"}}, "cloud": "cpu"}},
            "edge is a function",
        ),
    ],
)
def test_a_target_that_is_written_wrongly_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(TargetError, match=said):
        resolve_target({"name": "python", **settings})
