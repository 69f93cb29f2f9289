"""Which isolation a record tells of each target: of what ran here, and of nothing else."""

from dataclasses import replace

import pytest

from auditor.domain.artifacts import Artifact, FileDigest
from auditor.domain.budgets import Budget
from auditor.domain.isolation import REMOTE, IsolationLevel, is_isolation_sufficient
from auditor.domain.json import Json
from auditor.domain.record_isolation import read_isolation_levels
from auditor.domain.requests import AuditRequest, PolicyRef
from auditor.domain.targets import CascadeSpec, EndpointSpec, Fingerprint, TargetSpec

FILE = Artifact("m", "1", (FileDigest("model.onnx", 3, "0" * 64),))
HERE = TargetSpec("cpu")
SERVED = TargetSpec("there", endpoint=EndpointSpec(url="https://there.example/v2"))
REQUEST = AuditRequest(
    name="m",
    version="1",
    artifact=FILE,
    targets=(HERE,),
    datasets=(),
    policy=PolicyRef("p", "1", "sha256:" + "1" * 64),
    audit_file="sha256:" + "2" * 64,
    seed=0,
    budget=Budget.CI,
)


def both(edge: TargetSpec, cloud: TargetSpec) -> TargetSpec:
    return TargetSpec("both", cascade=CascadeSpec(edge, cloud))


def level(spec: TargetSpec, facts: dict[str, Json] | None, artifact: Artifact | None) -> str | None:
    request = replace(REQUEST, targets=(spec,), artifact=artifact)
    found = {} if facts is None else {spec.name: Fingerprint({}, facts)}
    return read_isolation_levels(request, found).get(spec.name)


@pytest.mark.parametrize(
    ("spec", "facts", "artifact", "told"),
    [
        (HERE, {"isolation": "landlock"}, FILE, "landlock"),
        (HERE, {"isolation": "remote"}, FILE, None),  # no word of a file that ran here
        (HERE, {"isolation": "magic"}, FILE, None),
        (HERE, {}, FILE, None),  # older than levels
        (HERE, None, FILE, None),  # it died as it was opened
        (HERE, None, None, REMOTE),  # predictions alone
        (SERVED, {"isolation": "remote"}, None, REMOTE),
        (SERVED, None, None, REMOTE),
        (SERVED, {"isolation": "remote"}, FILE, None),  # the file was read here, and none tells how
        (both(SERVED, SERVED), {"edge": {}, "cloud": {}}, None, REMOTE),
        (both(HERE, SERVED), {"edge": {"isolation": "limits"}, "cloud": {}}, FILE, "limits"),
        (both(HERE, SERVED), {"edge": 3}, FILE, None),
        (
            both(HERE, HERE),
            {"edge": {"isolation": "bubblewrap"}, "cloud": {"isolation": "namespaces"}},
            FILE,
            "namespaces",
        ),
        (both(HERE, HERE), {"edge": {"isolation": "bubblewrap"}, "cloud": {}}, FILE, None),
    ],
)
def test_the_weakest_level_of_what_ran_here_is_told(
    spec: TargetSpec, facts: dict[str, Json] | None, artifact: Artifact | None, told: str | None
) -> None:
    assert level(spec, facts, artifact) == told


def test_any_file_that_is_opened_here_counts() -> None:
    for name in ("parent", "generator"):
        request = replace(REQUEST, targets=(SERVED,), artifact=None, **{name: FILE})
        assert read_isolation_levels(request, {}) == {}, name


def test_what_is_not_told_suffices_where_nothing_is_asked_alone() -> None:
    assert is_isolation_sufficient(None, None)
    assert not any(is_isolation_sufficient(None, least) for least in IsolationLevel)
    assert all(is_isolation_sufficient(REMOTE, least) for least in IsolationLevel)
