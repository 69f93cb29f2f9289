"""privacy.dp_claim: planted deficits of noise, honest twins, and claims without a recipe."""

import json
import pickle
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from judged import outcome
from privacy_claims import claimed
from private_training import CODE, PrivateTraining
from scored_subjects import ends, measured, read, stored
from surveyed_subjects import sample, surveyed

from auditor.checks.privacy.dp_claim import CHECK
from auditor.domain.artifacts import FileDigest, ModelStructure, SignatureMaterial
from auditor.domain.budgets import AuditSize
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import DatasetRole
from auditor.domain.findings import Outcome
from auditor.domain.json import encode_canonical
from auditor.domain.policies import MetricLimits
from auditor.domain.privacy_claims import PrivacyClaim, PrivacyClaimFile, SamplingScheme
from auditor.domain.readings import Gap, GapReason, Reading
from auditor.domain.training_recipes import TrainingRecipe
from auditor.trust.signatures.keys import KeySigner
from auditor.trust.signatures.model_signing import sign_files

RAW = json.dumps(claimed().to_json()).encode()
FILE = FileDigest("dp_claim.json", len(RAW), sha256(RAW).hexdigest())
SIGNER = KeySigner(ec.derive_private_key(5, ec.SECP256R1()))
STRICT = claimed(epsilon=0.88, noise_multiplier=4.0)


def subject_of(
    claim: PrivacyClaim, recipe: TrainingRecipe | None = None, seed: int = 11, rows: int = 1400
) -> Subject:
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(rows, 6)).astype(np.float32)
    labels = (inputs[:, 0] > 0).astype(np.int64)
    training = sample(inputs, labels, role=DatasetRole.TRAINING)
    stated = PrivacyClaimFile(claim, FILE)
    more = {} if recipe is None else {"recipe": recipe}
    return surveyed(training, privacy_claim=stated, seed=seed, **more)


def found(
    claim: PrivacyClaim,
    recipe: TrainingRecipe | None = None,
    **fields: Any,  # noqa: ANN401 -- of subject_of
) -> tuple[Reading, ...]:
    return read(CHECK(), subject_of(claim, recipe, **fields))


@pytest.mark.parametrize(("claim", "noise"), [(claimed(), 1.0), (STRICT, 4.0)])
@pytest.mark.parametrize("factor", [4.0, np.inf])
def test_too_little_noise_contradicts_the_claim(
    claim: PrivacyClaim, noise: float, factor: float
) -> None:
    readings = found(claim, PrivateTraining(noise=noise / factor))
    lower, verdict = measured(readings, "epsilon_lower_bound"), measured(readings, "verdict")
    assert lower.value > claim.epsilon
    assert lower.details["kind"] == "white-box"
    assert lower.n == 1400
    assert verdict.value == "shown"
    assert verdict.details["noise_factor"] <= 4


@pytest.mark.slow
@pytest.mark.parametrize(("claim", "noise"), [(claimed(), 1.0), (STRICT, 4.0)])
def test_honest_training_is_not_contradicted_and_not_called_confirmed(
    claim: PrivacyClaim, noise: float
) -> None:
    for seed in range(3):
        readings = found(claim, PrivateTraining(noise=noise), seed=seed)
        assert measured(readings, "epsilon_lower_bound").value < claim.epsilon
        verdict = measured(readings, "verdict")
        assert verdict.value == "no evidence at this power"
        factor = verdict.details["noise_factor"]
        assert factor in {2, 3, 4}
        assert f"at least {factor:g} times too little noise" in str(verdict.details["power"])
        assert measured(readings, "structural_findings").value == 0


@pytest.mark.slow
@pytest.mark.parametrize("runs", [15, pytest.param(150, marks=pytest.mark.long)])
@pytest.mark.parametrize(("claim", "noise", "open_"), [(claimed(), 1.0, 2), (STRICT, 4.0, 15)])
def test_honest_training_is_contradicted_in_no_run(
    claim: PrivacyClaim, noise: float, open_: int, runs: int
) -> None:
    verdicts = [
        measured(found(claim, PrivateTraining(noise=noise), seed=seed), "verdict").value
        for seed in range(100, 100 + runs)
    ]
    # With much noise the canaries just show that they are seen, and now and then do not.
    assert "shown" not in verdicts
    assert verdicts.count("inconclusive") <= open_


@pytest.mark.slow
@pytest.mark.parametrize(
    ("claim", "noise"), [(claimed(), 0.25), (claimed(), 0.0), (STRICT, 1.0), (STRICT, 0.0)]
)
def test_far_too_little_noise_is_contradicted_every_time(claim: PrivacyClaim, noise: float) -> None:
    verdicts = [
        measured(found(claim, PrivateTraining(noise=noise), seed=seed), "verdict").value
        for seed in range(100, 125)
    ]
    assert verdicts == ["shown"] * 25


