"""Whoever decides on a record that is not there is told so, and how to name one that is."""

from collections.abc import Callable
from typing import Any

import pytest

DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize(
    ("named", "cure"), [("report", "Name the folder of a record."), (DIGEST, "--server")]
)
def test_what_is_no_folder_is_not_taken_for_a_missing_key(
    auditor: Callable[..., Any], named: str, cure: str
) -> None:
    words = ("--by", "Bob", "--role", "model risk", "--yes", "--reason", "It is known.")
    told = auditor("approve", named, *words)
    assert told.code == 2
    assert cure in told.said
    assert "signer.pub" not in told.said
