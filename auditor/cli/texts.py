"""Texts of others on a terminal: shown, never obeyed."""

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def printable(text: str) -> str:
    """Return ``text`` with everything replaced that is no letter, sign, space or line's end.

    File names, labels and records come from others, and a terminal obeys escape sequences.
    """
    return "".join(sign if sign.isprintable() or sign in "\n\t" else REPLACEMENT for sign in text)