@pytest.mark.parametrize("seed", range(2))
def test_half_of_the_noise_contradicts_a_claim_of_six(seed: int) -> None:
    readings = found(claimed(), PrivateTraining(noise=0.5), seed=seed)
    assert measured(readings, "epsilon_lower_bound").value > 6.03
    assert measured(readings, "verdict").value == "shown"


def test_a_hook_that_is_not_attached_is_code_that_failed() -> None:
    readings = found(claimed(), PrivateTraining(unattached=True))
    (gap,) = (item for item in readings if isinstance(item, Gap))
    assert gap.reason is GapReason.RECIPE_FAILED
    assert "hook" in gap.detail
    assert "hook.attach" in gap.cure
    assert "hook.saw" in gap.cure


@pytest.mark.parametrize(("claim", "noise"), [(claimed(), 1.0), (STRICT, 4.0)])
def test_a_hook_at_a_layer_that_learns_nothing_has_no_power_and_decides_nothing(
    claim: PrivacyClaim, noise: float
) -> None:
    for made in (noise, noise / 16):
        readings = found(claim, PrivateTraining(noise=made, unlearnt=True))
        verdict, lower = measured(readings, "verdict"), measured(readings, "epsilon_lower_bound")
        assert verdict.value == "inconclusive"
        assert str(verdict.details["power"]).startswith("none: ")
        assert verdict.details["noise_factor"] is None
        assert lower.doubted


def test_canaries_that_the_claimed_noise_would_hide_say_how_many_it_takes() -> None:
    claim = claimed(epsilon=0.5, noise_multiplier=16.0)
    verdict = measured(found(claim, PrivateTraining(noise=16.0, unlearnt=True)), "verdict")
    assert verdict.value == "inconclusive"
    assert "canaries to tell from chance" in str(verdict.details["reasons"])


def test_evidence_of_a_run_whose_hook_saw_nothing_decides_nothing_either() -> None:
    seen = dict(CHECK().observe(subject_of(claimed(), PrivateTraining()), None))
    for untold in ({"steps": 0}, {"drawn": 0}):
        about = {**seen["run"], **untold}
        verdict = measured(CHECK().figures({**seen, "run": about}, 0.95), "verdict")
        assert verdict.value == "inconclusive"


def test_a_claim_alone_is_worked_out_anew_without_a_recipe() -> None:
    readings = found(claimed())
    low, high = ends(measured(readings, "epsilon_recomputed"))
    assert low <= 5.4795 <= high
    verdict = measured(readings, "verdict")
    assert verdict.value == "inconclusive"
    assert "not put to the test" in str(verdict.details["reasons"])
    (gap,) = (item for item in readings if isinstance(item, Gap))
    assert gap.metric == "epsilon_lower_bound"
    assert gap.reason is GapReason.NEEDS_RECIPE


OTHERS_FIGURES = """
import pickle, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name in {"opacus", "dp_accounting", "torch", "sklearn", "statsmodels"}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
from auditor.checks.privacy.dp_claim import CHECK
from auditor.domain.json import encode_canonical
readings = CHECK().figures(pickle.load(sys.stdin.buffer), 0.95)
sys.stdout.buffer.write(encode_canonical([item.to_json() for item in readings]))
"""


def test_whoever_verifies_a_claim_needs_no_extra_and_gets_the_same_bytes() -> None:
    evidence = stored(CHECK(), subject_of(claimed(), PrivateTraining(noise=1.0)))
    here = encode_canonical([item.to_json() for item in CHECK().figures(evidence, 0.95)])
    ran = subprocess.run(
        [sys.executable, "-c", OTHERS_FIGURES],
        input=pickle.dumps(evidence),
        capture_output=True,
        check=True,
    )
    assert ran.stdout == here


def test_a_claim_that_its_own_numbers_refute_needs_no_recipe() -> None:
    readings = found(claimed(epsilon=1.0))
    assert measured(readings, "verdict").value == "shown"
    assert measured(readings, "epsilon_claimed_minus_recomputed").value < -4


def test_more_steps_than_are_claimed_are_counted_in_the_run() -> None:
    readings = found(claimed(), PrivateTraining(steps=2240))
    assert "RUN_STEPS" in measured(readings, "structural_findings").details["codes"]
    assert measured(readings, "verdict").value == "shown"
    lower = measured(readings, "epsilon_lower_bound")
    assert lower.doubted
    assert "2240 steps" in str(lower.details["doubt"])


def test_larger_batches_than_are_claimed_are_counted_in_the_run() -> None:
    readings = found(claimed(), PrivateTraining(rate=0.15))
    assert "RUN_RATE" in measured(readings, "structural_findings").details["codes"]
    assert measured(readings, "verdict").value == "shown"


