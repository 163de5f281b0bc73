"""The record in a picture's metadata: how the picture was made. It is part of the picture's XMP packet."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

RECORD_NAMESPACE = "urn:neural-style:"
NEW_XMP = b"""<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""


def record_in(xmp: bytes | None) -> dict[str, Any] | None:
    """Return the record in an XMP packet, or None if there is none."""
    try:
        tree = ElementTree.fromstring((xmp or b"").rstrip(b"\0"))
        name = f"{{{RECORD_NAMESPACE}}}record"
        # Written as an element; other programs may rewrite it as an attribute.
        texts = [node.text for node in tree.iter(name)] + [node.get(name) for node in tree.iter() if node.get(name)]
        record = json.loads(texts[0] or "")
    except (IndexError, ValueError, ElementTree.ParseError):
        return None
    return record if isinstance(record, dict) else None


def with_record(xmp: bytes | None, record: Mapping[str, Any]) -> bytes:
    """Return an XMP packet with ``record`` in place of an earlier one, and with everything else that ``xmp`` has."""
    text = escape(json.dumps(record, ensure_ascii=False)).encode()
    element = b'<rdf:Description rdf:about="" xmlns:neural-style="%s"><neural-style:record>%s</neural-style:record>'
    element = element % (RECORD_NAMESPACE.encode(), text) + b"</rdf:Description>"
    earlier = rb'<rdf:Description rdf:about="" xmlns:neural-style="[^>]*>.*?</rdf:Description>'
    packet = re.sub(earlier, b"", bytes(xmp or b""), flags=re.DOTALL)
    end = b"</rdf:RDF>"
    if end not in packet:
        packet = NEW_XMP
    return packet.replace(end, element + end, 1)
