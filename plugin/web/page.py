"""The page: its widgets, and what happens when they are used."""

from __future__ import annotations

import importlib.util
import io
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import gradio
from PIL import Image

from nst_core.base.errors import StyleError
from plugin.engine.fast.fast_settings import STROKE_SIZE_RANGE
from plugin.engine.fast.style_library import find_styles, list_styles
from plugin.engine.instant.instant_settings import InstantSettings
from plugin.web.uploads import PaintedUpload, UploadSettings, paint_upload, prepare, render_upload

KEPT_SECONDS = 3600  # how long an uploaded or painted picture stays
SWEEP_SECONDS = 60
FIRST_STYLE = "great-wave"
PRIVATE = {"api_visibility": "private"}
UNSEEN = {"queue": False, "show_progress": "hidden"} | PRIVATE
PAGE_CSS = """
.gradio-container {max-width: 1200px !important; margin: 0 auto !important}
.caption-label {font-size: 11px !important; line-height: 1.2 !important; white-space: normal !important;
  max-width: 92% !important; padding: 2px 5px !important}
.grid-wrap {max-height: none !important}
@media (max-width: 640px) {.gradio-container > main {padding: 8px !important}}
"""


def build_page() -> gradio.Blocks:
    """Return the page. One picture is painted at a time; the others wait."""
    prepare(FIRST_STYLE)
    with gradio.Blocks(
        title="Neural Style", analytics_enabled=False, delete_cache=(SWEEP_SECONDS, KEPT_SECONDS)
    ) as page:
        gradio.Markdown("# Neural Style\nYour photo as a painting. Pictures are deleted after an hour.")
        chosen = gradio.State(FIRST_STYLE)
        with gradio.Row():
            with gradio.Column(scale=2, min_width=300):
                photo = _upload_widget("Photo")
                gallery, own = _style_widgets()
            with gradio.Column(scale=3, min_width=300):
                result = gradio.ImageSlider(
                    label="Photo and painting", format="jpeg", interactive=False, max_height=720
                )
                said = gradio.Markdown("Drop a photo to begin.")
                download = gradio.DownloadButton("Download the painting", interactive=False)
                settings = _setting_widgets()
                render, stop = _render_widgets()
        inputs, outputs = [photo, chosen, own, *settings], [result, download, said]
        one_at_a_time = {"concurrency_id": "painting", "concurrency_limit": 1, "show_progress": "minimal"} | PRIVATE
        choices = [
            gallery.select(_selected, None, chosen, **UNSEEN),
            own.upload(lambda: "", None, chosen, **UNSEEN),
        ]
        changes = [photo.upload, *(getattr(widget, "release", widget.change) for widget in settings)]
        for change in [*(choice.then for choice in choices), partial(gradio.on, changes, trigger_mode="always_last")]:
            change(_paint, inputs, outputs, **one_at_a_time)
        rendering = render.click(_render, inputs, outputs, trigger_mode="once", **one_at_a_time)
        stop.click(None, None, None, cancels=[rendering], **UNSEEN)
    page.queue(max_size=64, api_open=False)
    return page


def _upload_widget(label: str) -> gradio.Image:
    """Return a place for a picture, which hands over the file as it is: our own decoder reads more formats."""
    widget = gradio.Image(type="filepath", sources=["upload", "clipboard"], label=label, height=220)
    widget.preprocess = lambda upload: upload and upload.path
    return widget


def _style_widgets() -> tuple[gradio.Gallery, gradio.Image]:
    with gradio.Tabs():
        with gradio.Tab("Styles"):
            styles = list_styles()
            gallery = gradio.Gallery(
                [(_thumbnail(style.thumbnail), style.title) for style in styles],
                columns=3,
                height="auto",
                selected_index=[style.name for style in styles].index(FIRST_STYLE),
                allow_preview=False,
                show_label=False,
                buttons=[],
            )
        with gradio.Tab("Your own painting"):
            own = _upload_widget("Its style is taken")
    return gallery, own


