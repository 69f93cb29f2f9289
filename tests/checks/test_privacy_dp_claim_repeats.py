"""privacy.dp_claim again: training that nobody seeded must repeat, and other training must not."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import count, permutations
from typing import Any

import pytest
from numpy.typing import NDArray
from privacy_claims import claimed
from private_training import PrivateTraining
from scored_subjects import ends, measured
from test_privacy_dp_claim import STRICT, found

from auditor.checks.privacy.dp_claim import CHECK
from auditor.domain.budgets import Budget
from auditor.domain.policies import AssuranceLevel
from auditor.domain.privacy_claims import PrivacyClaim
from auditor.domain.readings import Measurement, Reading, Repeatability
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditRequest, PolicyRef
from auditor.domain.targets import Fingerprint, TargetSpec
from auditor.workflows.reproduced_readings import check_reproduction

DIGEST = "sha256:" + "1" * 64
RUNS = 8
REQUEST = AuditRequest(
    name="m", version="1", artifact=None, targets=(TargetSpec("cpu"),), datasets=(), seed=7,
    policy=PolicyRef("p", "1", DIGEST), audit_file=DIGEST, budget=Budget.CI,
)  # fmt: skip


@dataclass(frozen=True)
class Unseeded(PrivateTraining):
    """Training that takes no notice of its seed."""

    chance: Any = field(default_factory=lambda: count(1000))

    def call(self, *asked: Any) -> Mapping[str, NDArray[Any]]:  # noqa: ANN401 -- of DpRecipe
        return super().call(*asked[:-1], next(self.chance))


def record(readings: tuple[Reading, ...]) -> AuditRecord:
    placed = tuple(replace(item, target="cpu", check="privacy.dp_claim") for item in readings)
    return AuditRecord(
        id="aud-1", derived_from=None, assurance=AssuranceLevel.A0, request=REQUEST,
        confidence=0.95, fingerprints={"cpu": Fingerprint({"cpu": "zen4"}, {})}, observations=(),
        readings=placed, findings=(), lineage=(), tool={}, registered="2026-05-10T09:00:00Z",
        finished="2026-05-10T10:00:00Z",
    )  # fmt: skip


@pytest.mark.parametrize(("claim", "noise"), [(claimed(), 1.0), (STRICT, 4.0), (claimed(), 0.5)])
@pytest.mark.slow
def test_training_that_nobody_seeded_gives_records_that_agree(
    claim: PrivacyClaim, noise: float
) -> None:
    recipe = Unseeded(noise=noise)
    runs = [record(found(claim, recipe)) for _ in range(RUNS)]
    assert len({str(run.readings) for run in runs}) > 1, "training took notice of its seed"
    for theirs, mine in permutations(runs, 2):
        assert check_reproduction(theirs, mine, [CHECK]).holds


@pytest.mark.slow
def test_training_with_far_less_noise_gives_a_record_that_does_not_agree() -> None:
    honest, false = (record(found(claimed(), Unseeded(noise=noise))) for noise in (1.0, 0.1))
    assert not check_reproduction(honest, false, [CHECK]).holds
    assert not check_reproduction(false, honest, [CHECK]).holds


@pytest.mark.slow
def test_counted_faults_of_training_that_nobody_seeded_agree() -> None:
    recipe = Unseeded(rate=0.15)
    first, second = (record(found(claimed(), recipe)) for _ in range(2))
    assert check_reproduction(first, second, [CHECK]).holds


@pytest.mark.slow
def test_what_is_worked_out_repeats_exactly_and_what_the_code_does_within_bounds() -> None:
    ran, alone = (repeats(found(claimed(), code)) for code in (PrivateTraining(), None))
    assert {name for name, repeat in ran.items() if repeat is Repeatability.INTERVAL} == {
        "epsilon_lower_bound", "verdict", "structural_findings",
    }  # fmt: skip
    assert set(alone.values()) == {Repeatability.EXACT}


def repeats(readings: tuple[Reading, ...]) -> dict[str, Repeatability]:
    return {item.metric: item.repeat for item in readings if isinstance(item, Measurement)}


def test_a_bound_reaches_up_to_what_a_luckier_run_would_prove() -> None:
    low, high = ends(measured(found(claimed(), PrivateTraining()), "epsilon_lower_bound"))
    assert 1 < low < 3.3 < high < 5.5
