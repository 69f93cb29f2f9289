"""privacy.attribute: a model that keeps its members' secrets, and one that never met them."""

from dataclasses import replace

import numpy as np
import pytest
from evasion_toys import ToyModel
from exposed_subjects import scaled
from judged import outcome
from privacy_toys import audited, dataset, deaf, law, memory, people, people_audit, persons, table
from scored_subjects import ends, measured, read, stored

from auditor.checks.privacy.attribute import CHECK as ATTRIBUTE
from auditor.domain.budgets import Budget
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import DatasetRole
from auditor.domain.findings import Outcome
from auditor.domain.policies import MetricLimits
from auditor.domain.readings import BoundKind, Gap, GapReason, Measurement, Reading
from auditor.domain.tasks import Floats


def keeping(**fields: object) -> Subject:
    subject = people_audit(lambda rows, labels: memory(rows, labels, 2))
    return replace(subject, **fields)  # type: ignore[arg-type] -- fields of Subject


def advantage(found: tuple[Reading, ...]) -> Measurement:
    return measured(found, "advantage", column="secret")


def test_a_model_that_knows_its_rows_by_heart_gives_the_secret_away() -> None:
    found = read(ATTRIBUTE(), keeping())
    leak = advantage(found)
    assert leak.bound is BoundKind.AT_LEAST
    assert ends(leak)[0] > 0.02
    assert not leak.doubted
    assert leak.details["members_accuracy"] > leak.details["members_baseline"] + 0.05
    verdict = measured(found, "verdict")
    assert verdict.value == "shown"
    assert verdict.details["columns"] == ["secret"]


@pytest.mark.parametrize("factor", [1 / 400, 400.0])
def test_logits_that_are_multiplied_hide_no_secret(factor: float) -> None:
    found = read(ATTRIBUTE(), scaled(keeping(), factor))
    assert ends(advantage(found))[0] > 0.01
    assert measured(found, "verdict").value == "shown"


def test_a_model_that_never_met_its_members_is_silent() -> None:
    found = read(ATTRIBUTE(), people_audit(lambda rows, labels: law()))
    leak = advantage(found)
    assert ends(leak)[0] <= 0
    verdict = measured(found, "verdict")
    assert verdict.value == "no evidence at this power"
    assert 0 < verdict.details["power"]["secret"] < 0.25


def test_what_a_model_has_learnt_of_everybody_is_no_leak_of_its_members() -> None:
    """It names a secret that the label gives away, of members and of others alike."""

    def told(seed: int, count: int) -> tuple[Floats, np.ndarray]:
        rng = np.random.default_rng(seed)
        rows = rng.normal(size=(count, 4))
        rows[:, 3] = rng.integers(0, 2, count)
        # No line through the columns tells it, so that the imputer learns nothing of it.
        return rows, ((rows[:, 0] * rows[:, 1] > 0) ^ (rows[:, 3] > 0)).astype(np.int64)

    knows = ToyModel(
        lambda x: 8.0 * np.stack([-1.0 * _same(x), 1.0 * _same(x)], axis=1),
    )
    samples = {DatasetRole.TRAINING: told(1, 400), DatasetRole.EVALUATION: told(2, 800)}
    found = read(ATTRIBUTE(), audited(knows, table(), samples, 2))
    leak = advantage(found)
    assert leak.details["members_accuracy"] > 0.99
    assert leak.details["members_baseline"] < 0.6
    assert leak.value < 0.06
    assert measured(found, "verdict").value != "shown"


def _same(rows: Floats) -> Floats:
    return np.where((rows[:, 0] * rows[:, 1] > 0) ^ (rows[:, 3] > 0), 1.0, -1.0)


def test_samples_that_differ_are_doubted_and_prove_nothing() -> None:
    rows, labels = people(5, 800)
    rng = np.random.default_rng(0)
    rows[:, 3] = rng.integers(0, 2, len(rows))
    training = people(1, 400)
    training[0][:, 3] = training[0][:, 0] > 0
    samples = {DatasetRole.TRAINING: training, DatasetRole.EVALUATION: (rows, labels)}
    known = people(9, 600)
    known[0][:, 3] = known[0][:, 0] > 0
    subject = audited(law(), table(), {**samples, DatasetRole.REFERENCE: known}, 2)
    found = read(ATTRIBUTE(), subject)
    assert advantage(found).doubted
    assert "not alike" in str(advantage(found).details["doubt"])
    assert measured(found, "verdict").value == "inconclusive"


