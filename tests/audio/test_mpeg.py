"""The frame walk on files of LAME, on files written from the tables of the standard, and on damaged files."""

from __future__ import annotations

import shutil
import struct
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from emobench.audio.mpeg import FrameWalk, walk
from emobench.errors import AudioError
from hypothesis import given, settings
from hypothesis import strategies as st

from .mpeg_files import (
    HEAD,
    ID3V1,
    RATES,
    TABLES,
    TAIL,
    ape_tag,
    bare_file,
    frame,
    frame_offsets,
    id3v2_tag,
    lame_file,
)

REASONS = {"bad_frames", "truncated", "undecodable"}


def _crc(data: bytes) -> int:
    """Compute the CRC bit by bit, as in the figure of the standard."""
    register = 0xFFFF
    for byte in data:
        for place in range(7, -1, -1):
            carry = register >> 15 ^ (byte >> place & 1)
            register = register << 1 & 0xFFFF ^ (0x8005 if carry else 0)
    return register


def _samples(version: str, layer: int) -> int:
    return {1: 384, 2: 1152, 3: 1152 if version == "1" else 576}[layer]


def _reason(data: bytes) -> str:
    with pytest.raises(AudioError) as caught:
        walk(data)
    assert "\n" not in str(caught.value)
    assert "expected" in str(caught.value)
    return caught.value.reason


# Valid files


