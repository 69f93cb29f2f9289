"""Which rows are pictures, told by their shape."""

FEWEST_AXES, MOST_CHANNELS = 2, 4
IMAGE_AXES = 3


def image_axes(row: tuple[int, ...]) -> tuple[int, int, int | None] | None:
    """Return the axes of height, width and channels of a row, or ``None`` where it is no image.

    Two axes are a grey image; of three axes a short first or last one is the channels.
    """
    if len(row) == FEWEST_AXES:
        return (0, 1, None)
    if len(row) != IMAGE_AXES:
        return None
    if row[0] <= MOST_CHANNELS or row[2] > MOST_CHANNELS:
        return (1, 2, 0)
    return (0, 1, 2)
