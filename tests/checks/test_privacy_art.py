"""ART's attacks on privacy through our frame: claims that hold, claims that do not, and gaps."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from evasion_toys import linear
from exposed_subjects import GREEDY, MODEST, exposed
from judged import outcome
from privacy_toys import audited, deaf, law, memory, people_audit
from scored_subjects import ends, measured, read, stored
from sklearn.ensemble import RandomForestClassifier

from auditor.attacks.art.adapter import fixed_global_seed
from auditor.checks.privacy.art import CHECK, ArtPrivacyCheck
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import encode_evidence
from auditor.domain.findings import Outcome
from auditor.domain.gaps import NOT_SEEN, OPEN, SHOWN
from auditor.domain.policies import MetricLimits
from auditor.domain.readings import BoundKind, Gap, GapReason, Measurement, Reading
from auditor.errors import PolicyError

TREE = ("MembershipInferenceBlackBox.attack_model_type=dt",)
BLACK_BOX, RULE = "MembershipInferenceBlackBox", "MembershipInferenceBlackBoxRuleBased"


def tried(subject: Subject, *attacks: str, **fields: Any) -> tuple[Reading, ...]:  # noqa: ANN401 -- of Art
    return read(
        ArtPrivacyCheck(attacks=attacks, **{"settings": TREE, "rows": 400, **fields}), subject
    )


def claims(reading: Measurement) -> Mapping[str, int]:
    return cast("Mapping[str, int]", reading.details["claims"])


def gap(readings: Sequence[Reading], attack: str) -> Gap:
    (found,) = [it for it in readings if isinstance(it, Gap) and it.params["attack"] == attack]
    return found


def test_a_model_that_remembers_its_rows_is_found_out() -> None:
    subject = people_audit(lambda x, y: memory(x, y, 2, 0.05), members=200, others=200)
    found = tried(subject, BLACK_BOX)
    area = measured(found, "auc", attack=BLACK_BOX)
    assert ends(area)[0] > 0.6
    assert area.bound is BoundKind.AT_LEAST
    assert area.n == 200  # the half that the attack did not learn from
    assert measured(found, "verdict", attack=BLACK_BOX).value == SHOWN
    assert outcome(CHECK, found, "auc", MetricLimits(most=0.55)) is Outcome.FAILED


def test_calling_every_right_row_a_member_is_no_leak_of_a_model_that_saw_neither() -> None:
    found = tried(exposed(MODEST, on="neither", members=400, others=400), RULE)
    advantage = measured(found, "membership_advantage", attack=RULE)
    told = claims(advantage)
    # The claim: most rows are members. What holds of it: half of those are, as of all rows.
    assert told["called_members"] > 0.5 * (told["judged_members"] + told["judged_others"])
    assert abs(told["that_are"] / told["called_members"] - 0.5) < 0.1
    assert ends(advantage)[0] < 0 < ends(advantage)[1]
    assert measured(found, "verdict", attack=RULE).value != SHOWN
    # Silence of an attack passes nothing.
    assert outcome(CHECK, found, "auc", MetricLimits(most=0.9)) is not Outcome.PASSED


def test_a_leak_that_a_shift_fabricates_is_not_shown() -> None:
    subject = exposed(MODEST, 1, on="neither", drifted=True, members=800, others=800)
    found = tried(subject, RULE, rows=800)
    area, verdict = (measured(found, name, attack=RULE) for name in ("auc", "verdict"))
    assert ends(area)[0] > 0.5  # taken at its word, it leaks
    assert verdict.value == OPEN
    assert area.doubted
    assert "saw neither" in str(verdict.details["reason"])
    asked = 'reading.value != "shown"'
    assert outcome(CHECK, found, "verdict", require=asked) is Outcome.UNKNOWN


def test_a_model_that_gives_labels_alone_is_judged_by_stand_ins_that_do_too() -> None:
    subject = people_audit(lambda *_: deaf(law()), members=200, others=200)
    line = (f"{BLACK_BOX}.attack_model_type=lr",)  # its score moves with every answer
    check = ArtPrivacyCheck(attacks=(BLACK_BOX,), settings=line, rows=400)
    seen = stored(check, subject)
    # Decisions and labels of two classes make four kinds of rows, of stand-ins too.
    for name in ("scores", "unseen_scores", "sided_scores"):
        assert all(len(np.unique(row)) <= 4 for row in np.atleast_2d(seen[f"{BLACK_BOX}.{name}"]))
    verdict = measured(check.figures(seen, 0.95), "verdict", attack=BLACK_BOX)
    assert verdict.value in {NOT_SEEN, OPEN}


def test_an_attribute_is_guessed_from_memory_or_not_at_all() -> None:
    name, base = "AttributeInferenceBlackBox", "AttributeInferenceBaseline"
    rows = {name: people_audit(lambda x, y: memory(x, y, 2)), base: people_audit(lambda *_: law())}
    for attack, subject in rows.items():
        settings = (f"{attack}.attack_model_type=lr",)
        found = tried(subject, attack, settings=settings, rows=800)
        leak = measured(found, "advantage", attack=attack, column="secret")
        assert leak.bound is BoundKind.AT_LEAST
        assert ends(leak)[0] < 0.05  # no attack of ART's is better than the imputer here
        assert leak.details["members"] == 200  # every other member is the attacker's


def test_a_copy_is_judged_on_rows_that_it_had_no_part_in() -> None:
    model, twin, _, _ = linear(3, 4)
    rng = np.random.default_rng(3)
    inputs = rng.uniform(0.3, 0.7, (400, 4))
    labels = model.logits(inputs).argmax(axis=1).astype(np.int64)
    subject = audited(model, Gap(reason=GapReason.NOT_DEFINED, detail="-", cure="-"),
                      {DatasetRole.EVALUATION: (inputs, labels)}, 2, twin=twin)  # fmt: skip
    found = tried(subject, "CopycatCNN", "KnockoffNets", settings=())
    for name in ("CopycatCNN", "KnockoffNets"):
        fidelity = measured(found, "fidelity", attack=name)
        assert fidelity.n == 200
        assert ends(fidelity)[0] > 0.85
        assert measured(found, "verdict", attack=name).value == NOT_SEEN


def test_every_class_that_cannot_run_says_why() -> None:
    subject = people_audit(lambda *_: law(), members=60, others=200)
    alone = replace(
        subject, datasets={DatasetRole.EVALUATION: subject.datasets[DatasetRole.EVALUATION]}
    )
    found = tried(
        alone, RULE, "DatabaseReconstruction", "MIFace", "Nonsense",
        "AttributeInferenceWhiteBoxDecisionTree",
    )  # fmt: skip
    assert gap(found, RULE).reason is GapReason.NEEDS_TRAINING_DATA
    assert "a model of scikit-learn" in gap(found, "DatabaseReconstruction").detail
    assert "gradients of scores" in gap(found, "MIFace").detail
    assert "no attack on privacy 'Nonsense'" in gap(found, "Nonsense").detail
    tree = gap(found, "AttributeInferenceWhiteBoxDecisionTree")
    assert "one decision tree" in tree.detail
    assert tree.metric == "verdict"


def test_an_attack_that_asks_too_much_or_rows_with_gaps_are_gaps() -> None:
    subject = people_audit(lambda *_: law(), members=60, others=200)
    name = "LabelOnlyDecisionBoundary"
    slow = tried(subject, name, settings=(), rows=60, most_queries=1)
    assert gap(slow, name).reason is GapReason.OVER_BUDGET
    data = subject.datasets[DatasetRole.EVALUATION]
    inputs = np.array(data.inputs)
    inputs[0, 0] = np.nan
    holed = {**subject.datasets, DatasetRole.EVALUATION: replace(data, inputs=inputs)}
    assert "miss values" in gap(tried(replace(subject, datasets=holed), RULE), RULE).detail


def test_the_same_seed_gives_the_same_bytes() -> None:
    subject = exposed(GREEDY, members=100, others=100)
    check = ArtPrivacyCheck(attacks=(BLACK_BOX,), settings=TREE, rows=100)
    first, second = (stored(check, subject) for _ in range(2))
    assert f"{BLACK_BOX}.scores" in first
    assert {key: encode_evidence(it).raw for key, it in first.items()} == {
        key: encode_evidence(it).raw for key, it in second.items()
    }


def test_a_library_that_asks_for_numpys_own_generator_gets_it_seeded() -> None:
    rows = np.random.default_rng(0).normal(size=(60, 3))
    said = []
    for _ in range(2):
        with fixed_global_seed(3):
            forest = RandomForestClassifier(3).fit(rows, rows[:, 0] > 0)
        said.append(forest.predict_proba(rows))
    assert np.array_equal(*said)


@pytest.mark.parametrize(
    "fields",
    [
        {"settings": ("MIFace.classifier=none",)},
        {"settings": ("nonsense",)},
        {"rows": 0},
        {"seconds": 0.0},
    ],
)
def test_parameters_without_meaning_are_refused(fields: Mapping[str, Any]) -> None:
    with pytest.raises(PolicyError, match=r"privacy\.art"):
        ArtPrivacyCheck(**fields)


def test_where_no_attack_is_named_the_check_is_a_gap() -> None:
    (found,) = read(ArtPrivacyCheck(attacks=()), exposed(MODEST, members=60, others=60))
    assert isinstance(found, Gap)
    assert found.reason is GapReason.OVER_BUDGET
