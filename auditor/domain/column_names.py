"""Words in names of columns: which of them say who a person is."""

import re

PROTECTED = frozenset(
    {
        "sex", "gender", "race", "racial", "ethnicity", "ethnic", "age", "religion", "nationality",
        "disability", "disabled", "marital", "pregnancy", "pregnant", "citizenship", "caste",
        "female", "male", "woman", "women", "married", "foreigner", "immigrant", "hispanic",
        "latino", "veteran", "transgender", "elderly",
    }
)  # fmt: skip
"""Words of names of columns that say who a person is, and never what a model should answer."""
ALONE = frozenset({"group", "groups"})
"""Names that say so as a whole: a product group is none of people."""


def is_protected_name(name: str) -> bool:
    """Whether the name of a column says that it holds who a person is."""
    return name.lower() in ALONE or not PROTECTED.isdisjoint(split_name(name))


def split_name(name: str) -> frozenset[str]:
    """Return the words of a column's name, in lower case."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return frozenset(re.split(r"[^a-z]+", words.lower()))
