"""privacy.inversion: a model that keeps a few rows of each class, and one that keeps none."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from evasion_toys import NOTHING, LinearTwin, ToyModel, box
from exposed_subjects import scaled
from judged import outcome
from privacy_toys import Labels, audited, deaf, law, people, people_audit, persons
from scored_subjects import ends, measured, read, stored

from auditor.checks.privacy.inversion import CHECK as INVERSION
from auditor.domain.budgets import AuditSize, Budget
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import DatasetRole
from auditor.domain.findings import Outcome
from auditor.domain.policies import MetricLimits
from auditor.domain.readings import BoundKind, Gap, GapReason, Measurement, Reading
from auditor.domain.tasks import Floats

CLASSES, SIDE = 8, 4
SMOKE = dict(INVERSION.presets[Budget.SMOKE])
PUBLIC = {**SMOKE, "attacks": ("scores",), "priors": ("public",), "starts": 4}
Logits = Callable[[Floats], Floats]


def centres() -> Floats:
    return 0.5 + 0.25 * np.sign(np.random.default_rng(77).normal(size=(CLASSES, SIDE * SIDE)))


def pictures(seed: int, each: int) -> tuple[Floats, Labels]:
    """Small grey pictures, of classes that overlap a little."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(CLASSES), each)
    rows = np.clip(centres()[labels] + 0.15 * rng.normal(size=(len(labels), SIDE * SIDE)), 0, 1)
    order = rng.permutation(len(labels))
    return rows[order].reshape(-1, SIDE, SIDE), labels[order].astype(np.int64)


def fair(rows: Floats) -> Floats:
    """The logits of the law that pictures are drawn by: no row of the training data is in it."""
    return -((rows[:, None] - centres()) ** 2).sum(axis=2) / (2 * 0.15**2)


def keeping(rows: Floats, labels: Labels, kept: int = 3) -> Logits:
    """The logits of a model that is sure of nothing but ``kept`` rows of each class."""
    flat = rows.reshape(len(rows), -1)
    own = np.stack([flat[labels == at][:kept] for at in range(CLASSES)])

    def logits(asked: Floats) -> Floats:
        away = ((asked[:, None, None] - own) ** 2).sum(axis=3)
        return 40 * np.exp(-away / 1.5).max(axis=2)

    return logits


def inverted(made: Callable[[Floats, Labels], Logits], seed: int = 1, **fields: object) -> Subject:
    """A model made of training pictures, with others that it never saw."""
    training, evaluation = pictures(seed, 30), pictures(seed + 500, 90)
    samples = {DatasetRole.TRAINING: training, DatasetRole.EVALUATION: evaluation}
    model = ToyModel(made(*training))
    fields = {"show_examples": False, **fields}
    return audited(model, box((SIDE, SIDE)), samples, CLASSES, **fields)


def proximity(found: tuple[Reading, ...]) -> Measurement:
    return measured(found, "member_proximity", attack="scores", prior="public")


def test_a_model_that_keeps_rows_by_heart_gives_members_away() -> None:
    found = read(INVERSION(**PUBLIC), inverted(keeping))
    near = proximity(found)
    assert near.bound is BoundKind.AT_LEAST
    assert near.details["p_value"] <= 0.005
    assert near.details["nearest_member"] < near.details["nearest_other"]
    assert near.value > 0.6
    assert measured(found, "verdict").value == "shown"


@pytest.mark.parametrize("factor", [1 / 400, 400.0])
def test_logits_that_are_multiplied_hide_no_member(factor: float) -> None:
    found = read(INVERSION(**PUBLIC), scaled(inverted(keeping), factor))
    assert proximity(found).details["p_value"] <= 0.005
    assert measured(found, "verdict").value == "shown"


