"""The first questions to an opened model: rows in, scores out, do they repeat."""

import time
from collections.abc import Sequence

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


def meet(connection: Connection, task: Task, sample: Array) -> Acquaintance:
    """Find out a model's interface with the rows of ``sample``.

    Layouts that fit the declared shapes are tried, likeliest first, until the runtime takes one.
    Raises what ``entrances`` and ``find_exit`` raise, and the first refusal of the runtime.
    """
    if len(sample) == 0:
        raise DatasetError("there is no row to try the model with", cure="Give at least one row.")
    slots = read_slots(connection.opened.header.get("inputs"))
    outputs = read_slots(connection.opened.header.get("outputs"))
    refusals: list[ModelFailedError] = []
    began = time.monotonic()
    for tried, entrance in enumerate(entrances(slots, sample.shape[1:]), start=1):
        asked = time.monotonic()
        try:
            answers = _ask(connection, entrance, sample, outputs)
        except ModelFailedError as refusal:
            refusals.append(refusal)
            continue
        leaving = find_exit(answers, task)
        first = next(answer for answer in answers if answer.name == leaving.output)
        between = time.monotonic()
        again = _ask(connection, entrance, sample, outputs)
        taken = min(between - asked, time.monotonic() - between)
        second = next(answer for answer in again if answer.name == leaving.output)
        return Acquaintance(
            as_interface(entrance, leaving),
            None if first.keys is None else tuple(first.keys),
            deterministic=_same(first, second),
            queries=len(sample) * (tried + 1),
            busy=time.monotonic() - began,
            pace=taken / len(sample),
        )
    raise refusals[0]


def _ask(
    connection: Connection, entrance: Entrance, sample: Array, outputs: Sequence[Slot]
) -> list[Answer]:
    rows = arrange(sample, as_interface(entrance))
    header = {"op": "infer", "fixed_batch": entrance.fixed_batch}
    reply = connection.ask(header, {entrance.input: rows})
    return [Answer(slot.name, *output_of(reply, slot.name)) for slot in outputs]


def _same(first: Answer, second: Answer) -> bool:
    return first.array.tobytes() == second.array.tobytes() and first.keys == second.keys
