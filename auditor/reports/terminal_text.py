"""Escapes texts from outside for a terminal."""

import re

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
BRACKET = re.compile(r"(\\*)\[(?=([a-z#/@][^\[]*?\])?)")
"""A bracket, the backslashes before it, and what makes it a mark."""
OPEN = re.compile(r"\[[^\[\]]*\Z")
"""A bracket that the text after this one could make a mark."""
NO_MARK = "[none][/none]"


def make_printable(text: str) -> str:
    """Return ``text`` with everything replaced that is no letter, sign, space or line's end.

    File names, labels and records come from others, and a terminal obeys escape sequences.
    """
    return "".join(sign if sign.isprintable() or sign in "\n\t" else REPLACEMENT for sign in text)


def escape_markup(text: str) -> str:
    """Return ``text`` so that it stands among marks of our own, such as `[bold]`, as it is written.

    Rich's own way leaves a bracket that another text closes, and a backslash before a mark.
    """
    said = BRACKET.sub(_escaped, make_printable(text))
    ends = len(said) - len(said.rstrip("\\"))
    return said + "\\" * ends + NO_MARK if ends or OPEN.search(said) else said


def _escaped(found: re.Match[str]) -> str:
    before = len(found[1])
    return "\\" * (before + 1 if found[2] is None else 2 * before + 1) + "["
