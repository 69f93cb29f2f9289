"""Every kind of corruption, and the medium that given rows are."""

import zlib

import numpy as np

from auditor.attacks.corruptions import images, tables
from auditor.attacks.corruptions.images import SEVERITIES
from auditor.attacks.corruptions.input_medium import CorruptionMedium
from auditor.domain.tasks import Array, InputSpace
from auditor.errors import PolicyError

KINDS = (*images.KINDS, *tables.KINDS)


def detect_medium(
    rows: Array,
    space: InputSpace,
    model_takes: tuple[int, ...] | None = None,
    *,
    whole: bool = False,
) -> CorruptionMedium:
    """Return what ``rows`` ``[n, ...]`` are: pictures where they look like it, else a table.

    ``model_takes`` is the shape of one input of the model, ``whole`` whether it takes whole
    numbers only.
    """
    found = images.find_image_layout(rows.shape[1:], space, model_takes, whole=whole)
    if found is not None:
        return images.ImageMedium(found)
    return tables.build_table_medium(rows, space, whole=whole)


def corruption_generator(seed: int, kind: str) -> np.random.Generator:
    """Return the generator of a kind: the same at each severity, so that these differ in strength.

    Names, not places in a list, seed it, so that asking for more kinds changes no other one.
    """
    return np.random.default_rng([seed, zlib.crc32(kind.encode())])


def select_kinds(kinds: tuple[str, ...]) -> tuple[str, ...]:
    """Return distinct kinds in the catalogue's order.

    Raises ``PolicyError`` where there is none, or one is not known.
    """
    strangers = sorted(set(kinds) - set(KINDS))
    if not kinds or strangers:
        raise PolicyError(
            f"kinds {strangers} of a corruption check do not exist" if strangers else "no kinds",
            cure=f"Choose from {', '.join(KINDS)}.",
        )
    return tuple(kind for kind in KINDS if kind in kinds)


def select_severities(severities: tuple[int, ...]) -> tuple[int, ...]:
    """Return distinct severities, the mildest first. Raises ``PolicyError`` outside 1..5."""
    if not severities or not set(severities) <= set(SEVERITIES):
        raise PolicyError(
            f"severities {list(severities)} of a corruption check are not among 1 to 5",
            cure="Give at least one whole number from 1 (mild) to 5 (severe).",
        )
    return tuple(sorted(set(severities)))
