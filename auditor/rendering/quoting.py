"""What a text quotes between backticks, shown as code."""

import re

from markupsafe import Markup, escape

from auditor.rendering.visible import visible

QUOTED = re.compile(r"`([^`]+)`")


def coded(text: str) -> Markup:
    """Return escaped text in which each part between two backticks is code."""
    said = QUOTED.split(visible(text))
    parts = (
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part)
        for place, part in enumerate(said)
    )
    return Markup("").join(parts)
