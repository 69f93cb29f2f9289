from pathlib import Path

import numpy as np
import polars as pl
import pytest

from auditor.domain.guesses import Confidence
from auditor.errors import DatasetError
from auditor.inputs.datasets.inspect import inspect_data_file
from auditor.inputs.datasets.prediction_columns import PredictionColumns, find_prediction_columns

RNG = np.random.default_rng(2)
CHANCE = RNG.random(400)
TRUTH = np.where(RNG.random(400) < CHANCE, "yes", "no")


def found(folder: Path, **columns: object) -> PredictionColumns:
    pl.DataFrame(columns).write_csv(folder / "p.csv")
    return find_prediction_columns(inspect_data_file(folder / "p.csv"), "p.csv")


def test_one_score_is_of_the_class_that_it_is_higher_of(tmp_path: Path) -> None:
    held = found(tmp_path, sex=RNG.choice(["f", "m"], 400), score=1 - CHANCE, result=TRUTH)
    assert (held.labels, held.scores, held.predictions) == ("result", ("score",), None)
    assert (held.classes, held.positive) == (("no", "yes"), "no")
    assert "its mean score is higher" in held.evidence["task.positive"][0]


def test_columns_that_add_up_to_one_are_scores_in_the_order_of_their_names(tmp_path: Path) -> None:
    three = RNG.dirichlet([1, 1, 1], 400)
    names = np.array(["a", "b", "c"])
    label = names[[RNG.choice(3, p=row) for row in three]]
    held = found(tmp_path, label=label, p_c=three[:, 2], p_a=three[:, 0], p_b=three[:, 1])
    assert held.scores == ("p_c", "p_a", "p_b")
    assert held.classes == ("c", "a", "b")
    words, sure = held.evidence["task.classes"]
    assert words.startswith("the names of the columns of scores: ")
    assert sure is Confidence.HIGH


def test_scores_without_names_are_ordered_by_agreement(tmp_path: Path) -> None:
    held = found(tmp_path, s1=CHANCE, s2=1 - CHANCE, label=TRUTH)
    assert held.classes == ("yes", "no")
    assert held.evidence["task.classes"][1] is Confidence.MEDIUM


def test_names_of_scores_that_the_labels_contradict_are_not_sure(tmp_path: Path) -> None:
    held = found(tmp_path, p_yes=1 - CHANCE, p_no=CHANCE, label=TRUTH)
    words, sure = held.evidence["task.classes"]
    assert sure is Confidence.LOW
    assert words.endswith("of 400 rows are right")


def test_decisions_alone_are_enough(tmp_path: Path) -> None:
    said = np.where(CHANCE > 0.5, "yes", "no")
    held = found(tmp_path, prediction=said, label=TRUTH, city=RNG.choice(["x", "y"], 400))
    assert (held.labels, held.scores, held.predictions) == ("label", (), "prediction")


def test_predicted_numbers_make_a_regression(tmp_path: Path) -> None:
    price = RNG.normal(100, 20, 400)
    held = found(tmp_path, price=price, predicted_price=price + 3, size=RNG.normal(50, 5, 400))
    assert (held.labels, held.scores, held.classes) == ("price", ("predicted_price",), ())
    assert held.spread == pytest.approx(price.std())


def test_a_protected_attribute_is_never_the_truth(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no column of p\.csv is named as the truth"):
        found(tmp_path, score=CHANCE, sex=np.where(CHANCE > 0.5, "f", "m"))


def test_a_file_without_predictions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="is known as a prediction"):
        found(tmp_path, label=TRUTH, size=RNG.normal(50, 5, 400))


def test_the_name_of_one_score_decides_also_against_the_rows(tmp_path: Path) -> None:
    truth = np.where(TRUTH == "yes", "default", "repaid")
    held = found(tmp_path, prob_default=1 - CHANCE, y_true=truth)
    right = f"{((CHANCE <= 0.5) == (TRUTH == 'yes')).mean():.0%} of 400 rows"
    words, sure = held.evidence["task.positive"]
    assert (held.positive, sure) == ("default", Confidence.LOW)
    assert words.endswith(f"{right} are right")
    assert held.evidence["data.evaluation.labels"][0].endswith(f"agrees with it in {right}")
    assert "; the other way round for " in held.doubts[0]
    assert held.doubts[0].endswith("check the columns.")


