"""Strict check of the frames of MPEG audio files, without decoding them.

Headers of files may be wrong, and decoders hide damage: they resynchronise, conceal errors and stop silently. The walk
goes from frame to frame by the length that each frame header states, from the first byte after the leading tags to the
last byte before the trailing tags, and rejects files where this is not possible.

**Rejected**, as `AudioError` with the reason

- ``bad_frames``: no header at the end of the previous frame (lost sync, junk before or between frames, zeros or tags
  between frames), a header with reserved values (version, layer, bit rate, sample rate), a header that differs from the
  first in version, layer, sample rate, mode (legal, but libsndfile stops when the number of channels changes) or in
  being free format; in layer III also a wrong CRC and invalid side information (more than 576 lines, a reserved block
  type, main data that extend beyond their frame or begin before the end of those of the previous frame);
- ``truncated``: the last frame or a leading tag is cut, or a Xing, Info or VBRI header announces more frames;
- ``undecodable``: not MPEG audio.

**Tolerated**

- ID3v2 (several, with footer, appended), ID3v1 (also enhanced), APEv1, APEv2 and Lyrics3 at either end, and zeros
  between them, before the first and after the last frame. Other bytes after the last frame are junk.
- An announced number of frames that includes the info frame (unless LAME or FFmpeg wrote it: theirs is exact), that is
  zero (from a writer that could not seek back), or that is too small (joined files): the frames found are used.
- A change of bit rate, padding, protection, emphasis, private and copyright bits from frame to frame, and of mode
  between stereo and joint stereo. Every value of emphasis: the reserved one occurs in a conformance stream
  (``hecommon``).
- A truncated tag at the end: the audio before it is complete.
- In layer III, a last frame that is cut after its main data, if no header announces the number of frames: no audio is
  missing (the conformance stream ``compl`` ends like this). It is not counted, because libsndfile omits it.
- Main data that refer to bytes before the first frame, as in a clip cut out of a longer stream.

**Not checked**: the CRC of layers I and II (its extent depends on the bit allocation), the pairs of mode and bit rate
that layer II forbids, and the coded samples, where a flipped bit is audible but not detected. A stream that is cut
exactly between two frames, or cut and padded with zeros, is detected only if a header announces more frames.

References: ISO/IEC 11172-3, sections 2.4.1 to 2.4.3; ISO/IEC 13818-3, section 2.4 (half the sample rates); MPEG 2.5
is Fraunhofer's extension of it; the Xing, LAME and VBRI headers are as documented by their authors.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from ..errors import AudioError
from .mpeg_side import info_frame, side_damage
from .mpeg_tags import after_zeros, between_tags, tag_after

_KBITS_1 = {
    1: (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    2: (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    3: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
}
_KBITS_LAYER_1 = (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256)
_KBITS_OTHERS = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_KBITS_2 = {1: _KBITS_LAYER_1, 2: _KBITS_OTHERS, 3: _KBITS_OTHERS}
_RATES = (44100, 48000, 32000)
_VERSIONS: dict[int, Literal["1", "2", "2.5"]] = {3: "1", 2: "2", 0: "2.5"}
_DIVISORS = {"1": 1, "2": 2, "2.5": 4}
_MODES = ("stereo", "joint stereo", "dual channel", "mono")
_MONO = 3
_SHORTEST_FREE, _LONGEST_FREE = 24, 8192  # bytes; the tables start at 24, LAME's 640 kbit/s give 2,880
_SEARCHED = 65536  # bytes to search for a first frame, to distinguish damaged MPEG audio from other files
_MOST_MEASURES = 16  # attempts to measure free format during that search
_SYNC = re.compile(rb"\xff[\xe2-\xff][\x00-\xef]", re.DOTALL)


@dataclass(frozen=True)
class FrameWalk:
    """Properties of the frames of a file, not counting the frame of a Xing, Info or VBRI header.

    Attributes
    ----------
    version : {"1", "2", "2.5"}
        Version of MPEG.
    layer : {1, 2, 3}
        Layer of MPEG audio.
    sample_rate : int
        Sample rate in hertz.
    channels : int
        Number of channels, 1 or 2.
    mode : str
        Mode of the first frame: ``stereo``, ``joint stereo``, ``dual channel`` or ``mono``.
    frames : int
        Number of frames.
    samples_per_frame : int
        Samples of each channel in a frame.
    duration : float
        Duration of all frames in seconds, before gapless trimming.
    bit_rate : int
        Mean of the frames' bit rates, in bits per second.
    vbr : bool
        Whether the bit rate varies.
    header_frames : int or None
        Number of frames that the Xing, Info or VBRI header announces.
    gapless : tuple of int, or None
        Samples that the LAME tag says to drop at the beginning (encoder delay) and at the end (padding).
    """

    version: Literal["1", "2", "2.5"]
    layer: int
    sample_rate: int
    channels: int
    mode: str
    frames: int
    samples_per_frame: int
    duration: float
    bit_rate: int
    vbr: bool
    header_frames: int | None
    gapless: tuple[int, int] | None


@dataclass(frozen=True)
class _Format:
    """Properties shared by all frames of a stream, from its first header."""

    byte_1: int  # with the protection bit set
    version: Literal["1", "2", "2.5"]
    layer: int
    sample_rate: int
    lengths: tuple[int, ...]  # in bytes, by the third byte of the header; 0 if it does not match the first header
    bit_rates: tuple[int, ...]  # in bits per second, likewise
    free: bool

    @property
    def samples(self) -> int:
        if self.layer == 1:
            return 384
        return 1152 if self.layer == 2 or self.version == "1" else 576

    @property
    def slot(self) -> int:
        """Bytes that the padding bit adds."""
        return 4 if self.layer == 1 else 1

    def __str__(self) -> str:
        return f"MPEG {self.version} layer {'I' * self.layer} at {self.sample_rate} Hz"


@lru_cache(256)
def _parse(byte_1: int, byte_2: int) -> _Format | None:
    """Parse the second (protection bit set) and third byte of a header; free format has no lengths yet."""
    version, layer = _VERSIONS.get(byte_1 >> 3 & 3), 4 - (byte_1 >> 1 & 3)
    rate, index = byte_2 >> 2 & 3, byte_2 >> 4
    if byte_1 < 0xE0 or version is None or layer == 4 or rate == 3 or index == 15:
        return None
    stream = _Format(byte_1, version, layer, _RATES[rate] // _DIVISORS[version], (), (), index == 0)
    if stream.free:
        return stream
    lengths, bit_rates = [0] * 256, [0] * 256
    for place, kbits in enumerate((_KBITS_1 if version == "1" else _KBITS_2)[layer], 1):
        for rest in range(4):
            byte = place << 4 | rate << 2 | rest
            slots = stream.samples // 8 // stream.slot * kbits * 1000 // stream.sample_rate + (rest >> 1)
            lengths[byte], bit_rates[byte] = slots * stream.slot, kbits * 1000
    return replace(stream, lengths=tuple(lengths), bit_rates=tuple(bit_rates))


def _format(data: bytes, at: int) -> _Format | None:
    """Format of the frame whose header is at ``at``; None without a valid header."""
    head = data[at : at + 4]
    if len(head) < 4 or head[0] != 0xFF:
        return None
    return _parse(head[1] | 1, head[2])


def _fits(data: bytes, at: int, stream: _Format) -> bool:
    """Whether the header at ``at`` matches the first header, regardless of the frame's length."""
    found = _format(data, at)
    return found is not None and (found.byte_1, found.sample_rate, found.free) == (
        stream.byte_1,
        stream.sample_rate,
        stream.free,
    )


