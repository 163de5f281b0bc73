"""Encode a film in segments, and join them with the sound and subtitles of the original.

A segment is written whole or not at all, so an interrupted film continues after its last one. No encoder reorders
frames here, so each frame keeps its time and segments can be joined without another encoding.
"""

from __future__ import annotations

import heapq
import io
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nst_core.base.errors import StyleError
from nst_core.base.files import is_own, written_whole
from plugin.engine.film.clip_reading import (
    FULL_RANGE,
    LIMITED_RANGE,
    Clip,
    conversion_matrix,
    exactly,
    ffmpeg_reason,
    open_container,
)
from plugin.engine.film.film_settings import ENCODERS, FilmSettings
from plugin.engine.film.frames import Frame

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream

# Frames in a segment: what an interruption costs. A multiple of the steadier's anchors.
SEGMENT_FRAMES = 48
COPIED = ("audio", "subtitle")
# What the encoders of graphics cards call the constant rate factor, by the end of their names.
RATE_FACTORS = {"nvenc": "cq", "qsv": "global_quality", "amf": "qvbr_quality_level"}
# Metadata that describes the old file rather than the film.
OWN_METADATA = ("major_brand", "minor_version", "compatible_brands", "encoder")


def segments_folder(target: Path) -> Path:
    """Return the folder for the segments of ``target`` until they are joined."""
    return target.with_name(f".{target.name}.parts")


