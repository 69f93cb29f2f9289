"""A record in which one value was exchanged, whichever it is, never verifies and breaks nothing."""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from auditor.domain.json import encode_canonical
from auditor.reports.folder import RECORD

Command = Callable[..., Any]
Place = tuple[str | int, ...]
VERIFY = ("verify", "out", "--key", "out/signer.pub")
EVERY = 29
"""Of all forgeries, the share that the fast test tries: one in so many."""


def places(value: Any, at: Place = ()) -> Iterator[Place]:  # noqa: ANN401 -- any JSON
    if at:
        yield at
    if isinstance(value, dict | list):
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in inner:
            yield from places(item, (*at, key))


def others(value: Any) -> list[Any]:  # noqa: ANN401 -- any JSON
    """What a forger may put in the place of a value."""
    if isinstance(value, bool):
        return [not value, None]
    if isinstance(value, int | float):
        return [0, -1, 1e300, 2**53 - 1, None]
    if isinstance(value, str):
        return ["", "ghost", "[/red]\x1b\0", "sha256:" + "0" * 64, None]
    if value is None:
        return ["ghost", 1, {}, []]
    return [[], value * 2, None] if isinstance(value, list) else [{}, None]


def forgeries(record: Any) -> Iterator[tuple[Place, Any]]:  # noqa: ANN401 -- any JSON
    for place in places(record):
        *above, last = place
        forged = copy.deepcopy(record)
        holder = forged
        for key in above:
            holder = holder[key]
        true = holder[last]
        for other in others(true):
            if other != true:
                holder[last] = other
                yield (*place, repr(other)), forged


def try_forgeries(auditor: Command, folder: Path, every: int) -> None:
    path = folder / "out" / RECORD
    found = forgeries(json.loads(path.read_bytes()))
    for number, (place, forged) in enumerate(found):
        if number % every == 0:
            path.write_bytes(encode_canonical(forged))
            ended = auditor(*VERIFY)
            assert ended.code == 1, (place, ended.said)
            assert "record.json" in ended.said
            assert "\x1b" not in ended.out + ended.err, place


def test_some_forgeries_are_all_found(auditor: Command, finished: Path) -> None:
    try_forgeries(auditor, finished, EVERY)


@pytest.mark.slow
def test_every_forgery_is_found(auditor: Command, finished: Path) -> None:
    try_forgeries(auditor, finished, 1)
