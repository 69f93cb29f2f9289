"""How much of the field has a twin: every file of the corpus, family by family."""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from exact_processors import exact_only
from twin_corpus_files import corpus, families, measured, shortfall

LEAST_FILES, LEAST_SHARE = 100, 0.95
EXCUSED: Mapping[str, str] = {
    "even neighbours/skl2onnx": "votes of equal weight have no slope",
    "bernoulli bayes/skl2onnx": "each column is cut to 0 or 1 before it counts",
    "isotonic/skl2onnx": "a calibration in steps",
    "adaboost/skl2onnx": "its trees vote by their largest score alone",
    "neighbours/skl2onnx": "the slope of a distance is lost in 0 / 0 where rows are far apart",
    "lstm/dynamic": "DynamicQuantizeLSTM has no form here yet",
    "lstm/dynamic-unsigned-per-channel": "the same",
    "encoder/qdq": "with AMX, sums ahead of a rounding differ in their last bit",
    "encoder/dynamic": "on some runs, sums ahead of a rounding differ in their last bit",
    "encoder/dynamic-unsigned-per-channel": "sums ahead of a rounding differ in their last bit",
    "mobilenet_v2/float16-inside": "half precision drowns the differences that slopes are held to",
    "encoder/float16-inside": "the runtime rounds to half inside; the twin is 1.2e-3 away",
    "cnn/all": "ONNX Runtime rewrote it for one chip, and says not to move such files",
}
"""Files without a twin that an audit could use, and why."""


@pytest.fixture(autouse=True)
def _unlogged() -> Iterator[None]:
    """Exporters log what they do; a test's output is for failures."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    yield
    logging.disable(before)


def test_the_corpus_is_large_and_what_it_excuses_is_a_small_part_of_it() -> None:
    names = [entry.name for entry in corpus()]
    assert len(set(names)) == len(names) >= LEAST_FILES
    assert set(EXCUSED) <= set(names)
    assert len(EXCUSED) <= (1 - LEAST_SHARE) * len(names)


@pytest.mark.slow
@exact_only
@pytest.mark.parametrize(
    "family", [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in families()]
)
def test_each_file_has_a_twin_that_equals_it_and_leads_somewhere(
    family: str, tmp_path: Path
) -> None:
    lacking, refused = {}, {}
    for entry in families()[family]:
        seen = measured(entry, tmp_path)
        why = shortfall(entry, seen)
        if not seen.opened:
            refused[entry.name] = seen.problem
        elif why and entry.name not in EXCUSED:
            lacking[entry.name] = why
    assert not refused, listed(refused)
    assert not lacking, listed(lacking)


def listed(reasons: Mapping[str, str]) -> str:
    return "\n".join(f"{name}: {why}" for name, why in reasons.items())


@pytest.mark.slow
@pytest.mark.fetches
@pytest.mark.parametrize("name", [entry.name for entry in corpus() if entry.fetched])
def test_a_classifier_from_a_package_has_a_twin(name: str, tmp_path: Path) -> None:
    (entry,) = (entry for entry in corpus() if entry.name == name)
    seen = measured(entry, tmp_path)
    assert (seen.opened, shortfall(entry, seen)) == (True, "")