def test_rows_of_one_person_widen_the_interval() -> None:
    subject = keeping()
    parts = {
        role: replace(data, cluster=persons(data.rows, 8))
        for role, data in subject.datasets.items()
    }
    alone = advantage(read(ATTRIBUTE(), keeping()))
    joined = advantage(read(ATTRIBUTE(), replace(subject, datasets=parts)))
    assert "cluster-robust" in joined.method
    assert np.diff(ends(joined)) > 0.7 * np.diff(ends(alone))


def test_a_member_that_stands_in_the_evaluation_data_is_no_other() -> None:
    subject = keeping()
    data = subject.datasets
    both = np.concatenate(
        [data[DatasetRole.EVALUATION].inputs, data[DatasetRole.TRAINING].inputs[:100]]
    )
    labels = np.concatenate(
        [data[DatasetRole.EVALUATION].labels, data[DatasetRole.TRAINING].labels[:100]]
    )
    mixed = dataset(DatasetRole.EVALUATION, both, labels, features=("a", "b", "c", "secret"))
    found = read(ATTRIBUTE(), replace(subject, datasets={**data, DatasetRole.EVALUATION: mixed}))
    assert advantage(found).details["copies"] == 100


def test_a_rule_can_fail_by_a_leak_and_can_not_pass_by_silence() -> None:
    limit = MetricLimits(most=0.02)
    where = {"column": "secret"}
    loud, silent = read(ATTRIBUTE(), keeping()), read(ATTRIBUTE(), people_audit(lambda *_: law()))
    assert outcome(ATTRIBUTE, loud, "advantage", limit, where) is Outcome.FAILED
    assert outcome(ATTRIBUTE, silent, "advantage", limit, where) is not Outcome.PASSED


def test_evidence_holds_no_secret() -> None:
    seen = stored(ATTRIBUTE(), keeping())
    assert set(seen) == {"attack", "baseline", "members", "ids", "columns", "about"}
    assert seen["attack"].dtype == np.uint8


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("pictures", GapReason.NOT_DEFINED),
        ("few", GapReason.TOO_FEW_ROWS),
        ("numbers", GapReason.NOT_DEFINED),
        ("unlabelled", GapReason.NEEDS_LABELS),
        ("columns", GapReason.NOT_DEFINED),
    ],
)
def test_what_cannot_be_measured_is_a_gap_with_a_cure(change: str, reason: GapReason) -> None:
    subject = keeping()
    data = dict(subject.datasets)
    ours, theirs = data[DatasetRole.TRAINING], data[DatasetRole.EVALUATION]
    if change == "pictures":
        data[DatasetRole.EVALUATION] = replace(theirs, inputs=theirs.inputs.reshape(-1, 1, 2, 2))
    if change == "few":
        data[DatasetRole.EVALUATION] = dataset(
            DatasetRole.EVALUATION, theirs.inputs[:30], theirs.labels[:30]
        )
    if change == "numbers":
        rows = np.random.default_rng(0).normal(size=theirs.inputs.shape)
        data[DatasetRole.EVALUATION] = replace(theirs, inputs=rows)
        subject = replace(subject, space=Gap(reason=reason, detail="none", cure="none"))
    if change == "unlabelled":
        data[DatasetRole.TRAINING] = replace(ours, labels=None)
    if change == "columns":
        data[DatasetRole.TRAINING] = replace(ours, inputs=ours.inputs[:, :3])
    (found,) = read(ATTRIBUTE(), replace(subject, datasets=data))
    assert isinstance(found, Gap)
    assert found.reason is reason
    assert found.cure


def test_a_declared_group_that_the_model_does_not_read_is_named() -> None:
    subject = keeping()
    data = dict(subject.datasets)
    theirs = data[DatasetRole.EVALUATION]
    data[DatasetRole.EVALUATION] = replace(theirs, groups={"race": persons(theirs.rows, 100)})
    found = read(ATTRIBUTE(), replace(subject, datasets=data))
    (gap,) = [item for item in found if isinstance(item, Gap)]
    assert gap.params == {"column": "race"}


@pytest.mark.parametrize("budget", Budget)
def test_presets_make_the_check(budget: Budget) -> None:
    assert ATTRIBUTE(**ATTRIBUTE.presets[budget])


@pytest.mark.parametrize("fields", [{"rows": 0}, {"levels": 1}, {"level": 0.0}])
def test_parameters_without_meaning_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="level"):
        ATTRIBUTE(**fields)


def test_labels_alone_give_a_secret_away_too() -> None:
    found = read(ATTRIBUTE(), people_audit(lambda rows, labels: deaf(memory(rows, labels, 2, 0.1))))
    leak = advantage(found)
    assert leak.details["members_accuracy"] > leak.details["members_baseline"]
    assert leak.details["non_members_accuracy"] < leak.details["members_accuracy"]