class ClipWriter:
    """Writes a film with the times, colours and other streams of ``clip``: a ``FrameSink``.

    ``painting`` says how the frames are painted, as data for JSON: segments that were painted otherwise, or of another
    file, are not used. Raises StyleError if the format of ``target`` cannot hold the original's sound or subtitles.
    """

    def __init__(self, target: Path, clip: Clip, settings: FilmSettings, painting: Mapping[str, Any]) -> None:
        self._target, self._clip, self._settings = target, clip, settings
        self._width, self._height = clip.width // 2 * 2, clip.height // 2 * 2
        if not self._width or not self._height:
            raise StyleError(f"{clip.path} is one pixel wide or high, which a film cannot be; give a larger one.")
        if clip.is_film:
            check_copied_streams(clip, target)
        self._check_encoder()
        self._folder = segments_folder(target)
        self._claim(painting)
        self._segments = self._whole_segments()
        self.painted = sum(count for _path, count in self._segments)
        self._open: tuple[ExitStack, OutputContainer, Any] | None = None
        self._frames = 0

    def write(self, frame: Frame, pixels: np.ndarray) -> None:
        """Encode a painted frame."""
        import av

        if self._open is None:
            self._begin_segment()
        assert self._open is not None
        _stack, container, stream = self._open
        values = (pixels * np.float32(255) + np.float32(0.5)).astype(np.uint8)  # rounded
        opaque = np.ascontiguousarray(values[: self._height, : self._width, :3])
        colours = self._clip.colours.of_result
        encoded = av.VideoFrame.from_ndarray(opaque, format="rgb24").reformat(
            format="yuv420p",
            dst_colorspace=conversion_matrix(colours, self._clip.height),
            src_color_range=FULL_RANGE,
            dst_color_range=colours.range or LIMITED_RANGE,
            interpolation=exactly(),
        )
        encoded.time_base = self._clip.time_base
        encoded.pts = round(frame.time / self._clip.time_base)
        try:
            container.mux(stream.encode(encoded))
        except (av.error.FFmpegError, OSError) as error:
            raise self._unwritable(error) from error
        self._frames += 1
        if self._frames == SEGMENT_FRAMES:
            self._end_segment()

    def finish(self) -> None:
        """Join the segments to the film."""
        import av

        if self._open is not None:
            self._end_segment()
        if not self._segments:
            shutil.rmtree(self._folder)
            raise StyleError(f"{self._clip.path} has no frame in that part; give another --from and --to.")
        try:
            with written_whole(self._target) as partial:
                self._join(partial)
        except (av.error.FFmpegError, OSError) as error:
            raise self._unwritable(error) from error
        shutil.rmtree(self._folder, ignore_errors=True)

    def _claim(self, painting: Mapping[str, Any]) -> None:
        """Take over the segments of an interrupted run that did the same, and remove others."""
        status = self._clip.path.stat() if self._clip.path.exists() else None  # numbered pictures are no one file
        plan = {
            "film": [str(self._clip.path.resolve()), status and (status.st_size, status.st_mtime_ns)],
            "frames": self._clip.count,
            "settings": repr(self._settings),
            "painting": dict(painting),
        }
        text = json.dumps(plan, sort_keys=True, default=str)
        file = self._folder / "plan.json"
        if self._folder.is_symlink() or (self._folder.exists() and not is_own(self._folder)):
            raise StyleError(f"{self._folder} is not yours; choose another output.")
        if self._folder.is_dir() and not (file.is_file() and file.read_text() == text):
            shutil.rmtree(self._folder)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        file.write_text(text)

    def _whole_segments(self) -> list[tuple[Path, int]]:
        """Return the segments that are there from the first on, and how many frames each has."""
        segments: list[tuple[Path, int]] = []
        for path in sorted(self._folder.glob("*.nut")):
            first, count = map(int, path.stem.split("-"))
            if first == sum(count for _path, count in segments):
                segments.append((path, count))
        return segments

    def _check_encoder(self) -> None:
        """Raise StyleError if the encoder does not take a frame."""
        import av

        with closing(av.open(io.BytesIO(), "w", format="nut")) as container:
            try:
                stream = self._add_encoder(container)
                stream.encode(av.VideoFrame(self._width, self._height, "yuv420p"))
            except (av.error.FFmpegError, ValueError, OSError) as error:
                raise StyleError(
                    f"The encoder {self._encoder} does not work here ({ffmpeg_reason(error)}); leave out --encoder, "
                    "or name another."
                ) from error

    @property
    def _encoder(self) -> str:
        return self._settings.encoder or ENCODERS[self._target.suffix.lower()]

    def _add_encoder(self, container: OutputContainer) -> Any:
        """Add the encoded stream to a segment."""
        clip, encoder = self._clip, self._encoder
        quality = RATE_FACTORS.get(encoder.rpartition("_")[2], "crf")
        options = {quality: str(self._settings.crf)} | ({"b": "0"} if encoder.startswith("libvpx") else {})
        if encoder == "libx265":
            options["x265-params"] = "log-level=error"
        stream: Any = container.add_stream(encoder, rate=clip.rate.limit_denominator(2**16), options=options)
        stream.width, stream.height, stream.pix_fmt = self._width, self._height, "yuv420p"
        context = stream.codec_context
        context.time_base, context.max_b_frames = clip.time_base, 0
        context.sample_aspect_ratio = clip.pixel_aspect
        colours = clip.colours.of_result
        context.colorspace, context.color_range = colours.matrix, colours.range
        context.color_primaries, context.color_trc = colours.primaries, colours.transfer
        return stream

    def _begin_segment(self) -> None:
        import av

        stack = ExitStack()
        try:
            container = stack.enter_context(closing(av.open(str(self._folder / "unfinished"), "w", format="nut")))
        except (av.error.FFmpegError, OSError) as error:
            raise self._unwritable(error) from error
        self._open, self._frames = (stack, container, self._add_encoder(container)), 0

    def _end_segment(self) -> None:
        import av

        assert self._open is not None
        stack, container, stream = self._open
        first = sum(count for _path, count in self._segments)
        path = self._folder / f"{first:09}-{self._frames}.nut"
        try:
            container.mux(stream.encode(None))
            stack.close()
            (self._folder / "unfinished").replace(path)
        except (av.error.FFmpegError, OSError) as error:
            raise self._unwritable(error) from error
        self._open = None
        self._segments.append((path, self._frames))

    def _join(self, path: Path) -> None:
        import av

        with ExitStack() as stack:
            original = stack.enter_context(closing(open_container(self._clip.path))) if self._clip.is_film else None
            options = {"movflags": "faststart"} if self._target.suffix.lower() in (".mp4", ".m4v", ".mov") else {}
            result = stack.enter_context(closing(av.open(str(path), "w", options=options)))
            if original is not None:
                result.metadata.update({k: v for k, v in original.metadata.items() if k not in OWN_METADATA})
            with closing(open_container(self._segments[0][0])) as segment:
                video = result.add_stream_from_template(segment.streams.video[0])
                video.time_base = self._clip.time_base
            start = self._first_time() if not self._settings.whole else Fraction(0)
            streams = [self._video_packets(video, start)]
            if original is not None:
                streams.append(self._copied_packets(original, add_copies(original, result), start))
            for _time, _number, packet in heapq.merge(*streams):
                result.mux_one(packet)

    def _first_time(self) -> Fraction:
        with closing(open_container(self._segments[0][0])) as segment:
            packet = next(segment.demux(segment.streams.video[0]))
            assert packet.pts is not None
            return packet.pts * packet.time_base

    def _video_packets(self, stream: Stream, start: Fraction) -> Iterator[tuple[Fraction, int, Packet[Any]]]:
        """Yield the packets of all segments with their times and numbers that tell them apart."""
        number = 0
        for path, _count in self._segments:
            with closing(open_container(path)) as segment:
                for packet in segment.demux(segment.streams.video[0]):
                    if packet.pts is not None:
                        number += 1
                        yield _moved_packet(packet, stream, start), 2 * number, packet

    def _copied_packets(
        self, original: InputContainer, copies: Mapping[int, Stream], start: Fraction
    ) -> Iterator[tuple[Fraction, int, Packet[Any]]]:
        """Yield the packets of the sound and subtitles within the part."""
        number = 0
        streams = [original.streams[index] for index in copies]
        for packet in original.demux(*streams) if streams else ():
            if packet.dts is None:
                continue
            moment = (packet.pts if packet.pts is not None else packet.dts) * packet.time_base
            if not self._settings.whole and not start <= moment < self._settings.end + float(self._clip.origin):
                continue
            number += 1
            yield _moved_packet(packet, copies[packet.stream.index], start), 2 * number + 1, packet

    def _unwritable(self, error: Exception) -> StyleError:
        return StyleError(
            f"{self._target} cannot be written ({ffmpeg_reason(error)}); free some space, or choose another place or "
            "format."
        )


