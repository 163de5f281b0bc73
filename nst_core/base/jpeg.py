"""Check JPEGs from files that are not trusted, without decoding them."""

from __future__ import annotations

FIRST_SIDE_AT = 5  # bytes from the marker of a frame to its height, which its width follows
BASELINE_FRAMES = (0xC0, 0xC1)
OTHER_FRAMES = (0xC2, 0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0))
SCAN = 0xDA
# A scan costs a pass over the whole picture; JPEGs that are not progressive have one for each channel at most.
MOST_SCANS = 4


def is_small_jpeg(data: bytes, longest_side: int, most_bytes: int) -> bool:
    """Return whether ``data`` begins as a JPEG, not progressive, that is quick to decode.

    ``longest_side`` is in pixels. A small file of any other kind may be a picture of a billion pixels.
    """
    if len(data) > most_bytes or not data.startswith(b"\xff\xd8"):
        return False
    at, frames = 2, 0
    while data[at : at + 1] == b"\xff" and at + FIRST_SIDE_AT + 4 <= len(data):
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == SCAN:
            return frames == 1 and data.count(bytes([0xFF, SCAN]), at) <= MOST_SCANS
        if marker in BASELINE_FRAMES:
            frames += 1
            sides = [
                int.from_bytes(data[at + part : at + part + 2], "big") for part in (FIRST_SIDE_AT, FIRST_SIDE_AT + 2)
            ]
            if not (min(sides) > 0 and max(sides) <= longest_side):
                return False
        elif marker in OTHER_FRAMES or not 0xC4 <= marker < 0xFF or length < 2:
            return False
        at += 2 + length
    return False
