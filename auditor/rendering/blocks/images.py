"""Pictures of others, read and written anew: nothing but their pixels comes into the page."""

import base64
import io

from PIL import Image

from auditor.errors import BrokenCheckError

MOST_SIDE = 1200
KINDS = ("L", "RGB", "RGBA")


def png_uri(raw: bytes) -> str:
    """Return a PNG file's first picture as a data URI.

    Raises ``BrokenCheckError`` where the bytes are no such file, or it is too wide or too high.
    """
    try:
        with Image.open(io.BytesIO(raw), formats=["PNG"]) as found:
            if max(found.size) > MOST_SIDE:
                raise BrokenCheckError(
                    f"a picture has {found.size[0]} x {found.size[1]} pixels",
                    cure=f"Give at most {MOST_SIDE} a side.",
                )
            bare = _pixels(found)
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise BrokenCheckError(
            f"a picture is no PNG file that can be read: {error}", cure="Give a PNG file."
        ) from None
    buffer = io.BytesIO()
    bare.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _pixels(found: Image.Image) -> Image.Image:
    if "transparency" in found.info:
        found = found.convert("RGBA")
    elif found.mode not in KINDS:
        found = found.convert("RGBA" if "A" in found.mode else "RGB")
    return Image.frombytes(found.mode, found.size, found.tobytes())