def _measured(data: bytes, start: int, end: int, stream: _Format) -> _Format | None:
    """Measure the frames of free format: up to the nearest header that another header or the end follows."""
    padding = (data[start + 2] >> 1 & 1) * stream.slot
    at = start
    while (at := data.find(b"\xff", at + 1, min(start + _LONGEST_FREE, end))) >= 0:
        length = at - start - padding
        if length < _SHORTEST_FREE or length % stream.slot or not _fits(data, at, stream):
            continue
        after = at + length + (data[at + 2] >> 1 & 1) * stream.slot
        if after == end or _fits(data, after, stream):
            lengths, bit_rates = [0] * 256, [0] * 256
            for rest in range(4):
                byte = data[start + 2] & 0x0C | rest
                lengths[byte] = length + (rest >> 1) * stream.slot
                bit_rates[byte] = round(length * 8 * stream.sample_rate / stream.samples)
            return replace(stream, lengths=tuple(lengths), bit_rates=tuple(bit_rates))
    return None


def _step(data: bytes, start: int, end: int, stream: _Format) -> tuple[list[int], int]:
    """Offsets of the contiguous complete frames from ``start``, and the offset of their end."""
    found, at, lengths, byte_1 = [], start, stream.lengths, stream.byte_1
    while at + 4 <= end and data[at] == 0xFF and data[at + 1] | 1 == byte_1:
        length = lengths[data[at + 2]]
        if not length or at + length > end:
            break
        found.append(at)
        at += length
    return found, at