def test_fewer_steps_than_claimed_are_said_and_contradict_nothing() -> None:
    readings = found(claimed(), PrivateTraining(steps=280))
    assert measured(readings, "verdict").value == "inconclusive"


def test_of_a_claim_without_a_size_other_steps_leave_the_verdict_open() -> None:
    claim = claimed(dataset_size=None, batch_size=None, epochs=None)
    readings = found(claim, PrivateTraining(steps=2240))
    assert measured(readings, "verdict").value == "inconclusive"


def test_a_plain_recipe_gives_black_box_canaries_whose_power_is_unknown() -> None:
    recipe = PrivateTraining(dp_train=None)
    readings = found(claimed(), recipe)
    lower, verdict = measured(readings, "epsilon_lower_bound"), measured(readings, "verdict")
    assert lower.details["kind"] == "black-box"
    assert lower.value < 2
    assert verdict.value == "inconclusive"
    assert "unknown" in str(verdict.details["reasons"])
    assert lower.doubted
    assert str(verdict.details["power"]).startswith("unknown")
    assert verdict.details["noise_factor"] is None
    assert recipe.lessons[0] == pytest.approx(1400, abs=80)


class Memory:
    """A plain recipe that learns every row by heart."""

    digest = CODE
    dp_train = None

    def answers(self, lesson: Any, asked: Any) -> Any:  # noqa: ANN401 -- of Recipe
        known = {
            row.tobytes(): label for row, label in zip(lesson.inputs, lesson.labels, strict=True)
        }
        rows = [[known.get(row.tobytes(), -1) for row in part] for part in asked]
        return tuple(np.eye(3)[np.array(part)][:, :2] * 0.98 + 0.01 for part in rows)


def test_training_that_learns_by_heart_is_contradicted_by_black_box_canaries() -> None:
    # Six features have 64 corners, too few to be rows of their own.
    inputs = np.random.default_rng(0).normal(size=(1400, 40)).astype(np.float32)
    training = sample(inputs, np.arange(1400) % 2, role=DatasetRole.TRAINING)
    subject = replace(subject_of(claimed(), Memory()), datasets={DatasetRole.TRAINING: training})
    readings = read(CHECK(), subject)
    assert measured(readings, "epsilon_lower_bound").value > 6.03
    assert measured(readings, "verdict").value == "shown"


@pytest.mark.parametrize("broken", [{"fails": True}, {"silent": True}])
def test_code_that_fails_leaves_what_can_be_worked_out(broken: dict[str, bool]) -> None:
    readings = found(claimed(), PrivateTraining(**broken))
    (gap,) = (item for item in readings if isinstance(item, Gap))
    assert gap.reason is GapReason.RECIPE_FAILED
    assert gap.cure
    assert measured(readings, "epsilon_recomputed").value == pytest.approx(5.48, rel=0.01)
    verdict = measured(readings, "verdict")
    assert verdict.value == "inconclusive"
    assert gap.detail in str(verdict.details["reasons"])
    understated = found(claimed(epsilon=1.0), PrivateTraining(**broken))
    assert measured(understated, "verdict").value == "shown"


@pytest.mark.slow
def test_of_a_claim_that_names_no_code_the_power_is_that_of_the_named_code() -> None:
    tied, loose = (
        measured(found(claimed(digests=digests), PrivateTraining()), "verdict").details
        for digests in ({"code": CODE}, {})
    )
    assert "noise_factor_of_named_code" not in tied
    assert loose["noise_factor_of_named_code"] == tied["noise_factor"]
    assert loose["noise_factor"] is None
    assert str(loose["power"]).startswith("none is stated for this claim")
    assert str(tied["power"]) in str(loose["power"])


def test_canaries_too_few_to_see_even_no_noise_decide_nothing() -> None:
    readings = read(CHECK(canaries=20), subject_of(claimed(), PrivateTraining(noise=0.5)))
    verdict = measured(readings, "verdict")
    assert verdict.value == "inconclusive"
    assert "not even training without any noise" in str(verdict.details["reasons"])
    assert measured(readings, "epsilon_lower_bound").doubted


def test_without_rows_to_train_on_or_canaries_nothing_is_trained() -> None:
    bare = replace(subject_of(claimed(), PrivateTraining()), datasets={})
    (gap,) = (item for item in read(CHECK(), bare) if isinstance(item, Gap))
    assert gap.reason is GapReason.NEEDS_TRAINING_DATA
    none = read(CHECK(canaries=0), subject_of(claimed(), PrivateTraining()))
    (gap,) = (item for item in none if isinstance(item, Gap))
    assert gap.reason is GapReason.OVER_BUDGET
    assert measured(none, "verdict").value == "inconclusive"


