import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from exact_processors import exact_only
from quantised_networks import (
    LABELS,
    ROWS,
    TRAINED,
    Form,
    quantise,
    scores,
    trained,
    twin_of_file,
    write,
)

from auditor.domain.tasks import Floats
from auditor.onnx.twin.torch_twin import TorchTwin

pytestmark = pytest.mark.slow
KINDS = (("QUInt8", "QInt8"), ("QUInt8", "QUInt8"), ("QInt8", "QInt8"))
STATIC = [
    Form(static, weights, activations, per_channel=per_channel, symmetric=symmetric)
    for static in ("QDQ", "QOperator")
    for per_channel in (False, True)
    for activations, weights in KINDS
    for symmetric in ((False, True) if activations == "QInt8" else (False,))
]
DYNAMIC = [
    Form("", weights, per_channel=per_channel)
    for weights in ("QInt8", "QUInt8")
    for per_channel in (False, True)
]
REPRESENTATIVE = [STATIC[0], STATIC[7], STATIC[11], DYNAMIC[0]]
STEP = 0.1
UNSEEN = slice(TRAINED, None)


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.WARNING)  # the quantiser recommends its own preprocessing
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="module")
def floats(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    folder = tmp_path_factory.mktemp("networks")
    paths = {branched: folder / f"{branched}.onnx" for branched in (False, True)}
    for branched, path in paths.items():
        write(trained(branched=branched), path)
    return paths


def quantised(floats: dict[bool, Path], form: Form, folder: Path, *, branched: bool) -> Path:
    path = folder / "quantised.onnx"
    quantise(floats[branched], path, form)
    return path


def test_the_networks_know_most_digits(floats: dict[bool, Path]) -> None:
    for path in floats.values():
        found = scores(path, ROWS[UNSEEN]).argmax(1)
        assert np.mean(found == LABELS[UNSEEN]) > 0.85


@exact_only
@pytest.mark.parametrize("branched", [False, True])
@pytest.mark.parametrize("form", STATIC, ids=str)
def test_scores_of_quantised_networks_are_the_runtimes_to_the_last_bit(
    floats: dict[bool, Path], form: Form, tmp_path: Path, *, branched: bool
) -> None:
    path = quantised(floats, form, tmp_path, branched=branched)
    np.testing.assert_array_equal(twin_of_file(path).forward(ROWS), scores(path, ROWS))


@exact_only
@pytest.mark.parametrize("branched", [False, True])
@pytest.mark.parametrize("form", DYNAMIC, ids=str)
def test_scores_of_dynamically_quantised_networks_are_the_runtimes_up_to_float_sums(
    floats: dict[bool, Path], form: Form, tmp_path: Path, *, branched: bool
) -> None:
    path = quantised(floats, form, tmp_path, branched=branched)
    found, wanted = twin_of_file(path).forward(ROWS), scores(path, ROWS)
    np.testing.assert_allclose(found, wanted, atol=2e-5)
    np.testing.assert_array_equal(found.argmax(1), wanted.argmax(1))


@pytest.mark.parametrize("branched", [False, True])
@pytest.mark.parametrize("form", REPRESENTATIVE, ids=str)
def test_gradients_point_where_the_runtimes_scores_rise(
    floats: dict[bool, Path], form: Form, tmp_path: Path, *, branched: bool
) -> None:
    # Quantised scores are flat at small steps: only a large one shows their slope.
    path = quantised(floats, form, tmp_path, branched=branched)
    rng = np.random.default_rng(3)
    rows = ROWS[UNSEEN][:64]
    twin = twin_of_file(path)
    cotangent = rng.normal(size=twin.forward(rows).shape)
    gradient = twin.backward(cotangent)
    along, slopes = list[Floats](), list[Floats]()
    for _ in range(12):
        way = rng.choice([-1.0, 1.0], size=rows.shape)
        ahead, behind = (
            scores(path, (rows + sign * STEP * way).astype(np.float32)) for sign in (1, -1)
        )
        slopes.append((cotangent * (ahead - behind)).sum(1) / (2 * STEP))
        along.append((gradient * way).reshape(len(rows), -1).sum(1))
    assert np.corrcoef(np.ravel(along), np.ravel(slopes))[0, 1] > 0.5


def ascend(twin: TorchTwin, rows: Floats, labels: Floats, radius: float) -> Floats:
    """Return rows inside a box around ``rows`` that a plain ascent of the margin finds."""
    found = rows.copy()
    right = np.eye(10)[labels]
    for step in range(30):
        logits = twin.forward(found)
        rivals = np.eye(10)[np.where(right > 0, -np.inf, logits).argmax(1)]
        gradient = twin.backward(rivals - right)
        moved = found + radius / 4 * (1 - step / 30) * np.sign(gradient)
        found = np.clip(np.clip(moved, rows - radius, rows + radius), 0, 1).astype(np.float32)
    return found


@pytest.mark.parametrize("form", [STATIC[0], STATIC[11]], ids=str)
def test_an_attack_on_the_quantised_twin_breaks_the_quantised_network(
    floats: dict[bool, Path], form: Form, tmp_path: Path
) -> None:
    path = quantised(floats, form, tmp_path, branched=False)
    rows, labels = ROWS[UNSEEN][:200], LABELS[UNSEEN][:200]
    clean = np.mean(scores(path, rows).argmax(1) == labels)
    attacked = scores(path, ascend(twin_of_file(path), rows, labels, 0.12)).argmax(1)
    assert clean > 0.85
    assert np.mean(attacked == labels) < 0.35
