"""What was changed in a text, word by word, for people to read."""

from collections.abc import Iterator


def wordings(before: str, after: str) -> Iterator[tuple[str, str, str]]:
    """Yield the place, the word before and the word after, of each word that is another.

    Letters that only look like the ones before are named by their code points.
    """
    old, new = before.split(), after.split()
    if len(old) != len(new):
        yield "text", before, after
        return
    for place, (one, other) in enumerate(zip(old, new, strict=True), start=1):
        if one != other:
            odd = sorted({sign for sign in other if not sign.isascii()} - set(one))
            codes = ", ".join(f"{sign} is U+{ord(sign):04X}" for sign in odd)
            yield f"word {place}", one, f"{other} ({codes})" if codes else other
