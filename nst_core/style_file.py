"""The style file's format: the metadata of its ``.onnx``, which only this module reads and writes.

Standard library only, because GIMP's filter lists styles with whatever Python GIMP starts.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from nst_core.base.display_text import LONGEST_REASON, one_line
from nst_core.base.errors import StyleError
from nst_core.base.jpeg import is_small_jpeg
from nst_core.base.language import _
from nst_core.base.protobuf import MessageReader, field_bytes
from nst_core.base.untrusted_file import check_untrusted_file

PREFIX = "neural_style."  # of every metadata key
TRAINED_PREFIX = "trained."  # of the keys, after PREFIX, that say how the network was made
FORMAT_VERSION = 2

# The field numbers of ONNX's ModelProto and StringStringEntryProto (onnx.proto).
METADATA_FIELD = 14
KEY_FIELD, VALUE_FIELD = 1, 2

# How much of a file is read to list it. The bundled styles have 17 fields and 12 kB of metadata each. A file at these
# limits takes about 0.05 s; there is no limit of time, because a busy machine would then hide good styles.
MOST_FIELDS = 4096
MOST_METADATA = 4 << 20  # bytes
MOST_IN_FILE = 256  # in one file
MOST_JSON_DELIMITERS = 1 << 14  # of the styles' JSON, counted where values begin or are separated
LONGEST_THUMBNAIL_SIDE = 1024  # pixels; those that export makes have 160
LARGEST_THUMBNAIL = 1 << 20  # bytes
LONGEST_SLUG = 64  # characters
LONGEST_TEXTS = {"title": 200, "artist": 200, "year": 50, "licence": 500}  # characters
LARGEST_NUMBER = 2**31 - 1  # of the size rules
DETAIL_RANGE = (0.0, 100.0)
DEFAULT_DETAIL = 70.0  # of new styles


@dataclass(frozen=True)
class StyleCard:
    """A style file's description of the artwork.

    Attributes:
        licence: states its rights.
        name: the slug for scripts.
        detail: the default of the user's setting of that name, 0 (bold) to 100 (faithful), if the style has two rows.
    """

    title: str
    artist: str = ""
    year: str = ""
    licence: str = ""
    name: str = ""
    detail: float = DEFAULT_DETAIL

    @property
    def slug(self) -> str:
        """``name``, or one made from the title.

        Raises StyleError if the name is not made of a-z, 0-9 and hyphens or is too long, or if both are empty.
        """
        slug = self.name or _slug_from(self.title)
        if not _is_slug(slug):
            raise StyleError(
                f"The style name {slug[: 2 * LONGEST_SLUG]!r} is not usable; give --name with letters, digits and "
                f"hyphens, at most {LONGEST_SLUG}."
            )
        return slug


def _is_slug(name: str) -> bool:
    """Return whether a name can be typed and mixed on a command line: commas and colons have a meaning there."""
    return len(name) <= LONGEST_SLUG and bool(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name))


def _slug_from(title: str) -> str:
    """Return a slug made from a title in any script; empty if the title is.

    A title that would lose more than half its letters, as in a script other than Latin, gives a short hash.
    """
    letters = unicodedata.normalize("NFKD", title[: LONGEST_TEXTS["title"]]).lower()
    slug = re.sub(r"[^a-z0-9]+", "-", "".join(letter for letter in letters if not unicodedata.combining(letter)))
    slug = slug[:LONGEST_SLUG].strip("-")
    kept, shown = len(slug.replace("-", "")), sum(map(str.isalnum, title[:LONGEST_SLUG]))
    if title.strip() and (not slug or 2 * kept < shown):
        digest = hashlib.sha256(title.encode("utf-8", "backslashreplace")).hexdigest()
        slug = f"style-{digest[:8]}"
    return slug


@dataclass(frozen=True)
class SizeRules:
    """The picture sizes that a style file's network takes.

    Attributes:
        multiple_of, minimum_size: what height and width must be, in pixels.
        receptive_radius: how far in the output an input pixel has an effect, in pixels.
        bytes_per_pixel: peak memory of a run, per input pixel.
    """

    multiple_of: int
    minimum_size: int
    receptive_radius: int
    bytes_per_pixel: int


@dataclass(frozen=True)
class Style:
    """One style of a style file, as the file's own metadata describes it.

    Attributes:
        index, count: the style's position in the file, and how many styles the file has.
        name: the slug that scripts and ``--style`` use; if the file has no usable one, it is made from what it has.
        title, artist, year, licence: each on one line, without control characters, and not empty in the case of the
            title.
        thumbnail: a small JPEG, or empty if the file has none that is safe to decode.
        multiple_of, minimum_size, bytes_per_pixel: as in ``SizeRules``.
        trained: how it was trained, as ``{"steps": "4000", ...}``.
        rows_per_style: 2 if the setting ``detail`` mixes a bold and a faithful row, otherwise 1.
        default_detail: the default of that setting, 0 to 100.
    """

    path: Path
    index: int
    count: int
    name: str
    title: str
    artist: str
    year: str
    licence: str
    thumbnail: bytes
    multiple_of: int
    minimum_size: int
    bytes_per_pixel: int
    trained: dict[str, str] = field(hash=False)
    rows_per_style: int = 1
    default_detail: float = DEFAULT_DETAIL

    @property
    def row_count(self) -> int:
        """How many rows the network has."""
        return self.count * self.rows_per_style

    @property
    def has_detail(self) -> bool:
        """Whether the user can choose how much of the photo's detail the style keeps."""
        return self.rows_per_style > 1

    def row_weights(self, detail: float | None = None) -> list[float]:
        """Return what the network takes as ``style_weights`` to paint this style, which sums to 1.

        ``detail`` is 0 (bold) to 100 (faithful); None stands for the style's default.
        """
        place = self.index, self.count, self.rows_per_style
        return row_weights(*place, self.default_detail if detail is None else detail)