@pytest.mark.parametrize("rate", [8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_files_of_lame(rate: int, channels: int, mode: str, tmp_path: Path) -> None:
    data = lame_file(rate, channels, mode)
    (tmp_path / "a.mp3").write_bytes(data)
    found = walk(tmp_path / "a.mp3")
    assert found == walk(data) == walk(memoryview(data))
    assert (found.sample_rate, found.channels, found.layer) == (rate, channels, 3)
    assert found.version == ("1" if rate >= 32000 else "2" if rate >= 16000 else "2.5")
    decoded = found.frames * found.samples_per_frame
    if found.gapless is None:  # LAME omits the Info frame if it would not fit
        assert (mode, rate in (11025, 12000, 24000), found.header_frames) == ("CONSTANT", True, None)
        assert rate + 576 <= decoded < rate + 576 + 2 * found.samples_per_frame + 529
    else:
        assert decoded - sum(found.gapless) == rate
        assert found.header_frames == found.frames
    assert found.duration == found.frames * found.samples_per_frame / rate
    assert found.bit_rate == pytest.approx(len(data) * 8 / found.duration, rel=0.1)
    if mode == "CONSTANT":
        assert not found.vbr


def test_variable_bit_rate() -> None:
    assert walk(lame_file(mode="VARIABLE", seconds=3.0)).vbr
    without = walk(b"".join(frame(kbits=kbits) for kbits in (32, 128, 320)))
    assert without.vbr
    assert without.bit_rate == 160_000
    assert without.header_frames is None


@pytest.mark.parametrize("command", ["ffprobe", "mpg123"])
def test_counts_agree_with_other_programs(command: str, tmp_path: Path) -> None:
    if shutil.which(command) is None:
        pytest.skip(f"{command} is not installed")
    path = tmp_path / "a.mp3"
    path.write_bytes(bare_file())
    if command == "ffprobe":
        options = ["-v", "error", "-count_frames", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0"]
        done = subprocess.run([command, *options, str(path)], capture_output=True, text=True, check=True)
        frames = int(done.stdout.strip().strip(","))
    else:
        options = ["-q", "--no-gapless", "--no-control", "-s", str(path)]
        done = subprocess.run([command, *options], capture_output=True, check=True)
        frames = len(done.stdout) // (2 * 2 * 1152)
    assert frames == walk(path).frames


@pytest.mark.parametrize(
    ("version", "layer", "rate", "kbits"),
    [
        (version, layer, rate, int(kbits))
        for (version, layer), row in TABLES.items()
        for rate in RATES[version]
        for kbits in row.split()[1:]
    ]
    + [("2.5", layer, rate, 64) for layer in (1, 2, 3) for rate in RATES["2.5"]],
)
def test_every_length_of_the_standard(version: str, layer: int, rate: int, kbits: int) -> None:
    frames = [frame(version, layer, rate, kbits, padding=number % 2) for number in range(5)]
    found = walk(b"".join(frames))
    samples = _samples(version, layer)
    assert (found.version, found.layer, found.sample_rate, found.frames) == (version, layer, rate, 5)
    assert (found.samples_per_frame, found.bit_rate, found.vbr) == (samples, kbits * 1000, False)
    assert found.duration == 5 * samples / rate


@pytest.mark.parametrize("layer", [1, 2, 3])
@pytest.mark.parametrize("version", ["1", "2", "2.5"])
def test_free_format(version: str, layer: int) -> None:
    rate = RATES[version][0]
    frames = [frame(version, layer, rate, "free", padding=number % 2, length=840) for number in range(6)]
    found = walk(b"".join(frames))
    assert found.frames == 6
    assert found.bit_rate == round(840 * 8 * rate / _samples(version, layer))
    assert _reason(b"".join(frames)[:-830]) == "truncated"
    assert _reason(b"".join(frames[:3]) + b"\1" + b"".join(frames[3:])) == "bad_frames"
    assert _reason(b"".join(frames) + frame(version, layer, rate, 64)) == "bad_frames"


def test_modes() -> None:
    for mode, name, channels in (("stereo", "stereo", 2), ("dual", "dual channel", 2), ("mono", "mono", 1)):
        found = walk(frame(mode=mode) * 3)
        assert (found.mode, found.channels) == (name, channels)
    assert walk(frame() + frame(mode="joint") + frame()).frames == 3
    assert _reason(frame() * 3 + frame(mode="mono")) == "bad_frames"
    assert _reason(frame() * 3 + frame(mode="dual")) == "bad_frames"


@pytest.mark.parametrize("mode", ["stereo", "mono"])
@pytest.mark.parametrize(("version", "rate"), [("1", 44100), ("2", 22050)])
def test_xing(version: str, rate: int, mode: str) -> None:
    side = {("1", "stereo"): 32, ("1", "mono"): 17, ("2", "stereo"): 17, ("2", "mono"): 9}[version, mode]
    audio = frame(version, 3, rate, 64, mode=mode) * 10

    def promise(frames: int, tag: bytes = b"") -> bytes:
        fields = struct.pack(">III", 3, frames, 0)
        return frame(version, 3, rate, 128, mode=mode, body=b"\0" * side + b"Xing" + fields + tag) + audio

    assert (walk(promise(10)).frames, walk(promise(10)).header_frames) == (10, 10)
    assert walk(promise(10)).bit_rate == 64000
    assert walk(promise(10)).gapless is None
    assert walk(promise(11)).frames == 10
    assert walk(promise(0)).frames == walk(promise(5)).frames == 10
    assert _reason(promise(12)) == "truncated"
    assert _reason(promise(10)[:-1]) == "truncated"
    lame = b"LAME3.100".ljust(21, b"\0") + (576 << 12 | 1000).to_bytes(3, "big")
    assert walk(promise(10, lame)).gapless == (576, 1000)
    assert _reason(promise(11, lame)) == "truncated"
    assert _reason(promise(2**31)[: -len(audio)]) == "truncated"


def test_vbri() -> None:
    body = b"\0" * 32 + b"VBRI" + struct.pack(">HHHII", 1, 1000, 75, 0, 7)
    assert walk(frame(body=body) + frame() * 7).header_frames == 7
    assert walk(frame(body=body) + frame() * 7).frames == 7
    assert _reason(frame(body=body) + frame() * 5) == "truncated"
    assert _reason(frame(body=body[:-4] + b"\0" * 4)) == "undecodable"


@pytest.mark.parametrize("audio", [lame_file(), bare_file(), frame("1", 2), frame("2", 2, 24000, 64) * 3])
def test_tags(audio: bytes) -> None:
    expected = walk(audio)
    for tag in HEAD:
        assert walk(tag + audio) == expected
    for tag in TAIL:
        assert walk(audio + tag) == expected
        assert walk(HEAD[1] + audio + tag) == expected
        if audio != bare_file() and tag[0] != 0 and tag[-1] != 0:  # zeros may fill the cut frame
            assert _reason(audio[:-140] + tag) in ("truncated", "bad_frames")
        assert _reason(audio + b"junk" + tag) in ("bad_frames", "undecodable")
    assert _reason(HEAD[1][:-1]) == "truncated"


@pytest.mark.parametrize("channels", [1, 2])
def test_crc(channels: int) -> None:
    mode = "mono" if channels == 1 else "stereo"
    side = bytes(17 if channels == 1 else 32)
    header = frame(mode=mode, crc=True)[:4]
    right = _crc(header[2:] + side)
    good = frame(mode=mode, crc=True, body=right.to_bytes(2, "big"))
    assert walk(good * 3 + frame(mode=mode)).frames == 4
    assert _reason(good * 3 + frame(mode=mode, crc=True, body=(right ^ 1).to_bytes(2, "big"))) == "bad_frames"


# Damage


@pytest.mark.parametrize("place", [0, 1, 12, -1])
@pytest.mark.parametrize("byte", [0, 1, 2, 3])
def test_a_byte_of_a_header_flipped(byte: int, place: int) -> None:
    data = bytearray(bare_file())
    data[frame_offsets(bytes(data))[place] + byte] ^= 0xFF
    if data[frame_offsets(bare_file())[place] + 3] >> 6 == 0:
        pytest.skip("joint stereo became stereo")
    assert _reason(bytes(data)) in REASONS


@pytest.mark.parametrize("bit", range(24))
def test_a_bit_of_a_header_flipped(bit: int) -> None:
    data = bytearray(lame_file())
    data[frame_offsets(lame_file())[9] + bit // 8] ^= 0x80 >> bit % 8
    if bit == 23:
        assert walk(bytes(data)).frames == walk(lame_file()).frames  # private
    else:  # twice the bit rate may skip exactly two frames, but then their number is wrong
        assert _reason(bytes(data)) in ("bad_frames", "truncated")


@pytest.mark.parametrize("bytes_", [1, 3, 100, 417, 418])
def test_missing_or_extra_bytes(bytes_: int) -> None:
    data, offsets = lame_file(), frame_offsets(lame_file())
    for at in (offsets[9], offsets[9] + 2, offsets[9] + 200):
        assert _reason(data[:at] + data[at + bytes_ :]) in ("bad_frames", "truncated")
        assert _reason(data[:at] + b"\x55" * bytes_ + data[at:]) == "bad_frames"
        assert _reason(data[:at] + b"\0" * bytes_ + data[at:]) == "bad_frames"
    assert _reason(data[: offsets[9]] + data[offsets[10] :]) in ("truncated", "bad_frames")
    assert _reason(data[:-bytes_]) == "truncated"
    assert _reason(b"\x55" * bytes_ + data) == "bad_frames"


def test_cut_everywhere() -> None:
    data, offsets = lame_file(), frame_offsets(lame_file())
    for cut in [*range(1, 600), *offsets[1:], *(at + 2 for at in offsets), *(at + 40 for at in offsets)]:
        assert _reason(data[:cut]) in ("truncated", "undecodable")


def test_a_cut_frame_with_complete_main_data() -> None:
    # 100 bits of main data in the first granule's first channel.
    side = int("0" * 20 + f"{100:012b}" + "0" * 224, 2).to_bytes(32, "big")
    audio = frame() * 3 + frame(body=side)[: 36 + 13]
    assert walk(audio).frames == 3
    assert _reason(audio[:-1]) == "truncated"


@pytest.mark.parametrize(
    "bits",
    [
        "0" * 20 + f"{4095:012b}",  # main data that extend beyond the frame
        "0" * 20 + "0" * 12 + f"{289:09b}",
        "0" * 20 + "0" * 33 + "100",
        f"{300:09b}" + "0" * 11 + "0" * 12,  # begins within the previous frame, which its own data fill
    ],
)
def test_impossible_side_information(bits: str) -> None:
    full = int(f"{'0' * 20 + f'{3000:012b}':0<256}", 2).to_bytes(32, "big")
    broken = int(f"{bits:0<256}", 2).to_bytes(32, "big")
    assert walk(frame(body=full) * 3).frames == 3
    assert _reason(frame(body=full) * 2 + frame(body=broken) + frame()) == "bad_frames"


def test_files_joined() -> None:
    assert _reason(lame_file() + lame_file(22050)) == "bad_frames"
    assert _reason(lame_file() + lame_file(48000)) == "bad_frames"
    assert _reason(lame_file() + ID3V1 + lame_file()) == "bad_frames"
    assert walk(bare_file() + bare_file()).frames == 2 * walk(bare_file()).frames


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"abcd",
        b"\xff\xfb\x90",
        b"<!DOCTYPE html><html><body>404 not found</body></html>" * 50,
        b'<?xml version="1.0"?><response status="error"><error code="1001"/></response>',
        b"\0" * 5000,
        b"\xff" * 5000,
        np.random.default_rng(3).bytes(50_000),
        id3v2_tag(b"\xff\xfb\x90\x00" * 5000),
        b"RIFF\0\0\0\0WAVEfmt ",
    ],
)
def test_files_that_are_not_mpeg_audio(data: bytes) -> None:
    assert _reason(data) == "undecodable"


def test_a_header_of_four_bytes_alone(tmp_path: Path) -> None:
    assert _reason(b"\xff\xfb\x90\x00") == "truncated"
    with pytest.raises(AudioError, match="no such audio file") as caught:
        walk(tmp_path / "none.mp3")
    assert caught.value.reason == "missing"


_PIECES = [b"", b"\xff", b"\xff\xfb\x90\x00", b"\0" * 600, ID3V1, ape_tag(), b"ID3\4\0\0\0\0\2\1", frame()]
_PIECES += [frame(kbits="free", length=99) * 3, b"\xff\xfb\0" * 3000, b"\xff\xfb\x90" * 9000, b"LYRICS200"]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_mutation_gets_a_verdict(data: st.DataObject) -> None:
    file = bytearray(
        data.draw(st.sampled_from([lame_file(), bare_file(), frame("2", 2, 24000, 64) * 20, HEAD[1] + lame_file()]))
    )
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(file)))
        change = data.draw(st.sampled_from(["cut", "flip", "insert", "end"]))
        if change == "cut":
            del file[at : at + data.draw(st.integers(1, 2000))]
        elif change == "flip" and at < len(file):
            file[at] ^= data.draw(st.integers(1, 255))
        elif change == "insert":
            file[at:at] = data.draw(st.one_of(st.sampled_from(_PIECES), st.binary(max_size=50)))
        elif change == "end":
            del file[at:]
    start = time.perf_counter()
    try:
        assert isinstance(walk(bytes(file)), FrameWalk)
    except AudioError as error:
        assert error.reason in REASONS
    assert time.perf_counter() - start < 1.0


