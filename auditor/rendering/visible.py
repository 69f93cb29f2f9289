"""Text from a record made harmless to read: nothing invisible may change what a line says."""

import unicodedata

KEPT = frozenset("\n\t\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}")
"""Line ends, and the joiners that scripts and pictograms need."""
HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Controls, marks that turn the direction of writing, lone surrogates, unassigned characters."""


def visible(text: str) -> str:
    """Return ``text`` with each invisible character written out by its number in braces."""
    if text.isprintable():  # nothing hidden is, and no line end
        return text
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if character in KEPT or unicodedata.category(character) not in HIDDEN:
        return character
    return f"\\u{{{ord(character):x}}}"
