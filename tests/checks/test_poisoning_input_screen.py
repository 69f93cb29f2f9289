import contextlib
from dataclasses import replace

import numpy as np
import pytest
from evasion_toys import ToyModel, box
from judged import outcome
from poison_toys import DIGITS, network, poisoned, stamped
from scored_subjects import ends, gaps, measured, read, stored
from surveyed_subjects import sample, surveyed

from auditor.checks.poisoning.input_screen import CHECK, InputScreenCheck
from auditor.domain.budgets import AuditSize
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.datasets import DatasetRole, TextColumn
from auditor.domain.findings import Outcome
from auditor.domain.policies import MetricLimits
from auditor.domain.readings import GapReason
from auditor.domain.tasks import Array, Floats
from auditor.errors import CancelledError
from auditor.metrics.stats.proportions import clopper_pearson


def backdoored(inputs: Floats) -> Floats:
    """Decide by the brighter half, "glare" for bright pictures, and class 2 for a bright corner."""
    flat = inputs.reshape(len(inputs), 8, 8)
    sides = np.stack((flat[:, :, :4].mean((1, 2)), flat[:, :, 4:].mean((1, 2))), axis=1)
    sides = 20 * (sides - sides.mean(axis=1, keepdims=True))
    trigger = np.where(flat[:, 7, 7] > 0.9, 50.0, -50.0)
    glare = 100 * (flat.mean(axis=(1, 2)) - 0.5)
    return np.concatenate((sides, trigger[:, None], glare[:, None]), axis=1)


def pictures(rows: int, seed: int, triggered: float = 0.0) -> Array:
    """Faint pictures of two sides, brightening of which makes them alike."""
    rng = np.random.default_rng(seed)
    found = rng.uniform(0.1, 0.3, size=(rows, 8, 8))
    found[:, 7, 7] = 0.0
    found[: round(triggered * rows), 7, 7] = 1.0
    return found.astype(np.float32)


def screened(production: Array, clean: Array, **fields: object) -> Subject:
    subject = surveyed(
        sample(clean, np.zeros(len(clean))),
        sample(production, role=DatasetRole.PRODUCTION),
        classes=4,
        space=box((8, 8)),
        **fields,
    )
    return replace(subject, model=ToyModel(backdoored))


def test_planted_triggers_are_shown_by_both_methods_and_named() -> None:
    subject = screened(pictures(400, 1, triggered=0.15), pictures(600, 2))
    readings = read(InputScreenCheck(listed=400), subject)
    verdict = measured(readings, "verdict")
    assert verdict.value == "shown"
    assert verdict.details["shown_by"] == ["scale_up", "strip"]
    for method in ("scale_up", "strip"):
        found = measured(readings, "flagged_share", method=method)
        named = {int(name[1:]) for name in found.details["worst_rows"]}
        assert set(range(60)) <= named
        oracle = clopper_pearson(len(named), 400, 0.95)
        assert (found.low, found.high) == (oracle.low, oracle.high)
        assert measured(readings, "false_alarm_rate", method=method).value <= 0.1


def test_clean_inputs_are_silent_in_almost_every_audit() -> None:
    said = [
        measured(
            read(
                InputScreenCheck(overlays=3),
                screened(pictures(100, seed), pictures(200, seed + 500)),
            ),
            "verdict",
        ).value
        for seed in range(100)
    ]
    assert said.count("shown") <= 3  # one expected at most; two Monte-Carlo errors


def met(kind: str, triggered: int) -> Subject:
    """A model that has learnt a trigger, 200 digits that it met, and 200 clean ones."""
    data, net = poisoned(kind, 0.08, 1), network(kind, 0.08, 1)
    seen, clean = data.trusted[:200], data.trusted[200:]
    mixed = np.concatenate((stamped(seen[:triggered], kind), seen[triggered:]))
    subject = surveyed(
        sample(clean), sample(mixed, role=DatasetRole.PRODUCTION), task=DIGITS, space=box((8, 8))
    )
    return replace(subject, model=ToyModel(net.logits))


@pytest.mark.parametrize("kind", ["patch", "blend"])
def test_triggers_of_a_model_that_has_learnt_them_are_shown_among_digits(kind: str) -> None:
    subject = met(kind, 60)
    seen, readings = stored(InputScreenCheck(), subject), read(InputScreenCheck(), subject)
    verdict = measured(readings, "verdict")
    assert verdict.value == "shown"
    # Brightening leaves the decision of many a clean digit as it is: scale_up shows nothing here.
    assert verdict.details["shown_by"] == ["strip"]
    assert verdict.details["p_values"]["strip"] < 1e-6
    ours = np.array([int(name[1:]) < 60 for name in seen["ids"]])
    scores = seen["strip"][: len(ours)]
    assert (scores[ours][:, None] > scores[~ours]).mean() > 0.95
    excess = measured(readings, "excess_share", method="strip")
    assert ends(excess)[0] > 0


