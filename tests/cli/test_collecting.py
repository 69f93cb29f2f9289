"""The collector of cycles walks no module: a full collection would stop all that is in hand."""

import gc
import subprocess
import sys
import weakref
from collections.abc import Iterator

import pytest

from auditor import _gc
from auditor.cli.main import main

MANY = 20_000
"""Objects that are alive when a command has loaded what it needs, and far more."""
RUN = """
import gc, sys
from auditor.cli.main import main
sys.argv = ["auditor", "audit", "--help"]
try:
    main()
finally:
    print("collecting", gc.isenabled(), gc.get_freeze_count(), file=sys.stderr)
"""


class Ring:
    """What refers to itself, so that it is let go of by the collector alone."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture
def thawed() -> Iterator[None]:
    _gc.pause_collection.cache_clear()
    gc.unfreeze()
    gc.collect()
    yield
    gc.enable()
    gc.unfreeze()


def test_a_command_walks_no_more_what_it_loaded() -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN], capture_output=True, text=True, timeout=120, check=True
    )
    told, enabled, frozen = done.stderr.split()
    assert (told, enabled) == ("collecting", "True")
    assert int(frozen) > MANY


@pytest.mark.usefixtures("thawed")
def test_garbage_is_let_go_of_before_the_rest_is_settled() -> None:
    ring = Ring()
    gone, kept = weakref.ref(ring), Ring()
    del ring
    _gc.freeze_live_objects()
    assert gone() is None
    assert kept.me is kept
    assert gc.get_freeze_count() > 0


@pytest.mark.usefixtures("thawed")
def test_garbage_made_after_loading_is_collected() -> None:
    _gc.pause_collection()
    assert not gc.isenabled()
    _gc.resume_collection()
    ring = Ring()
    gone = weakref.ref(ring)
    del ring
    gc.collect()
    assert gc.isenabled()
    assert gone() is None


@pytest.mark.usefixtures("thawed")
def test_a_process_that_loads_again_keeps_no_garbage_of_its_work() -> None:
    _gc.pause_collection()
    _gc.resume_collection()
    ring = Ring()
    gone = weakref.ref(ring)
    del ring
    _gc.pause_collection()
    _gc.resume_collection()
    gc.collect()
    assert gone() is None


def test_a_command_that_is_not_there_leaves_the_collector_on(
    monkeypatch: pytest.MonkeyPatch, thawed: None
) -> None:
    monkeypatch.setattr(sys, "argv", ["auditor", "no-such-command"])
    with pytest.raises(SystemExit):
        main()
    assert gc.isenabled()


@pytest.mark.usefixtures("thawed")
def test_nothing_is_settled_by_who_began_no_loading() -> None:
    _gc.resume_collection()
    assert gc.get_freeze_count() == 0