def add_copies(original: InputContainer, result: OutputContainer) -> dict[int, Stream]:
    """Add a stream to ``result`` for each one that is copied. Return them by the numbers of the original's."""
    copies: dict[int, Stream] = {}
    for stream in original.streams:
        if stream.type in COPIED:
            copy = result.add_stream_from_template(stream, opaque=True)
            copy.metadata.update(stream.metadata)
            copies[stream.index] = copy
    return copies


def check_copied_streams(clip: Clip, target: Path) -> None:
    """Raise StyleError if a film named ``target`` cannot hold the sound or subtitles of ``clip``."""
    import av

    with closing(open_container(clip.path)) as original:
        for stream in original.streams:
            if stream.type not in COPIED:
                continue
            name = stream.codec_context.name if stream.codec_context else "unknown"
            try:
                with closing(av.open(io.BytesIO(), "w", format=_muxer(target))) as trial:
                    trial.add_stream_from_template(stream, opaque=True)
                    trial.start_encoding()
            except (av.error.FFmpegError, ValueError, OSError) as error:
                kind = "sound" if stream.type == "audio" else "subtitles"
                raise StyleError(
                    f"A {target.suffix} film cannot hold the {kind} of {clip.path} ({name}); name the output "
                    f"{target.with_suffix('.mkv').name}."
                ) from error


def _muxer(target: Path) -> str:
    return {".mkv": "matroska", ".m4v": "mp4"}.get(target.suffix.lower(), target.suffix.lower()[1:])


def _moved_packet(packet: Packet[Any], stream: Stream, start: Fraction) -> Fraction:
    """Move a packet to its stream in the result and by ``start`` seconds to the front. Return its time there."""
    base = packet.time_base
    shift = round(start / base)
    if packet.pts is not None:
        packet.pts -= shift
    assert packet.dts is not None
    packet.dts -= shift
    packet.stream = stream
    return Fraction(packet.dts * base)