# Files from other sources

SOUND = "M2L3_bitrate_16_all M2L3_bitrate_22_all M2L3_bitrate_24_all M2L3_compl24 M2L3_noise ILL2_layer3"
SOUND += " l3-compl l3-he_32khz l3-he_44khz l3-he_48khz l3-he_free l3-hecommon l3-si l3-si_block l3-si_huff l3-test45"
SOUND += " l3-test46 l3-nonstandard-sin1k0db_lame_vbrtag l3-nonstandard-id3v1 l3-nonstandard-id3v2"
SOUND += " l3-nonstandard-apetag l3-nonstandard-id3v1-apetag"
# sin1k0db begins in the middle of a frame, and he_mode changes between one and two channels.
BROKEN = "big-iscf compl-sideinfo-bigvalues compl-sideinfo-blocktype compl-sideinfo-size he_44_48khz id3v2-only"
BROKEN += " sideinfo-size small vbrtag-corrupted vbrtag-empty vbrtag-noframes vbrtag-only vbrtag-oob-read"


def test_conformance_files(real_data: Path) -> None:
    verdicts: dict[str, str] = {}
    files = [*(real_data / "odd_mp3").glob("*.bit"), *(real_data / "odd_mp3").glob("*.mp3")]
    for path in [*files, *(real_data / "audio").glob("*.mp3")]:
        try:
            found = walk(path)
            assert found.duration > 0
            verdicts[path.stem] = "sound"
        except AudioError as error:
            assert str(path) in str(error)
            verdicts[path.stem] = error.reason
    assert {name: verdicts[name] for name in SOUND.split()} == dict.fromkeys(SOUND.split(), "sound")
    assert verdicts["Just_Plain_Ant_-_05_-_Stumble"] == "sound"
    for name in [*(f"l3-nonstandard-{name}" for name in BROKEN.split()), "l3-sin1k0db", "l3-he_mode"]:
        assert verdicts[name] in REASONS
    assert verdicts["performance__MEANDR90"] == "truncated"


@pytest.mark.parametrize("fraction", [0.1, 0.37, 0.9])
def test_real_music_damaged(real_data: Path, fraction: float) -> None:
    data = next((real_data / "audio").glob("*.mp3")).read_bytes()
    at = round(len(data) * fraction)
    assert _reason(data[:at]) == "truncated"
    assert _reason(data[:at] + data[at + 500 :]) in ("bad_frames", "truncated")
    assert _reason(data[:at] + b"\0" * 3000 + data[at + 3000 :]) == "bad_frames"
