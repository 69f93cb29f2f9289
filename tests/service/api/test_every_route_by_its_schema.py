"""Calls that the published schema allows, and calls that it does not, end in no fault of ours."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from served_worlds import World

CALLERS = ("viewer", "submitter", "approver", "admin", "stranger", "nobody")
LONGEST = 60.0
"""Seconds that any one call may take, on a machine that is loaded."""
OURS = "sha256:" + "0" * 64


def operations(world: World) -> list[Any]:
    """Return every operation of the schema, as its reader names it."""
    schema = schemathesis.openapi.from_asgi("/openapi.json", world.app)
    return [found.ok() for found in schema.get_all_operations()]


def real(world: World, name: str) -> str:
    """Return the name of something that there is, for a parameter of a path."""
    return {"audit": world.done, "digest": OURS, "name": "record.json"}.get(name, "baseline")


def sent(world: World, case: Any, caller: str, parameters: Mapping[str, Any]) -> None:  # noqa: ANN401 -- the library's
    case.path_parameters = dict(parameters)
    headers = {"Authorization": f"Bearer {world.keys.get(caller, caller)}"}
    began = time.monotonic()
    answer = case.call(headers=headers)
    assert time.monotonic() - began < LONGEST, case.as_curl_command()
    case.validate_response(answer, checks=(not_a_server_error,), headers=headers)
    assert answer.status_code < 500, case.as_curl_command()


def every_route(world: World, callers: Sequence[str], examples: int) -> int:
    """Call every operation so many times, by any of the callers; return how many there are."""
    found = operations(world)
    for operation in found:
        called(world, operation, callers, examples)
    return len(found)


def called(world: World, operation: Any, callers: Sequence[str], examples: int) -> None:  # noqa: ANN401
    """Call one operation with what there is in its path, and with what there is not."""

    @given(data=st.data(), there=st.booleans(), mode=st.sampled_from(list(GenerationMode)))
    @settings(max_examples=examples, deadline=None, database=None, derandomize=True,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    def call(data: st.DataObject, there: bool, mode: GenerationMode) -> None:  # noqa: FBT001
        case = data.draw(operation.as_strategy(generation_mode=mode))
        made = case.path_parameters or {}
        parameters = {name: real(world, name) if there else made[name] for name in made}
        sent(world, case, data.draw(st.sampled_from(callers)), parameters)

    call()


@pytest.mark.slow
def test_no_caller_meets_a_fault_of_ours(world: World) -> None:
    assert every_route(world, CALLERS, 4) > 30


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("caller", CALLERS)
def test_no_caller_meets_a_fault_of_ours_however_long_it_tries(world: World, caller: str) -> None:
    assert every_route(world, [caller], 40) > 30
