"""Random forests and gradient boosting on ONNX Runtime break by search alone, as by Square."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import tabular_toys as toys
from evasion_toys import ToyModel, arena
from skl2onnx import to_onnx
from sklearn.datasets import load_digits
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier

from auditor.attacks.evasion.budget_sweep import run_sweep
from auditor.attacks.evasion.judge import BestSoFar
from auditor.attacks.evasion.norms import Norm
from auditor.attacks.evasion.suite_parser import build_suite
from auditor.attacks.tabular.attack import TabularJudge, TabularSetup, build_tabular_setup
from auditor.attacks.tabular.campaign import attack_table, parse_stages
from auditor.attacks.tabular.capgd import random_points
from auditor.domain.check_subject import report_nothing
from auditor.domain.tasks import Floats, InputFeature

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tabular-trees")]

TRAINED_ON, ATTACKED, EPS = 1200, 200, 0.2
PIXELS = tuple(InputFeature(f"pixel {place}", low=0, high=1) for place in range(64))
MODELS = {
    "forest": RandomForestClassifier(100, random_state=0),
    "boosting": GradientBoostingClassifier(random_state=0),
}


@pytest.fixture(scope="module", params=list(MODELS))
def digits(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> TabularSetup:
    """A table of 64 pixels, and a model of trees that ONNX Runtime runs."""
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    rows, labels = (data.data / 16).astype(np.float32)[order], data.target[order].astype(np.int64)
    model = MODELS[request.param].fit(rows[:TRAINED_ON], labels[:TRAINED_ON])
    path: Path = tmp_path_factory.mktemp("trees") / "model.onnx"
    path.write_bytes(to_onnx(model, rows[:1], options={"zipmap": False}).SerializeToString())
    part = slice(TRAINED_ON, TRAINED_ON + ATTACKED)
    target = ToyModel(_scores(path))
    return build_tabular_setup(arena(target, rows[part], labels[part], toys.space(PIXELS, ())))


def _scores(path: Path) -> Callable[[Floats], Floats]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def scores(rows: Floats) -> Floats:
        _, probabilities = session.run(None, {name: rows.astype(np.float32)})
        return np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), 1e-12))

    return scores


def searched(entered: TabularSetup, queries: int) -> tuple[float, float]:
    """Return robust accuracy, and how many queries a row the search took."""
    found = attack_table(
        entered, parse_stages((f"search:{queries}",)), (EPS,), 0, report_nothing, minimising=1
    )
    return 1 - float(found.standing.broken.mean()), found.log[0].queries / ATTACKED


def squared(entered: TabularSetup, queries: int) -> tuple[float, float]:
    """Return the same of Square Attack, which ``evasion.linf_query`` runs."""
    found = run_sweep(
        build_suite((f"square:{queries}",), Norm.LINF), entered.arena, (EPS,), 0, report_nothing
    )
    return float(np.isinf(found.breaking).mean()), found.log[0].queries / ATTACKED


def drawn(entered: TabularSetup, queries: int) -> float:
    """Return the robust accuracy that rows drawn at random within reach leave."""

    a, rng = entered.arena, np.random.default_rng(0)
    standing = BestSoFar.clean(a.rows, a.probabilities, a.labels, a.goal)
    judge = TabularJudge(table=entered, region=entered.region(EPS), standing=standing, eps=EPS)
    for _ in range(queries):
        rows = judge.live
        judge.submit(rows, judge.candidates(rows, random_points(judge.region.take(rows), rng)))
    return 1 - float(standing.broken.mean())


def test_trees_that_are_nearly_always_right_are_nearly_always_broken(digits: TabularSetup) -> None:
    clean = (digits.arena.probabilities.argmax(axis=1) == digits.arena.labels).mean()
    robust, queries = searched(digits, 600)
    square, square_queries = squared(digits, 600)
    assert clean > 0.95
    assert robust <= 0.02
    assert square <= 0.02
    assert robust <= square + 0.01
    assert max(queries, square_queries) < 60


def test_the_search_finds_more_than_drawing_at_random_does(digits: TabularSetup) -> None:
    robust, _ = searched(digits, 150)
    assert robust <= 0.6 * drawn(digits, 150)


def test_a_digit_turns_by_few_pixels(digits: TabularSetup) -> None:
    found = attack_table(
        digits, parse_stages(("search:300",)), (EPS,), 0, report_nothing, minimising=600
    )
    valid = found.closed.minimal.valid
    assert valid.all()
    assert np.median(found.closed.minimal.moved.sum(axis=1)) < 20
