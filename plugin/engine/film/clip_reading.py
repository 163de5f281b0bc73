"""Read the frames of a film file with FFmpeg."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nst_core.base.display_text import LONGEST_REASON, one_line
from nst_core.base.errors import StyleError
from nst_core.base.untrusted_file import check_untrusted_file
from plugin.engine.film import hdr
from plugin.engine.film.film_settings import FilmSettings
from plugin.engine.film.frames import Frame
from plugin.engine.imaging.picture import Picture
from plugin.engine.machine.memory import PICTURE_BYTES_PER_PIXEL, check_memory

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

# FFmpeg's names of the containers that are read. Others, such as playlists, name files that FFmpeg would then open.
CONTAINERS = "mov,matroska,avi,mpeg,mpegts,mpegvideo,h264,hevc,asf,flv,ogg,nut"
# Numbers of ITU-T H.273, which FFmpeg uses too.
BT709, UNSPECIFIED, BT601, FULL_RANGE, LIMITED_RANGE = 1, 2, 6, 2, 1
MATRICES = (1, 4, 5, 6, 7, 9)  # that FFmpeg converts
HDR_TRANSFERS = {hdr.PQ: "PQ", hdr.HLG: "HLG"}
HD_HEIGHT = 720  # from which a film that does not say is taken to have the colours of BT.709


@dataclass(frozen=True)
class Colours:
    """How a film's numbers stand for colours, as ITU-T H.273 numbers it: matrix, range, primaries and transfer."""

    matrix: int = UNSPECIFIED
    range: int = 0
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED

    @property
    def of_result(self) -> Colours:
        """The colours of the painted film: those of the original, or ordinary ones if it is HDR."""
        return Colours(BT709, LIMITED_RANGE, BT709, BT709) if self.transfer in HDR_TRANSFERS else self


@dataclass(frozen=True)
class Clip:
    """What is known of a film file before its frames are read.

    Attributes:
        path: the file.
        width, height: of the upright frames.
        quarter_turns: how many times each frame is turned counterclockwise to be upright.
        colours: how the numbers stand for colours.
        pixel_aspect: width of a pixel over its height, of the upright frames.
        time_base: the unit of its times, in seconds.
        rate: mean frames a second.
        count: how many frames it has, estimated from its duration if it does not say.
        notes: sentences that tell the user what a result cannot keep.
        origin: the time at which the file begins, in seconds; parts of it are counted from there.
        is_film: whether the file may hold sound and subtitles too; not if it is one of pictures.
    """

    path: Path
    width: int
    height: int
    quarter_turns: int
    colours: Colours
    pixel_aspect: Fraction
    time_base: Fraction
    rate: Fraction
    count: int
    notes: tuple[str, ...]
    origin: Fraction = Fraction(0)
    is_film: bool = True


def open_container(path: Path) -> InputContainer:
    """Open a film file. Raises StyleError if FFmpeg cannot read it."""
    import av

    if not path.exists():
        raise StyleError(f"There is no film {path}; check its name.")
    check_untrusted_file(path)
    # PyAV 19 replaces damaged texts by itself; earlier versions raise unless told to.
    texts: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
    try:
        container: InputContainer = av.open(f"file:{path}", options={"format_whitelist": CONTAINERS}, **texts)
        return container
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise StyleError(
            f"{path} cannot be read as a film ({ffmpeg_reason(error)}); copy or convert it again."
        ) from error


def video_stream(container: InputContainer, path: Path) -> VideoStream:
    """Return the first stream of moving pictures. Raises StyleError if there is none."""
    from av.stream import Disposition

    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    raise StyleError(f"{path} holds no moving pictures; give a film with a picture.")


def read_clip(path: Path) -> Clip:
    """Open a film and decode its first frame. Raises StyleError if that fails or a frame does not fit into memory."""
    with closing(open_container(path)) as container:
        stream = video_stream(container, path)
        frame = next(_decoded(container, stream), None)
        if frame is None:
            raise StyleError(f"No frame of {path} can be read; copy or convert it again.")
        check_memory(frame.width * frame.height, 4 * PICTURE_BYTES_PER_PIXEL, on_gpu=False)
        turns = round(frame.rotation / 90) % 4
        size = (frame.height, frame.width) if turns % 2 else (frame.width, frame.height)
        aspect = _fraction(stream.sample_aspect_ratio or Fraction(1))
        rate = _fraction(stream.average_rate or stream.guessed_rate or Fraction(25))
        unit = _fraction(stream.time_base)
        length = stream.duration * unit if stream.duration else Fraction(container.duration or 0, 10**6)
        return Clip(
            path=path,
            width=size[0],
            height=size[1],
            quarter_turns=turns,
            colours=_colours(frame),
            pixel_aspect=1 / aspect if turns % 2 else aspect,
            time_base=unit,
            rate=rate,
            count=stream.frames or round(length * rate),
            notes=tuple(_notes(path, frame)),
            origin=Fraction(container.start_time or 0, 10**6),
        )


def _fraction(ratio: Any) -> Fraction:
    """Return a ratio, for which PyAV has a type of its own since version 19, as a fraction."""
    return Fraction(ratio.numerator, ratio.denominator)


