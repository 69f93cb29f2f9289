"""The p-value of the class that a detector names, read again from evidence."""

import numpy as np

from auditor.attacks.poisoning.backdoor_evidence import (
    MASK,
    NOISE,
    PATCH,
    detector_p_value,
    noise_p_value,
    top_class,
)
from auditor.attacks.poisoning.suspect_classes import confirmed_classes, outlying_classes
from auditor.domain.evidence import Evidence


def scanned(clean: list[int]) -> Evidence:
    """Three classes: the third obeys most of the blind triggers, the first once more rows ask.

    ``clean`` is how many of ten rows the strangest class of each clean model obeys.
    """
    null = np.zeros((len(clean), 4, 3), dtype=np.int64)
    null[:, :, 1] = np.array(clean)[:, None]
    return {
        "searched": np.arange(3),
        "flips_patch": np.array([[2, 1, 9]] * 4),
        "left_patch": np.full(3, 10),
        "again_patch": np.array([40, 1, 5]),
        "again_left_patch": np.full(3, 48),
        "null_flips_patch": null,
        "null_left_patch": np.full((len(clean), 3), 10),
    }


def test_the_p_value_is_of_the_class_that_is_named() -> None:
    evidence = scanned([5, 5, 5, 5])
    assert top_class(evidence, PATCH) == 0
    assert (
        detector_p_value(evidence, PATCH) == 1
    )  # the named class obeys 2 of 10, the clean ones' 5
    assert detector_p_value(scanned([1, 1, 1, 1]), PATCH) == 1 / 5


def test_noise_is_held_against_clean_models_noise_of_its_own_kind() -> None:
    evidence: Evidence = {
        "searched": np.arange(1, 3),
        "noise": np.array([[60, 30, 10], [20, 30, 50]]),
        "null_noise": np.array([[[30, 40, 30], [40, 30, 30]], [[70, 20, 10], [30, 30, 40]]]),
    }
    assert noise_p_value(evidence, 0) == 2 / 3
    assert noise_p_value(evidence, 1) == 1 / 3
    # Class 0 draws most noise and was not searched: the class named is 2, with 0.5.
    assert top_class(evidence, NOISE) == 2
    assert detector_p_value(evidence, NOISE) == 2 / 3
    assert noise_p_value({"noise": evidence["noise"]}, 0) is None


def test_a_class_is_seconded_that_is_ahead_of_all_but_those_named_beside_it() -> None:
    # Of a network with backdoors to 3 and 7: by masks, neither is far enough ahead of the next.
    scores = np.array([1.84, 2.47, 2.25, 3.99, 2.74, 2.12, 1.66, 3.41, 2.93, 1.92])
    evidence: Evidence = {"searched": np.arange(10), "sizes_mask": np.exp(-scores)}
    assert outlying_classes(evidence, MASK, 2.0) == ()
    assert confirmed_classes(evidence, MASK, [(7, 3)], 2.0) == (3,)
    assert confirmed_classes(evidence, MASK, [(7, 8)], 2.0) == ()
    assert confirmed_classes(evidence, MASK, [], 2.0) == ()
    few: Evidence = {"searched": np.arange(3), "sizes_mask": np.exp(-scores[1:4])}
    assert confirmed_classes(few, MASK, [(2, 1)], 2.0) == ()
