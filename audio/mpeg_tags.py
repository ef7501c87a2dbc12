"""Extents of the tags around MPEG audio: ID3v1, ID3v2, APEv1, APEv2 and Lyrics3.

The content of tags is not read. Extents follow ID3v2.4.0 (structure, sections 3.1 and 3.4), ID3v1.1, the APEv2
specification (header and footer of 32 bytes, sizes little-endian) and Lyrics3 v2.00.
"""

from __future__ import annotations

ID3V1_BYTES = 128
ENHANCED_BYTES = 227  # "TAG+", which some writers put before ID3v1
APE_BYTES = 32
APE_HAS_HEADER = 1 << 31
APE_HAS_NO_FOOTER = 1 << 30
APE_IS_HEADER = 1 << 29
LYRICS3V1_BYTES = 5100 + len("LYRICSBEGIN" + "LYRICSEND")


def _id3v2_bytes(data: bytes, at: int, name: bytes) -> int:
    """Size of the ID3v2 tag whose header (``ID3``) or footer (``3DI``) is at ``at``; 0 if none."""
    head = data[at : at + 10]
    if len(head) < 10 or head[:3] != name or 0xFF in head[3:5] or any(byte >= 0x80 for byte in head[6:]):
        return 0
    size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    return size + (20 if head[5] & 0x10 else 10)


def _ape(data: bytes, at: int) -> tuple[int, int]:
    """Size without the header, and flags, of the APE tag whose header or footer is at ``at``; size 0 if none."""
    head = data[at : at + APE_BYTES] if at >= 0 else b""
    if len(head) < APE_BYTES or head[:8] != b"APETAGEX":
        return 0, 0
    size, flags = int.from_bytes(head[12:16], "little"), int.from_bytes(head[20:24], "little")
    return (size, flags) if size >= (1 if flags & APE_HAS_NO_FOOTER else APE_BYTES) else (0, 0)


def tag_after(data: bytes, at: int) -> int:
    """Find the size of the tag that begins at an offset.

    Parameters
    ----------
    data : bytes
        Content of a file.
    at : int
        Offset in bytes.

    Returns
    -------
    int
        Size in bytes; 0 if no tag begins there. A truncated tag may extend beyond the end of ``data``.
    """
    if size := _id3v2_bytes(data, at, b"ID3"):
        return size
    size, flags = _ape(data, at)
    if size and flags & APE_IS_HEADER:
        return size + APE_BYTES
    if data.startswith(b"TAG+", at):
        return ENHANCED_BYTES
    if data.startswith(b"TAG", at):
        return ID3V1_BYTES
    if data.startswith(b"LYRICSBEGIN", at):
        # Search nearby first: searching the whole file for each of many tags would take quadratic time.
        found = data.find(b"LYRICSEND", at, at + LYRICS3V1_BYTES)
        if found < 0:
            found = data.find(b"LYRICS200", at)
        return found + len(b"LYRICSEND") - at if found >= 0 else 0
    return 0


def _tag_before(data: bytes, start: int, end: int) -> int:
    """Size of the tag that ends at ``end`` and begins at ``start`` or later; 0 if none."""
    size = 0
    if data.startswith(b"TAG", end - ID3V1_BYTES) and end - ID3V1_BYTES >= start:
        size = ID3V1_BYTES
    elif data.startswith(b"TAG+", end - ENHANCED_BYTES) and end - ENHANCED_BYTES >= start:
        size = ENHANCED_BYTES
    elif data[max(end - 9, 0) : end] == b"LYRICS200":
        digits = data[max(end - 15, 0) : end - 9]
        begin = end - 15 - int(digits) if len(digits) == 6 and digits.isdigit() else -1
        size = end - begin if begin >= 0 and data.startswith(b"LYRICSBEGIN", begin) else 0
    elif data[max(end - 9, 0) : end] == b"LYRICSEND":
        begin = data.rfind(b"LYRICSBEGIN", max(end - LYRICS3V1_BYTES, 0), end)
        size = end - begin if begin >= 0 else 0
    elif end >= 10 and (whole := _id3v2_bytes(data, end - 10, b"3DI")):
        size = whole if data.startswith(b"ID3", max(end - whole, 0)) else 0
    elif (footer := _ape(data, end - APE_BYTES))[0] and not footer[1] & APE_IS_HEADER:
        size = footer[0] + (APE_BYTES if footer[1] & APE_HAS_HEADER else 0)
    return size if end - size >= start else 0


def between_tags(data: bytes) -> tuple[int, int]:
    """Find the bytes between the tags.

    Parameters
    ----------
    data : bytes
        Content of a file.

    Returns
    -------
    start, end : int
        Offsets in bytes. ``start <= end``, unless a tag at the start is truncated: then ``start > len(data) == end``.

    Notes
    -----
    Zeros between tags at the start and before the first frame are padding that the size of ID3v2 should have included;
    they are skipped. Tags at the end are found backwards, because an APE tag may have a footer only.
    """
    start = 0
    while size := tag_after(data, start):
        start += size
        if start > len(data):
            return start, len(data)
        start = after_zeros(data, start)
    end = len(data)
    while size := _tag_before(data, start, end):
        end -= size
    return start, end


def after_zeros(data: bytes, at: int) -> int:
    """Offset of the first non-zero byte at or after ``at``."""
    step = 4096  # in small steps, because lstrip copies and there are usually no zeros
    while at < len(data):
        rest = data[at : at + step].lstrip(b"\0")
        if rest:
            return min(at + step, len(data)) - len(rest)
        at += step
    return len(data)