class ClipFrames:
    """The frames of the chosen part of a film: a ``FrameSource``.

    ``damaged`` counts the places that could not be decoded; the frame before each of them is shown longer.
    """

    def __init__(self, clip: Clip, settings: FilmSettings) -> None:
        self.clip, self.damaged = clip, 0
        self._start, self._end = Fraction(settings.start), settings.end
        self._whole = settings.whole

    @property
    def count(self) -> int:
        """How many frames there are, about."""
        if self._whole or not self.clip.rate:
            return self.clip.count
        end = min(self._end, float(self.clip.count / self.clip.rate))
        return max(1, round((end - float(self._start)) * float(self.clip.rate)))

    def frames(self, first: int = 0) -> Iterator[Frame]:
        """Yield the frames from number ``first`` of the part on. Their times are the file's own."""
        number, self.damaged = 0, 0
        with closing(open_container(self.clip.path)) as container:
            stream = video_stream(container, self.clip.path)
            stream.thread_type = "AUTO"
            begin, end = self._start + self.clip.origin, self._end + float(self.clip.origin)
            if self._start:
                container.seek(int(begin * 10**6))
            usual = 1 / self.clip.rate
            last = self.clip.origin - usual
            for frame in _decoded(container, stream, self._count_damage):
                unit = frame.time_base or self.clip.time_base
                moment = None if frame.pts is None else frame.pts * unit
                if moment is None or moment <= last:  # the file lacks the time of this frame, or it is wrong
                    moment = last + usual
                last = moment
                if moment >= end:
                    return
                if self._whole or moment >= begin:
                    if number >= first:
                        duration = frame.duration * unit if frame.duration else usual
                        yield Frame(Picture(self._pixels(frame)), moment, duration)
                    number += 1

    def _count_damage(self) -> None:
        self.damaged += 1

    def _pixels(self, frame: VideoFrame) -> np.ndarray:
        """Return the upright pixels of a frame, float32 [H, W, 4]."""
        colours = self.clip.colours
        deep = max(component.bits for component in frame.format.components) > 8
        rgb = frame.reformat(
            format="rgb48le" if deep else "rgb24",
            src_colorspace=conversion_matrix(colours, self.clip.height),
            src_color_range=colours.range or None,
            dst_color_range=FULL_RANGE,
            interpolation=exactly(),
        )
        values = np.rot90(rgb.to_ndarray(), self.clip.quarter_turns)
        pixels = np.ones((*values.shape[:2], 4), np.float32)
        np.divide(values, np.float32(65535 if deep else 255), out=pixels[..., :3], casting="unsafe")
        if colours.transfer in HDR_TRANSFERS:
            pixels[..., :3] = hdr.ordinary_colours(pixels[..., :3], colours.transfer)
        if pixels.shape[:2] != (self.clip.height, self.clip.width):
            raise StyleError(f"The frames of {self.clip.path} change their size; convert it to one size first.")
        return pixels


def exactly() -> int:
    """Return FFmpeg's flags for a conversion that rounds; without them it cuts off, and every picture gets darker."""
    from av.video.reformatter import Interpolation

    flags = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
    return int(flags | Interpolation.FULL_CHR_H_INP)


def conversion_matrix(colours: Colours, height: int) -> int:
    """Return the matrix between RGB and the film's luma and chroma; a film that does not say has the usual one."""
    if colours.matrix in MATRICES:
        return 5 if colours.matrix == BT601 else colours.matrix  # two numbers of one matrix
    return BT709 if height >= HD_HEIGHT else 5


def _decoded(
    container: InputContainer, stream: VideoStream, count_damage: Callable[[], None] = lambda: None
) -> Iterator[VideoFrame]:
    """Yield the frames of a stream, without those that cannot be decoded."""
    import av

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                return
            yield from packet.decode()
        except av.error.EOFError:
            return
        except av.error.FFmpegError:
            count_damage()


def _colours(frame: VideoFrame) -> Colours:
    is_rgb = frame.format.is_rgb
    return Colours(
        UNSPECIFIED if is_rgb else int(frame.colorspace),
        LIMITED_RANGE if is_rgb else int(frame.color_range),
        int(frame.color_primaries),
        int(frame.color_trc),
    )


def _notes(path: Path, frame: VideoFrame) -> Iterator[str]:
    if frame.width % 2 or frame.height % 2:
        size = f"{frame.width}x{frame.height}"
        yield f"{path} has {size} pixels; films have even sides, so the last row or column is left out."
    if frame.interlaced_frame:
        yield f"{path} is interlaced; its frames are painted as they are, so convert it to whole frames first."
    if hdr_name := HDR_TRANSFERS.get(int(frame.color_trc)):
        yield f"{path} is HDR ({hdr_name}); the result has ordinary colours (BT.709, 8 bits)."
    elif max(component.bits for component in frame.format.components) > 8:
        yield f"{path} has more than 8 bits per channel; the result has 8."
    if any(component.is_alpha for component in frame.format.components):
        yield f"{path} has transparency, which the result does not keep."


def ffmpeg_reason(error: Exception) -> str:
    """Return the reason that FFmpeg gives, on one line."""
    return one_line(str(getattr(error, "strerror", None) or error), LONGEST_REASON)
