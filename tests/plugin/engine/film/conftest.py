"""Small films that the tests make."""

from fractions import Fraction

import numpy as np
import pytest

av = pytest.importorskip("av")
pytest.importorskip("cv2")

TICKS = Fraction(1, 12800)


@pytest.fixture(scope="session")
def scene(samples):
    """A photo that a film moves over, uint8 [H, W, 3]."""
    from PIL import Image

    with Image.open(samples / "coffee.jpg") as photo:
        return np.asarray(photo.convert("RGB").resize((300, 200)))


def add_sound(container, codec, seconds):
    """Add a stream of sound to a film; return a function that encodes it after the header is written."""
    sound = container.add_stream(codec, rate=48000)
    sound.layout = "stereo"

    def encode():
        tone = np.sin(np.arange(int(seconds * 48000)) * 0.05) * 0.3
        for start in range(0, len(tone) - 1024, 1024):
            part = np.stack([tone[start : start + 1024]] * 2).astype(np.float32)
            if codec == "pcm_s16le":
                part = (part.T.reshape(1, -1) * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(part, "s16" if codec == "pcm_s16le" else "fltp", "stereo")
            frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))

    return encode


@pytest.fixture(scope="session")
def make_clip(scene, tmp_path_factory):
    """Make a film of a pan, and return its path."""

    def make(name="clip.mp4", count=20, size=(96, 64), **options):
        settings = {
            "codec": "libx264",
            "pix_fmt": "yuv420p",
            "matrix": 1,
            "range": 1,
            "transfer": 1,
            "turned": 0,
        } | options
        path = tmp_path_factory.mktemp("film") / name
        with av.open(str(path), "w") as container:
            stream = container.add_stream(settings["codec"], rate=25, options={"crf": "8"})
            stream.width, stream.height, stream.pix_fmt = *size, settings["pix_fmt"]
            context = stream.codec_context
            context.time_base, context.color_range, context.colorspace = TICKS, settings["range"], settings["matrix"]
            context.color_trc = settings["transfer"]
            if settings.get("turned"):
                stream.set_display_rotation(settings["turned"])
            sound = settings.get("sound") and add_sound(container, settings["sound"], count / 25)
            moment = settings.get("begin", 0)
            for number in range(count):
                picture = np.ascontiguousarray(scene[number : number + size[1], 2 * number : 2 * number + size[0]])
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
                    format=settings["pix_fmt"], dst_colorspace=settings["matrix"], dst_color_range=settings["range"]
                )
                frame.pts, frame.time_base = moment, TICKS
                moment += 512 if not settings.get("variable") or number % 3 else 1500
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
            if sound:
                sound()
        return path

    return make
