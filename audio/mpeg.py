"""The strict walk over MPEG audio frames: what a file really holds, without decoding it.

Headers of files lie, and decoders hide damage: they resynchronise, conceal and stop in silence. The walk goes from
frame to frame, by the length that each header states, from the first byte after the tags to the last byte before
those at the end, and refuses a file where that is not possible.

**Refused**, as `AudioError` with the reason

- ``bad_frames``: no header where the last frame ended (lost sync, junk before or between frames, zeros or tags between
  frames), a header with reserved values (version, layer, bit rate, sample rate), one that disagrees with the first in
  version, layer, sample rate, mode (legal, but libsndfile stops where the number of channels changes) or in being free
  format; in layer III also a wrong CRC and impossible side information (more than 576 lines, a reserved block type,
  main data that reach beyond their frame or begin before the end of those of the frame before);
- ``truncated``: the last frame or a tag before the first is cut, or a Xing, Info or VBRI header promises more frames;
- ``undecodable``: no MPEG audio at all.

**Tolerated**

- ID3v2 (several, with footer, appended), ID3v1 (also enhanced), APEv1, APEv2 and Lyrics3, at either end, and zeros
  between them, before the first and after the last frame. Other bytes after the last frame are junk.
- A promise that counts the info frame too (where LAME or FFmpeg did not write it: theirs is exact), one of zero (a
  writer that could not go back), and frames beyond the promise (files that were joined): frames are believed.
- A change of bit rate, padding, protection, emphasis, private and copyright bits from frame to frame, and of mode
  between stereo and joint stereo. Every value of emphasis: the reserved one stands in a conformance stream
  (``hecommon``).
- A tag at the end that is cut: the sound before it is whole.
- In layer III, a last frame cut behind the end of its main data, if no header promises frames: nothing of the sound is
  missing (the conformance stream ``compl`` ends so). It is not counted, because libsndfile leaves it out.
- Main data from before the first frame: a clip that was cut out of a longer stream begins so.

**Not checked**: the CRC of layers I and II (it covers as much as the bit allocation says), the pairs of mode and bit
rate that layer II forbids, and the coded samples; a flipped bit there is heard but not seen. A stream cut exactly
between two frames, or cut and then filled up with zeros, is noticed only where a header promises more.

Sources: ISO/IEC 11172-3, sections 2.4.1 to 2.4.3; ISO/IEC 13818-3, section 2.4 (half the sample rates); MPEG 2.5
is Fraunhofer's extension of it; the Xing, LAME and VBRI headers are as their writers document them.
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
_SHORTEST_FREE, _LONGEST_FREE = 24, 8192  # bytes; the tables begin with 24, LAME's 640 kbit/s make 2,880
_SEARCHED = 65536  # bytes in which a first frame is looked for, to tell a damaged file from none
_MOST_MEASURES = 16  # of free format, while looking
_SYNC = re.compile(rb"\xff[\xe2-\xff][\x00-\xef]", re.DOTALL)


@dataclass(frozen=True)
class FrameWalk:
    """What the frames of a file say; the frame of a Xing, Info or VBRI header is none of them.

    Attributes
    ----------
    version : {"1", "2", "2.5"}
        Of MPEG.
    layer : {1, 2, 3}
        Of MPEG audio.
    sample_rate : int
        Hertz.
    channels : int
        1 or 2.
    mode : str
        ``stereo``, ``joint stereo``, ``dual channel`` or ``mono``: that of the first frame.
    frames : int
        Number of frames.
    samples_per_frame : int
        Samples of each channel in a frame.
    duration : float
        Seconds of all frames, before any gapless trimming.
    bit_rate : int
        Mean of the frames' bit rates, in bits a second.
    vbr : bool
        Whether the frames differ in their bit rate.
    header_frames : int or None
        Number of frames that the Xing, Info or VBRI header promises.
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
    """What all frames of a stream share, by its first header."""

    byte_1: int  # with the protection bit set
    version: Literal["1", "2", "2.5"]
    layer: int
    sample_rate: int
    lengths: tuple[int, ...]  # of frames in bytes by the third byte of the header; 0 where it does not fit the first
    bit_rates: tuple[int, ...]  # in bits a second, likewise
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
    """Format by the second (protection bit set) and the third byte of a header; free format has no lengths yet."""
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
    """Format of the frame whose header is at ``at``; None where no valid header is."""
    head = data[at : at + 4]
    if len(head) < 4 or head[0] != 0xFF:
        return None
    return _parse(head[1] | 1, head[2])


