"""Query costs of attacks, and what a suite of them found."""

from dataclasses import dataclass

from auditor.domain.tasks import Array, Floats

BISECTION = "bisection"


@dataclass(frozen=True, slots=True)
class QueryCost:
    """What one attack at one budget found and cost.

    ``live`` rows stood before it and ``broken`` of them fell; ``phantoms`` are rows that the twin
    called broken and the target did not. ``queries`` are rows scored on the target, ``passes``
    gradients of the twin.
    """

    attack: str
    eps: float
    live: int
    broken: int
    phantoms: int
    queries: int
    passes: int
    refused: int


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SweepResult:
    """What a suite found, as the target scored it.

    ``crafted`` holds each row's nearest successful candidate, or its strongest one, and
    ``probabilities`` what the target said to it; ``distance`` is the size of its change,
    ``breaking`` that of a successful one (infinite: none; 0: wrong without any attack).
    ``movable`` counts the coordinates that may move, one entry a budget. ``parts`` are the rows
    that went together, ``decided`` whether what they showed ended the attack.
    """

    budgets: tuple[float, ...]
    probabilities: Floats
    crafted: Array
    distance: Floats
    breaking: Floats
    movable: tuple[int, ...]
    log: tuple[QueryCost, ...]
    parts: tuple[int, ...] = ()
    decided: bool = False


def sum_costs(logs: list[list[QueryCost]]) -> tuple[QueryCost, ...]:
    """Add up the bills of all parts, attack by attack."""
    return tuple(
        QueryCost(
            attack=bills[0].attack,
            eps=bills[0].eps,
            live=sum(bill.live for bill in bills),
            broken=sum(bill.broken for bill in bills),
            phantoms=sum(bill.phantoms for bill in bills),
            queries=sum(bill.queries for bill in bills),
            passes=sum(bill.passes for bill in bills),
            refused=sum(bill.refused for bill in bills),
        )
        for bills in zip(*logs, strict=True)
    )
