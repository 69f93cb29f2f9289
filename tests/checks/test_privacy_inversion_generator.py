"""privacy.inversion with a generator of the owner's: of a model that leaks, of one that does not,
and of a generator that knows members by itself.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from evasion_toys import LinearTwin, box
from handed_models import decoder, dense
from scored_subjects import measured, read, stored
from test_privacy_inversion import CLASSES, SIDE, centres, fair, inverted, keeping, pictures

from auditor.attacks.privacy.shadow_training import ShadowTrainingSettings, train_stack
from auditor.checks.privacy.inversion import CHECK as INVERSION
from auditor.domain.artifacts import Artifact
from auditor.domain.budgets import AuditSize, Budget
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import DatasetRole
from auditor.domain.readings import Gap, GapReason, Measurement, Reading
from auditor.domain.row_generators import NO_GENERATOR, OwnerGenerator
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import Floats
from auditor.targets.row_generator import open_generator
from auditor.trust.artifacts.files import digest_artifact

SMOKE = dict(INVERSION.presets[Budget.SMOKE])
LED = {**SMOKE, "attacks": ("scores",), "priors": ("none",), "starts": 6}
SLOPELESS = Gap(reason=GapReason.TWIN_UNSUPPORTED, detail="no slope", cure="none")


@contextmanager
def given(folder: Path, rows: Floats, size: int = 16) -> Iterator[OwnerGenerator]:
    """A decoder of rows, as a file in a child of its own."""
    decoder(folder / "generator.onnx", rows.reshape(len(rows), -1), size, shape=(SIDE, SIDE))
    artifact = Artifact("generator", "0", digest_artifact(folder / "generator.onnx"))
    space = box((SIDE, SIDE))
    with open_generator(TargetSpec("cpu"), folder, artifact, space, rows) as generator:
        yield generator


def led(found: tuple[Reading, ...], metric: str, attack: str = "scores") -> Measurement:
    return measured(found, metric, attack=attack, prior="generator")


@pytest.mark.slow
def test_a_decoder_of_public_rows_leads_to_members_of_a_model_that_keeps_them(
    tmp_path: Path,
) -> None:
    with given(tmp_path, pictures(900, 60)[0]) as generator:
        found = read(INVERSION(**LED), replace(inverted(keeping), generator=generator))
    near = led(found, "member_proximity")
    assert near.details["p_value"] <= 0.005
    assert near.details["drawn_p_value"] > 0.01
    assert not near.doubted
    assert "drawn_row" not in measured(found, "gain_over_baseline", prior="none").details
    verdict = measured(found, "verdict")
    assert verdict.value == "shown"
    assert "scores, prior generator" in verdict.details["shown_by"]


@pytest.mark.slow
def test_it_leads_nowhere_where_the_model_keeps_none(tmp_path: Path) -> None:
    check = INVERSION(**{**LED, "priors": ("generator",)})
    with given(tmp_path, pictures(900, 60)[0]) as generator:
        found = read(check, replace(inverted(lambda *_: fair), generator=generator))
    assert led(found, "member_proximity").details["p_value"] > 0.05
    assert measured(found, "verdict").value != "shown"
    gain = led(found, "gain_over_baseline")
    assert gain.details["drawn_row"] > 0.8, "its own draws look like their class"
    assert gain.value <= 0.1


@dataclass(frozen=True)
class Reciting:
    """A generator that was taught by members: what it makes is always near to one of them."""

    rows: Floats
    size: int = 3
    digest: str = "sha256:" + "2" * 64
    slopeless: Gap | None = SLOPELESS

    def make(self, latents: Floats) -> Floats:
        turned = latents @ np.random.default_rng(0).normal(size=(self.size, len(self.rows)))
        found: Floats = self.rows.reshape(len(self.rows), -1)[turned.argmax(axis=1)]
        return found


def test_a_generator_that_knows_members_by_itself_is_no_leak_of_the_model() -> None:
    subject = inverted(lambda *_: fair)
    members = np.asarray(subject.datasets[DatasetRole.TRAINING].inputs)
    found = read(INVERSION(**LED), replace(subject, generator=Reciting(members)))
    near = led(found, "member_proximity")
    assert near.details["p_value"] <= 0.005, "it lies near to members, and not for the model's sake"
    assert near.details["drawn_p_value"] <= 0.01
    assert near.doubted
    assert "which no model led" in str(near.details["doubt"])
    assert not measured(found, "member_proximity", prior="none").doubted
    assert measured(found, "verdict").value != "shown"


def test_where_it_is_the_only_prior_its_doubt_decides_nothing() -> None:
    subject = inverted(lambda *_: fair)
    members = np.asarray(subject.datasets[DatasetRole.TRAINING].inputs)
    check = INVERSION(**{**LED, "priors": ("generator",)})
    verdict = measured(read(check, replace(subject, generator=Reciting(members))), "verdict")
    assert verdict.value == "inconclusive"
    assert "which no model led" in verdict.details["reason"]


def lacking(found: tuple[Reading, ...]) -> set[tuple[str, str, GapReason]]:
    gaps = [it for it in found if isinstance(it, Gap) and it.params]
    return {(str(it.params["attack"]), str(it.params["prior"]), it.reason) for it in gaps}


def climbed() -> Subject:
    weights = centres().T * 8
    twin = LinearTwin(weights, -(centres() ** 2).sum(axis=1) * 4)
    return inverted(lambda *_: lambda x: x @ weights + twin.bias, twin=twin)


@pytest.mark.slow
def test_slopes_are_pulled_through_its_twin(tmp_path: Path) -> None:
    check = INVERSION(**{**LED, "attacks": ("gradient", "scores")})
    with given(tmp_path, pictures(900, 60)[0]) as generator:
        subject = replace(climbed(), generator=generator)
        found, seen = read(check, subject), stored(check, subject)
    assert lacking(found) == set()
    assert led(found, "gain_over_baseline", "gradient").details["target_chance"] > 0.8
    about = seen["about"]["generator"]  # type: ignore[index, call-overload]  # a mapping
    assert about == {"digest": generator.digest, "size": 16, "differentiable": True}


def test_without_slopes_the_attacks_that_ask_use_it_alone() -> None:
    check = INVERSION(**{**LED, "attacks": ("gradient", "labels")})
    rows = pictures(900, 60)[0]
    found = read(check, replace(climbed(), generator=Reciting(rows)))
    assert lacking(found) == {("gradient", "generator", GapReason.TWIN_UNSUPPORTED)}
    assert led(found, "gain_over_baseline", "labels").n >= 4 * CLASSES


def test_without_a_twin_of_the_model_nothing_climbs_with_it_either() -> None:
    check = INVERSION(**{**LED, "attacks": ("gradient", "labels")})
    subject = inverted(keeping)
    assert isinstance(subject.twin, Gap)
    found = read(check, replace(subject, generator=Reciting(pictures(900, 60)[0])))
    reason = subject.twin.reason
    assert lacking(found) == {("gradient", "none", reason), ("gradient", "generator", reason)}


@pytest.mark.parametrize("priors", [("none",), ("none", "generator")])
def test_one_that_could_not_be_opened_is_a_gap_and_none_is_only_where_it_was_asked_for(
    priors: tuple[str, ...],
) -> None:
    check = INVERSION(**{**LED, "priors": priors})
    failed = Gap(reason=GapReason.MODEL_CRASHED, detail="it died", cure="none")
    found = read(check, replace(inverted(keeping), generator=failed))
    assert lacking(found) == {("scores", "generator", GapReason.MODEL_CRASHED)}
    found = read(check, replace(inverted(keeping), generator=NO_GENERATOR))
    asked = {("scores", "generator", GapReason.NEEDS_GENERATOR)} if len(priors) > 1 else set()
    assert lacking(found) == asked


def test_a_plan_counts_it(tmp_path: Path) -> None:
    check, bare = INVERSION(**SMOKE), AuditSize(450, 10)
    given_too = replace(bare, generator=True)
    assert check.cost(given_too).passes == 1.5 * check.cost(bare).passes
    assert 1.4 < check.cost(given_too).queries / check.cost(bare).queries < 1.6
    asked = INVERSION(**{**SMOKE, "priors": ("none", "public", "generator")})
    assert asked.cost(bare) == check.cost(given_too)


@pytest.mark.slow
def test_an_autoencoder_may_lead_too(tmp_path: Path) -> None:
    """A network from axes to pixels, in several layers, with a bend: its file and its slopes."""
    rows = pictures(900, 60)[0]
    flat = rows.reshape(len(rows), -1)
    mean = flat.mean(axis=0)
    _, sizes, axes = np.linalg.svd(flat - mean, full_matrices=False)
    codes = (flat - mean) @ axes[:6].T / (sizes[:6] / np.sqrt(len(flat) - 1))
    bright = (flat[:, 0] > 0.5).astype(np.int64)
    taught = train_stack(
        codes, bright, 2, np.ones((1, len(codes)), bool), ShadowTrainingSettings((16,)), seed=0
    )
    hidden = np.maximum(codes @ taught.weights[0][0] + taught.biases[0][0], 0)
    out = np.linalg.lstsq(np.c_[hidden, np.ones(len(hidden))], flat, rcond=None)[0]
    dense(
        tmp_path / "generator.onnx",
        [taught.weights[0][0], out[:-1]],
        [taught.biases[0][0], out[-1]],
        shape=(SIDE, SIDE),
    )
    artifact = Artifact("generator", "0", digest_artifact(tmp_path / "generator.onnx"))
    space = box((SIDE, SIDE))
    with open_generator(TargetSpec("cpu"), tmp_path, artifact, space, rows) as generator:
        assert generator.slopeless is None
        check = INVERSION(**{**LED, "attacks": ("gradient",)})
        found = read(check, replace(climbed(), generator=generator))
    assert led(found, "gain_over_baseline", "gradient").details["target_chance"] > 0.5
