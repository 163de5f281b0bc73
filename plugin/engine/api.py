"""The boundary between a host and the engine: what every engine can do. Standard library only.

A host calls an engine in its own process (plugin.engine.service.LocalEngine) or in a worker process
(plugin.engine.process.remote.RemoteEngine). What goes in and out is plain data, without arrays: see messages.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from plugin.engine.messages import (
    Estimate,
    FastRequest,
    InstantRequest,
    LayerView,
    OpenedLayer,
    PaintedPicture,
    PreviewRequest,
    PreviewResult,
    RawPicture,
    Request,
)
from plugin.engine.progress import ProgressCallback, Stopper, ignore

if TYPE_CHECKING:
    from nst_core.base.recipes import Recipe
    from plugin.engine.imaging.blend_settings import BlendSettings


class Engine(Protocol):
    """Paint pictures, preview styles on opened layers, and estimate times.

    An opened layer and its previews stay in the engine, and the host refers to them by their numbers. Every method may
    be called from any thread. Each may also raise process.remote.EngineEndedError, if the engine's process has ended.
    """

    def paint(
        self,
        pictures: Sequence[RawPicture],
        request: Request,
        progress: ProgressCallback = ignore,
        *,
        layers: Sequence[int] = (),
    ) -> list[PaintedPicture]:
        """Paint pictures. If ``progress`` returns False, the pictures not yet begun are left out of the result.

        ``layers`` are the numbers of opened layers, one for each picture, on which to show how an iterative painting
        develops: ``progress`` then gets ``shown``, as large as the opened layer and mixed as ``request.blend`` says.
        Raises StyleError if a picture does not fit into memory, or if PyTorch, feature weights or a style are missing.
        """

    def require_torch(self) -> None:
        """Raise StyleError, saying how to get it, if PyTorch is not installed."""

    def check_pictures(self, pixels: int) -> None:
        """Raise StyleError, saying how large a picture would fit, if that many pixels do not fit into memory."""

    def reads_picture(self, path: str) -> bool:
        """Return whether the engine can read this kind of picture file itself. Only the file's beginning is read."""

    def check_painting(self, shapes: Sequence[tuple[int, int]], request: FastRequest | InstantRequest) -> None:
        """Raise StyleError, saying what would fit, if pictures of these heights and widths take too much memory.

        Returns at once. Until the GPU has been tested, the network's own memory is not counted.
        """

    def open_layer(self, picture: RawPicture, grey: bool) -> OpenedLayer:
        """Keep a copy of a layer, of eight bits, for previews. ``grey`` says that the layer cannot hold colours."""

    def select(self, layer: int, selection: bytes | None) -> None:
        """Change how much of each pixel of an opened layer is selected, in eight bits; None stands for all of them."""

    def close_layer(self, layer: int) -> None:
        """Forget an opened layer and all its previews."""

    def layer_photo(self, layer: int, view: LayerView | None = None) -> bytes:
        """Return the unpainted opened layer to be shown: a view of it, or its small copy.

        The result is RGB in eight bits, of the size of the view, over a checkerboard where the layer is transparent.
        """

    def preview(self, layer: int, request: PreviewRequest, sketch: bool, stopper: Stopper) -> PreviewResult:
        """Paint a preview of an opened layer, at full strength. A ``sketch`` is quick, but its strokes are too large.

        Raises StyleError if the style does not run or the preview does not fit into memory, and progress.StoppedError
        if ``stopper`` stops it.
        """

    def mix_preview(self, layer: int, preview: int, view: LayerView, blend: BlendSettings) -> bytes:
        """Return the photo mixed with a preview, to be shown as ``layer_photo`` is.

        The view lies within the area that was requested.
        """

    def forget_preview(self, layer: int, preview: int) -> None:
        """Forget a preview, unless its layer is closed already."""

    def estimate_time(self, shapes: Sequence[tuple[int, int]], recipe: Recipe, stopper: Stopper) -> Estimate:
        """Estimate how long renders of these heights and widths take together. The estimate itself takes seconds.

        Raises StyleError if PyTorch or the feature network is missing, and progress.StoppedError if ``stopper`` stops
        it.
        """
