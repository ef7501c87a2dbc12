"""Content of the frames of MPEG audio layer III: headers of files (Xing, Info, VBRI) and side information.

Side information is checked for all frames at once, because a Python loop would take longer than the walk itself.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

_POLYNOMIAL = 0x8005
_MONO = 3
_SIDE_BYTES = {True: (17, 32), False: (9, 17)}  # for one and two channels, by whether it is MPEG 1
_GAPLESS_WRITERS = (b"LAME", b"Lavf", b"Lavc", b"L3.9")


def info_frame(frame: bytes, *, mpeg_1: bool) -> tuple[int | None, tuple[int, int] | None] | None:
    """Read a Xing, Info or VBRI header.

    Parameters
    ----------
    frame : bytes
        First frame of a file.
    mpeg_1 : bool
        Whether it is MPEG 1.

    Returns
    -------
    frames : int or None
        Number of frames, if the header states it.
    gapless : tuple of int, or None
        Encoder delay and padding in samples, if there is a LAME tag.
    None
        Returned instead of the pair if the frame has audio and no such header.

    References
    ----------
    G. Bouvigne, "Mp3 Info Tag revision 1"; Fraunhofer's VBRI header begins 32 bytes after the frame header.
    """
    if frame[36:40] == b"VBRI":
        return int.from_bytes(frame[50:54], "big"), None
    side = _SIDE_BYTES[mpeg_1][0 if frame[3] >> 6 == _MONO else 1]
    # Some writers leave room for the CRC, others do not.
    places = (4 + side,) if frame[1] & 1 else (4 + side, 6 + side)
    at = next((place for place in places if frame[place : place + 4] in (b"Xing", b"Info")), None)
    if at is None:
        return None
    flags, fields = int.from_bytes(frame[at + 4 : at + 8], "big"), at + 8
    frames = int.from_bytes(frame[fields : fields + 4], "big") if flags & 1 else None
    # The flags say which fields exist: frames and bytes (4 bytes each), table of contents (100), quality (4).
    tag = fields + 4 * (flags & 1) + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
    if frame[tag : tag + 4] not in _GAPLESS_WRITERS or len(frame) < tag + 24:
        return frames, None
    both = int.from_bytes(frame[tag + 21 : tag + 24], "big")
    return frames, (both >> 12, both & 0xFFF)


def _crc_table() -> npt.NDArray[np.uint16]:
    table = np.arange(256, dtype=np.uint32) << 8
    for _ in range(8):
        table = np.where(table & 0x8000, table << 1 ^ _POLYNOMIAL, table << 1) & 0xFFFF
    return table.astype(np.uint16)


_TABLE = _crc_table()


def crc16(rows: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16]:
    """Compute the CRC-16 of ISO/IEC 11172-3 (x^16 + x^15 + x^2 + 1, initial value of ones), section 2.4.3.1.

    Parameters
    ----------
    rows : ndarray of uint8, shape (n_frames, n_bytes)
        Protected bytes of each frame.

    Returns
    -------
    ndarray of uint16, shape (n_frames,)
        CRC of each row.
    """
    crc = np.full(len(rows), 0xFFFF, np.uint16)
    for column in rows.T:
        crc = _TABLE[(crc >> 8) ^ column] ^ (crc << 8)
    return crc.astype(np.uint16)


def _field(bits: npt.NDArray[np.uint8], first: int, n_bits: int) -> npt.NDArray[np.int64]:
    """Read a number of ``n_bits``, most significant bit first, from each row of bits, starting at a column."""
    return bits[:, first : first + n_bits] @ (1 << np.arange(n_bits - 1, -1, -1))


def side_damage(
    content: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], end: int, *, channels: int, mpeg_1: bool
) -> Iterator[tuple[npt.NDArray[np.int64], str, str]]:
    """Find the frames of layer III with invalid side information.

    Parameters
    ----------
    content : ndarray of uint8, shape (n_bytes,)
        Content of the file.
    offsets : ndarray of int64, shape (n_frames,)
        Start of each frame; the frames are contiguous.
    end : int
        End of the last frame.
    channels : int
        Number of channels of all frames, 1 or 2.
    mpeg_1 : bool
        Whether the stream is MPEG 1; MPEG 2 and 2.5 have one granule per frame.

    Yields
    ------
    offsets, found, expected : ndarray of int64, str, str
        For each rule, the frames that violate it (possibly none), what they have and what the rule expects.

    References
    ----------
    ISO/IEC 11172-3:1993, sections 2.4.1.7 and 2.4.2.7; ISO/IEC 13818-3:1998, section 2.4.1.7.
    """
    n_bytes = _SIDE_BYTES[mpeg_1][channels - 1]
    protected = (content[offsets + 1] & 1) == 0
    begins = offsets + 4 + 2 * protected
    ends = np.append(offsets[1:], end)
    short = begins + n_bytes > ends
    yield offsets[short], "no room for its side information", f"{n_bytes} bytes of it"
    if short.any():
        return
    side = content[begins[:, None] + np.arange(n_bytes)]
    heads = content[offsets[protected, None] + np.arange(2, 6)]
    sums = crc16(np.hstack([heads[:, :2], side[protected]]))
    stated = heads[:, 2].astype(np.uint16) << 8 | heads[:, 3]
    yield offsets[protected][sums != stated], "a wrong CRC", "that of its header and side information"

    bits = np.unpackbits(side, axis=1)
    # main_data_begin, private bits, scfsi (MPEG 1), then 59 or 63 bits for each channel of each granule.
    if mpeg_1:
        at, granules, size = (18 if channels == 1 else 20), 2, 59
    else:
        at, granules, size = (9 if channels == 1 else 10), 1, 63
    begin = _field(bits, 0, 9 if mpeg_1 else 8)
    main_bits = np.zeros(len(offsets), np.int64)
    for part in range(granules * channels):
        first = at + part * size
        main_bits += _field(bits, first, 12)
        big_values = _field(bits, first + 12, 9)
        yield offsets[big_values > 288], "more than 288 pairs of big values in a granule", "288 or fewer"
        switching = first + 33 if mpeg_1 else first + 38
        reserved = (bits[:, switching] == 1) & (_field(bits, switching + 1, 2) == 0)
        yield offsets[reserved], "the reserved block type", "another"

    # Main data form one sequence of bytes, without headers and side information.
    own = ends - begins - n_bytes
    row = np.cumsum(own) - own
    main_begin = (row - begin) * 8
    main_end = main_begin + main_bits
    yield offsets[main_end > (row + own) * 8], "main data beyond its end", "their end within it"
    late = np.append(False, main_begin[1:] < main_end[:-1])
    yield offsets[late], "main data that begin within those of the previous frame", "a beginning after them"
