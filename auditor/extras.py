"""How people are told to install an extra: from where auditor came, and never by its name alone.

An index may hold anything under that name, and what pip installs runs.
"""

import json
import re

EARLIER = re.compile(r"(?:Install it: |Run `)?pip install 'auditor\[([a-z0-9,-]+)\]'`?")
"""How records of earlier versions say it."""
SAID = re.compile(r"Install auditor's extra `([a-z0-9,-]+)` from where auditor came")


def to_install(extras: str) -> str:
    """Return what to do about missing extras, as records say it: they hold no machine's paths."""
    return f"Install auditor's extra `{extras}` from where auditor came"


def worded_today(text: str) -> str:
    """Return ``text`` with what earlier versions said of extras as it is said today."""
    return EARLIER.sub(lambda found: to_install(found[1]), text)


def alike(mine: object, theirs: object) -> bool:
    """Whether two values of JSON are one, but for how earlier versions said what to install."""
    if mine == theirs:
        return True
    here, there = (worded_today(json.dumps(item, sort_keys=True)) for item in (mine, theirs))
    return here == there
