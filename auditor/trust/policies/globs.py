"""Glob patterns of names: ``*`` is any text, ``?`` one character."""

from collections import deque

ANY, ONE = "*", "?"


def matches_pattern(pattern: str, text: str) -> bool:
    """Whether a pattern stands for exactly this text; needs no more than their product in steps."""
    places = _rested(pattern, {0})
    for sign in text:
        moved = {
            place if pattern[place] == ANY else place + 1
            for place in places
            if place < len(pattern) and pattern[place] in {ANY, ONE, sign}
        }
        places = _rested(pattern, moved)
    return len(pattern) in places


def find_common_match(left: str, right: str) -> str | None:
    """Return a shortest text for which both patterns stand; ``None`` where there is none."""
    ends = (len(left), len(right))
    seen: set[tuple[int, int]] = set()
    waiting = deque([((0, 0), "")])
    while waiting:
        place, text = waiting.popleft()
        if place == ends:
            return text
        if place in seen:
            continue
        seen.add(place)
        # Every star costs one step without a sign, so that the fewest steps give the fewest signs.
        waiting += [(it, text + sign) for it, sign in _followers(left, right, *place)]
    return None


def _followers(left: str, right: str, i: int, j: int) -> list[tuple[tuple[int, int], str]]:
    a, b = left[i : i + 1], right[j : j + 1]
    found = []
    if a == ANY:
        found.append(((i + 1, j), ""))
    if b == ANY:
        found.append(((i, j + 1), ""))
    sign = _shared(a, b)
    if sign:
        found.append(((i + (a != ANY), j + (b != ANY)), sign))
    return found


def _shared(a: str, b: str) -> str:
    """Return a sign for which both places stand, where there is one; an end has no sign."""
    wild = {ANY, ONE}
    if a in wild:
        return "x" if b in wild else b
    return a if b in wild or a == b else ""


def _rested(pattern: str, places: set[int]) -> set[int]:
    """Add the places that are reached without a sign: a ``*`` may stand for nothing."""
    found = set(places)
    for place in sorted(places):
        at = place
        while at < len(pattern) and pattern[at] == ANY:
            at += 1
            found.add(at)
    return found
