"""What attacks and runs say of their rows is true of real evidence, and some rows can be shown."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import test_challenged_balls as balls
import test_challenged_pictures as pictures
import test_challenged_tables as tables
import test_challenged_texts as texts
import test_evasion_certified as certified
import test_hardware_saturation as saturation
import test_hardware_timing as times
import test_privacy_attribute as secrets
from benched_subjects import benched, rows
from benched_subjects import linear as line
from challenged import observed
from poison_toys import poisoned, scanned
from shifted_subjects import digits
from surveyed_subjects import sample, surveyed

from auditor.checks.data.anomalies import AnomalyCheck
from auditor.checks.evasion.certified import CertifiedRobustnessCheck
from auditor.checks.evasion.corruption import CorruptionCheck
from auditor.checks.evasion.masking import GradientMaskingCheck
from auditor.checks.hardware.faults import BitFlipCheck
from auditor.checks.hardware.saturation import SaturationCheck
from auditor.checks.hardware.timing_leak import TimingLeakCheck
from auditor.checks.measure import compute_readings, get_check_parameters
from auditor.checks.poisoning.training_scan import TrainingScanCheck
from auditor.checks.privacy.attribute import AttributeInferenceCheck
from auditor.domain.check_subject import Subject
from auditor.domain.checks import Check
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence, Item, encode_evidence
from auditor.domain.json import encode_canonical
from auditor.domain.observed_checks import ObservedCheck
from auditor.domain.readings import Measurement
from auditor.domain.records import CheckObservation
from auditor.domain.row_evidence import IDS
from auditor.trust.disclosure import (
    EvidenceCommitment,
    RowEncoding,
    commit_observation,
    count_evidence_rows,
    join_item_rows,
    split_item_rows,
)

KEY = bytes(32)
FEW = CertifiedRobustnessCheck(eps=(0.01, 0.1), rows=30, samples=50, selection=10)
SIGNS = GradientMaskingCheck(
    eps=(0.1,), stages=("cross_entropy:3",), rows=20, queries=20, corners=2, steps=4
)
FLIPPED = BitFlipCheck(trials=8, rows=40, layers=1, least=2)
SCAN = TrainingScanCheck(rows=200, trusted=200, pool=200)
LONE = frozenset({"signs", "strangers", "times", "faults", "scan", "secrets"})
"""Kinds whose figures are no means over all rows."""
DULL = CorruptionCheck(kinds=("gaussian_noise", "missing_values"), severities=(1, 5), rows=30)


def strangers() -> Subject:
    tables_of = np.random.default_rng(1).normal(size=(2, 200, 5))
    return surveyed(sample(tables_of[0]), sample(tables_of[1], role=DatasetRole.TRAINING))


def timed() -> Evidence:
    taken = np.random.default_rng(2).random((3, 40))
    return times.leak_evidence(taken, np.arange(40) % 2, np.arange(40) % 3 > 0)


def faulty() -> Evidence:
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with benched(folder, line(folder), rows(), np.arange(120) % 2) as opened:
            return observed(FLIPPED, opened)


KINDS: Mapping[str, Callable[[], tuple[Check, Evidence]]] = {
    "table": lambda: (tables.WEAK, tables.usual()[1]),
    "patch": lambda: (pictures.STICKERS, pictures.covered()[1]),
    "views": lambda: (pictures.SEEN, pictures.looked_at()[1]),
    "spread": lambda: (pictures.NOISE, pictures.spread()[1]),
    "texts": lambda: (texts.WEAK, texts.usual()[1]),
    "recipes": texts.recipes,
    "walks": lambda: (balls.WALK, balls.walked()[1]),
    "carried": lambda: (balls.CARRY, balls.carried()[1]),
    "toolbox": balls.toolbox,
    "proofs": lambda: (FEW, observed(FEW, certified.toy()[0])),
    "trees": lambda: (FEW, observed(FEW, certified.stumps()[0])),
    "signs": lambda: (SIGNS, observed(SIGNS, balls.twinned())),
    "corrupted": lambda: (DULL, observed(DULL, digits())),
    "overflow": lambda: (
        SaturationCheck(),
        observed(
            SaturationCheck(), saturation.seen((saturation.RISKY,), saturation.Overflowing(0.6))
        ),
    ),
    "strangers": lambda: (AnomalyCheck(), observed(AnomalyCheck(), strangers())),
    "times": lambda: (TimingLeakCheck(), timed()),
    "faults": lambda: (FLIPPED, faulty()),
    "scan": lambda: (SCAN, observed(SCAN, scanned(poisoned("clean", 0.0, 6)))),
    "secrets": lambda: (
        AttributeInferenceCheck(),
        observed(AttributeInferenceCheck(), secrets.keeping()),
    ),
}
EVERY = [pytest.param(kind, marks=pytest.mark.slow) if kind == "faults" else kind for kind in KINDS]
ADDING = [kind for kind in KINDS if kind not in LONE]


@cache
def seen(kind: str) -> ObservedCheck:
    check, evidence = KINDS[kind]()
    named = {name: encode_evidence(item).digest for name, item in evidence.items()}
    origin = CheckObservation("cpu", check.id, check.version, get_check_parameters(check), 1, named)
    return ObservedCheck(origin, check, evidence)


def figures(one: ObservedCheck) -> list[Measurement]:
    return [item for item in compute_readings([one], 0.95) if isinstance(item, Measurement)]


@pytest.mark.parametrize("kind", EVERY)
def test_what_goes_by_row_has_a_row_for_each_id(kind: str) -> None:
    one = seen(kind)
    told, rows = one.check.by_row, count_evidence_rows(one.evidence)
    assert rows
    assert IDS in told.each & set(one.evidence)
    for item in told.each & set(one.evidence):
        header, parts = split_item_rows(one.evidence[item], rows)
        assert header.form is not RowEncoding.WHOLE, item
        assert len(parts) == rows


@pytest.mark.parametrize("kind", ADDING)
def test_what_rows_add_up_to_is_the_figure_itself(kind: str) -> None:
    one = seen(kind)
    adds = one.check.by_row.adds
    assert adds is not None
    found, known = figures(one), 0
    for added in adds(one.evidence):
        assert len(added.values) == count_evidence_rows(one.evidence)
        values = [m.value for m in found if (m.metric, m.params) == (added.metric, added.params)]
        assert values in ([], [pytest.approx(added.values.mean())]), added.metric
        known += len(values)
    assert known >= 1


@pytest.mark.parametrize("kind", EVERY)
def test_what_tells_of_no_row_names_none(kind: str) -> None:
    one = seen(kind)
    ids = {str(name) for name in np.asarray(one.evidence[IDS]).tolist()}
    for name in one.check.by_row.apart & set(one.evidence):
        item = one.evidence[name]
        said = (
            encode_canonical(item).decode()
            if not isinstance(item, np.ndarray)
            else str(item.tolist())
        )
        assert not {word for word in ids if f'"{word}"' in said}, name


def shown(one: ObservedCheck, kept: np.ndarray) -> dict[str, Item]:
    """The evidence of some rows, through commitments: what goes by no row is there if it may be."""
    sealed, parts = commit_observation(one, KEY)
    bound: dict[str, EvidenceCommitment] = {
        part.commitment.digest: part.commitment for part in parts
    }
    told, found = one.check.by_row, dict[str, Item]()
    for name, item in one.evidence.items():
        whole = bound[sealed.observation.evidence[name]].header.form is RowEncoding.WHOLE
        header, rows = split_item_rows(item, None if whole else count_evidence_rows(one.evidence))
        if not whole:
            found[name] = join_item_rows(header, [rows[at] for at in kept])
        elif name in told.apart:
            found[name] = join_item_rows(header, rows)
    return found


@pytest.mark.parametrize("kind", ["patch", "carried", "spread", "walks", "trees", "overflow"])
def test_shares_that_are_counted_can_be_counted_on_the_rows_that_are_shown(kind: str) -> None:
    one = seen(kind)
    rows = count_evidence_rows(one.evidence)
    assert rows
    kept = np.arange(0, rows, 2)
    part = shown(one, kept)
    counted = one.check.by_row.counted
    found = {
        (item.metric, str(dict(item.params))): item.value
        for item in figures(ObservedCheck(one.observation, one.check, part))
        if item.metric in counted
    }
    adds = one.check.by_row.adds
    assert adds is not None
    expected = {
        (item.metric, str(dict(item.params))): pytest.approx(item.values[kept].mean())
        for item in adds(one.evidence)
    }
    # Readings of patches stand under sides, of which evidence tells pixels; smoothing adds no rows.
    common = set(found) & set(expected)
    assert found
    assert common
    assert all(expected[place] == found[place] for place in common)


def test_rows_of_texts_and_tables_are_shown_without_what_tells_of_others() -> None:
    for kind in ("table", "texts", "recipes"):
        one = seen(kind)
        part = shown(one, np.arange(3))
        assert len(np.asarray(part[IDS])) == 3
        assert not {"settings", "crafted", "crafted_rows", "minimal"} & set(part)
