"""privacy.membership: a model that remembers its rows, one that does not, and rows that differ."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from evasion_toys import ToyModel
from exposed_subjects import GREEDY, MODEST, Retraining, drawn, exposed
from judged import outcome
from scored_subjects import ends, measured
from surveyed_subjects import sample

from auditor.attacks.privacy.membership_verdicts import LeakVerdict
from auditor.attacks.privacy.shadow_models import KINDS
from auditor.checks.measure import instantiate_check
from auditor.checks.privacy.membership import CHECK
from auditor.domain.budgets import AuditSize, Budget
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import OF_SCORES, requires_scores
from auditor.domain.datasets import DatasetRole
from auditor.domain.findings import Outcome
from auditor.domain.readings import BoundKind, Gap, GapReason, Reading
from auditor.domain.targets import Fingerprint, ModelInterface
from auditor.errors import CancelledError, RecipeError
from auditor.metrics.stats.proportions import clopper_pearson

ALL = {"attack": "all", "shadows": "all"}
LIRA = {"attack": "lira", "shadows": "network"}
PLAIN = {"rounding": "none", "group": "all"}


def read(subject: Subject, **fields: object) -> tuple[Reading, ...]:
    check = CHECK(**fields)
    return check.figures(check.observe(subject, CheckShard()), 0.95)


def gaps(found: tuple[Reading, ...]) -> dict[str, Gap]:
    return {item.metric: item for item in found if isinstance(item, Gap)}


def test_a_model_that_remembers_its_rows_is_shown_to() -> None:
    subject = exposed(GREEDY)
    found = read(subject)
    leak = measured(found, "auc", **LIRA, **PLAIN)
    assert ends(leak)[0] > 0.6
    assert leak.bound is BoundKind.AT_LEAST
    assert not leak.doubted
    verdict = measured(found, "verdict", **ALL)
    assert verdict.value == LeakVerdict.SHOWN
    exposed_rows = verdict.details["worst_rows"]
    assert exposed_rows
    assert set(exposed_rows) <= set(subject.datasets[DatasetRole.TRAINING].ids)


def test_a_model_that_saw_neither_is_not() -> None:
    found = read(exposed(MODEST, on="neither"))
    leak = measured(found, "auc", **LIRA, **PLAIN)
    assert ends(leak)[0] < 0.5 < ends(leak)[1]
    verdict = measured(found, "verdict", **ALL)
    assert verdict.value == LeakVerdict.NO_EVIDENCE
    assert verdict.details["worst_rows"] == []
    assert 0.5 < verdict.details["power"]["smallest_auc"] < 0.7
    assert 0 < verdict.details["power"]["smallest_tpr_at_fpr_0_01"] < 0.3


def test_thirty_rows_of_a_kind_decide_nothing() -> None:
    found = read(exposed(MODEST, on="neither", members=30, others=30))
    verdict = measured(found, "verdict", **ALL)
    assert verdict.value == LeakVerdict.INCONCLUSIVE
    assert verdict.doubted
    assert "too few rows" in verdict.details["reason"]
    assert verdict.details["power"]["smallest_auc"] > 0.8


@pytest.mark.parametrize("seed", range(4))
def test_rows_that_differ_without_a_model_fabricate_no_leak(seed: int) -> None:
    """Non-members lie further out; the attack tells them on models that saw neither."""
    found = read(exposed(MODEST, seed, on="neither", stretched=1.6))
    verdict = measured(found, "verdict", **ALL)
    assert verdict.value == LeakVerdict.INCONCLUSIVE
    assert (
        "saw neither" in verdict.details["reason"] or "asks no model" in verdict.details["reason"]
    )
    leak = measured(found, "auc", **LIRA, **PLAIN)
    assert leak.doubted
    assert leak.details["doubt"]


def test_a_blind_classifier_gives_away_what_needs_no_model() -> None:
    subject = exposed(GREEDY)
    inputs, labels = drawn(np.random.default_rng(5), 200)
    moved = sample(inputs + 2.0 * np.eye(6)[0], labels)
    subject.datasets = {**subject.datasets, DatasetRole.EVALUATION: moved}
    verdict = measured(read(subject), "verdict", **ALL)
    assert verdict.value == LeakVerdict.INCONCLUSIVE
    assert "asks no model" in verdict.details["reason"]


def test_rounding_scores_hides_little() -> None:
    found = read(exposed(GREEDY))
    whole = measured(found, "auc", **LIRA, **PLAIN)
    rounded = measured(found, "auc", **LIRA, rounding="one decimal")
    assert ends(rounded)[0] > 0.55
    assert rounded.value < whole.value + 0.03


def test_low_rates_of_false_alarms_need_the_rows_to_tell_them() -> None:
    few = gaps(read(exposed(GREEDY)))
    assert few["tpr_at_fpr_0_01"].reason is GapReason.TOO_FEW_ROWS
    assert "1,000" in few["tpr_at_fpr_0_01"].cure
    assert "10,000" in few["tpr_at_fpr_0_001"].cure
    found = read(exposed(GREEDY, others=1100))
    tpr = measured(found, "tpr_at_fpr_0_01", **LIRA)
    assert 0.01 < tpr.value < ends(tpr)[1]
    assert tpr.confidence == pytest.approx(1 - 0.05 / 3), "jointly of three attacks"
    assert tpr.details["judged"] == 550
    assert 0 <= tpr.details["realised_fpr"] < 0.03
    assert tpr.details["ppv"]["0.01"] < tpr.details["ppv"]["0.5"] <= 1
    assert set(gaps(found)) == {"tpr_at_fpr_0_001"}


def test_a_recipe_makes_stand_ins_that_are_like_the_model() -> None:
    recipe = Retraining(GREEDY)
    subject = replace(exposed(GREEDY, members=260, others=250), recipe=recipe)
    found = read(subject, rows=200, retrained=6)
    assert set(recipe.rows) == {260}, "half of the pool and the 60 training rows beside it"
    assert measured(found, "auc", attack="lira", shadows="recipe", **PLAIN).value > 0.6
    details = measured(found, "verdict", **ALL).details
    assert (details["set_aside"], details["non_members"]) == (50, 200)
    few = gaps(found)["tpr_at_fpr_0_01"]
    assert "200 non-members" in few.detail
    assert "50 more were set aside" in few.detail
    assert "1,250" in few.cure
    alike = details["recipe"]
    assert alike["retrained"] == 6
    assert alike["rows"] == 50


def test_a_recipe_that_did_not_make_the_artifact_is_not_taken() -> None:
    recipe = Retraining(MODEST)
    subject = replace(exposed(GREEDY, others=1500), recipe=recipe)
    found = read(subject, retrained=4)
    gap = gaps(found)["auc"]
    assert gap.reason is GapReason.RECIPE_MISMATCH
    assert gap.params == {"shadows": "recipe"}
    assert "lira" in {item.params.get("attack") for item in found if not isinstance(item, Gap)}


def test_no_recipe_is_no_gap_but_is_said() -> None:
    found = read(exposed(GREEDY))
    assert "auc" not in gaps(found)
    assert "no recipe" in str(measured(found, "verdict", **ALL).details["recipe"])


def test_a_recipe_that_breaks_is_said_to() -> None:
    class Broken(Retraining):
        def answers(self, lesson: object, asked: object) -> tuple[np.ndarray, ...]:
            raise RecipeError("train.py fails", cure="Mend it.")

    found = read(replace(exposed(GREEDY), recipe=Broken(GREEDY)), retrained=4)
    assert gaps(found)["auc"].reason is GapReason.RECIPE_FAILED
    assert measured(found, "verdict", **ALL).value == LeakVerdict.SHOWN


def silent(subject: Subject) -> Subject:
    """Let only decisions come out."""
    scores = subject.model.logits
    subject.model.logits = lambda rows: 50.0 * np.eye(3)[scores(rows).argmax(axis=1)]
    subject.model.fingerprint = Fingerprint({}, {}, interface=LABELS)
    return subject


def test_stand_ins_of_a_model_that_gives_labels_alone_are_asked_as_it_is() -> None:
    """The gates are of the attack that is made: shares of copies, never chances."""
    seen = CHECK(copies=3).observe(silent(exposed(GREEDY)), CheckShard())
    shares = np.float32((np.arange(11) + 1) / 12)
    for name in ("target", "chances_network", "chances_sided_network"):
        assert np.isin(np.float32(seen[name]), shares).all(), name


@pytest.mark.parametrize("seed", range(3))
def test_labels_that_drifted_are_no_leak_of_labels_alone(seed: int) -> None:
    subject = silent(exposed(MODEST, seed, on="neither", drifted=True, **MANY))
    found = read(subject)
    assert measured(found, "verdict", **ALL).value == LeakVerdict.INCONCLUSIVE
    leak = measured(found, "auc", **LIRA, **PLAIN)
    assert leak.details["auc_on_models_of_one_side"][1] > 0.52


def test_the_recipe_of_a_model_that_gives_labels_alone_is_not_run() -> None:
    recipe = Retraining(GREEDY)
    found = read(replace(silent(exposed(GREEDY)), recipe=recipe), retrained=4)
    assert recipe.rows == []
    assert measured(found, "verdict", **ALL).details["set_aside"] == 0
    assert "labels alone" in measured(found, "verdict", **ALL).details["recipe"]


def test_labels_alone_give_members_away_too() -> None:
    """Only decisions come out, and decisions about noisy copies are steadier near members."""
    subject = silent(exposed(GREEDY))
    check = CHECK(copies=8)
    seen = check.observe(subject, CheckShard())
    found = check.figures(seen, 0.95)
    assert len(np.unique(seen["target"])) > 5
    assert ends(measured(found, "auc", attack="rmia", shadows="network", **PLAIN))[0] > 0.5
    assert {item.params.get("rounding") for item in found} == {"none", None}
    assert "auc" in OF_SCORES
    assert not requires_scores(CHECK, "auc")


LABELS = ModelInterface("x", (6,), "float64", None, "as_is", "y", "labels", "it says so")


def test_rows_that_stand_in_both_data_are_no_non_members() -> None:
    subject = exposed(GREEDY, others=100)
    training, evaluation = (
        subject.datasets[it] for it in (DatasetRole.TRAINING, DatasetRole.EVALUATION)
    )
    both = np.concatenate([evaluation.inputs, training.inputs[:20]])
    labels = np.concatenate([evaluation.labels, training.labels[:20]])
    subject.datasets = {**subject.datasets, DatasetRole.EVALUATION: sample(both, labels)}
    details = measured(read(subject), "verdict", **ALL).details
    assert details["left_out_as_shared"] == 20
    assert details["non_members"] == 100


def test_one_row_of_a_cluster_is_taken() -> None:
    people = [f"p{row // 2}" for row in range(200)]
    details = measured(read(exposed(GREEDY, cluster=people)), "verdict", **ALL).details
    assert (details["members"], details["non_members"]) == (100, 100)


def test_groups_are_told_apart_with_joint_intervals() -> None:
    sexes = ["f" if row % 3 else "m" for row in range(200)]
    found = read(exposed(GREEDY, groups={"sex": sexes}))
    parts = {
        item.params["group"]: item
        for item in found
        if not isinstance(item, Gap) and item.params.get("group", "all") != "all"
    }
    assert set(parts) == {"sex=f", "sex=m"}
    assert all(item.confidence == pytest.approx(0.975) for item in parts.values())
    assert parts["sex=f"].n + parts["sex=m"].n == 400


def test_too_few_rows_are_a_gap() -> None:
    (gap,) = read(exposed(GREEDY, members=29))
    assert gap.reason is GapReason.TOO_FEW_ROWS
    assert "29 members" in gap.detail


def test_training_data_without_labels_are_a_gap() -> None:
    subject = exposed(GREEDY)
    training = replace(subject.datasets[DatasetRole.TRAINING], labels=None)
    subject.datasets = {**subject.datasets, DatasetRole.TRAINING: training}
    (gap,) = read(subject)
    assert gap.reason is GapReason.NEEDS_LABELS


def test_evidence_holds_no_row_of_the_data() -> None:
    seen = CHECK().observe(exposed(GREEDY), CheckShard())
    widths = {name: item.shape for name, item in seen.items() if isinstance(item, np.ndarray)}
    assert all(400 in shape for shape in widths.values())
    assert all(6 not in shape for shape in widths.values())


def test_the_same_seed_sees_the_same_and_another_one_does_not() -> None:
    first, again = (CHECK().observe(exposed(GREEDY), CheckShard()) for _ in range(2))
    other = CHECK().observe(replace(exposed(GREEDY), seed=8), CheckShard())
    name = "chances_network"
    assert first[name].tobytes() == again[name].tobytes()
    assert first[name].tobytes() != other[name].tobytes()


def test_an_audit_can_be_stopped_while_stand_ins_are_trained() -> None:
    def stopping(done: int, total: int, note: str = "") -> None:
        if done > total // 2:
            raise CancelledError("enough", cure="none")

    with pytest.raises(CancelledError):
        CHECK().observe(replace(exposed(GREEDY), progress=stopping), CheckShard())


@pytest.mark.parametrize("budget", Budget)
def test_every_budget_measures_with_stand_ins_that_exist(budget: Budget) -> None:
    check = instantiate_check(CHECK, dict(CHECK.presets[budget]))
    assert set(check.stand_ins) <= set(KINDS)
    size = AuditSize(400, 3, beside={DatasetRole.TRAINING.value: 1000})
    assert check.cost(size).queries == 1400
    assert 0.01 < check.precision(size, 0.95)["auc"] < 0.1


def test_retrainings_are_counted_by_the_rows_that_they_learn_from() -> None:
    recipe = Retraining(GREEDY)
    subject = replace(exposed(GREEDY, members=260, others=250), recipe=recipe)
    check = CHECK(rows=200, retrained=6)
    check.observe(subject, CheckShard())
    size = AuditSize(200, 3, beside={DatasetRole.TRAINING.value: 260})
    assert check.cost(size).trained == sum(recipe.rows) == 6 * 260
    assert CHECK().cost(size).trained == 0


@pytest.mark.parametrize("wrong", [{"stand_ins": ("forest",)}, {"stand_ins": ()}, {"models": 1}])
def test_parameters_without_meaning_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="stand-ins"):
        CHECK(**wrong)


def said(seed: int, settings: object, on: str, **fields: object) -> str:
    return str(measured(read(exposed(settings, seed, on=on, **fields)), "verdict", **ALL).value)


MANY = {"members": 600, "others": 600, "strangers": 2000}
SHIFTS = ({"drifted": True}, {"bent": True}, {"stretched": 0.8}, {"bent": True, "drifted": True})
"""What made a leak of nothing: labels that drifted, and inputs of another law."""


@pytest.mark.parametrize("shift", SHIFTS, ids=str)
def test_samples_that_differ_are_no_leak_of_a_model_that_saw_neither(
    shift: dict[str, object],
) -> None:
    found = {said(seed, MODEST, "neither", **MANY, **shift) for seed in range(3)}
    assert LeakVerdict.SHOWN not in found


@pytest.mark.parametrize("seed", range(3))
def test_labels_that_drifted_are_named_as_the_reason(seed: int) -> None:
    found = read(exposed(MODEST, seed, on="neither", drifted=True, **MANY))
    verdict = measured(found, "verdict", **ALL)
    assert verdict.value == LeakVerdict.INCONCLUSIVE
    assert "labels drifted" in verdict.details["reason"]
    leak = measured(found, "auc", **LIRA, **PLAIN)
    assert leak.details["auc_on_models_of_one_side"][1] > 0.55
    assert leak.details["auc_on_models_that_saw_neither"][0] < 0.53


@pytest.mark.slow
def test_a_model_that_remembers_is_shown_to_beyond_both_gates() -> None:
    counted = Counter(said(seed, GREEDY, "members") for seed in range(10))
    assert counted[LeakVerdict.SHOWN] >= 8, counted


def test_training_rows_besides_the_pool_teach_the_gate() -> None:
    subject = exposed(GREEDY, members=400)
    found = read(subject, rows=150)
    leak = measured(found, "auc", **LIRA, **PLAIN)
    low, high = leak.details["auc_on_models_of_one_side"][1:]
    assert low < 0.5 < high


@pytest.mark.slow
def test_clean_audits_are_seldom_said_to_leak() -> None:
    counted = Counter(said(seed, MODEST, "neither") for seed in range(12))
    assert counted[LeakVerdict.SHOWN] == 0
    assert counted[LeakVerdict.INCONCLUSIVE] <= 1


@pytest.mark.slow
@pytest.mark.long
def test_one_clean_audit_in_a_hundred_at_most_is_said_to_leak() -> None:
    """Half of the audits have a model that saw neither, half one that overfits on others."""
    audits = 400
    counted = Counter(
        said(seed, MODEST if seed % 2 else GREEDY, "neither") for seed in range(audits)
    )
    interval = clopper_pearson(counted[LeakVerdict.SHOWN], audits, 0.95)
    assert interval.high <= 0.02, f"{dict(counted)}: {interval}"
    assert counted[LeakVerdict.SHOWN] <= audits // 100
    assert counted[LeakVerdict.INCONCLUSIVE] <= audits // 20, "gates fail by chance too often"


@pytest.mark.slow
@pytest.mark.parametrize("shift", SHIFTS, ids=str)
def test_samples_that_differ_are_hardly_ever_said_to_leak(shift: dict[str, object]) -> None:
    shown = [
        said(seed, MODEST if seed % 2 else GREEDY, "neither", **MANY, **shift) is LeakVerdict.SHOWN
        for seed in range(10)
    ]
    assert sum(shown) <= 1


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("shift", SHIFTS, ids=str)
def test_one_audit_of_samples_that_differ_in_a_hundred_at_most_is_said_to_leak(
    shift: dict[str, object],
) -> None:
    audits = 100
    counted = Counter(
        said(seed, MODEST if seed % 2 else GREEDY, "neither", **MANY, **shift)
        for seed in range(audits)
    )
    interval = clopper_pearson(counted[LeakVerdict.SHOWN], audits, 0.95)
    assert interval.high <= 0.055, f"{dict(counted)}: {interval}"
    assert counted[LeakVerdict.SHOWN] <= audits // 100


def test_texts_are_attacked_too() -> None:
    """The model is sure of the texts that it knows by heart."""
    rng = np.random.default_rng(0)
    words = np.array(["red", "green", "blue", "one", "two", "six", "sun", "moon", "sky"])
    texts = np.array([" ".join(rng.choice(words, 8)) for _ in range(400)])
    labels = rng.integers(0, 3, 400)
    known = set(texts[:200])
    subject = exposed(MODEST)
    subject.datasets = {
        DatasetRole.TRAINING: sample(texts[:200], labels[:200], role=DatasetRole.TRAINING),
        DatasetRole.EVALUATION: sample(texts[200:], labels[200:]),
    }
    subject.model = Reciting(dict(zip(texts[:200], labels[:200], strict=True)))
    found = read(subject)
    assert len(known) > 190
    assert measured(found, "verdict", **ALL).value == LeakVerdict.SHOWN


class Reciting(ToyModel):
    """A model that knows some texts by heart and guesses at all others."""

    def __init__(self, known: dict[str, int]) -> None:
        super().__init__(lambda rows: rows)
        self.known = known

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        sure = [self.known.get(str(text), -1) for text in inputs]
        return np.array([3.0 * (np.arange(3) == it) for it in sure])


def test_a_rule_fails_on_a_leak_and_never_passes_on_silence() -> None:
    def judged(subject: Subject) -> Outcome:
        asked = 'reading.value != "shown"'
        return outcome(CHECK, read(subject), "verdict", where=ALL, require=asked)

    assert judged(exposed(GREEDY)) is Outcome.FAILED
    assert judged(exposed(MODEST, on="neither")) is Outcome.UNKNOWN
    assert judged(exposed(MODEST, on="neither", stretched=1.6)) is Outcome.UNKNOWN
