"""The record in a picture's metadata: how the picture was made. It is part of the picture's XMP packet."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

RECORD_NAMESPACE = "urn:neural-style:"
OPENING = b'<rdf:Description rdf:about="" xmlns:neural-style="%s">' % RECORD_NAMESPACE.encode()
CLOSING = b"</rdf:Description>"
END = b"</rdf:RDF>"
MOST_KEPT = 2**15  # bytes of other metadata; all the XMP of a JPEG fits into 65 kB
NEW_XMP = b"""<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""


def record_in(xmp: bytes | None) -> dict[str, Any] | None:
    """Return the record in an XMP packet, or None if there is none."""
    tree = _parsed(xmp or b"")
    if tree is None:
        return None
    name = f"{{{RECORD_NAMESPACE}}}record"
    # Written as an element; other programs may rewrite it as an attribute.
    texts = [node.text for node in tree.iter(name)] + [node.get(name) for node in tree.iter() if node.get(name)]
    try:
        record = json.loads(texts[0] or "")
    except (IndexError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def with_record(xmp: bytes | None, record: Mapping[str, Any]) -> bytes:
    """Return an XMP packet with ``record`` in place of an earlier one, and with everything else that ``xmp`` has.

    If ``xmp`` is not XML, the packet is new and holds ``xmp`` in base64, which other programs leave alone.
    """
    packet, other = _without_record(bytes(xmp or b"")), b""
    if xmp and (END not in packet or _parsed(packet) is None):
        packet = b""
        if len(xmp) <= MOST_KEPT:
            other = b"<neural-style:other>%s</neural-style:other>" % base64.b64encode(xmp)
    text = escape(json.dumps(record, ensure_ascii=False)).encode(errors="replace")
    element = OPENING + b"<neural-style:record>%s</neural-style:record>%s" % (text, other) + CLOSING
    return (packet or NEW_XMP).replace(END, element + END, 1)


def _parsed(xmp: bytes) -> ElementTree.Element | None:
    try:
        return ElementTree.fromstring(xmp.rstrip(b"\0"))
    except (ValueError, LookupError, ElementTree.ParseError):  # LookupError: an unknown encoding
        return None


def _without_record(packet: bytes) -> bytes:
    # A regular expression would take quadratic time for many openings without an end.
    parts, position = [], 0
    while (start := packet.find(OPENING[:-1], position)) >= 0 and (end := packet.find(CLOSING, start)) >= 0:
        parts.append(packet[position:start])
        position = end + len(CLOSING)
    return b"".join(parts) + packet[position:]