def _setting_widgets() -> list[Any]:
    """Return the widgets of the settings, in the order of ``_settings``."""
    instant = InstantSettings()
    strength = gradio.Slider(0, 100, 100, step=1, label="Strength", info="How much painting, and how much photo")
    detail = gradio.Slider(0, 100, 50, step=1, label="Detail", info="How readable faces and lettering stay")
    keep_colors = gradio.Checkbox(False, label="Keep the photo's colours")
    with gradio.Accordion("More", open=False):
        stroke_size = gradio.Slider(*STROKE_SIZE_RANGE, 100, step=5, label="Stroke size")
        motifs = gradio.Slider(0, 100, instant.motifs, step=5, label="Motifs of your own painting")
        brushwork = gradio.Slider(0, 100, instant.brushwork, step=5, label="Brushwork of your own painting")
    return [strength, detail, keep_colors, stroke_size, motifs, brushwork]


def _render_widgets() -> tuple[gradio.Button, gradio.Button]:
    """Return the buttons that start and stop a render, which show only where PyTorch is installed."""
    available = importlib.util.find_spec("torch") is not None
    with gradio.Accordion("Slower and closer to your own painting", open=False, visible=available):
        gradio.Markdown("A render takes minutes, and shows how the picture develops.")
        with gradio.Row():
            return gradio.Button("Render"), gradio.Button("Stop", variant="stop")


def _selected(event: gradio.SelectData) -> str:
    name: str = list_styles()[event.index].name
    return name


def _settings(chosen: str, own: str | None, values: tuple[Any, ...]) -> UploadSettings:
    strength, detail, keep_colors, stroke_size, motifs, brushwork = values
    has_detail = bool(chosen) and all(style.has_detail for style in find_styles(chosen))
    return UploadSettings(
        style=chosen,
        style_picture=Path(own) if own else None,
        detail=float(detail) if has_detail else None,
        strength=float(strength),
        stroke_size=float(stroke_size),
        motifs=float(motifs),
        brushwork=float(brushwork),
        keep_colors=bool(keep_colors),
    )


def _paint(photo: str | None, chosen: str, own: str | None, *values: Any) -> tuple[Any, ...]:
    """Return what the page shows after a change."""
    if photo is None or not (chosen or own):  # there is nothing to paint yet
        return gradio.skip(), gradio.skip(), gradio.skip()
    try:
        return _outputs(paint_upload(Path(photo), _settings(chosen, own, values)), chosen)
    except StyleError as error:
        raise gradio.Error(str(error), print_exception=False) from error


def _render(photo: str | None, chosen: str, own: str | None, *values: Any) -> Iterator[tuple[Any, ...]]:
    if photo is None:
        raise gradio.Error("Upload a photo first.", print_exception=False)
    try:
        for step in render_upload(Path(photo), _settings("", own, values)):
            if isinstance(step, PaintedUpload):
                yield _outputs(step, "")
            else:
                fraction, developing = step
                yield (developing, developing), gradio.skip(), f"Rendering: {fraction:.0%}"
    except StyleError as error:
        raise gradio.Error(str(error), print_exception=False) from error


def _outputs(painted: PaintedUpload, chosen: str) -> tuple[Any, ...]:
    """Return the values of the slider, the download button and the line under them."""
    folder = Path(tempfile.mkdtemp(dir=tempfile.gettempdir()))
    file = folder / f"painting{painted.suffix}"
    file.write_bytes(painted.file)
    title = next(iter(find_styles(chosen))).title if chosen else "your own painting"
    said = f"In the style of {title}, {painted.seconds:.1f} s. Drag the line to compare."
    return (painted.before, painted.after), gradio.DownloadButton(value=str(file), interactive=True), said


def _thumbnail(jpeg: bytes) -> Image.Image:
    """Return a style's thumbnail, grey if its file has none."""
    return Image.open(io.BytesIO(jpeg)).convert("RGB") if jpeg else Image.new("RGB", (96, 96), "grey")
