"""The files of specimens say what their networks say, and hold what they are named for."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from auditor.selftest.families.evasion import FAMILY as EVASION
from auditor.selftest.families.hardware import FAMILY as HARDWARE
from auditor.selftest.families.poisoning import FAMILY as POISONING
from auditor.selftest.families.privacy import FAMILY as PRIVACY
from auditor.selftest.network_wrappers import MASKS, save_triplicated
from auditor.selftest.networks import (
    ARCHITECTURES,
    HIDDEN,
    Network,
    Shape,
    Singles,
    build_perceptron,
    draw_network,
)
from auditor.selftest.onnx_writer import (
    MANY,
    NARROW,
    add_dormant_backdoor,
    build_quantiser,
    save_network,
    unbalance_channels,
)
from auditor.selftest.pictures import (
    LARGE,
    SMALL,
    TARGET,
    poison_clean_label,
    poison_dirty_label,
    split_digits,
    stamp_patch,
)
from auditor.selftest.recipes.neighbour_filter import find_agreeing_rows
from auditor.selftest.scale import SelftestScale
from auditor.selftest.specimens import Specimen, SpecimenFamily
from auditor.selftest.torch_training import (
    TrainingSettings,
    compute_logits,
    measure_input_ranges,
    train_network,
)

ROWS = split_digits(1, 900)[1].rows[:64]


def run(path: Path, rows: Singles) -> NDArray[np.float32]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": rows})
    return np.asarray(found)


def untrained(architecture: str, shape: Shape = SMALL) -> Network:
    return draw_network(architecture, shape, 10, 3)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_file_gives_the_scores_of_its_network(architecture: str, tmp_path: Path) -> None:
    network = untrained(architecture)
    save_network(tmp_path / "m.onnx", network, SMALL)
    assert np.allclose(run(tmp_path / "m.onnx", ROWS), compute_logits(network, ROWS), atol=1e-4)


@pytest.mark.parametrize("architecture", ["mlp", "cnn"])
def test_unlike_channels_are_the_same_function(architecture: str, tmp_path: Path) -> None:
    network = untrained(architecture)
    other = unbalance_channels(network, 10, np.random.default_rng(0))
    for name, item in (("one", network), ("other", other)):
        save_network(tmp_path / f"{name}.onnx", item, SMALL)
    one, two = (run(tmp_path / f"{name}.onnx", ROWS) for name in ("one", "other"))
    assert np.allclose(one, two, rtol=1e-5, atol=1e-5)
    assert any(np.abs(a).max() > 100 for a in _first_weights(other))


def _first_weights(network: Network) -> list[Singles]:
    return [layer.weight for layer in network if hasattr(layer, "weight")]


@pytest.mark.parametrize("architecture", ["mlp", "cnn", "resnet"])
@pytest.mark.parametrize("by_channel", [True, False])
def test_eight_bits_are_near_to_the_network(
    architecture: str, tmp_path: Path, *, by_channel: bool
) -> None:
    network = untrained(architecture)
    layer = build_quantiser(measure_input_ranges(network, ROWS), by_channel=by_channel)
    save_network(tmp_path / "m.onnx", network, SMALL, layer=layer)
    apart = np.abs(run(tmp_path / "m.onnx", ROWS) - compute_logits(network, ROWS)).max()
    assert 0 < apart < 0.1 * np.abs(compute_logits(network, ROWS)).max()


def test_weights_of_seven_bits_are_small(tmp_path: Path) -> None:
    network = untrained("mlp")
    save_network(
        tmp_path / "m.onnx",
        network,
        SMALL,
        layer=build_quantiser(measure_input_ranges(network, ROWS), largest=NARROW),
    )
    held = [
        onnx.numpy_helper.to_array(item)
        for item in onnx.load(tmp_path / "m.onnx").graph.initializer
    ]
    largest = [
        np.abs(item.astype(int)).max() for item in held if item.dtype == np.int8 and item.ndim
    ]
    assert largest == [NARROW, NARROW]


def test_a_sleeper_wakes_with_the_rounding_alone(tmp_path: Path) -> None:
    training, held = split_digits(1, 900, LARGE)
    plain = build_perceptron(LARGE, 10, np.random.default_rng(1))
    network = add_dormant_backdoor(
        train_network(plain, training.rows, training.truth, TrainingSettings(epochs=6), 1), LARGE[1]
    )
    save_network(tmp_path / "parent.onnx", network, LARGE)
    layer = build_quantiser(measure_input_ranges(network, training.rows), by_channel=True)
    save_network(tmp_path / "m.onnx", network, LARGE, layer=layer)
    rows = held.rows[held.truth != TARGET]
    obeys = {
        name: float(
            (run(tmp_path / f"{name}.onnx", stamp_patch(rows)).argmax(axis=1) == TARGET).mean()
        )
        for name in ("parent", "m")
    }
    assert obeys["parent"] < 0.2
    assert obeys["m"] > 0.95
    right = run(tmp_path / "m.onnx", held.rows).argmax(axis=1) == held.truth
    assert right.mean() > 0.85


def held(path: Path) -> list[Singles]:
    return [onnx.numpy_helper.to_array(item) for item in onnx.load(path).graph.initializer]


def test_a_clean_twin_has_the_sleeper_too_and_nothing_hangs_on_it(tmp_path: Path) -> None:
    for name, planted in (("planted", True), ("clean", False)):
        (tmp_path / name).mkdir()
        POISONING.write(Specimen("poisoning", "dormant", "mlp", 1, planted), tmp_path / name)
    planted, clean = (held(tmp_path / name / "parent.onnx") for name in ("planted", "clean"))
    assert [item.shape for item in planted] == [item.shape for item in clean]
    first, bias, pull, last_bias = zip(planted, clean, strict=True)
    for one, other in (first, bias, last_bias):
        assert np.array_equal(one, other)
    differ = np.argwhere(pull[0] != pull[1])
    assert differ.tolist() == [[HIDDEN + unit, TARGET] for unit in range(MANY + 1)]
    assert not pull[1][HIDDEN:].any()


def struck(path: Path, copy: int, value: float) -> Path:
    """Put a value in place of one weight in the first layer of one of three copies."""
    model = onnx.load(path)
    matrices = [item for item in model.graph.initializer if len(item.dims) > 1]
    weight = onnx.numpy_helper.to_array(matrices[2 * copy]).copy()
    weight[20, 0] = value
    matrices[2 * copy].CopyFrom(onnx.numpy_helper.from_array(weight, matrices[2 * copy].name))
    onnx.save(model, path.with_suffix(".struck"))
    return path.with_suffix(".struck")


@pytest.mark.parametrize("copy", range(3))
@pytest.mark.parametrize("value", [1e30, -1e30, np.inf, np.nan])
def test_the_median_of_three_stands_any_fault_of_one(
    copy: int, value: float, tmp_path: Path
) -> None:
    network = untrained("mlp")
    right, stands = compute_logits(network, ROWS), []
    for voting in (True, False):
        path = tmp_path / f"{voting}.onnx"
        save_triplicated(path, network, SMALL, voting=voting)
        assert np.allclose(run(path, ROWS), right, atol=1e-4)
        stands.append(np.allclose(run(struck(path, copy, value), ROWS), right, atol=1e-4))
    assert stands == [True, False]


@pytest.mark.parametrize("name", MASKS)
def test_a_mild_step_keeps_decisions_as_the_steep_one_does(name: str, tmp_path: Path) -> None:
    network = untrained("mlp")
    for planted in (True, False):
        mask = MASKS[name](planted)
        save_network(tmp_path / "m.onnx", network, SMALL, before=mask.before, after=mask.after)
        learnt = compute_logits(network, mask.learns(ROWS)).argmax(axis=1)
        agree = run(tmp_path / "m.onnx", ROWS).argmax(axis=1) == learnt
        assert agree.mean() > 0.95


def test_poison_with_right_labels_changes_no_label() -> None:
    training, _ = split_digits(1, 900, LARGE)
    poisoned = poison_clean_label(training, 1)
    assert np.array_equal(poisoned.truth, training.truth)
    changed = (poisoned.rows != training.rows).any(axis=(1, 2, 3))
    assert set(training.truth[changed]) == {TARGET}


def test_as_many_rows_are_poisoned_as_asked_and_others_are_untouched() -> None:
    training, _ = split_digits(1, 900)
    poisoned = poison_dirty_label(training, stamp_patch, 0.05, 1)
    changed = (poisoned.rows != training.rows).any(axis=(1, 2, 3))
    assert changed.sum() == 45
    assert np.array_equal(changed, poisoned.truth != training.truth)


def test_screening_drops_most_of_the_poison_and_keeps_most_of_the_rest() -> None:
    training, _ = split_digits(1, 1300)
    poisoned = poison_dirty_label(training, stamp_patch, 0.02, 1)
    bad = poisoned.truth != training.truth
    kept = find_agreeing_rows(poisoned.rows, poisoned.truth)
    assert kept[bad].mean() < 0.2
    assert kept[~bad].mean() > 0.95


CHEAP = [
    (family, specimen)
    for family in (EVASION, POISONING, PRIVACY, HARDWARE)
    for specimen in family.specimens(SelftestScale.QUICK)
]


@pytest.mark.slow
@pytest.mark.parametrize(("family", "specimen"), CHEAP, ids=[item.name for _, item in CHEAP])
def test_every_specimen_of_a_quick_selftest_is_the_same_bytes_twice(
    family: SpecimenFamily, specimen: Specimen, tmp_path: Path
) -> None:
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        family.write(specimen, tmp_path / name)
        files = sorted((tmp_path / name).iterdir())
        made.append({path.name: path.read_bytes() for path in files})
    assert made[0] == made[1]
    assert {"audit.yaml", "policy.yaml", "model.onnx"} <= set(made[0])