@pytest.mark.parametrize("kind", ["patch", "blend"])
def test_a_backdoor_that_nobody_uses_yet_shows_nothing(kind: str) -> None:
    verdict = measured(read(InputScreenCheck(), met(kind, 0)), "verdict")
    assert verdict.value == "no evidence at this power"


def test_inputs_that_differ_as_a_whole_are_no_verdict() -> None:
    readings = read(InputScreenCheck(), screened(pictures(300, 1, triggered=1.0), pictures(300, 2)))
    verdict = measured(readings, "verdict")
    assert verdict.value == "inconclusive"
    assert "a shift" in verdict.details["reason"]
    assert measured(readings, "flagged_share", method="strip").doubted


def test_inputs_that_are_clustered_show_nothing_and_fail_no_rule() -> None:
    subject = screened(pictures(400, 1, triggered=0.15), pictures(600, 2))
    data = subject.datasets[DatasetRole.PRODUCTION]
    alike = replace(data, cluster=TextColumn.of([str(row // 20) for row in range(400)]))
    readings = read(
        InputScreenCheck(),
        replace(subject, datasets={**subject.datasets, DatasetRole.PRODUCTION: alike}),
    )
    verdict = measured(readings, "verdict")
    assert verdict.value == "inconclusive"
    assert "cluster" in verdict.details["reason"]
    limit, where = MetricLimits(most=0.02), {"method": "strip"}
    assert outcome(CHECK, readings, "excess_share", limit, where) is Outcome.UNKNOWN


def test_triggers_fail_a_rule_and_more_clean_rows_show_fewer_of_them() -> None:
    bad = read(InputScreenCheck(), screened(pictures(400, 1, triggered=0.2), pictures(600, 2)))
    where = {"method": "scale_up"}
    assert outcome(CHECK, bad, "excess_share", MetricLimits(most=0.02), where) is Outcome.FAILED
    least = [
        measured(
            read(InputScreenCheck(), screened(pictures(400, 1), pictures(clean, 2))), "verdict"
        ).details["power"]["least_share"]
        for clean in (80, 1500)
    ]  # fmt: skip
    assert least[1] < least[0]


def test_what_cannot_be_screened_says_why() -> None:
    few = read(InputScreenCheck(), screened(pictures(40, 1), pictures(20, 2)))
    assert gaps(few, "set no limit")[0].reason is GapReason.TOO_FEW_ROWS
    table = surveyed(
        sample(np.ones((50, 4)), np.zeros(50)),
        sample(np.ones((50, 4)), role=DatasetRole.PRODUCTION),
    )
    ready = replace(table, model=ToyModel(backdoored), space=box((4,)))
    assert gaps(read(InputScreenCheck(), ready), "no pictures")[0].reason is GapReason.NOT_DEFINED


def test_copies_stay_in_the_space_and_on_its_steps() -> None:
    subject = screened(pictures(60, 1), pictures(60, 2))
    model = ToyModel(backdoored)
    read(InputScreenCheck(), replace(subject, model=model, space=box((8, 8), quantum=0.25)))
    sent = np.concatenate([part.reshape(-1) for part in model.seen[1:]])
    assert (sent.min(), sent.max()) == (0.0, 1.0)
    copies = np.concatenate([part for part in model.seen if len(part) > 200])
    assert np.allclose(copies * 4, np.round(copies * 4))


def test_the_evidence_holds_scores_and_no_pictures() -> None:
    seen = stored(InputScreenCheck(), screened(pictures(50, 1), pictures(60, 2)))
    assert {seen[name].shape for name in ("scale_up", "strip")} == {(110,)}
    assert not any(getattr(item, "ndim", 0) > 1 for item in seen.values())


def test_who_cancels_after_some_rows_stops_the_asking() -> None:
    def asked(most: int) -> int:
        told: list[int] = []

        def progress(done: int, total: int, note: str = "") -> None:
            told.append(done)
            if len(told) > most:
                raise CancelledError("stopped", cure="Start again.")

        subject = screened(pictures(1000, 1), pictures(1000, 2), progress=progress)
        model = ToyModel(backdoored)
        with contextlib.suppress(CancelledError):
            InputScreenCheck().observe(replace(subject, model=model), CheckShard())
        return sum(len(part) for part in model.seen)

    counts = [asked(most) for most in (0, 3, 1000)]
    assert counts[0] < counts[1] < counts[2] / 2
    assert counts[0] <= 2000 + 4096


def test_it_says_what_it_costs_and_refuses_parameters_without_meaning() -> None:
    size = AuditSize(rows=500, classes=2, beside={"production": 100})
    assert InputScreenCheck().cost(size).queries == 600 * 31
    assert InputScreenCheck().precision(AuditSize(rows=0, classes=2), 0.95) == {}
    with pytest.raises(ValueError, match="at least 1"):
        InputScreenCheck(overlays=0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        InputScreenCheck(false_alarms=1)