def test_what_a_training_takes_is_counted_up_to_what_stops_it() -> None:
    small, large = (AuditSize(360, 10, beside={"training": rows}) for rows in (1347, 60_000))
    assert 20 < CHECK().cost(small).seconds < 40
    assert CHECK().cost(large).seconds == pytest.approx(601)
    assert CHECK().cost(AuditSize(1347, 10)).seconds == CHECK().cost(small).seconds
    assert CHECK(canaries=0).cost(large).seconds == pytest.approx(1)


def test_without_a_claim_there_is_nothing_to_say() -> None:
    subject = surveyed(sample([[0.0]], [0]))
    (gap,) = read(CHECK(), subject)
    assert isinstance(gap, Gap)
    assert "dp_claim.json" in gap.cure


def signed(bundle: bytes | None, key: bytes | None) -> Subject:
    stated = PrivacyClaimFile(claimed(), FILE, SignatureMaterial(bundle, key))
    return replace(subject_of(claimed()), privacy_claim=stated)


def test_a_signed_claim_says_whose_it_is_and_an_unsigned_one_that_it_is_not() -> None:
    bundle = sign_files((FILE,), SIGNER, name=FILE.name)
    good = measured(read(CHECK(), signed(bundle, SIGNER.public_pem())), "claim_signed")
    assert good.value is True
    assert good.details["identity"] == SIGNER.identity
    unsigned = measured(read(CHECK(), signed(None, None)), "claim_signed")
    assert unsigned.value is False
    assert unsigned.details["findings"][0]["code"] == "UNSIGNED"
    keyless = measured(read(CHECK(), signed(bundle, None)), "claim_signed")
    assert keyless.details["findings"][0]["code"] == "NO_KEY"
    other = sign_files((replace(FILE, sha256="0" * 64),), SIGNER, name=FILE.name)
    assert (
        measured(read(CHECK(), signed(other, SIGNER.public_pem())), "claim_signed").value is False
    )


def test_batch_normalisation_in_the_graph_leaves_the_verdict_open() -> None:
    graph = ModelStructure("onnx", operators={"ai.onnx::BatchNormalization": 2, "ai.onnx::Conv": 2})
    subject = subject_of(claimed(), PrivateTraining())
    readings = read(CHECK(), replace(subject, structure=graph))
    assert measured(readings, "structural_findings").value == 1
    assert measured(readings, "structural_findings").details["codes"][0] == "BATCH_NORM"
    verdict = measured(readings, "verdict")
    assert verdict.value == "inconclusive"
    (reason,) = verdict.details["reasons"]
    assert "batch normalisation" in reason


def test_shuffled_batches_are_said_to_be_no_poisson_samples() -> None:
    readings = found(claimed(sampling=SamplingScheme.SHUFFLE), PrivateTraining(shuffled=True))
    assert "SAMPLING" in measured(readings, "structural_findings").details["codes"]
    assert measured(readings, "verdict").value == "inconclusive"


def test_shuffled_batches_with_far_too_little_noise_are_contradicted_all_the_same() -> None:
    claim = claimed(
        sampling=SamplingScheme.SHUFFLE, accounted=SamplingScheme.SHUFFLE, noise_multiplier=4.0
    )
    bounds = measured(found(claim), "epsilon_recomputed")
    claim = replace(claim, epsilon=float(bounds.value))
    honest = found(claim, PrivateTraining(noise=4.0, shuffled=True))
    assert measured(honest, "verdict").value == "no evidence at this power"
    false = found(claim, PrivateTraining(noise=0.1, shuffled=True))
    assert measured(false, "verdict").value == "shown"


def test_a_rule_fails_on_a_false_claim_and_a_bound_alone_never_passes() -> None:
    false = found(claimed(), PrivateTraining(noise=0.0001))
    honest = found(claimed(), PrivateTraining())
    at_most = MetricLimits(most=6.03)
    assert outcome(CHECK, false, "epsilon_lower_bound", at_most) is Outcome.FAILED
    assert outcome(CHECK, honest, "epsilon_lower_bound", at_most) is Outcome.UNKNOWN
    assert outcome(CHECK, honest, "epsilon_recomputed", MetricLimits(most=6.03)) is Outcome.PASSED
    require = 'reading.value != "shown"'
    assert outcome(CHECK, false, "verdict", require=require) is Outcome.FAILED
    assert outcome(CHECK, honest, "verdict", require=require) is Outcome.UNKNOWN


def test_evidence_holds_no_row_of_the_data() -> None:
    seen = CHECK().observe(subject_of(claimed(), PrivateTraining()), None)
    arrays = {name for name, item in seen.items() if isinstance(item, np.ndarray)}
    assert arrays == {"scores", "included"}


@pytest.mark.parametrize("fields", [{"canaries": -1}, {"level": 0.0}, {"level": 1.0}])
def test_parameters_without_meaning_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="canaries"):
        CHECK(**fields)
