"""The threat model of a text attack: which changed texts are permitted."""

from collections.abc import Mapping
from dataclasses import dataclass

from auditor.attacks.text.word_edits import (
    SYNONYM,
    TextWords,
    WordCore,
    levenshtein,
    to_latin_letters,
)

HOMOGLYPH, TYPO = "homoglyph", "typo"


@dataclass(frozen=True, slots=True)
class TextChanges:
    """What is different in a text: how many words, the most edits of one, and kinds by count."""

    words: int
    edits: int
    kinds: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class TextThreat:
    """At most ``words`` words change: each by at most ``edits`` letters (Levenshtein), or into one
    of its ``synonyms`` (which are in small letters, as the words that they stand for).

    No word is split, joined, added or dropped, and what stands between words stays.
    """

    words: int
    edits: int
    synonyms: Mapping[str, tuple[str, ...]]

    def examine(self, clean: str, candidate: str) -> TextChanges | None:
        """Return what was changed, counted anew; ``None`` where the threat does not permit it."""
        before, after = TextWords.of(clean), TextWords.of(candidate)
        if before.gaps != after.gaps or "\0" in candidate:
            return None
        pairs = [(a, b) for a, b in zip(before.words, after.words, strict=True) if a != b]
        if len(pairs) > self.words:
            return None
        most, kinds = 0, dict.fromkeys((SYNONYM, HOMOGLYPH, TYPO), 0)
        for one, other in pairs:
            if self.swaps(one, other):
                kinds[SYNONYM] += 1
                continue
            count = levenshtein(one, other, self.edits)
            if count > self.edits:
                return None
            most = max(most, count)
            kinds[HOMOGLYPH if to_latin_letters(other) == to_latin_letters(one) else TYPO] += 1
        return TextChanges(len(pairs), most, kinds)

    def swaps(self, word: str, other: str) -> bool:
        """Whether one word is a listed synonym of another, between the same signs."""
        one, two = WordCore.of(word), WordCore.of(other)
        known = self.synonyms.get(one.letters.lower(), ())
        return (one.before, one.after) == (two.before, two.after) and two.letters.lower() in known
