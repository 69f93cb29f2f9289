"""evasion.text: known answers, counted again from evidence, and a Gap where there is no word."""

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from evasion_toys import NOTHING, box, subject

from auditor.checks.evasion.text import CHECK, TextSearchCheck
from auditor.checks.requirements import find_unmet_need
from auditor.domain.budgets import AuditSize, Budget
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence, decode_evidence, encode_evidence
from auditor.domain.json import encode_canonical
from auditor.domain.readings import BoundKind, Gap, GapReason, Measurement, Reading
from auditor.domain.targets import Fingerprint
from auditor.domain.tasks import ClassificationTask, Floats
from auditor.errors import PolicyError

TASK = ClassificationTask(("calm", "alarm"), "alarm", "calm")
SIGNS = ("smoke", "burning", "flames", "fumes")
QUICK = TextSearchCheck(words=(1, 2, 4), queries=300, rows=40)


class Siren:
    """Raises an alarm where a text has more than one of its words; ``reads`` may clean it first."""

    deterministic = True

    def __init__(self) -> None:
        self.queries = 0
        self.fingerprint = Fingerprint({}, {})

    def reads(self, text: str) -> list[str]:
        return text.split()

    def predict(self, inputs: Any) -> Floats:  # noqa: ANN401 -- texts
        self.queries += len(inputs)
        found = [sum(word in SIGNS for word in self.reads(str(text))) - 1.5 for text in inputs]
        return np.stack([np.zeros(len(found)), np.array(found)], axis=1)

    def probabilities(self, scores: Floats) -> Floats:
        raised: Floats = np.exp(scores)
        found: Floats = raised / raised.sum(axis=1, keepdims=True)
        return found


class Bell(Siren):
    """Reads only how many words there are, so that no change of words moves it."""

    def reads(self, text: str) -> list[str]:
        return ["smoke"] * (len(text.split()) - 2)


def texts(count: int = 40) -> list[str]:
    """Texts with 1 to 4 of the signs: 1 is calm, others take their number less one to break."""
    rest = "in the old house by the river"
    return [" ".join([*SIGNS[: 1 + row % 4], rest]) for row in range(count)]


def reader(model: Any = None, **more: Any) -> Subject:  # noqa: ANN401 -- a model of texts
    rows = np.array(texts())
    labels = (np.arange(len(rows)) % 4 > 0).astype(np.int64)
    seen = subject(model or Siren(), NOTHING, rows, labels, box((1,)), TASK)
    data = seen.datasets[DatasetRole.EVALUATION]
    groups = {"side": tuple("even" if row % 2 else "odd" for row in range(len(rows)))}
    return replace(seen, datasets={DatasetRole.EVALUATION: replace(data, groups=groups)}, **more)


def observed(check: TextSearchCheck, seen: Subject) -> dict[str, Any]:
    evidence = check.observe(seen, CheckShard())
    return {name: decode_evidence(encode_evidence(item).raw) for name, item in evidence.items()}


def read(
    check: TextSearchCheck, evidence: Evidence, confidence: float = 0.95
) -> tuple[Reading, ...]:
    found = check.figures(evidence, confidence)
    encode_canonical([reading.to_json() for reading in found])
    return found


def measured(found: tuple[Reading, ...], metric: str, **params: int) -> Measurement:
    (one,) = (
        item
        for item in found
        if isinstance(item, Measurement) and item.metric == metric
        if params.items() <= dict(item.params).items()
    )
    return one


def test_robust_accuracy_is_known_at_each_number_of_words() -> None:
    found = read(QUICK, observed(QUICK, reader()))
    assert measured(found, "clean_accuracy").value == 1.0
    curve = {words: measured(found, "robust_accuracy", words=words) for words in (1, 2, 4)}
    assert {words: item.value for words, item in curve.items()} == {1: 0.75, 2: 0.5, 4: 0.25}
    assert all(item.bound is BoundKind.AT_MOST for item in curve.values())
    assert curve[4].details["broken"] == 30
    by_class: Any = curve[4].details["by_class"]
    assert [(part["name"], part["value"]) for part in by_class] == [("alarm", 0.0), ("calm", 1.0)]
    by_group: Any = curve[1].details["by_group"]
    assert {part["name"]: part["value"] for part in by_group["side"]} == {"even": 0.5, "odd": 1.0}


