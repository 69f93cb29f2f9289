"""Limits on the size and work of a CEL condition, so that each ends soon."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from auditor.domain.json import Json
from auditor.errors import ConditionError, PolicyError

MOST_CHARACTERS = 2_000
MOST_OF_A_TEXT = 200
# The engine counts the steps of loops but not the memory that nested ones build up, so a condition
# may hold only so many of what makes values grow: each nested loop multiplies what `+` and `,` add.
MOST_OF = MappingProxyType({"loops": 3, "signs +": 16, "commas": 40, "choices ?": 8})
_COUNTED = {
    "loops": re.compile(r"\b(?:all|exists|exists_one|map|filter)\b"),
    "signs +": re.compile(r"\+"),
    "commas": re.compile(r","),
    "choices ?": re.compile(r"\?"),
}
MOST_BRACKETS = 12
MOST_LOOPS_DEEP = 2
FUNCTIONS = frozenset(
    {
        "all", "exists", "exists_one", "map", "filter", "has", "size", "startsWith", "endsWith",
        "contains", "matches", "format", "lowerAscii", "upperAscii", "trim", "int", "double",
        "string", "bool",
    }
)  # fmt: skip
"""What conditions may call. The engine's others grow texts: ten calls of `replace` filled 10 GB."""
LOOPS = frozenset({"all", "exists", "exists_one", "map", "filter"})
OUTERMOST = frozenset({"map", "filter", "matches"})
"""What costs too much to be done again and again in a loop."""
_TEXT = re.compile(
    r"""(?<![\w])[rR](?:"[^"\n]*"|'[^'\n]*')|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'"""
)
_STRANGE = re.compile(r"""[`"']|//|\w\x00|\x00\x00""")
_CALLED = re.compile(r"([A-Za-z_]\w*)\s*\($")
_SIGNS = re.compile(r"(?:[!-]\s*){4,}")
_MATCHED = re.compile(r"\bmatches\s*\((?!\s*\x00\s*\))")
MOST_VALUES = 50_000


@dataclass(frozen=True, slots=True)
class ConditionSizes:
    """How long a list and a text may be that a condition looks at."""

    items: int = MOST_VALUES
    text: int = 100_000


ASKED_OFTEN = ConditionSizes(1_000, 2_000)
"""Where a loop asks of each item."""
BUILT = ConditionSizes(200, 2_000)
"""Where a loop makes a list, which the engine copies for each item."""


def refuse_condition(text: str) -> None:
    """Refuse what may take more time or memory than an answer is worth; see ``MOST_OF``."""
    if len(text) > MOST_CHARACTERS:
        raise _too_much(f"a condition of {len(text):,} characters is longer than", MOST_CHARACTERS)
    for found in _TEXT.finditer(text):
        if len(found.group()) > MOST_OF_A_TEXT:
            raise _too_much(f"column {found.start() + 1}: a text is longer than", MOST_OF_A_TEXT)
    code = _TEXT.sub("\x00", text)
    strange = _STRANGE.search(code)
    if strange is not None:
        raise PolicyError(
            f"column {strange.start() + 1}: no text begins or ends there in the condition `{text}`",
            cure="Write texts on one line, in one pair of quotation marks each, and no comments.",
        )
    for what, most in MOST_OF.items():
        count = len(_COUNTED[what].findall(code))
        if count > most:
            raise _too_much(f"the condition `{text}` has {count} {what}, more than", most)
    if _SIGNS.search(code):
        raise _too_much(f"the condition `{text}` has signs in a row, more than", 3)
    if _MATCHED.search(code):
        raise PolicyError(
            f"the condition `{text}` matches a pattern that is not written out",
            cure="Write the pattern as a text into the brackets of `matches`.",
        )
    _refuse_calls(text, code)


def _refuse_calls(text: str, code: str) -> None:
    """Refuse functions that are not allowed, and brackets and loops that nest too deep."""
    open_: list[str] = []
    for at, sign in enumerate(code):
        if sign in "([{":
            called = _CALLED.search(code, 0, at + 1)
            name = "" if called is None or called.end() != at + 1 else called.group(1)
            loops = [item for item in open_ if item in LOOPS]
            if name and name not in FUNCTIONS and name != "in":
                raise PolicyError(
                    f"the function {name!r} is not allowed in the condition `{text}`",
                    cure=f"Allowed are {', '.join(sorted(FUNCTIONS))}.",
                )
            if name in OUTERMOST and loops:
                raise PolicyError(
                    f"the condition `{text}` has {name!r} within a loop",
                    cure="Ask it outside, or of one value alone.",
                )
            if name in LOOPS and len(loops) >= MOST_LOOPS_DEEP:
                raise _too_much(f"the condition `{text}` nests loops deeper than", MOST_LOOPS_DEEP)
            open_.append(name)
            if len(open_) > MOST_BRACKETS:
                raise _too_much(f"the condition `{text}` nests brackets deeper than", MOST_BRACKETS)
        elif sign in ")]}" and open_:
            open_.pop()


def _too_much(what: str, most: int) -> PolicyError:
    return PolicyError(
        f"{what} {most:,}", cure="Move lists into `params`, or make several rules of it."
    )


def list_condition_names(text: str) -> frozenset[str]:
    """Return all names that stand in a condition outside of its texts."""
    return frozenset(re.findall(r"[A-Za-z_]\w*", _TEXT.sub("", text)))


def find_condition_sizes(text: str) -> ConditionSizes:
    """Return how large the values may be that a condition's loops go over."""
    loops = list_condition_names(text) & LOOPS
    if loops & OUTERMOST:
        return BUILT
    return ASKED_OFTEN if loops else ConditionSizes()


def refuse_values(value: Json, most: ConditionSizes, left: int = MOST_VALUES) -> int:
    """Return how many values more may be handed over. Raises ``ConditionError`` when too many."""
    items: Collection[Json] = ()
    if isinstance(value, str):
        if len(value) > most.text:
            raise _too_large(f"a text of {len(value):,} characters")
    elif isinstance(value, Mapping):
        items = value.values()
    elif isinstance(value, list):
        items = value
    if len(items) > most.items:
        raise _too_large(f"a list of {len(items):,}")
    if not left:
        raise _too_large(f"more than {MOST_VALUES:,} values")
    left -= 1
    for item in items:
        left = refuse_values(item, most, left)
    return left


def _too_large(what: str) -> ConditionError:
    return ConditionError(
        f"the condition would have to look at {what}",
        cure="Ask of fewer values, or by a bound in place of a condition.",
    )
