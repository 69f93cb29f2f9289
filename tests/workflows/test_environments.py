"""What a verdict means depends on what ran: the environment's lock and the cited catalogues."""

import hashlib
import json
from importlib.metadata import version
from pathlib import Path

from auditor._environment import environment_digest, environment_lock
from auditor._resources import find_shipped_folder
from auditor.checks.registry import discover_checks
from auditor.domain.json import encode_canonical, parse_json
from auditor.policy.control_catalogues import load_catalogues
from auditor.policy.load import load_policy
from auditor.workflows.settings import AuditorSettings
from auditor.workflows.workspace import open_workspace


def test_every_distribution_is_in_the_lock_in_its_canonical_form() -> None:
    lock = json.loads(environment_lock())
    assert lock["packages"]["numpy"] == version("numpy")
    assert lock["packages"]["pyyaml"] == version("PyYAML")
    assert encode_canonical(parse_json(environment_lock())) == environment_lock()


def test_the_lock_is_kept_under_the_digest_that_records_name(home: Path) -> None:
    with open_workspace(AuditorSettings.from_environment()) as place:
        around = place.surroundings()
        assert around.tool["environment"] == environment_digest()
        assert place.store.blobs.get(environment_digest()) == environment_lock()


def test_a_policy_knows_the_catalogues_that_its_rules_cite_by_their_bytes() -> None:
    folder = find_shipped_folder("policies")
    found = load_policy(
        (folder / "baseline.yaml").read_bytes(),
        "baseline",
        discover_checks(),
        load_catalogues(folder),
    )
    cited = {control.framework for rule in found.rules for control in rule.controls}
    kept = {hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.yaml")}
    assert found.catalogues.keys() == cited
    assert {item.removeprefix("sha256:") for item in found.catalogues.values()} <= kept