def test_words_changed_is_the_median_over_texts_that_were_right() -> None:
    evidence = observed(QUICK, reader())
    found = measured(read(QUICK, evidence), "words_changed")
    movable = np.array(evidence["settings"]["movable"])
    calm = np.asarray(evidence["labels"]) == 0
    expected = np.where(calm, movable, 0)
    expected[~calm] = [told["words"] for told in evidence["crafted"]]
    assert sorted(set(expected[~calm].tolist())) == [1, 2, 3]
    assert found.value == np.sort(expected)[(len(expected) + 1) // 2 - 1]
    assert found.details["worst_rows"]


def test_a_model_that_no_word_moves_keeps_all_it_got_right() -> None:
    seen = reader(Bell())
    data = seen.datasets[DatasetRole.EVALUATION]
    labels = np.ones(data.rows, dtype=np.int64)
    seen = replace(seen, datasets={DatasetRole.EVALUATION: replace(data, labels=labels)})
    found = read(QUICK, observed(QUICK, seen))
    assert measured(found, "robust_accuracy", words=4).value == 1.0
    assert measured(found, "words_changed").details["worst_rows"] == []


def test_readings_come_in_one_order_and_are_what_the_check_emits() -> None:
    evidence = observed(QUICK, reader())
    for confidence in (0.5, 0.95, 0.9999):
        found = read(QUICK, evidence, confidence)
        assert [(item.metric, dict(item.params)) for item in found] == [
            ("clean_accuracy", {}),
            *(("robust_accuracy", {"words": words}) for words in (1, 2, 4)),
            ("words_changed", {}),
        ]
        for item in found:
            assert isinstance(item, Measurement)
            emitted = QUICK.emits[item.metric]
            assert (item.unit, item.bound) == (emitted.unit, emitted.bound)
            assert isinstance(item.value, float)
            assert item.low is not None
            assert item.high is not None
            assert item.low <= item.value <= item.high


def test_the_same_seed_gives_the_same_bytes() -> None:
    first, second = (QUICK.observe(reader(), CheckShard()) for _ in range(2))
    assert {name: encode_evidence(item).digest for name, item in first.items()} == {
        name: encode_evidence(item).digest for name, item in second.items()
    }


def test_texts_are_kept_with_leave_alone() -> None:
    kept = observed(QUICK, reader(show_examples=True))
    assert len(kept["example_clean"]) == QUICK.examples
    assert set(kept["example_clean"]) <= set(texts())
    assert set(kept["example_clean_class"]) == {"alarm"}
    assert set(kept["example_adversarial_class"]) == {"calm"}
    shut = observed(QUICK, reader(show_examples=False))
    assert not any(name.startswith("example") for name in shut)
    assert b"river" not in b"".join(encode_evidence(item).raw for item in shut.values())
    assert shut["crafted"] == kept["crafted"]


def test_evidence_that_contradicts_its_examples_gives_no_figure() -> None:
    evidence = observed(QUICK, reader())
    other = dict(evidence)
    other["example_adversarial"] = ["burning in the old house by the river"] * QUICK.examples
    with pytest.raises(ValueError, match="is not the text that was counted"):
        QUICK.figures(other, 0.95)
    told = [dict(item) for item in evidence["crafted"]]
    for item in told:
        item["sha256"] = hashlib.sha256(b"another").hexdigest()
    with pytest.raises(ValueError, match="is not the text that was counted"):
        QUICK.figures({**evidence, "crafted": told}, 0.95)


def test_a_success_beyond_the_edits_of_the_threat_does_not_count() -> None:
    evidence = observed(QUICK, reader(show_examples=False))
    told = [{**item, "edits": 3} for item in evidence["crafted"]]
    found = read(QUICK, {**evidence, "crafted": told})
    assert measured(found, "robust_accuracy", words=4).value == 1.0


def test_what_it_spends_stays_below_what_it_said() -> None:
    seen = reader()
    evidence = observed(QUICK, seen)
    asked = int(evidence["queries"].sum())
    assert seen.model.queries == asked + 40  # type: ignore[union-attr] # a model, no Gap
    cost = QUICK.cost(AuditSize(rows=40, classes=2))
    assert asked + 40 <= cost.queries == 40 * 301
    found = measured(read(QUICK, evidence), "words_changed")
    assert found.details["queries"] == asked


def test_one_direction_can_be_asked_for() -> None:
    check = replace(QUICK, label="calm", decision="alarm")
    found = read(check, observed(check, reader()))
    item = measured(found, "robust_accuracy", words=4)
    assert (item.n, item.value) == (10, 1.0)
    assert item.params == {"words": 4, "label": "calm", "decision": "alarm"}


def test_texts_without_a_word_to_change_are_a_gap() -> None:
    check = replace(QUICK, least_letters=30, moves=("swap",))
    (gap,) = read(check, observed(check, reader()))
    assert isinstance(gap, Gap)
    assert gap.reason is GapReason.NOT_DEFINED


def test_a_model_that_is_never_right_has_no_median() -> None:
    seen = reader()
    data = seen.datasets[DatasetRole.EVALUATION]
    assert data.labels is not None
    wrong = replace(data, labels=1 - data.labels)
    found = read(QUICK, observed(QUICK, replace(seen, datasets={DatasetRole.EVALUATION: wrong})))
    assert measured(found, "robust_accuracy", words=1).value == 0.0
    assert isinstance(found[-1], Gap)
    assert found[-1].metric == "words_changed"


def test_numbers_are_a_gap() -> None:
    seen = reader()
    data = replace(seen.datasets[DatasetRole.EVALUATION], inputs=np.ones((40, 3)))
    gap = find_unmet_need(TextSearchCheck(), replace(seen, datasets={DatasetRole.EVALUATION: data}))
    assert gap is not None
    assert gap.reason is GapReason.NEEDS_TEXT_INPUT
    assert find_unmet_need(TextSearchCheck(), seen) is None


def test_synonyms_of_the_user_take_the_place_of_ours() -> None:
    check = replace(QUICK, moves=("synonym",), synonyms=("smoke=vapour",), words=(1,))
    evidence = observed(check, reader())
    assert evidence["settings"]["synonyms"] == {"smoke": ["vapour"]}
    assert {told["kinds"]["synonym"] for told in evidence["crafted"]} == {1}
    assert measured(read(check, evidence), "robust_accuracy", words=1).value == 0.75


@pytest.mark.parametrize(
    "wrong",
    [
        {"words": ()},
        {"words": (0, 1)},
        {"edits": 0},
        {"queries": 0},
        {"moves": ()},
        {"moves": ("swap", "paraphrase")},
        {"synonyms": ("good",)},
        {"label": "calm", "decision": "calm"},
    ],
)
def test_parameters_without_a_meaning_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(PolicyError):
        TextSearchCheck(**wrong)


def test_every_budget_asks_at_three_numbers_of_words_at_least() -> None:
    for budget in Budget:
        check = CHECK(**CHECK.presets[budget])
        assert isinstance(check, TextSearchCheck)
        assert len(check.budgets) >= 3
