"""Rendering of MIDI files with a SoundFont, the same bits on every call.

The synthesizer is that of the package ``midirenderer`` (a port of MeltySynth), and the SoundFont is ``TimGM6mb.sf2``,
which the package ``pretty_midi`` contains. Both are in the extra ``midi``; docs/midi.md compares the result with
FluidSynth.
"""

from __future__ import annotations

import io
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import soundfile

from ..errors import AudioError, InputError
from ..runtime.files import sha256_file

if TYPE_CHECKING:
    from mido import MidiFile

# To be increased whenever a file is rendered differently with the same packages.
REVISION = 1

SAMPLE_RATE = 48_000
SOUNDFONT = "TimGM6mb.sf2"

EXTENSIONS = (".mid", ".midi")

# Messages that are rendered. Others, such as lyrics and system exclusive messages, have no effect or may be malformed.
_RENDERED = ("note_on", "note_off", "control_change", "program_change", "pitchwheel", "set_tempo")

# Seconds of decay that are rendered after the last event of a file.
_TAIL = 1.0


def renderer() -> dict[str, str | int]:
    """Describe the renderer for manifests: packages with versions, sample rate, SoundFont and its SHA-256.

    Raises
    ------
    InputError
        If the extra ``midi`` is not installed.
    """
    return {
        "renderer": f"midirenderer {version('midirenderer')}" if _soundfont() else "",
        "reader": f"mido {version('mido')}",
        "revision": REVISION,
        "sample_rate": SAMPLE_RATE,
        "soundfont": SOUNDFONT,
        "soundfont_sha256": sha256_file(_soundfont()),
    }


def _soundfont() -> Path:
    # The package is found, not imported: only its SoundFont is needed.
    found = find_spec("pretty_midi")
    path = Path(found.origin).with_name(SOUNDFONT) if found and found.origin else None
    if not (path and path.is_file() and find_spec("midirenderer") and find_spec("mido")):
        raise InputError(
            "rendering MIDI files needs the packages midirenderer, mido and pretty_midi. Install them with "
            "pip install 'emobench[midi]'."
        )
    return path


@cache
def _soundfont_bytes() -> bytes:
    return _soundfont().read_bytes()


def read_midi(path: Path) -> MidiFile:
    """Read a MIDI file.

    Raises
    ------
    AudioError
        With the reason ``undecodable``, if it is not a readable Standard MIDI File of format 0 or 1.
    """
    from mido import MidiFile

    try:
        midi = MidiFile(path)
    except Exception as error:  # mido may raise anything for broken files
        raise AudioError("undecodable", f"{path}: not readable as MIDI ({error or type(error).__name__}).") from error
    if midi.type == 2 or midi.ticks_per_beat <= 0:
        kind = "format 2" if midi.type == 2 else "SMPTE time code"
        raise AudioError("undecodable", f"{path}: MIDI with {kind}; expected format 0 or 1 with ticks per beat.")
    return midi


def render_midi(path: Path, *, seconds: float, exactly: bool = False) -> npt.NDArray[np.int16]:
    """Render the beginning of a MIDI file to mono.

    Parameters
    ----------
    path : Path
        Standard MIDI File. Tempo changes, programs, drums on channel 10, pedals and other controllers are followed.
    seconds : float
        Duration in seconds; events after it are ignored.
    exactly : bool
        Whether a shorter piece is continued by silence. By default it ends one second after its last event.

    Returns
    -------
    ndarray of int16, shape (n_samples,)
        Samples at ``SAMPLE_RATE``.

    Raises
    ------
    AudioError
        With the reason ``undecodable``, if the file is not readable as MIDI.
    """
    import midirenderer

    midi = read_midi(path)
    content, duration = _beginning(midi, seconds, exactly)
    wanted = round(duration * SAMPLE_RATE)
    try:
        wave = midirenderer.render_wave_from(_soundfont_bytes(), content)
    except (RuntimeError, ValueError) as error:
        raise AudioError("undecodable", f"{path}: cannot be rendered ({error}).") from error
    stereo, rate = soundfile.read(io.BytesIO(wave), frames=wanted, dtype="int16", always_2d=True)
    if rate != SAMPLE_RATE:
        raise AudioError("undecodable", f"{path}: rendered at {rate} Hz; expected {SAMPLE_RATE}.")
    mono = (stereo.astype(np.int32).sum(axis=1) // 2).astype(np.int16)
    return np.pad(mono, (0, wanted - len(mono)))


def _beginning(midi: MidiFile, seconds: float, exactly: bool) -> tuple[bytes, float]:
    """Write the beginning of a piece as a file of one track; returns its bytes and its duration."""
    from mido import MetaMessage, MidiFile, MidiTrack, merge_tracks, tick2second

    track, tempo, now, last, waiting = MidiTrack(), 500_000, 0.0, 0.0, 0
    for message in merge_tracks(midi.tracks):
        step = tick2second(message.time, midi.ticks_per_beat, tempo)
        if now + step > seconds:
            exactly = True
            break
        now += step
        waiting += message.time
        if message.type not in _RENDERED:
            continue
        last = now
        track.append(message.copy(time=waiting))
        waiting = 0
        if message.type == "set_tempo":
            tempo = message.tempo
    duration = seconds if exactly else min(seconds, last + _TAIL)
    # The synthesizer stops at the end of the track; 2**28 - 1 is the longest wait in MIDI.
    rest = (duration - last) / tick2second(1, midi.ticks_per_beat, tempo)
    track.append(MetaMessage("end_of_track", time=min(int(rest) + 1, 2**28 - 1)))
    whole = MidiFile(type=0, ticks_per_beat=midi.ticks_per_beat)
    whole.tracks.append(track)
    content = io.BytesIO()
    whole.save(file=content)
    return content.getvalue(), duration
