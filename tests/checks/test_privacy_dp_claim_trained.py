"""privacy.dp_claim with an owner's code in a child process, as an audit runs it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from privacy_claims import claimed
from scored_subjects import measured, read
from surveyed_subjects import sample, surveyed

from auditor.checks.privacy.dp_claim import CHECK
from auditor.domain.artifacts import FileDigest
from auditor.domain.datasets import DatasetRole
from auditor.domain.privacy_claims import PrivacyClaimFile
from auditor.domain.tasks import ClassificationTask
from auditor.domain.training_recipes import RecipeRef, RecipeSource
from auditor.targets.training_recipe import open_recipe

OWNER = """
import numpy as np
from auditor.metrics.privacy_accounting.canaries import CanaryHook

NOISE = {noise}

def dp_train(data, settings):
    hook, rng = CanaryHook(data, settings), np.random.default_rng(int(settings["seed"]))
    rows = data["inputs"].astype(float)
    for _ in range(560):
        drawn = np.flatnonzero(rng.random(len(rows)) < 0.0356)
        whole = hook.join(rows[drawn], drawn)
        length = np.linalg.norm(whole, axis=1, keepdims=True)
        total = (whole / np.maximum(length, 1)).sum(axis=0)
        noisy = total + NOISE * rng.standard_normal(len(total))
        hook.saw(noisy[rows.shape[1]:], len(drawn))
    return hook.seen()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("noise", "verdict"), [(1.0, "no evidence at this power"), (0.25, "shown")]
)
def test_an_owners_private_training_is_audited_in_its_own_process(
    tmp_path: Path, noise: float, verdict: str
) -> None:
    code = tmp_path / "recipe.py"
    code.write_text(OWNER.replace("{noise}", str(noise)))
    digest = "sha256:" + "0" * 64
    ref = RecipeRef(
        digest=digest, function="train", dp_train="dp_train", allowed=True, unsandboxed=True
    )
    source = RecipeSource(path=code, ref=ref, time_limit=120.0, memory_limit=2**32)
    rng = np.random.default_rng(1)
    rows, labels = rng.normal(size=(1400, 6)).astype(np.float32), np.arange(1400) % 2
    training = sample(rows, labels, role=DatasetRole.TRAINING)
    stated = PrivacyClaimFile(
        claimed(digests={"code": digest}), FileDigest("dp_claim.json", 1, "0" * 64)
    )
    with open_recipe(source, ClassificationTask(("no", "yes"), "yes", "yes")) as recipe:
        subject = replace(surveyed(training, privacy_claim=stated), recipe=recipe)
        readings = read(CHECK(), subject)
    assert measured(readings, "verdict").value == verdict
    assert measured(readings, "epsilon_lower_bound").details["kind"] == "white-box"
