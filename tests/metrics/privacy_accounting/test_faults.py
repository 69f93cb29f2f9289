"""What is wrong with a claim by its own words: one planted fault each, none in a sound one."""

from typing import Any

import pytest
from privacy_claims import HONEST, claimed

from auditor.domain.json import read_json
from auditor.domain.number_text import format_measurement
from auditor.domain.privacy_claims import (
    AdjacencyRelation,
    PrivacyAccountant,
    PrivacyClaim,
    SamplingScheme,
)
from auditor.domain.readings import Gap, GapReason, Measurement
from auditor.metrics.privacy_accounting.canary_readings import PrivacyClaimReview
from auditor.metrics.privacy_accounting.claim_recomputation import (
    ClaimContext,
    ClaimFault,
    ClaimFaultCode,
    RecomputedEpsilon,
    accountant_epsilon,
    find_claim_faults,
    recompute_epsilon,
)

NO_RUN = Gap(reason=GapReason.NEEDS_RECIPE, detail="no recipe", cure="name one")
NOTHING = ClaimContext()
PLANTED: dict[str, tuple[dict[str, Any], ClaimContext, ClaimFaultCode]] = {
    "a delta that lets a record out": ({"delta": 1e-3}, NOTHING, ClaimFaultCode.DELTA),
    "a rate that is not the batch's": (
        {"sampling_rate": 0.01, "steps": 2000}, NOTHING, ClaimFaultCode.RATE,
    ),
    "steps that are not the epochs": ({"steps": 280}, NOTHING, ClaimFaultCode.STEPS),
    # github.com/meta-pytorch/opacus/issues/80 and pull/128
    "shuffled batches accounted as Poisson samples": (
        {"sampling": SamplingScheme.SHUFFLE}, NOTHING, ClaimFaultCode.SAMPLING,
    ),
    # github.com/meta-pytorch/opacus/issues/813
    "a weighted sampler": ({"sampling": SamplingScheme.WEIGHTED}, NOTHING, ClaimFaultCode.WEIGHTED),
    "a rate of 0.31 instead of 0.000007, read off a weighted sampler": (
        {"sampling_rate": 0.3125, "dataset_size": 2_285_714, "batch_size": 16, "epochs": None,
         "delta": 1e-7},
        NOTHING, ClaimFaultCode.RATE,
    ),
    # github.com/meta-pytorch/opacus/issues/819
    "a divisor that one record less changes": (
        {"dataset_size": 1000, "sampling_rate": 0.05, "steps": 400, "library": "opacus 1.6.0"},
        NOTHING, ClaimFaultCode.FLOORED,
    ),
    # github.com/meta-pytorch/opacus/issues/571
    "three records": (
        {"dataset_size": 3, "batch_size": 1, "sampling_rate": 1 / 3, "epochs": None, "steps": 9,
         "library": "opacus 1.3.0"},
        NOTHING, ClaimFaultCode.FEW_RECORDS,
    ),
    "batch normalisation that the owner admits": (
        {"batch_norm": True}, NOTHING, ClaimFaultCode.BATCH_NORM,
    ),
    "batch normalisation in the graph": (
        {}, ClaimContext(batch_norms=2), ClaimFaultCode.BATCH_NORM,
    ),
    "another adjacency than was accounted for": (
        {"adjacency": AdjacencyRelation.REPLACE,
         "accounted_adjacency": AdjacencyRelation.ADD_REMOVE},
        NOTHING, ClaimFaultCode.ADJACENCY,
    ),
    "an accountant that is no bound": (
        {"accountant": PrivacyAccountant.GDP}, NOTHING, ClaimFaultCode.GDP,
    ),
    "other rows than were trained on": ({}, ClaimContext(rows=1000), ClaimFaultCode.DATASET_SIZE),
    "another model": ({}, ClaimContext(model="sha256:" + "b" * 64), ClaimFaultCode.OTHER_MODEL),
    "other code": (
        {"digests": {"code": "sha256:" + "a" * 64}}, ClaimContext(code="sha256:" + "b" * 64),
        ClaimFaultCode.OTHER_CODE,
    ),
    "other data": (
        {"digests": {"data": "sha256:" + "a" * 64}}, ClaimContext(data=("sha256:" + "b" * 64,)),
        ClaimFaultCode.OTHER_DATA,
    ),
}  # fmt: skip