def test_a_model_that_keeps_none_is_silent_though_its_rows_look_like_their_class() -> None:
    found = read(INVERSION(**{**PUBLIC, "starts": 10}), inverted(lambda *_: fair))
    gain = measured(found, "gain_over_baseline")
    assert gain.details["attack"] > 0.9
    assert gain.value <= 0
    assert proximity(found).details["p_value"] > 0.01
    verdict = measured(found, "verdict")
    assert verdict.value == "no evidence at this power"
    assert 0.3 < verdict.details["power"] <= 0.5


def test_silence_of_a_test_that_sees_only_great_leaks_is_no_answer() -> None:
    found = read(INVERSION(**{**PUBLIC, "starts": 2}), inverted(lambda *_: fair))
    verdict = measured(found, "verdict")
    assert proximity(found).n < 30
    assert verdict.details["power"] > 0.5
    assert verdict.value == "inconclusive"
    assert "so few rows" in verdict.details["reason"]


@pytest.mark.slow
def test_clean_models_are_hardly_ever_called_leaking() -> None:
    """At level 0.05 of all attacks together, 5 in 100 on average."""
    check = INVERSION(**{**PUBLIC, "level": 0.05, "priors": ("none", "public"), "rounds": 199})
    said = [
        measured(read(check, inverted(lambda *_: fair, seed)), "verdict").value
        for seed in range(60)
    ]
    assert said.count("shown") <= 9


def test_samples_that_differ_prove_nothing() -> None:
    training = pictures(1, 30)
    darker = (np.clip(training[0] - 0.2, 0, 1), training[1])
    subject = audited(
        ToyModel(keeping(*darker)),
        box((SIDE, SIDE)),
        {DatasetRole.TRAINING: darker, DatasetRole.EVALUATION: pictures(501, 90)},
        CLASSES,
    )
    found = read(INVERSION(**PUBLIC), subject)
    assert proximity(found).doubted
    assert "not alike" in str(proximity(found).details["doubt"])
    assert measured(found, "verdict").value == "inconclusive"


def test_rows_of_one_person_are_doubted() -> None:
    subject = inverted(keeping)
    data = {role: replace(it, cluster=persons(it.rows, 3)) for role, it in subject.datasets.items()}
    found = read(INVERSION(**PUBLIC), replace(subject, datasets=data))
    assert proximity(found).doubted
    assert measured(found, "verdict").value == "inconclusive"


def test_all_attacks_are_made_where_there_is_a_twin_and_scores() -> None:
    weights = centres().T * 8
    twin = LinearTwin(weights, -(centres() ** 2).sum(axis=1) * 4)
    subject = inverted(lambda *_: lambda x: x @ weights + twin.bias, twin=twin)
    found = read(INVERSION(**SMOKE), subject)
    cells = {(it.params["attack"], it.params["prior"]) for it in found if it.params}
    assert len(cells) == 6
    assert not [it for it in found if isinstance(it, Gap)]
    with_prior = measured(found, "gain_over_baseline", attack="gradient", prior="public")
    assert with_prior.details["target_chance"] > 0.8
    assert with_prior.details["public_data"] == "evaluation"


def test_without_a_twin_the_gradient_attack_is_a_gap() -> None:
    found = read(INVERSION(**{**SMOKE, "attacks": ("gradient", "scores")}), inverted(keeping))
    lacking = [it for it in found if isinstance(it, Gap)]
    assert len(lacking) == 4
    assert all(it.params["attack"] == "gradient" for it in lacking)
    assert lacking[0].detail == NOTHING.detail


def test_without_training_data_the_gain_is_measured_and_proximity_is_a_gap() -> None:
    subject = inverted(keeping)
    data = {DatasetRole.EVALUATION: subject.datasets[DatasetRole.EVALUATION]}
    found = read(INVERSION(**PUBLIC), replace(subject, datasets=data))
    assert measured(found, "gain_over_baseline").n == 4 * CLASSES
    (gap,) = [it for it in found if isinstance(it, Gap)]
    assert gap.reason is GapReason.NEEDS_TRAINING_DATA
    assert measured(found, "verdict").value == "inconclusive"


