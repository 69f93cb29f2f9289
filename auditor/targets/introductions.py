"""The first questions to an opened model: rows in, scores out, do they repeat."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from auditor.domain.tasks import Array, Task
from auditor.errors import DatasetError, ModelFailedError
from auditor.targets.connections import Connection
from auditor.targets.exits import Answer, find_exit
from auditor.targets.interfaces import Entrance, Slot, as_interface, entrances, read_slots
from auditor.targets.layouts import arrange
from auditor.targets.models import Acquaintance
from auditor.targets.replies import output_of

PROBE_ROWS = 64
"""Rows by which the interface is found out; each is sent twice, to see whether scores repeat."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a model answered to its first rows, and how they entered it, at which try.

    ``seconds`` is what that took.
    """

    entrance: Entrance
    answers: list[Answer]
    tried: int
    seconds: float


def listen(connection: Connection, sample: Array) -> Heard:
    """Return a model's answers to the rows of ``sample``, whatever its task is.

    Layouts that fit the declared shapes are tried, likeliest first, until the runtime takes one.
    Raises what ``entrances`` raises, and the first refusal of the runtime.
    """
    if len(sample) == 0:
        raise DatasetError("there is no row to try the model with", cure="Give at least one row.")
    slots = read_slots(connection.opened.header.get("inputs"))
    outputs = read_slots(connection.opened.header.get("outputs"))
    refusals: list[ModelFailedError] = []
    for tried, entrance in enumerate(entrances(slots, sample.shape[1:]), start=1):
        asked = time.monotonic()
        try:
            answers = _ask(connection, entrance, sample, outputs)
        except ModelFailedError as refusal:
            refusals.append(refusal)
            continue
        return Heard(entrance, answers, tried, time.monotonic() - asked)
    raise refusals[0]


def meet(connection: Connection, task: Task, sample: Array) -> Acquaintance:
    """Find out a model's interface with the rows of ``sample``.

    Raises what ``listen`` and ``find_exit`` raise.
    """
    outputs = read_slots(connection.opened.header.get("outputs"))
    began = time.monotonic()
    heard = listen(connection, sample)
    leaving = find_exit(heard.answers, task)
    first = next(answer for answer in heard.answers if answer.name == leaving.output)
    between = time.monotonic()
    again = _ask(connection, heard.entrance, sample, outputs)
    taken = min(heard.seconds, time.monotonic() - between)
    second = next(answer for answer in again if answer.name == leaving.output)
    return Acquaintance(
        as_interface(heard.entrance, leaving),
        None if first.keys is None else tuple(first.keys),
        deterministic=_same(first, second),
        queries=len(sample) * (heard.tried + 1),
        busy=time.monotonic() - began,
        pace=taken / len(sample),
    )


def _ask(
    connection: Connection, entrance: Entrance, sample: Array, outputs: Sequence[Slot]
) -> list[Answer]:
    rows = arrange(sample, as_interface(entrance))
    header = {"op": "infer", "fixed_batch": entrance.fixed_batch}
    reply = connection.ask(header, {entrance.input: rows})
    return [Answer(slot.name, *output_of(reply, slot.name)) for slot in outputs]


def _same(first: Answer, second: Answer) -> bool:
    return first.array.tobytes() == second.array.tobytes() and first.keys == second.keys
