"""Confusable names: different characters that people or file systems take for the same name."""

import re
import unicodedata

UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""What is drawn as nothing (Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties)."""

INNER_MARKS = str.maketrans("“”„‟", '""""')
"""Double quotation marks that stand around names, and what stands for them within one."""

PLAIN = re.compile(r"[\w.-]+")
WORDS = frozenset({"all", "any", "default", "none", "nothing", "null"})
"""Names that say something else where they stand without quotation marks."""


def fold_name(name: str, *, cased: bool = False) -> str:
    """Return what names that look alike have in common; if ``cased``, but for those of other case.

    Source: Unicode Standard, D146 (compatibility caseless matching), without what is not drawn.
    """
    if name.isascii():
        return name if cased else name.casefold()
    bare = _decomposed(_decomposed(name))
    if not cased:
        # Twice: what one folding makes of a letter, the next may fold again.
        bare = _decomposed(_decomposed(bare.casefold()).casefold())
    return unicodedata.normalize("NFC", bare)


def _decomposed(text: str) -> str:
    return UNSEEN.sub("", unicodedata.normalize("NFKD", text))


def quote_unclear_name(name: str) -> str:
    """Return a free name, in quotation marks where it could be read as words of the text."""
    clear = PLAIN.fullmatch(name) and name.casefold() not in WORDS
    return name if clear else quote_name(name)


def quote_name(name: str) -> str:
    """Return a free name in quotation marks, of which it cannot break out by marks of its own."""
    return f"“{name.translate(INNER_MARKS)}”"
