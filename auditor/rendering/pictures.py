"""Arrays as small PNG pictures inside the page."""

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MOST_PIXELS = 96
CHANNELS = (1, 3)


@dataclass(frozen=True, slots=True)
class PictureTriple:
    """An input, what an attack made of it, and the difference, magnified ``times`` over grey."""

    clean: str
    adversarial: str
    difference: str
    times: float

    @property
    def weight(self) -> int:
        """How many characters the three take in the page."""
        return len(self.clean) + len(self.adversarial) + len(self.difference)


def as_pictures(batch: NDArray[Any]) -> NDArray[np.float64] | None:
    """Return ``[k, h, w, 1|3]`` of a batch of pictures, or ``None`` where it is none.

    Takes ``[k, h, w]``, ``[k, c, h, w]`` and ``[k, h, w, c]`` with one or three channels.
    """
    if batch.ndim == 3 and min(batch.shape[1:]) > 1:  # noqa: PLR2004 -- rows, height and width
        return batch[..., np.newaxis].astype(np.float64)
    if batch.ndim != 4:  # noqa: PLR2004 -- rows, height, width and channels
        return None
    if batch.shape[3] in CHANNELS and min(batch.shape[1:3]) > 1:
        return batch.astype(np.float64)
    if batch.shape[1] in CHANNELS and min(batch.shape[2:]) > 1:
        return np.moveaxis(batch, 1, 3).astype(np.float64)
    return None


def picture_triples(
    clean: NDArray[np.float64], adversarial: NDArray[np.float64], room: int
) -> tuple[PictureTriple, ...]:
    """Return data URIs of pairs ``[k, h, w, c]``, all on one scale from darkest to brightest.

    As many as fit into ``room`` characters, and always the first.
    """
    low = float(min(clean.min(), adversarial.min()))
    width = float(max(clean.max(), adversarial.max())) - low or 1.0
    found: list[PictureTriple] = []
    left = room
    for a, b in zip(clean, adversarial, strict=True):
        triple = _triple((a - low) / width, (b - low) / width)
        left -= triple.weight
        if found and left < 0:
            break
        found.append(triple)
    return tuple(found)


def plain_pictures(batch: NDArray[np.float64], room: int) -> tuple[str, ...]:
    """Return data URIs of ``[k, h, w, c]``, all on one scale, as many as fit into ``room``."""
    low = float(batch.min(initial=np.inf))
    width = float(batch.max(initial=-np.inf)) - low or 1.0
    found: list[str] = []
    left = room
    for one in batch:
        drawn = _png((one - low) / width)
        left -= len(drawn)
        if left < 0:
            break
        found.append(drawn)
    return tuple(found)


def heat_picture(places: NDArray[np.float64]) -> str:
    """Return a data URI of ``[h, w]`` amounts: black where there is none, white at the most."""
    most = float(places.max(initial=0.0))
    return _png((places / most if most > 0 else places)[..., np.newaxis])


def _triple(clean: NDArray[np.float64], adversarial: NDArray[np.float64]) -> PictureTriple:
    change = adversarial - clean
    most = float(np.abs(change).max())
    times = 1.0 if most == 0 else max(1.0, float(np.floor(0.5 / most)))
    grey = np.clip(0.5 + change * times, 0.0, 1.0)
    return PictureTriple(_png(clean), _png(adversarial), _png(grey), times)


def _png(pixels: NDArray[np.float64]) -> str:
    levels = np.rint(np.clip(pixels, 0.0, 1.0) * 255).astype(np.uint8)
    image = Image.fromarray(levels[..., 0] if levels.shape[2] == 1 else levels)
    if max(image.size) > MOST_PIXELS:
        image.thumbnail((MOST_PIXELS, MOST_PIXELS))
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
