"""At a service, what an endpoint answered speaks for the endpoint, wherever a verdict is shown."""

from collections.abc import Iterator

import pytest
from served_worlds import World
from several_targets import TARGETS, Fleet, failed
from targets.endpoint_servers import hosting
from visited_pages import Pages

from auditor.domain.targets import EndpointSpec, TargetSpec

pytestmark = pytest.mark.slow
SAID = "On prod this record speaks for the endpoint, not for the file"


@pytest.fixture
def fleet(apart: World) -> Iterator[Fleet]:
    """A service with two targets that run the file, and one that asks a server."""
    with hosting(apart.example / "model.onnx") as host:
        endpoint = EndpointSpec(url=host.url, model="tiny", retries=0)
        prod = TargetSpec("prod", "endpoint", time_limit=20.0, endpoint=endpoint)
        yield Fleet(apart, {**TARGETS, "prod": prod})


def test_no_gate_opens_for_bytes_that_a_server_stood_in_for(fleet: Fleet) -> None:
    fleet.audits("prod")
    for target in (None, "prod"):
        answer = fleet.asks(target)
        assert (answer.open, failed(answer)) == (False, {"artifact"})


def test_a_target_that_ran_the_file_opens_its_own_gate_alone(fleet: Fleet) -> None:
    fleet.audits("cpu", "prod")
    assert fleet.asks("cpu").open
    assert failed(fleet.asks("prod")) == {"artifact"}
    assert failed(fleet.asks()) == {"artifact on prod"}


def test_lists_pages_and_messages_say_what_a_verdict_speaks_for(fleet: Fleet) -> None:
    audit, world, key = fleet.audits("cpu", "prod"), fleet.world, fleet.at.key
    shown = world.call("GET", f"/v1/audits/{audit}", key).json()
    assert (shown["verdict"], shown["scope"]) == ("pass", "endpoint")
    (listed,) = world.call("GET", "/v1/audits", key).json()["audits"]
    assert listed["scope"] == "endpoint"
    (model,) = world.call("GET", "/v1/models", key).json()["models"]
    targets = {it["target"]: it["scope"] for it in model["versions"][0]["targets"]}
    assert targets == {"cpu": "artifact", "prod": "endpoint"}
    only = fleet.audits("cpu")
    assert world.call("GET", f"/v1/audits/{only}", key).json()["scope"] == "artifact"


def test_pages_say_what_a_verdict_speaks_for(fleet: Fleet) -> None:
    audit, ran = fleet.audits("cpu", "prod"), fleet.audits("cpu")
    visitor = Pages.of(fleet.world).log_in(fleet.at.key)
    page = visitor.get(f"/audits/{audit}").text
    assert SAID in page
    assert "Pass (endpoint)" in page
    for path, times in (("/audits", 1), ("/models", 1), ("/models/line", 1)):
        assert visitor.get(path).text.count("Pass (endpoint)") == times, path
    plain = visitor.get(f"/audits/{ran}").text
    assert SAID not in plain
    assert "Pass (endpoint)" not in plain
