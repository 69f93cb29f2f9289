"""Owners take turns in a queue: nobody waits for more than one thing of each other one."""

import random

import pytest

from auditor.service.jobs.durable import LAST, QueueEntry, next_turn


class Queue:
    """A queue as the engine's library keeps it: in the order of turns, then in that of coming."""

    def __init__(self) -> None:
        self.waiting: list[tuple[int, int, str]] = []
        self.running: list[tuple[int, int, str]] = []
        self.came = 0

    def add(self, owner: str) -> int:
        queue = [QueueEntry(it[2], it[0], running=False) for it in self.waiting]
        queue += [QueueEntry(it[2], it[0], running=True) for it in self.running]
        self.came += 1
        self.waiting.append((next_turn(owner, queue), self.came, owner))
        return self.came

    def take(self) -> tuple[int, str]:
        found = min(self.waiting)
        self.waiting.remove(found)
        self.running = [found]
        return found[1:]


def served(queue: Queue) -> str:
    return "".join(queue.take()[1] for _ in range(len(queue.waiting)))


def test_one_that_brings_much_delays_others_by_one_each() -> None:
    queue = Queue()
    for owner in "aaaaaa":
        queue.add(owner)
    assert queue.take() == (1, "a")
    for owner in "bbc":
        queue.add(owner)
    assert served(queue) == "bcabaaaa"


def test_who_was_not_there_has_no_turns_to_make_up_for() -> None:
    queue = Queue()
    for _ in range(50):
        queue.add("a")
        queue.take()
    for owner in "aaabbb":
        queue.add(owner)
    assert served(queue) == "bababa"


def test_a_queue_that_is_empty_begins_anew_and_turns_have_an_end() -> None:
    assert next_turn("a", ()) == 1
    assert next_turn("a", (QueueEntry("b", 0, running=True),)) == 1
    assert next_turn("a", (QueueEntry("a", LAST, running=False),)) == LAST


@pytest.mark.parametrize("seed", range(20))
def test_nobody_waits_for_more_than_one_of_each_other(seed: int) -> None:
    draw, queue, owners = random.Random(seed), Queue(), "abcd"  # noqa: S311 -- no secret
    order: dict[str, list[int]] = {it: [] for it in owners}
    since: dict[str, dict[str, int]] = {}
    for _ in range(400):
        owner = draw.choice("aaaaabcd")
        if draw.random() < 0.5 or not queue.waiting:
            alone = not any(it[2] == owner for it in queue.waiting + queue.running)
            queue.add(owner)
            if alone:
                since[owner] = dict.fromkeys(owners, 0)
            continue
        number, taken = queue.take()
        order[taken].append(number)
        since.pop(taken, None)
        for counted in since.values():
            counted[taken] += 1
            assert counted[taken] <= 1, (seed, taken)
    # Each one's own come in the order in which they were brought.
    assert all(them == sorted(them) for them in order.values())
