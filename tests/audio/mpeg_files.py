"""MPEG audio for tests: a writer based on the tables of the standard, files encoded by LAME, and tags."""

from __future__ import annotations

import io
import struct
from functools import cache

import numpy as np
import soundfile

# ISO/IEC 11172-3, 2.4.2.3 and 13818-3, 2.4.2.3, as the standard prints them: kbit/s by index.
TABLES = {
    ("1", 1): "free 32 64 96 128 160 192 224 256 288 320 352 384 416 448",
    ("1", 2): "free 32 48 56 64 80 96 112 128 160 192 224 256 320 384",
    ("1", 3): "free 32 40 48 56 64 80 96 112 128 160 192 224 256 320",
    ("2", 1): "free 32 48 56 64 80 96 112 128 144 160 176 192 224 256",
    ("2", 2): "free 8 16 24 32 40 48 56 64 80 96 112 128 144 160",
    ("2", 3): "free 8 16 24 32 40 48 56 64 80 96 112 128 144 160",
}
RATES = {"1": (44100, 48000, 32000), "2": (22050, 24000, 16000), "2.5": (11025, 12000, 8000)}
VERSION_BITS = {"1": "11", "2": "10", "2.5": "00"}
LAYER_BITS = {1: "11", 2: "10", 3: "01"}
MODE_BITS = {"stereo": "00", "joint": "01", "dual": "10", "mono": "11"}


def frame(
    version: str = "1",
    layer: int = 3,
    rate: int = 44100,
    kbits: int | str = 128,
    *,
    padding: int = 0,
    mode: str = "stereo",
    crc: bool = False,
    length: int | None = None,
    body: bytes = b"",
) -> bytes:
    """Return one frame of silence: the header bit by bit, the length by the formula of the standard."""
    index = TABLES["2" if version == "2.5" else version, layer].split().index(str(kbits))
    bits = "1" * 11 + VERSION_BITS[version] + LAYER_BITS[layer] + ("0" if crc else "1")
    bits += f"{index:04b}{RATES[version].index(rate):02b}{padding}0" + MODE_BITS[mode] + "00" + "0" + "1" + "00"
    header = int(bits, 2).to_bytes(4, "big")
    if length is None:
        assert isinstance(kbits, int)
        if layer == 1:
            length = (12 * kbits * 1000 // rate + padding) * 4
        else:
            length = (72 if layer == 3 and version != "1" else 144) * kbits * 1000 // rate + padding
    else:
        length += padding * (4 if layer == 1 else 1)
    return (header + body).ljust(length, b"\0")


@cache
def lame_file(
    rate: int = 44100, channels: int = 2, mode: str = "CONSTANT", level: float = 0.7, seconds: float = 1.0
) -> bytes:
    """Encode a file with libsndfile and LAME."""
    times = np.arange(round(rate * seconds))[:, None] / rate
    noise = 0.05 * np.random.default_rng(0).normal(size=(len(times), channels))
    sound = noise * (times > seconds / 2) + 0.3 * np.sin(2 * np.pi * 440 * times)
    file = io.BytesIO()
    soundfile.write(
        file, sound, rate, format="MP3", subtype="MPEG_LAYER_III", bitrate_mode=mode, compression_level=level
    )
    return file.getvalue()


def frame_offsets(data: bytes) -> list[int]:
    """Return the offsets of the frames of a LAME file (MPEG 1 layer III, 44,100 Hz), by the tables above."""
    rates, found, at = TABLES["1", 3].split(), [], 0
    while at < len(data):
        found.append(at)
        at += 144 * int(rates[data[at + 2] >> 4]) * 1000 // 44100 + (data[at + 2] >> 1 & 1)
    assert at == len(data)
    return found


def bare_file() -> bytes:
    """Return a LAME file without the Info frame."""
    data = lame_file()
    return data[frame_offsets(data)[1] :]


def _synchsafe(size: int) -> bytes:
    return bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))


def id3v2_tag(body: bytes, *, footer: bool = False) -> bytes:
    rest = b"\x04\x00" + (b"\x10" if footer else b"\x00") + _synchsafe(len(body))
    return b"ID3" + rest + body + (b"3DI" + rest if footer else b"")


def ape_tag(*, header: bool = True, footer: bool = True) -> bytes:
    item = struct.pack("<II", 5, 0) + b"Title\0Album"
    size = len(item) + 32 * footer

    def block(is_header: bool) -> bytes:
        flags = (header << 31) | ((not footer) << 30) | (is_header << 29)
        return b"APETAGEX" + struct.pack("<IIII", 2000, size, 1, flags) + b"\0" * 8

    return (block(True) if header else b"") + item + (block(False) if footer else b"")


def lyrics_tag() -> bytes:
    body = b"LYRICSBEGININD00002" + b"10" + b"LYR00005Words"
    return body + b"%06d" % len(body) + b"LYRICS200"


ID3V1 = b"TAG" + b"Title".ljust(124, b"\0") + b"\x11"

TAIL = [
    ID3V1,
    ape_tag(),
    ape_tag(header=False),
    lyrics_tag(),
    lyrics_tag() + ID3V1,
    ape_tag() + lyrics_tag() + ID3V1,
    b"\0" * 5000,
]
TAIL += [
    id3v2_tag(b"x" * 99, footer=True),
    ape_tag(header=False) + ID3V1,
    ID3V1 + b"\0" * 77,
    b"TAG+" + b"e" * 223 + ID3V1,
]
TAIL += [b"\0" * 99 + ID3V1, ape_tag() + b"\0" * 9, b"LYRICSBEGINla la laLYRICSEND" + ID3V1]
HEAD = [
    id3v2_tag(b""),
    id3v2_tag(b"y" * 300),
    id3v2_tag(b"y" * 300, footer=True),
    id3v2_tag(b"a") + id3v2_tag(b"b"),
    ape_tag(),
]
HEAD += [id3v2_tag(b"a") + b"\0" * 1000, ape_tag(footer=False), id3v2_tag(b"\xff\xfb\x90\x00" * 5000)]