def test_a_table_is_inverted_without_pictures() -> None:
    subject = people_audit(lambda rows, labels: law())
    check = INVERSION(**{**SMOKE, "attacks": ("scores", "labels")})
    found = read(check, replace(subject, show_examples=True))
    assert len([it for it in found if it.metric == "member_proximity"]) == 4
    assert not [name for name in stored(check, subject) if name.startswith("shown")]
    assert measured(found, "verdict").value != "shown"


def test_pictures_are_kept_with_leave_alone() -> None:
    seen = stored(INVERSION(**PUBLIC), inverted(keeping))
    assert not [name for name in seen if name.startswith("shown")]
    seen = stored(INVERSION(**PUBLIC), inverted(keeping, show_examples=True))
    assert np.shape(seen["shown_made"]) == (1, CLASSES, SIDE, SIDE)
    assert np.shape(seen["shown_members"]) == (1, CLASSES, SIDE, SIDE)
    assert np.shape(seen["shown_means"]) == (CLASSES, SIDE, SIDE)


def test_a_rule_on_proximity_never_passes_by_silence() -> None:
    where, limit = {"attack": "scores", "prior": "public"}, MetricLimits(most=0.15)
    loud = read(INVERSION(**PUBLIC), inverted(keeping))
    silent = read(INVERSION(**PUBLIC), inverted(lambda *_: fair))
    assert ends(proximity(loud))[0] > 0.15
    assert outcome(INVERSION, loud, "member_proximity", limit, where) is Outcome.FAILED
    assert outcome(INVERSION, silent, "member_proximity", limit, where) is not Outcome.PASSED


def test_classes_that_nobody_knows_are_a_gap() -> None:
    subject = inverted(keeping)
    data = subject.datasets[DatasetRole.EVALUATION]
    few = replace(
        data,
        inputs=np.asarray(data.inputs)[:6],
        labels=np.arange(6) % CLASSES,
        ids=data.ids[:6],
    )
    (gap,) = read(INVERSION(**PUBLIC), replace(subject, datasets={DatasetRole.EVALUATION: few}))
    assert isinstance(gap, Gap)
    assert gap.reason is GapReason.TOO_FEW_ROWS


def test_reference_rows_are_the_public_ones() -> None:
    subject = people_audit(lambda rows, labels: law())
    data = {
        **subject.datasets,
        DatasetRole.REFERENCE: replace(
            subject.datasets[DatasetRole.EVALUATION],
            role=DatasetRole.REFERENCE,
            inputs=people(9, 800)[0],
        ),
    }
    check = INVERSION(**PUBLIC)
    seen = stored(check, replace(subject, datasets=data))
    names = [str(it) for it in np.asarray(seen["pool_ids"])]
    assert sum(name.startswith("evaluation") for name in names) == len(names) / 2


@pytest.mark.parametrize("budget", Budget)
def test_what_it_costs_grows_with_the_budget(budget: Budget) -> None:
    check = INVERSION(**INVERSION.presets[budget])
    cost = check.cost(AuditSize(450, 10))
    assert cost.queries > 10_000
    assert cost.passes > 0


@pytest.mark.parametrize("fields", [{"starts": 0}, {"attacks": ("other",)}, {"priors": ()}])
def test_parameters_without_meaning_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="priors"):
        INVERSION(**fields)


def test_of_a_model_that_gives_labels_alone_scores_are_a_gap() -> None:
    subject = inverted(keeping)
    model = subject.model
    assert isinstance(model, ToyModel)
    check = INVERSION(**{**PUBLIC, "attacks": ("scores", "labels")})
    found = read(check, replace(subject, model=deaf(model)))
    lacking = [it for it in found if isinstance(it, Gap)]
    assert {it.reason for it in lacking} == {GapReason.NEEDS_SCORES}
    assert len(lacking) == 2
    gain = measured(found, "gain_over_baseline", attack="labels")
    assert gain.details["target_chance"] > 0.5
