"""poisoning.backdoor held against ready clean models: shadows of trusted rows alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from backdoor_toys import TRAINED_ON, Network, TrainsAgain, digits, fit, network, opened
from test_poisoning_backdoor import BackdoorCheck, kept, one, verdict

from auditor.attacks.poisoning.backdoor_scan import select_clean_models
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import DatasetRole
from auditor.domain.gaps import SHOWN
from auditor.domain.readings import Measurement, Repeatability
from auditor.domain.shadow_models import Include
from auditor.domain.tasks import Array, Floats
from auditor.errors import ShadowsError

TRUSTED = 400


@dataclass
class Ready:
    """Networks, and which rows of each dataset they learnt from."""

    networks: list[Network]
    include: Mapping[DatasetRole, Include]
    asked: list[int] = field(default_factory=list)

    def answers(
        self, model: int, asked: Sequence[Array], *, labels_only: bool = False
    ) -> tuple[Floats, ...]:
        assert labels_only, "decisions are enough"
        self.asked.append(model)
        scores = [np.exp(self.networks[model].forward(rows)) for rows in asked]
        return tuple(one / one.sum(axis=1, keepdims=True) for one in scores)


def matrix(*rows: tuple[bool, bool, bool]) -> dict[DatasetRole, Include]:
    """Whether each model learnt from training, evaluation and reference rows: a row of each."""
    roles = (DatasetRole.TRAINING, DatasetRole.EVALUATION, DatasetRole.REFERENCE)
    found = np.array(rows)
    return {role: found[:, at : at + 1] for at, role in enumerate(roles)}


CLEAN, TAUGHT = (False, False, True), (True, False, True)


def held_against(models: int, *, turned: int = 0) -> Subject:
    """A network with a backdoor, beside clean ones of other rows and one of training rows.

    The clean ones learnt to call a class by the name of one ``turned`` further.
    """
    pictures, labels = digits()
    rng = np.random.default_rng(4)
    networks = []
    for seed in range(models):
        rows = rng.choice(TRAINED_ON, TRUSTED, replace=False)
        networks.append(fit(pictures[rows], (labels[rows] + turned) % 10, 20 + seed))
    seen = opened(network(0, planted=True))
    include = matrix(*[CLEAN] * models, TAUGHT)
    seen.shadows = Ready([*networks, network(0, planted=True)], include)
    return seen


def test_clean_are_those_that_learnt_from_reference_rows_alone() -> None:
    mixed = matrix(TAUGHT, CLEAN, (False, True, True), CLEAN, (False, True, False))
    assert select_clean_models(Ready([], mixed)) == (1, 3)
    assert select_clean_models(
        Ready([], {DatasetRole.REFERENCE: mixed[DatasetRole.REFERENCE]})
    ) == (0, 1, 2, 3)
    assert select_clean_models(Ready([], {DatasetRole.TRAINING: mixed[DatasetRole.TRAINING]})) == ()


def test_ready_clean_models_are_all_held_against_the_target() -> None:
    seen, recipe = held_against(4), TrainsAgain()
    seen.recipe = recipe
    check = BackdoorCheck(clean_models=2)
    readings = check.figures(kept(check, seen), 0.95)
    assert seen.shadows.asked == [0, 1, 2, 3]
    assert recipe.lessons == []
    success = one(readings, "attack_success_rate", trigger="mask")
    assert success.details["on_clean_models"] < 0.5  # type: ignore[operator]
    found = verdict(readings)
    assert found.value == SHOWN
    assert found.details["ready_shadows"]["retrained"] == 4  # type: ignore[index, call-overload]
    repeats = {item.repeat for item in readings if isinstance(item, Measurement)}
    assert repeats == {Repeatability.EXACT}


def test_models_that_are_unlike_the_artifact_are_not_compared_with() -> None:
    check = BackdoorCheck(clean_models=2)
    seen = held_against(3, turned=1)
    evidence = kept(check, seen)
    assert "null_noise" not in evidence
    told = str(verdict(check.figures(evidence, 0.95)).details["ready_shadows"])
    assert "none of them learnt from" in told


def test_models_of_training_rows_alone_are_no_clean_ones_and_it_is_said() -> None:
    check = BackdoorCheck(clean_models=2)
    seen = opened(network(0, planted=True))
    seen.shadows = Ready([], matrix(TAUGHT, TAUGHT))
    told = str(verdict(check.figures(kept(check, seen), 0.95)).details["ready_shadows"])
    assert "0 of the shadow models learnt from reference rows alone" in told


def test_a_recipe_makes_clean_models_where_the_ready_ones_are_not() -> None:
    check, recipe = BackdoorCheck(clean_models=2), TrainsAgain()
    seen = opened(network(0, planted=True))
    seen.recipe, seen.shadows = recipe, Ready([], matrix(TAUGHT, TAUGHT))
    evidence = kept(check, seen)
    assert len(recipe.lessons) == 2
    assert "null_noise" in evidence


def test_a_ready_model_that_fails_is_named() -> None:
    class Broken(Ready):
        def answers(self, *_: object, **__: object) -> tuple[Floats, ...]:
            raise ShadowsError("the shadow model 0 (a.onnx) died", cure="Mend it.")

    check = BackdoorCheck(clean_models=2)
    seen = opened(network(0, planted=True))
    seen.shadows = Broken([], matrix(CLEAN, CLEAN))
    found = verdict(check.figures(kept(check, seen), 0.95))
    assert found.details["ready_shadows"] == "the shadow model 0 (a.onnx) died"


def test_where_no_clean_models_are_asked_for_none_is_asked() -> None:
    check = BackdoorCheck()
    seen = held_against(2)
    assert "null_noise" not in kept(check, seen)
    assert seen.shadows.asked == []