def _chain(data: bytes, start: int, end: int) -> bool:
    """Whether there are three contiguous frames near ``start``."""
    measures = _MOST_MEASURES
    for match in _SYNC.finditer(data, start, min(start + _SEARCHED, end)):
        at, steps = match.start(), 0
        stream = _format(data, at)
        if stream and stream.free:
            measures -= 1
            stream = _measured(data, at, end, stream) if measures >= 0 else None
        while stream and _fits(data, at, stream):
            at, steps = at + stream.lengths[data[at + 2]], steps + 1
            if steps == 3:
                return True
    return False


def _what(data: bytes, at: int, end: int) -> str:
    """Format the bytes at an offset for a message."""
    return data[at : min(at + 4, end)].hex(" ") or "nothing"


def _after_tail(data: bytes, at: int, end: int) -> int:
    """Offset after the zeros and tags that begin at ``at``."""
    rest = after_zeros(data, at)
    while rest < end and (size := tag_after(data, rest)):
        rest = after_zeros(data, rest + size)
    return rest


def _check_end(data: bytes, at: int, end: int, stream: _Format, name: str) -> None:
    """Raise AudioError if anything but padding and tags follows the last complete frame."""
    if 0 < end - at < 4 and data[at] == 0xFF and (end - at == 1 or data[at + 1] | 1 == stream.byte_1):
        raise AudioError("truncated", f"{name}: the header at byte {at} is cut: expected 4 bytes, found {end - at}.")
    rest = _after_tail(data, at, end)
    if rest < end:
        other = _format(data, rest)
        found = f"{other}" if other else f"no valid header ({_what(data, rest, end)})"
        raise AudioError("bad_frames", f"{name}: byte {rest}: found {found}, expected a frame of {stream} or the end.")


def _first(data: bytes, start: int, end: int, name: str) -> _Format:
    """Format of the first frame, with lengths; raise AudioError if there is none."""
    if start > end:
        raise AudioError("truncated", f"{name}: the tag at its beginning is cut: {start} bytes expected, {end} found.")
    stream = _format(data, start)
    if stream and stream.free:
        stream = _measured(data, start, end, stream)
    if stream:
        second = start + stream.lengths[data[start + 2]]
        alone = second + 4 > end or _after_tail(data, second, end) >= end
        if alone or _fits(data, second, stream) or _chain(data, start, end):
            return stream
    elif _chain(data, start, end):
        raise AudioError(
            "bad_frames", f"{name}: byte {start}: found {_what(data, start, end)}, expected a first frame."
        )
    found = "a single header" if stream else _what(data, start, end)
    raise AudioError(
        "undecodable", f"{name}: no MPEG audio: found {found} at byte {start}, expected contiguous frames."
    )


