"""Small changes of one word that a reader overlooks, or reads as the same word."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np

KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
LOOKALIKES: Mapping[str, str] = MappingProxyType(
    dict(
        zip(
            "aceijopsxyhdlABCEHIJKMOPSTXY",
            "\u0430\u0441\u0435\u0456\u0458\u043e\u0440\u0455\u0445\u0443\u04bb\u0501\u04cf"
            "\u0410\u0412\u0421\u0415\u041d\u0406\u0408\u041a\u041c\u041e\u0420\u0405\u0422\u0425"
            "\u04ae",
            strict=True,
        )
    )
)
"""Cyrillic letters that look like Latin ones (Unicode Technical Standard 39, confusables)."""
LATIN = str.maketrans({other: letter for letter, other in LOOKALIKES.items()})
SYNONYM, DISGUISE = "synonym", "homoglyph"
Edit = Callable[[str], Iterator[str]]


def plain(word: str) -> str:
    """Return a word with Latin letters in place of those that only look like them."""
    return word.translate(LATIN)


def neighbours(letter: str) -> str:
    """Return the keys around a small letter on a QWERTY keyboard: beside, above and below it."""
    for row, keys in enumerate(KEYS):
        place = keys.find(letter)
        if letter and place >= 0:
            beside = keys[max(0, place - 1) : place] + keys[place + 1 : place + 2]
            above = KEYS[row - 1][place : place + 2] if row else ""
            below = KEYS[row + 1][max(0, place - 1) : place + 1] if row + 1 < len(KEYS) else ""
            return beside + above + below
    return ""


def _inner(word: str) -> Iterator[int]:
    """Yield the places of letters between the first sign and the last."""
    return (place for place in range(1, len(word) - 1) if word[place].isalpha())


def swapped(word: str) -> Iterator[str]:
    """Swap two neighbours."""
    for place in _inner(word):
        one, two = word[place], word[place + 1]
        if place + 1 < len(word) - 1 and two.isalpha() and one != two:
            yield word[:place] + two + one + word[place + 2 :]


def deleted(word: str) -> Iterator[str]:
    """Leave a letter out."""
    return (word[:place] + word[place + 1 :] for place in _inner(word))


def inserted(word: str) -> Iterator[str]:
    """Strike a key twice."""
    return (word[:place] + word[place] + word[place:] for place in _inner(word))


def mistyped(word: str) -> Iterator[str]:
    """Strike the key beside."""
    for place in _inner(word):
        letter = word[place]
        for key in neighbours(letter.lower()):
            yield word[:place] + (key.upper() if letter.isupper() else key) + word[place + 1 :]


def disguised(word: str) -> Iterator[str]:
    """Put a letter that looks the same, wherever there is one."""
    for place, letter in enumerate(word):
        if letter in LOOKALIKES:
            yield word[:place] + LOOKALIKES[letter] + word[place + 1 :]


EDITS: Mapping[str, Edit] = MappingProxyType(
    {
        "delete": deleted,
        DISGUISE: disguised,
        "insert": inserted,
        "keyboard": mistyped,
        "swap": swapped,
    }
)
"""Typing mistakes within a word, whose ends stay (Pruthi et al. 2019), and letters in disguise."""
MOVES = (*EDITS, SYNONYM)


def edited(word: str, moves: Sequence[str], rng: np.random.Generator) -> Iterator[str]:
    """Yield words that one edit makes, the kinds of edit in turn, each kind in random order."""
    kinds = [list(EDITS[name](word)) for name in moves if name in EDITS]
    queues = [[kind[place] for place in rng.permutation(len(kind))] for kind in kinds]
    while any(queues):
        for queue in queues:
            if queue:
                yield queue.pop()
