"""A service has the targets that it was started with, and nobody is told to bring others."""

import pytest

from auditor.cli.client_options import build_transport
from auditor.errors import TargetError, UsageError
from auditor.targets.target_specs import NAMED, find_known_target


def test_a_target_that_a_service_lacks_is_not_to_be_written_out() -> None:
    assert find_known_target("cpu", NAMED) is NAMED["cpu"]
    with pytest.raises(TargetError, match="there is no target 'npu'") as refused:
        find_known_target("npu", NAMED)
    assert "write" not in refused.value.cure
    assert "targets.yaml" not in refused.value.cure


def test_an_address_that_is_none_is_told_before_a_key_is_missed() -> None:
    with pytest.raises(UsageError, match="is not the address of a service"):
        build_transport("127.0.0.1:8400")