def codes(found: tuple[ClaimFault, ...], *, grave: bool = True) -> set[ClaimFaultCode]:
    return {fault.code for fault in found if fault.grave is grave}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found(name: str) -> None:
    fields, known, code = PLANTED[name]
    assert code in codes(find_claim_faults(claimed(**fields), known))


def test_a_sound_claim_has_no_fault() -> None:
    known = ClaimContext(batch_norms=0, rows=1400, model=HONEST.digests["model"])
    assert codes(find_claim_faults(HONEST, known)) == set()
    tied = claimed(library="opacus 1.6.0", dataset_size=1420, sampling_rate=0.0356)
    assert codes(find_claim_faults(tied, NOTHING)) == set()


def test_what_is_not_said_is_noted_and_no_fault() -> None:
    said = claimed(dataset_size=None, batch_size=None, digests={}, tuning_runs=40)
    found = find_claim_faults(said, NOTHING)
    assert codes(found) == set()
    assert codes(found, grave=False) == {
        ClaimFaultCode.SIZE_UNKNOWN,
        ClaimFaultCode.NOT_TIED,
        ClaimFaultCode.TUNING,
    }


@pytest.mark.parametrize("name", ["model", "code", "data"])
def test_a_claim_is_said_to_be_tied_to_nothing_whose_digest_it_does_not_name(name: str) -> None:
    every = dict.fromkeys(("model", "code", "data"), "sha256:" + "a" * 64)
    assert find_claim_faults(claimed(digests=every), NOTHING) == ()
    less = {item: digest for item, digest in every.items() if item != name}
    (note,) = find_claim_faults(claimed(digests=less), NOTHING)
    assert note.code is ClaimFaultCode.NOT_TIED
    assert not note.grave
    assert f"no digest of {name}" in note.text


def test_a_fault_says_the_epsilon_that_holds_instead() -> None:
    (fault,) = (
        item
        for item in find_claim_faults(claimed(steps=140), NOTHING)
        if item.code is ClaimFaultCode.STEPS
    )
    assert fault.epsilon == pytest.approx(5.48, rel=0.01)
    assert fault.to_json()["epsilon"] == fault.epsilon


def test_a_version_that_does_not_floor_is_not_blamed() -> None:
    fields = {"dataset_size": 1000, "sampling_rate": 0.05, "steps": 400}
    for library in ("opacus 1.7.0", "jax-privacy 1.0", None):
        assert ClaimFaultCode.FLOORED not in codes(
            find_claim_faults(claimed(**fields, library=library), NOTHING)
        )


def statement(**fields: Any) -> dict[str, Measurement | Gap]:  # noqa: ANN401 -- of PrivacyClaim
    claim = claimed(**fields)
    readings = PrivacyClaimReview(claim, find_claim_faults(claim, NOTHING), NO_RUN, 0.05).readings(
        0.95
    )
    return {reading.metric: reading for reading in readings}


def value(readings: dict[str, Measurement | Gap], metric: str) -> object:
    found = readings[metric]
    assert isinstance(found, Measurement)
    return found.value