def _check_frames(content: np.ndarray, offsets: np.ndarray, end: int, stream: _Format, name: str) -> None:
    """Raise AudioError if the content of a frame is invalid."""
    mode = np.maximum(content[offsets + 3] >> 6, 1)  # stereo and joint stereo are equivalent
    damage = [(offsets[mode != mode[0]], "another mode", "that of the first frame, or only stereo and joint stereo")]
    if stream.layer == 3 and not len(damage[0][0]):
        channels, mpeg_1 = (1 if mode[0] == _MONO else 2), stream.version == "1"
        damage += side_damage(content, offsets, end, channels=channels, mpeg_1=mpeg_1)
    for places, found, expected in damage:
        if len(places):
            raise AudioError("bad_frames", f"{name}: the frame at byte {places[0]} has {found}, expected {expected}.")


def _check_cut(
    content: np.ndarray, found: list[int], at: int, end: int, stream: _Format, name: str, *, promised: bool
) -> None:
    """Raise AudioError for a cut last frame, unless its main data are complete and no header announces its frame."""
    length = stream.lengths[content[at + 2]]
    message = f"{name}: the frame at byte {at} is cut: expected {length} bytes, found {end - at}."
    if stream.layer != 3 or not found or promised:
        raise AudioError("truncated", message)
    _check_frames(content, np.array(found), at, stream, name)
    try:
        _check_frames(content, np.array([*found, at]), end, stream, name)
    except AudioError as error:
        raise AudioError("truncated", message) from error


def _read(source: bytes | memoryview | str | os.PathLike[str]) -> tuple[str, bytes]:
    """Name of the source for messages, and its content."""
    if isinstance(source, (bytes, memoryview)):
        return "MPEG audio", bytes(source)
    path = Path(source)
    if not path.is_file():
        raise AudioError("missing", f"{path}: no such audio file.")
    try:
        return str(path), path.read_bytes()
    except OSError as error:
        raise AudioError("undecodable", f"{path}: not readable ({error}).") from error


def walk(source: bytes | memoryview | str | os.PathLike[str]) -> FrameWalk:
    """Check all frames of a file; the module's docstring lists what is rejected and what is tolerated.

    Parameters
    ----------
    source : bytes, memoryview or path
        Path or content of the file.

    Returns
    -------
    FrameWalk
        Properties of the frames.

    Raises
    ------
    AudioError
        With the reason ``missing``, ``bad_frames``, ``truncated`` or ``undecodable``.

    References
    ----------
    ISO/IEC 11172-3:1993, sections 2.4.1.3 (header) and 2.4.3.1 (length of frames); ISO/IEC 13818-3:1998, section 2.4.
    """
    name, data = _read(source)
    start, end = between_tags(data)
    stream = _first(data, start, end, name)
    found, at = _step(data, start, end, stream)
    content = np.frombuffer(data, np.uint8)
    promised, gapless = None, None
    if found and stream.layer == 3:
        info = info_frame(data[start : start + stream.lengths[data[start + 2]]], mpeg_1=stream.version == "1")
        if info is not None:
            promised, gapless = info
            del found[0]
    if at + 4 <= end and _fits(data, at, stream):  # a matching header, but fewer bytes than its length
        _check_cut(content, found, at, end, stream, name, promised=bool(promised))
    else:
        _check_end(data, at, end, stream, name)
    if promised is not None and len(found) + (gapless is None) < promised:
        raise AudioError(
            "truncated", f"{name}: found {len(found)} whole frames, expected the {promised} that its header announces."
        )
    if not found:
        raise AudioError("undecodable", f"{name}: no MPEG audio: found only a header, expected frames.")
    offsets = np.array(found)
    _check_frames(content, offsets, at, stream, name)
    rates = np.array(stream.bit_rates)[content[offsets + 2]]
    mode = content[found[0] + 3] >> 6
    return FrameWalk(
        version=stream.version,
        layer=stream.layer,
        sample_rate=stream.sample_rate,
        channels=1 if mode == _MONO else 2,
        mode=_MODES[mode],
        frames=len(found),
        samples_per_frame=stream.samples,
        duration=len(found) * stream.samples / stream.sample_rate,
        bit_rate=round(float(rates.mean())),
        vbr=bool((rates != rates[0]).any()),
        header_frames=promised,
        gapless=gapless,
    )
