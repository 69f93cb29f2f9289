"""Text from a record made harmless to read: nothing invisible may change what a line says."""

import unicodedata

KEPT = frozenset("\n\t\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}")
"""Line ends, and the joiners that scripts and pictograms need."""
HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Controls, marks that turn the direction of writing, lone surrogates, unassigned characters."""

BLANK = frozenset(map(chr, (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0)))
"""Letters and marks that are drawn as nothing at all."""


def visible(text: str) -> str:
    """Return ``text`` with each invisible character written out by its number in braces."""
    if text.isprintable() and BLANK.isdisjoint(text):  # nothing else hidden is, and no line end
        return text
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    hidden = unicodedata.category(character) in HIDDEN or character in BLANK
    if character in KEPT or not hidden:
        return character
    return f"\\u{{{ord(character):x}}}"
