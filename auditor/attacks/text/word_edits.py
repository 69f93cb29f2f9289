"""Word-level edits of texts: synonyms, typos, look-alike letters and edit distance."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from auditor.errors import PolicyError

SHIPPED = (
    "also=too",
    "answer=reply,response",
    "awful=terrible,dreadful,horrible",
    "bad=poor,lousy",
    "begin=start,commence",
    "big=large",
    "brief=short",
    "buy=purchase",
    "called=named",
    "change=alter,modify",
    "check=verify,inspect",
    "choose=select,pick",
    "close=shut",
    "complete=entire,finish",
    "correct=right,proper",
    "create=make,build",
    "current=present",
    "delete=remove,erase",
    "describe=depict",
    "directory=folder",
    "end=finish,stop",
    "error=mistake,fault",
    "excellent=superb,outstanding",
    "fast=quick,rapid",
    "file=document",
    "film=movie,picture",
    "finish=complete,end",
    "fix=repair,mend",
    "folder=directory",
    "function=routine",
    "funny=amusing",
    "get=obtain,fetch",
    "give=provide,supply",
    "given=supplied,provided",
    "good=fine,decent",
    "great=terrific,superb",
    "happy=glad,pleased",
    "help=assist,aid",
    "hold=contain",
    "horrible=awful,terrible",
    "important=vital,significant",
    "issue=problem",
    "job=task",
    "keep=retain,preserve",
    "large=big,huge",
    "list=enumerate",
    "little=small",
    "look=appear,seem",
    "main=principal,chief",
    "make=create,build",
    "mistake=error,fault",
    "movie=film",
    "need=require",
    "new=fresh,recent",
    "number=count",
    "often=frequently",
    "only=merely,solely",
    "part=portion,piece",
    "place=location,spot",
    "problem=issue,trouble",
    "provide=give,supply",
    "purchase=buy",
    "quick=fast,rapid",
    "quickly=fast,rapidly",
    "read=peruse",
    "remove=delete,erase",
    "request=ask",
    "return=yield,give",
    "returns=yields,gives",
    "right=correct",
    "sad=unhappy",
    "select=choose,pick",
    "send=transmit,dispatch",
    "sent=transmitted",
    "set=put",
    "show=display,present",
    "small=little,tiny",
    "start=begin,commence",
    "stop=end,halt",
    "strange=odd,weird",
    "stupid=silly,foolish",
    "task=job",
    "tell=inform",
    "terrible=awful,horrible",
    "text=wording",
    "try=attempt",
    "use=employ",
    "used=employed",
    "using=employing",
    "verify=check,inspect",
    "very=highly,extremely",
    "whole=entire",
    "write=record,compose",
    "wrong=incorrect,mistaken",
)
"""Written for auditor: English words with some that a reader may take for them."""


def read_synonyms(lines: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """Read lines of the form ``word=other,another``: the first may become each of the others.

    Raises ``PolicyError`` for a line of another form, and for what is no single word.
    """
    found: dict[str, tuple[str, ...]] = {}
    for line in lines:
        word, sign, others = line.partition("=")
        group = [item.strip().lower() for item in (word, *others.split(","))]
        if not sign or not all(item.isalnum() for item in group) or len(set(group)) < len(group):
            raise PolicyError(
                f"the synonyms {line!r} of evasion.text are no line of words",
                cure="Write `word=other` or `word=other,another`: single words, each once.",
            )
        more = (*found.get(group[0], ()), *group[1:])
        found[group[0]] = tuple(dict.fromkeys(more))
    return found


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


def to_latin_letters(word: str) -> str:
    """Return a word with Latin letters in place of those that only look like them."""
    return word.translate(LATIN)


def keyboard_neighbours(letter: str) -> str:
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


def swap_letters(word: str) -> Iterator[str]:
    """Swap two neighbours."""
    for place in _inner(word):
        one, two = word[place], word[place + 1]
        if place + 1 < len(word) - 1 and two.isalpha() and one != two:
            yield word[:place] + two + one + word[place + 2 :]


def delete_letter(word: str) -> Iterator[str]:
    """Leave a letter out."""
    return (word[:place] + word[place + 1 :] for place in _inner(word))


def double_letter(word: str) -> Iterator[str]:
    """Strike a key twice."""
    return (word[:place] + word[place] + word[place:] for place in _inner(word))


def mistype_letter(word: str) -> Iterator[str]:
    """Strike the key beside."""
    for place in _inner(word):
        letter = word[place]
        for key in keyboard_neighbours(letter.lower()):
            yield word[:place] + (key.upper() if letter.isupper() else key) + word[place + 1 :]


def substitute_homoglyphs(word: str) -> Iterator[str]:
    """Put a letter that looks the same, wherever there is one."""
    for place, letter in enumerate(word):
        if letter in LOOKALIKES:
            yield word[:place] + LOOKALIKES[letter] + word[place + 1 :]


EDITS: Mapping[str, Edit] = MappingProxyType(
    {
        "delete": delete_letter,
        DISGUISE: substitute_homoglyphs,
        "insert": double_letter,
        "keyboard": mistype_letter,
        "swap": swap_letters,
    }
)
"""Typing mistakes within a word, whose ends stay (Pruthi et al. 2019), and letters in disguise."""
MOVES = (*EDITS, SYNONYM)


def edit_word(word: str, moves: Sequence[str], rng: np.random.Generator) -> Iterator[str]:
    """Yield words that one edit makes, the kinds of edit in turn, each kind in random order."""
    kinds = [list(EDITS[name](word)) for name in moves if name in EDITS]
    queues = [[kind[place] for place in rng.permutation(len(kind))] for kind in kinds]
    while any(queues):
        for queue in queues:
            if queue:
                yield queue.pop()


WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class TextWords:
    """A text as words (runs of what is no white space) between gaps, one more than words."""

    gaps: tuple[str, ...]
    words: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> "TextWords":
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

    def put(self, place: int, word: str) -> "TextWords":
        """Return the text with another word at a place."""
        return replace(self, words=(*self.words[:place], word, *self.words[place + 1 :]))

    def without(self, place: int) -> str:
        """Return the text without one of its words."""
        joined = self.gaps[place] + self.gaps[place + 1]
        gaps = (*self.gaps[:place], joined, *self.gaps[place + 2 :])
        return replace(self, gaps=gaps, words=self.words[:place] + self.words[place + 1 :]).text


@dataclass(frozen=True, slots=True)
class WordCore:
    """A word as what is read of it, between the signs around it: ``(`` ``good`` ``),``."""

    before: str
    letters: str
    after: str

    @classmethod
    def of(cls, word: str) -> "WordCore":
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
