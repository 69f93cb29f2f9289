"""A text taken apart into words, and how far one word is from another."""

import re
from dataclasses import dataclass, replace

WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Words:
    """A text as words (runs of what is no white space) between gaps, one more than words."""

    gaps: tuple[str, ...]
    words: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> "Words":
        """Take a text apart; ``text`` puts it together again, letter for letter."""
        found = list(WORD.finditer(text))
        starts, ends = [m.start() for m in found], [m.end() for m in found]
        gaps = tuple(text[a:b] for a, b in zip([0, *ends], [*starts, len(text)], strict=True))
        return cls(gaps, tuple(m.group() for m in found))

    @property
    def text(self) -> str:
        """The text."""
        return self.gaps[0] + "".join(
            word + gap for word, gap in zip(self.words, self.gaps[1:], strict=True)
        )

    def put(self, place: int, word: str) -> "Words":
        """Return the text with another word at a place."""
        return replace(self, words=(*self.words[:place], word, *self.words[place + 1 :]))

    def without(self, place: int) -> str:
        """Return the text without one of its words."""
        joined = self.gaps[place] + self.gaps[place + 1]
        gaps = (*self.gaps[:place], joined, *self.gaps[place + 2 :])
        return replace(self, gaps=gaps, words=self.words[:place] + self.words[place + 1 :]).text


@dataclass(frozen=True, slots=True)
class Core:
    """A word as what is read of it, between the signs around it: ``(`` ``good`` ``),``."""

    before: str
    letters: str
    after: str

    @classmethod
    def of(cls, word: str) -> "Core":
        """Take the signs off that stand before and after a word."""
        inner = [place for place, sign in enumerate(word) if sign.isalnum()]
        if not inner:
            return cls(word, "", "")
        first, end = inner[0], inner[-1] + 1
        return cls(word[:first], word[first:end], word[end:])

    def holding(self, letters: str) -> str:
        """Return the word with other letters between the same signs."""
        return self.before + letters + self.after


def levenshtein(one: str, other: str, most: int) -> int:
    """Return how many letters are inserted, deleted or replaced to make one of the other.

    ``most + 1`` stands for all that is more. Levenshtein 1966; only a band of width ``most``
    around the diagonal is computed (Ukkonen 1985).
    """
    start, far = 0, most + 1
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    one, other = one[start:], other[start:]
    if abs(len(one) - len(other)) > most:
        return far
    before = {column: column for column in range(min(most, len(other)) + 1)}
    for row, letter in enumerate(one, start=1):
        here: dict[int, int] = {}
        for column in range(max(0, row - most), min(len(other), row + most) + 1):
            replaced = before.get(column - 1, far) + (column > 0 and letter != other[column - 1])
            dropped, added = before.get(column, far) + 1, here.get(column - 1, far) + 1
            here[column] = min(replaced, dropped, added, far)
        before = here
    return before.get(len(other), far)