@pytest.mark.parametrize(
    ("column", "labels", "positive"),
    [
        ("prob_1", ("0", "1"), "1"),
        ("p0", ("0", "1"), "0"),
        ("score No Default", ("default", "no_default"), "no_default"),
        ("repaid_probability", ("default", "repaid"), "repaid"),
        ("p_>50K", ("<=50K", ">50K"), ">50K"),
        ("score_-1", ("-1", "1"), "-1"),
    ],
)
def test_a_class_in_the_name_of_a_score_is_its_class(
    tmp_path: Path, column: str, labels: tuple[str, str], positive: str
) -> None:
    against = np.where(TRUTH == "yes", *labels)
    for truth in (against, np.where(TRUTH == "no", *labels)):
        assert found(tmp_path, **{column: CHANCE, "label": truth}).positive == positive


def test_a_class_that_a_name_denies_is_not_its_class(tmp_path: Path) -> None:
    truth = np.where(TRUTH == "yes", "fraud", "fair")
    held = found(tmp_path, prob_not_fraud=1 - CHANCE, label=truth)
    assert (held.positive, held.evidence["task.positive"][1]) == ("fair", Confidence.MEDIUM)


def test_columns_named_as_the_classes_keep_their_order_also_against_the_rows(
    tmp_path: Path,
) -> None:
    three = RNG.dirichlet([0.3, 0.3, 0.3], 600)
    names = np.array(["dog", "cat", "owl"])
    label = names[[RNG.choice(3, p=row) for row in three]]
    held = found(tmp_path, y_true=label, cat=three[:, 0], dog=three[:, 1], owl=three[:, 2])
    assert held.classes == ("cat", "dog", "owl")
    words, sure = held.evidence["task.classes"]
    assert sure is Confidence.LOW
    assert " were right in the order dog, cat, owl: " in words
    share = words.rpartition(": ")[2].removesuffix(" are right")
    assert held.evidence["data.evaluation.labels"][0].endswith(f"agrees with it in {share}")
    (doubt,) = held.doubts
    assert doubt.startswith(f"By their names, the scores are right for {share[:3]} of rows; ")


def test_numbers_that_only_count_the_columns_name_no_class(tmp_path: Path) -> None:
    truth = np.where(TRUTH == "yes", "1", "0")
    held = found(tmp_path, s1=1 - CHANCE, s2=CHANCE, label=truth)
    assert held.classes == ("0", "1")
    assert held.evidence["task.classes"][1] is Confidence.MEDIUM


def test_one_named_of_two_scores_leaves_the_other_class_to_the_other(tmp_path: Path) -> None:
    held = found(tmp_path, p_rest=1 - CHANCE, p_yes=CHANCE, label=TRUTH)
    assert held.classes == ("no", "yes")
    assert held.evidence["task.classes"][1] is Confidence.HIGH
    assert held.doubts == ()


def test_rows_without_the_truth_say_nothing_of_the_order(tmp_path: Path) -> None:
    truth = [None if at % 4 == 0 else name for at, name in enumerate(TRUTH)]
    held = found(tmp_path, s1=CHANCE, s2=1 - CHANCE, label=truth)
    assert held.classes == ("yes", "no")
    assert held.evidence["task.classes"][0].endswith("of 300 rows are right")


@pytest.mark.parametrize(
    ("scores", "cure"),
    [
        (100 * CHANCE, "divide them by 100"),
        (np.log(CHANCE / (1 - CHANCE)), "apply the sigmoid"),
        (300 + 550 * CHANCE, "store the decisions"),
    ],
)
@pytest.mark.parametrize("truth", [(TRUTH == "yes").astype(int), TRUTH])
def test_a_score_outside_of_probabilities_is_no_number_to_predict_two_labels(
    tmp_path: Path, scores: object, cure: str, truth: object
) -> None:
    with pytest.raises(DatasetError, match=r"2 classes.*no probability") as refused:
        found(tmp_path, default=truth, risk_score=scores, sex=RNG.choice(["f", "m"], 400))
    assert cure in (refused.value.cure or "")


def test_logits_of_three_classes_are_no_predicted_numbers(tmp_path: Path) -> None:
    logits = {f"logit_{place}": RNG.normal(size=400) * 3 for place in range(3)}
    truth = np.argmax([*logits.values()], axis=0)
    with pytest.raises(DatasetError, match=r"3 classes.*no probability") as refused:
        found(tmp_path, label=truth, **logits)
    assert "softmax" in (refused.value.cure or "")


def test_few_numbers_may_be_predicted_and_are_a_guess(tmp_path: Path) -> None:
    stars = RNG.integers(1, 6, 400)
    held = found(tmp_path, label=stars, predicted_stars=stars + RNG.normal(size=400))
    assert held.spread
    words, sure = held.evidence["task.kind"]
    assert (words[:27], sure) == ("the labels are 5 different ", Confidence.LOW)
