"""Options that say how much work and time an audit may take."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from auditor.domain.budgets import Budget

F = TypeVar("F", bound=Callable[..., Any])


def budget_options(command: F) -> F:
    """Add ``--budget`` and ``--max-minutes``."""
    minutes = click.option(
        "--max-minutes",
        type=click.FloatRange(min=0, min_open=True),
        metavar="N",
        help="Minutes of target time that the audit may take. Default: 2 at budget smoke, 15 at "
        "ci, 240 at full. What rules ask for comes first; attacks look at fewer rows; what does "
        "not fit is reported as over budget.",
    )
    effort = click.option("--budget", type=click.Choice([item.value for item in Budget]))
    return effort(minutes(command))
