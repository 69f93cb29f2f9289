"""Limits on the length of names and texts in inputs."""

MOST_NAME = 500
"""Characters of a name: of a model, a version, a class, a column, a group, a target, a setting."""
MOST_PATH = 4096
"""Characters of a path, as most file systems have it."""
MOST_TEXT = 20_000
"""Characters of a text that people read: a description, a reason."""


def explain_too_long(text: str, most: int = MOST_NAME) -> str:
    """Say that a text is longer than it may be; nothing where it is not."""
    if len(text) <= most:
        return ""
    return f"{text[:40]!r}… has {len(text):,} characters; at most {most:,} are allowed"