def _fits(data: bytes, at: int, stream: _Format) -> bool:
    """Whether the header at ``at`` agrees with the first, whatever its length."""
    found = _format(data, at)
    return found is not None and (found.byte_1, found.sample_rate, found.free) == (
        stream.byte_1,
        stream.sample_rate,
        stream.free,
    )


def _measured(data: bytes, start: int, end: int, stream: _Format) -> _Format | None:
    """Free format with its lengths: to the nearest header after which another one, or the end, follows."""
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
    """Offsets of the whole frames in a row from ``start``, and the offset where the row ends."""
    found, at, lengths, byte_1 = [], start, stream.lengths, stream.byte_1
    while at + 4 <= end and data[at] == 0xFF and data[at + 1] | 1 == byte_1:
        length = lengths[data[at + 2]]
        if not length or at + length > end:
            break
        found.append(at)
        at += length
    return found, at


def _chain(data: bytes, start: int, end: int) -> bool:
    """Whether three frames follow each other somewhere near ``start``."""
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
    """The bytes at an offset, for people."""
    return data[at : min(at + 4, end)].hex(" ") or "nothing"


def _after_tail(data: bytes, at: int, end: int) -> int:
    """Offset after the zeros and tags that begin at ``at``."""
    rest = after_zeros(data, at)
    while rest < end and (size := tag_after(data, rest)):
        rest = after_zeros(data, rest + size)
    return rest


def _check_end(data: bytes, at: int, end: int, stream: _Format, name: str) -> None:
    """Raise for what follows the last whole frame, unless it is padding or tags."""
    if 0 < end - at < 4 and data[at] == 0xFF and (end - at == 1 or data[at + 1] | 1 == stream.byte_1):
        raise AudioError("truncated", f"{name}: the header at byte {at} is cut: expected 4 bytes, found {end - at}.")
    rest = _after_tail(data, at, end)
    if rest < end:
        other = _format(data, rest)
        found = f"{other}" if other else f"no valid header ({_what(data, rest, end)})"
        raise AudioError("bad_frames", f"{name}: byte {rest}: found {found}, expected a frame of {stream} or the end.")


def _first(data: bytes, start: int, end: int, name: str) -> _Format:
    """Format of the first frame, with its lengths; raise where none is."""
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
    found = "one header alone" if stream else _what(data, start, end)
    raise AudioError(
        "undecodable", f"{name}: no MPEG audio: found {found} at byte {start}, expected frames that follow each other."
    )


def _check_frames(content: np.ndarray, offsets: np.ndarray, end: int, stream: _Format, name: str) -> None:
    """Raise for what is wrong inside of frames."""
    mode = np.maximum(content[offsets + 3] >> 6, 1)  # stereo and joint stereo are one
    damage = [(offsets[mode != mode[0]], "another mode", "that of the first frame, or stereo and joint stereo in turn")]
    if stream.layer == 3 and not len(damage[0][0]):
        channels, mpeg_1 = (1 if mode[0] == _MONO else 2), stream.version == "1"
        damage += side_damage(content, offsets, end, channels=channels, mpeg_1=mpeg_1)
    for places, found, expected in damage:
        if len(places):
            raise AudioError("bad_frames", f"{name}: the frame at byte {places[0]} has {found}, expected {expected}.")


def _check_cut(
    content: np.ndarray, found: list[int], at: int, end: int, stream: _Format, name: str, *, promised: bool
) -> None:
    """Raise for the cut frame at ``at``, unless all its main data are there and no header promises that it is whole."""
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
    """What to call it, and all its bytes."""
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
    """Walk over all frames of a file; see the module for what is refused and what is tolerated.

    Parameters
    ----------
    source : bytes, memoryview or path
        The whole file.

    Returns
    -------
    FrameWalk
        What the frames say.

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
    if at + 4 <= end and _fits(data, at, stream):  # it agrees, but there is less of it than its length
        _check_cut(content, found, at, end, stream, name, promised=bool(promised))
    else:
        _check_end(data, at, end, stream, name)
    if promised is not None and len(found) + (gapless is None) < promised:
        raise AudioError(
            "truncated", f"{name}: found {len(found)} whole frames, expected the {promised} that its header promises."
        )
    if not found:
        raise AudioError("undecodable", f"{name}: no MPEG audio: found a header of the file alone, expected frames.")
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