def test_a_claim_below_what_its_parameters_keep_is_understated() -> None:
    # What Opacus' GDP accountant reports of these parameters; Google's PLD says 2.004.
    low = statement(
        epsilon=1.325, noise_multiplier=0.8, sampling_rate=0.005, steps=1000, delta=1e-6,
        accountant=PrivacyAccountant.GDP, dataset_size=10_000, epochs=5,
    )  # fmt: skip
    assert value(low, "epsilon_recomputed") == pytest.approx(2.004, rel=0.002)
    assert value(low, "epsilon_claimed_minus_recomputed") == pytest.approx(-0.68, abs=0.01)
    assert value(low, "verdict") == "shown"
    for name in ("epsilon_recomputed", "epsilon_claimed_minus_recomputed"):
        worked_out = low[name]
        assert isinstance(worked_out, Measurement)
        assert (worked_out.confidence, worked_out.n) == (None, 0), "arithmetic is of no sample"
        assert worked_out.details["steps"] == 1000
        sure = format_measurement(worked_out).sure
        assert "confidence" not in sure
        assert "n =" not in sure
    assert low["structural_findings"].details["codes"][:2] == ["UNDERSTATED", "GDP"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("epsilon", "standing", "verdict"),
    [
        (5.4, "understated", "shown"),
        (5.45, "consistent", "inconclusive"),
        (5.48, "consistent", "inconclusive"),
        (6.08, "conservative", "inconclusive"),
    ],
)
def test_a_claim_stands_by_where_it_lies_among_the_accountants(
    epsilon: float, standing: str, verdict: str
) -> None:
    found = statement(epsilon=epsilon)
    details = found["epsilon_recomputed"].details  # type: ignore[union-attr]
    assert details["standing"] == standing
    assert details["rdp"] == pytest.approx(6.07, rel=0.01)
    assert details["gdp_approximation_no_bound"] == pytest.approx(4.91, rel=0.01)
    assert value(found, "verdict") == verdict


def test_worked_out_alone_a_claim_is_neither_confirmed_nor_tested() -> None:
    found = statement()["verdict"]
    assert isinstance(found, Measurement)
    assert found.value == "inconclusive"
    assert "says nothing of the code" in str(found.details["power"])
    assert "digests alone" in str(found.details["of_what"])


def test_shuffling_that_nobody_can_account_for_leaves_the_verdict_open() -> None:
    found = statement(sampling=SamplingScheme.SHUFFLE)
    reading = found["epsilon_recomputed"]
    assert isinstance(reading, Measurement)
    assert reading.low is not None
    assert reading.high is not None
    assert reading.low < 6.03 < reading.high
    assert reading.details["as_accounted"][1] == pytest.approx(5.48, rel=0.01)  # type: ignore[index]
    assert value(found, "verdict") == "inconclusive"
    assert "accounted for as by poisson" in str(found["verdict"].details["reasons"])  # type: ignore[union-attr]


def test_a_claim_below_what_any_shuffling_keeps_is_shown_false() -> None:
    assert value(statement(sampling=SamplingScheme.SHUFFLE, epsilon=1.0), "verdict") == "shown"


def test_a_sampling_without_one_rate_has_no_epsilon_and_an_open_verdict() -> None:
    found = statement(sampling=SamplingScheme.WEIGHTED)
    assert isinstance(found["epsilon_recomputed"], Gap)
    assert isinstance(found["epsilon_claimed_minus_recomputed"], Gap)
    assert value(found, "verdict") == "inconclusive"
    assert "weighted sampler" in str(found["verdict"].details["reasons"])  # type: ignore[union-attr]


def test_replacing_costs_about_twice_what_removing_does() -> None:
    claim = claimed(
        adjacency=AdjacencyRelation.REPLACE,
        accounted_adjacency=AdjacencyRelation.ADD_REMOVE,
        noise_multiplier=4.0,
    )
    true, meant = recompute_epsilon(claim), accountant_epsilon(claim)
    assert isinstance(true, RecomputedEpsilon)
    assert isinstance(meant, RecomputedEpsilon)
    assert 1.8 < true.bracket.high / meant.bracket.high < 2.2


def test_all_records_in_each_step_are_the_plain_mechanism() -> None:
    full = SamplingScheme.FULL_BATCH
    found = recompute_epsilon(claimed(sampling=full, accounted=full, sampling_rate=1.0, steps=4))
    assert isinstance(found, RecomputedEpsilon)
    assert found.bracket.low == found.bracket.high == pytest.approx(9.997, abs=0.001)


def test_a_claim_survives_as_evidence() -> None:
    for fields in (
        {},
        {"accounted_adjacency": AdjacencyRelation.REPLACE, "library": "opacus 1.6.0"},
    ):
        assert read_json(PrivacyClaim, claimed(**fields).to_json(), "claim") == claimed(**fields)
