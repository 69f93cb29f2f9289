"""poisoning.backdoor: where no backdoor could be shown, silence is inconclusive and says why."""

from dataclasses import replace

import numpy as np
import pytest
from backdoor_toys import NO_TWIN, network, opened
from evasion_toys import ToyModel, box, classes, linear, subject

from auditor.attacks.poisoning.backdoor_evidence import PATCH, top_class
from auditor.checks.poisoning.backdoor import BackdoorCheck
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.evidence import Evidence, decode_evidence, encode_evidence
from auditor.domain.gaps import NOT_SEEN, OPEN
from auditor.domain.readings import Measurement
from auditor.domain.tasks import Array, Floats
from auditor.domain.training_recipes import RetrainingTask


def kept(check: BackdoorCheck, seen: Subject) -> Evidence:
    evidence = check.observe(seen, CheckShard())
    return {name: decode_evidence(encode_evidence(item).raw) for name, item in evidence.items()}


def verdict(evidence: Evidence, check: BackdoorCheck = BackdoorCheck()) -> Measurement:  # noqa: B008 -- frozen
    found = check.figures(evidence, 0.95)[-1]
    assert isinstance(found, Measurement)
    return found


def weights(columns: int, count: int) -> Floats:
    """Each class is the sum of two columns of its own, so that no one column decides."""
    found = np.zeros((columns, count))
    for at in range(count):
        found[2 * at : 2 * at + 2, at] = 10.0
    return found


def table(count: int, *, columns: int = 16, twin: bool = True, rows: int = 240) -> Subject:
    """A table of so many classes, whose rows are high in the two columns of their class."""
    rng = np.random.default_rng(0)
    inputs, labels = rng.random((rows, columns)) * 0.1, np.arange(rows) % count
    inputs[np.arange(rows), 2 * labels] = inputs[np.arange(rows), 2 * labels + 1] = 1.0
    lines = weights(columns, count)
    _, own, _, _ = linear(0, columns, count)
    own = replace(own, weights=lines, bias=np.zeros(count))
    model = ToyModel(lambda x: x @ lines)
    return subject(model, own if twin else NO_TWIN, inputs, labels, box((columns,)), classes(count))


class Again:
    """A recipe that always gives the same clean model."""

    digest = "sha256:again"

    def answers(self, lesson: RetrainingTask, asked: tuple[Array, ...]) -> tuple[Floats, ...]:
        lines = weights(lesson.inputs.shape[1], int(lesson.labels.max()) + 1)
        scores = [np.exp(np.asarray(rows, dtype=np.float64) @ lines) for rows in asked]
        return tuple(one / one.sum(axis=1, keepdims=True) for one in scores)


def test_a_clean_table_of_several_classes_with_a_twin_is_within_reach() -> None:
    found = verdict(kept(BackdoorCheck(), table(6)))
    assert found.value == NOT_SEEN
    assert found.details["able"] == ["value_scan", "neural_cleanse", "mm_bd"]


@pytest.mark.parametrize("count", [2, 3])
def test_among_few_classes_nothing_can_be_named_without_clean_models(count: int) -> None:
    found = verdict(kept(BackdoorCheck(), table(count)))
    assert found.value == OPEN
    assert found.details["able"] == []
    assert "no detector can" in str(found.details["reason"])


def test_a_table_without_a_twin_has_one_detector_where_two_have_to_agree() -> None:
    found = verdict(kept(BackdoorCheck(), table(6, twin=False)))
    assert found.value == OPEN
    assert found.details["able"] == ["value_scan"]
    assert "only value_scan can" in str(found.details["reason"])


@pytest.mark.parametrize(("models", "said"), [(4, OPEN), (19, NOT_SEEN)])
def test_enough_clean_models_bring_few_classes_within_reach(models: int, said: str) -> None:
    seen, check = table(3, twin=False), BackdoorCheck(clean_models=models)
    seen.recipe = Again()
    found = verdict(kept(check, seen), check)
    assert found.value == said
    assert ("19 clean models" in str(found.details.get("reason"))) is (said == OPEN)


@pytest.mark.parametrize(("others", "said"), [(10, OPEN), (60, NOT_SEEN)])
def test_ten_rows_of_other_classes_cannot_show_that_a_trigger_works(others: int, said: str) -> None:
    whole = kept(BackdoorCheck(), opened(network(0, planted=False), twin=False))
    evidence = {name: item for name, item in whole.items() if name != "under_blend"}
    at = top_class(evidence, PATCH)
    same = np.where(np.arange(len(np.asarray(whole["before"]))) < others, (at + 1) % 10, at)
    found = verdict({**evidence, "before": same, "labels": same})
    assert found.value == said
    power = found.details["power"]
    assert isinstance(power, dict)
    assert (power["least_success"] is None) is (said == OPEN)
    assert ("too few judged rows" in str(found.details.get("reason"))) is (said == OPEN)


def test_one_column_of_six_is_no_small_part() -> None:
    found = verdict(kept(BackdoorCheck(), table(3, columns=6, twin=False)))
    assert "too few columns" in str(found.details["reason"])
