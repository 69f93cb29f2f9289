"""What a verdict means depends on what ran: the environment's lock and the cited catalogues."""

import hashlib
import json
from importlib.metadata import version
from pathlib import Path

from auditor.checks.discovery import discover
from auditor.domain.canonical import canonical, parse
from auditor.environments import environment_digest, environment_lock
from auditor.packs.catalogues import load_catalogues
from auditor.packs.loading import load_policy
from auditor.settings import Settings
from auditor.shipped import shipped
from auditor.workplaces import workplace


def test_every_distribution_is_in_the_lock_in_its_canonical_form() -> None:
    lock = json.loads(environment_lock())
    assert lock["packages"]["numpy"] == version("numpy")
    assert lock["packages"]["pyyaml"] == version("PyYAML")
    assert canonical(parse(environment_lock())) == environment_lock()


def test_the_lock_is_kept_under_the_digest_that_records_name(home: Path) -> None:
    with workplace(Settings.from_environment()) as place:
        around = place.surroundings()
        assert around.tool["environment"] == environment_digest()
        assert place.store.blobs.get(environment_digest()) == environment_lock()


def test_a_policy_knows_the_catalogues_that_its_rules_cite_by_their_bytes() -> None:
    folder = shipped("policies")
    found = load_policy(
        (folder / "baseline.yaml").read_bytes(), "baseline", discover(), load_catalogues(folder)
    )
    cited = {control.framework for rule in found.rules for control in rule.controls}
    kept = {hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.yaml")}
    assert found.catalogues.keys() == cited
    assert {item.removeprefix("sha256:") for item in found.catalogues.values()} <= kept
