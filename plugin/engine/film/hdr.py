"""Turn the colours of an HDR film into those of an ordinary one, whose pictures the networks know."""

from __future__ import annotations

import numpy as np

PQ, HLG = 16, 18  # transfers as ITU-T H.273 numbers them
GRAPHICS_WHITE = 203.0  # cd/m², the white of an ordinary picture in an HDR one (ITU-R BT.2408)
HLG_PEAK = 1000.0  # cd/m², of the display that HLG is mastered on
HLG_SYSTEM_GAMMA = 1.2  # of that display (ITU-R BT.2100, table 5)
KNEE = 0.75  # of white, above which highlights are compressed rather than cut off
DISPLAY_GAMMA = 2.4  # ITU-R BT.1886
# Linear BT.2020 to BT.709 (ITU-R BT.2407, section 2).
TO_BT709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32)
LUMINANCE_2020 = np.array([0.2627, 0.6780, 0.0593], np.float32)  # ITU-R BT.2020


def ordinary_colours(rgb: np.ndarray, transfer: int) -> np.ndarray:
    """Return BT.709 colours, as an ordinary display shows them, of BT.2020 colours encoded with PQ or HLG.

    Both are [..., 3] in 0..1. Colours up to the white of an ordinary picture keep their light; brighter ones are
    compressed.
    """
    light = (_pq_light(rgb) if transfer == PQ else _hlg_light(rgb)) / np.float32(GRAPHICS_WHITE)
    light = np.maximum(light @ TO_BT709.T, 0)
    peak = light.max(axis=-1, keepdims=True)
    over = np.maximum(peak - KNEE, 0)
    compressed = np.minimum(peak, KNEE) + (1 - KNEE) * over / (over + (1 - KNEE))
    light *= compressed / np.maximum(peak, np.float32(1e-6))
    ordinary: np.ndarray = (light.clip(0, 1) ** np.float32(1 / DISPLAY_GAMMA)).astype(np.float32)
    return ordinary


def _pq_light(rgb: np.ndarray) -> np.ndarray:
    """Return light in cd/m² by the PQ EOTF (ITU-R BT.2100, table 4)."""
    root = rgb ** np.float32(1 / 78.84375)
    ratio = np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)
    light: np.ndarray = 10000 * ratio ** np.float32(1 / 0.1593017578125)
    return light


def _hlg_light(rgb: np.ndarray) -> np.ndarray:
    """Return light in cd/m² by the inverse HLG OETF and the OOTF (ITU-R BT.2100, table 5)."""
    scene = np.where(rgb <= 0.5, rgb * rgb / 3, (np.exp((rgb - 0.55991073) / 0.17883277) + 0.28466892) / 12)
    luminance = (scene @ LUMINANCE_2020)[..., None]
    light: np.ndarray = HLG_PEAK * np.maximum(luminance, 1e-6) ** np.float32(HLG_SYSTEM_GAMMA - 1) * scene
    return light