def row_weights(index: int, count: int, rows_per_style: int, detail: float) -> list[float]:
    """Return the weights of a network's rows, ``count * rows_per_style``, that paint the style ``index``.

    The rows of a style are neighbours. If there are two, the first is the faithful
    one and has the weight ``detail`` percent.
    """
    own = [1.0] if rows_per_style == 1 else [detail / 100, 1 - detail / 100]
    before, after = index * rows_per_style, (count - index - 1) * rows_per_style
    return [0.0] * before + own + [0.0] * after


def check_cards(cards: Sequence[StyleCard], styles: int) -> None:
    """Raise StyleError unless there is one card for each style, and their slugs are usable and differ."""
    if styles > MOST_IN_FILE:
        raise StyleError(f"There are {styles} styles, and a file holds at most {MOST_IN_FILE}; make several files.")
    if len(cards) != styles:
        raise StyleError(f"There are {styles} styles, and {len(cards)} were described; describe each once (--cards).")
    for card in cards:
        if not DETAIL_RANGE[0] <= card.detail <= DETAIL_RANGE[1]:
            raise StyleError(f"The detail of {card.title!r} is {card.detail:g}; give a number from 0 to 100.")
    slugs = [card.slug for card in cards]
    if len(set(slugs)) < len(slugs):
        raise StyleError(f"Two styles have the same name among {', '.join(slugs)}; give each its own.")


def style_metadata(
    cards: Sequence[StyleCard],
    thumbnails: Sequence[bytes],
    rules: SizeRules,
    origin: Mapping[str, object],
    rows_per_style: int = 1,
) -> dict[str, str]:
    """Return the metadata of a style file, for ONNX's ``metadata_props``.

    ``thumbnails`` are JPEGs, one for each card. ``origin`` says how the network was made.
    """
    two_rows = rows_per_style > 1
    styles = [
        {
            "name": card.slug,
            **{key: one_line(getattr(card, key), longest) for key, longest in LONGEST_TEXTS.items()},
            "thumbnail": base64.b64encode(thumbnail).decode(),
            **({"detail": card.detail} if two_rows else {}),
        }
        for card, thumbnail in zip(cards, thumbnails, strict=True)
    ]
    entries: dict[str, object] = {"format": FORMAT_VERSION, "styles": json.dumps(styles)}
    entries |= asdict(rules)
    entries |= {TRAINED_PREFIX + key: value for key, value in origin.items()}
    if two_rows:
        entries["rows_per_style"] = rows_per_style
    return {PREFIX + key: str(value) for key, value in entries.items()}


def read_styles(path: Path) -> list[Style]:
    """Return the descriptions of a style file's styles, at least one.

    Raises StyleError if ``path`` is not a style file of this format.
    """
    entries = _entries(path)
    if "format" not in entries:
        raise StyleError(
            _(
                "{path} is not a Neural Style file (it has no description); if another program made the network, make "
                "a style file from it with `neural-style import`."
            ).format(path=path)
        )
    try:
        version = int(entries["format"])
        if version > FORMAT_VERSION:
            raise StyleError(
                _("{path} was made by a newer version of Neural Style; update this one.").format(path=path)
            )
        if version < FORMAT_VERSION:
            raise StyleError(
                _("{path} was made by an older version of Neural Style; train or import it again.").format(path=path)
            )
        return _styles(path, entries)
    except (LookupError, TypeError, ValueError, RecursionError) as error:
        raise StyleError(
            _("The description in {path} is damaged ({error}); copy or export the file again.").format(
                path=path, error=one_line(str(error), LONGEST_REASON)
            )
        ) from error


def _entries(path: Path) -> dict[str, str]:
    """Return the metadata under PREFIX, without it; empty if the ONNX file is not one of ours."""
    check_untrusted_file(path)
    try:
        with path.open("rb") as file:
            metadata = _onnx_metadata(MessageReader(file, MOST_FIELDS), path.stat().st_size)
    except (OSError, ValueError) as error:
        raise StyleError(
            _("{path} is not a usable ONNX file ({reason}); choose a style made by `neural-style export`.").format(
                path=path, reason=getattr(error, "strerror", None) or error
            )
        ) from error
    return {key.removeprefix(PREFIX): value for key, value in metadata.items() if key.startswith(PREFIX)}


