"""Checks that are left to agents are waited for, and nobody waits for them at the end."""

import threading
import time

from test_draining import SlowWork

from auditor.errors import StoreError
from auditor.service.domain.submissions import ShardKey
from auditor.service.server.work_wrappers import AgentWork, DrainableWork

OFFERED = ShardKey(submission="sub", target="edge", check="first")


def test_a_check_of_an_agent_is_looked_for_until_it_is_there_and_no_other_is_offered() -> None:
    looks: list[ShardKey] = []

    def look(key: ShardKey) -> bool:
        looks.append(key)
        if len(looks) == 2:
            raise StoreError("the database is away", cure="Wait.")
        return len(looks) == 4

    work, pauses = SlowWork(), list[float]()
    work.go_on.set()
    offering = AgentWork(DrainableWork(work), frozenset({"edge"}), look, pauses.append)
    offering.observe("sub", "edge", "first")
    assert looks == [OFFERED] * 4
    assert len(pauses) == 3
    offering.observe("sub", "cpu", "first")
    assert (work.ended, len(looks)) == (["first"], 4)


def test_a_service_that_stops_does_not_wait_for_an_agent_nor_take_its_check_for_done() -> None:
    looked, ended = threading.Event(), threading.Event()

    def look(_key: ShardKey) -> bool:
        looked.set()
        return False

    draining = DrainableWork(SlowWork())
    offering = AgentWork(draining, frozenset({"edge"}), look, lambda _: time.sleep(0.01))

    def wait() -> None:
        offering.observe("sub", "edge", "first")
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    assert looked.wait(120)
    assert draining.drain(5)
    looked.clear()
    assert not ended.wait(0.1)
    assert not looked.is_set(), "what was drained looks no more"
