"""Ask a check for its block: it gets copies alone, and whatever it does is caught."""

import re
from collections.abc import Iterator
from copy import deepcopy

import numpy as np

from auditor.domain.block_limits import examined
from auditor.domain.blocks import Block, block_of
from auditor.domain.evidence import Item
from auditor.domain.readings import Measurement
from auditor.domain.records import Observation
from auditor.errors import AuditorError, BrokenCheckError
from auditor.rendering.inputs import RenderedInputs

SHOWN_WITH_LEAVE = ("example", "sheet", "shown")
"""How items begin that hold rows to be shown: they are not given without the owner's leave."""
LONGEST = 300
ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]+")
"""What differs from run to run in the text of an error."""


def ask(inputs: RenderedInputs, seen: Observation) -> Block:
    """Return the block of the check that observed, examined.

    Raises ``BrokenCheckError`` where it is none, and whatever the check raises.
    """
    draw = block_of(inputs.checks[seen.check])
    if not callable(draw):
        raise BrokenCheckError("its `block` is no function", cure="Make it a static method.")

    def read(name: str) -> "Item | None":
        if name.startswith(SHOWN_WITH_LEAVE) and not inputs.show_examples:
            return None
        item = inputs.evidence(seen, name)
        if isinstance(item, np.ndarray):
            item.flags.writeable = False
        return item

    return examined(draw(tuple(_measured(inputs, seen)), read))


def fault(error: BaseException) -> str:
    """Say the class and the text of an error, in the same words at every rendering.

    That of a stack that is full depends on who called; that of an error that fails is none.
    """
    try:
        said = error.problem if isinstance(error, AuditorError) else str(error)
    except Exception:  # noqa: BLE001 -- an error of others
        said = ""
    if isinstance(error, RecursionError):
        said = ""
    text = ADDRESS.sub("at 0x…", " ".join(said.split()))
    short = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    return f"{type(error).__name__}: {short}" if short else type(error).__name__


def _measured(inputs: RenderedInputs, seen: Observation) -> Iterator[Measurement]:
    for item in inputs.record.readings:
        mine = (item.target, item.check) == (seen.target, seen.check)
        if mine and isinstance(item, Measurement):
            yield deepcopy(item)
