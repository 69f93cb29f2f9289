"""Suggestions of similar names where a name is unknown."""

from collections.abc import Callable, Collection, Sequence
from difflib import get_close_matches

ALIKE = (0.8, 0.6, 0.4)
"""How alike names must be: where some are nearly the same, those less alike are not named."""
LOOSEST = ALIKE[-1]
MOST_NEAR = 3
MOST_LISTED = 12


def find_similar_names(
    wanted: str, known: Collection[str], loosest: float = LOOSEST
) -> tuple[str, ...]:
    """Return the names that are most like ``wanted``, the most alike first; none where none is."""
    options = list(known)
    for cutoff in ALIKE:
        found = get_close_matches(wanted, options, n=MOST_NEAR, cutoff=cutoff)
        if found and cutoff >= loosest:
            return tuple(found)
    return ()


def suggest_near_names(wanted: str, names: Collection[str]) -> str:
    """Say, behind what is not there, which names are hardly another; nothing where none is."""
    found = find_similar_names(wanted, names, ALIKE[0])
    return f"; there {'is' if len(found) == 1 else 'are'} {', '.join(found)}" if found else ""


def suggest_names(wanted: str, known: Collection[str], shown: Callable[[str], str] = str) -> str:
    """Say which names are nearest to ``wanted``, and what there is where that is a short list.

    ``shown`` is how a name is written: in quotes, as ``repr``, where it may have spaces.
    """
    options = [shown(name) for name in known]
    found = [shown(name) for name in find_similar_names(wanted, known)]
    nearest = f"nearest {'is' if len(found) == 1 else 'are'}: {', '.join(found)}" if found else ""
    if found and len(options) > MOST_LISTED:
        return nearest
    there = f"there are {format_name_list(options) or 'none'}"
    return f"{nearest}; {there}" if nearest else there


def format_name_list(names: Sequence[str], most: int = MOST_LISTED) -> str:
    """List names, and of many the first and how many more there are, which are two at least."""
    if len(names) <= most + 1:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"


def describe_unknown_name(what: str, strangers: Collection[str], known: Collection[str]) -> str:
    """Say that there is no ``what`` of these names, and which may have been meant by each."""
    options = list(known)
    short = len(options) <= MOST_LISTED
    said = [
        f"{it} ({suggest_names(it, options)})" if short or find_similar_names(it, options) else it
        for it in strangers
    ]
    return f"there is no {what} {', '.join(said)}"
