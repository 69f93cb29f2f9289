"""Checks that are left to agents are waited for, and nobody waits for them at the end."""

import threading
import time

from auditor.errors import StoreError
from auditor.service.domain.submissions import ShardKey
from auditor.service.jobs.job_steps import StepRunner
from auditor.service.leases.offers import wait_for_agent

OFFERED = ShardKey(submission="sub", target="edge", check="first")


def test_a_check_of_an_agent_is_looked_for_until_it_is_there() -> None:
    looks: list[ShardKey] = []

    def look(key: ShardKey) -> bool:
        looks.append(key)
        if len(looks) == 2:
            raise StoreError("the database is away", cure="Wait.")
        return len(looks) == 4

    pauses = list[float]()
    wait_for_agent(look, OFFERED, StepRunner().turn, pauses.append)
    assert looks == [OFFERED] * 4
    assert len(pauses) == 3


def test_a_service_that_stops_does_not_wait_for_an_agent_nor_take_its_check_for_done() -> None:
    looked, ended = threading.Event(), threading.Event()

    def look(_key: ShardKey) -> bool:
        looked.set()
        return False

    steps = StepRunner()

    def wait() -> None:
        wait_for_agent(look, OFFERED, steps.turn, lambda _: time.sleep(0.01))
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    assert looked.wait(120)
    assert steps.drain(5)
    looked.clear()
    assert not ended.wait(0.1)
    assert not looked.is_set(), "what was drained looks no more"