def _styles(path: Path, entries: Mapping[str, str]) -> list[Style]:
    """Return the styles.

    Raises LookupError, TypeError, ValueError or RecursionError if an entry is missing or unusable.
    """
    multiple_of, minimum_size, bytes_per_pixel = (
        int(entries[key]) for key in ("multiple_of", "minimum_size", "bytes_per_pixel")
    )
    if min(multiple_of, minimum_size, bytes_per_pixel) < 1:
        raise ValueError("a size below 1")
    if max(multiple_of, minimum_size, bytes_per_pixel) > LARGEST_NUMBER:
        raise ValueError("a size that is too large")
    if sum(map(entries["styles"].count, "[{,")) > MOST_JSON_DELIMITERS:
        raise ValueError("too many values")
    cards = json.loads(entries["styles"])
    if not cards:
        raise ValueError("no style")
    if len(cards) > MOST_IN_FILE:
        raise ValueError(f"more than {MOST_IN_FILE} styles")
    rows_per_style = int(entries.get("rows_per_style", 1))
    if rows_per_style not in (1, 2):
        raise ValueError(f"{rows_per_style} rows for each style")
    trained = {key.removeprefix(TRAINED_PREFIX): v for key, v in entries.items() if key.startswith(TRAINED_PREFIX)}
    return [
        Style(
            path=path,
            index=index,
            count=len(cards),
            name=name,
            title=texts["title"] or name,
            artist=texts["artist"],
            year=texts["year"],
            licence=texts["licence"],
            thumbnail=_thumbnail(card["thumbnail"]),
            multiple_of=multiple_of,
            minimum_size=minimum_size,
            bytes_per_pixel=bytes_per_pixel,
            trained=trained,
            rows_per_style=rows_per_style,
            default_detail=_detail(card),
        )
        for index, card in enumerate(cards)
        for name, texts in [_name_and_texts(card)]
    ]


def _name_and_texts(card: Mapping[str, object]) -> tuple[str, dict[str, str]]:
    """Return a style's name, which is always usable, and its texts to show. Raises as ``_styles`` does."""
    texts = {key: one_line(_text(card[key]), longest) for key, longest in LONGEST_TEXTS.items()}
    name = _text(card["name"])
    if not _is_slug(name):
        name = _slug_from(name) or _slug_from(texts["title"])
    if not name:
        raise ValueError("a style without name and title")
    return name, texts


def _detail(card: Mapping[str, object]) -> float:
    """Return a style's default detail. Raises as ``_styles`` does."""
    detail = float(_text(card.get("detail", DEFAULT_DETAIL)))
    if not DETAIL_RANGE[0] <= detail <= DETAIL_RANGE[1]:
        raise ValueError(f"a detail of {detail:g}")
    return detail


def _thumbnail(text: str) -> bytes:
    data = base64.b64decode(text)
    return data if is_small_jpeg(data, LONGEST_THUMBNAIL_SIDE, LARGEST_THUMBNAIL) else b""


def _text(value: object) -> str:
    """Return a value of the description as text. Raises ValueError if it has half a character of JSON's escapes."""
    text = str(value)
    text.encode()
    return text


def _onnx_metadata(reader: MessageReader, size: int) -> dict[str, str]:
    """Return the metadata of a serialised ONNX model, skipping its graph by its length.

    Raises ValueError if it is damaged or exceeds MOST_FIELDS or MOST_METADATA.
    """
    metadata = {}
    entries = [field for field in reader.fields(0, size) if field.number == METADATA_FIELD]
    if sum(entry.end - entry.start for entry in entries) > MOST_METADATA:
        raise ValueError("its description is too long")
    for entry in entries:
        pair = {field.number: reader.content(field) for field in reader.fields(entry.start, entry.end)}
        metadata[str(pair.get(KEY_FIELD, b""), "utf-8")] = str(pair.get(VALUE_FIELD, b""), "utf-8")
    return metadata


def with_title(style: Style, title: str) -> bytes:
    """Return the bytes of a style's file with another title for this style.

    Raises StyleError if the file cannot be read any more, and OSError.
    """
    key = f"{PREFIX}styles".encode()
    cards = json.loads(_entries(style.path)["styles"])
    cards[style.index] |= {"title": title, "name": style.name}
    data = style.path.read_bytes()
    reader, parts, start = MessageReader(io.BytesIO(data), MOST_FIELDS), [], 0
    for entry in reader.fields(0, len(data)):
        is_metadata = entry.number == METADATA_FIELD
        fields = reader.fields(entry.start, entry.end) if is_metadata else ()
        if not any(field.number == KEY_FIELD and reader.content(field) == key for field in fields):
            parts.append(data[start : entry.end])
        start = entry.end
    pair = field_bytes(KEY_FIELD, key) + field_bytes(VALUE_FIELD, json.dumps(cards).encode())
    return b"".join([*parts, field_bytes(METADATA_FIELD, pair)])
