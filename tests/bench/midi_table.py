"""Compare renderings of VGMIDI with FluidSynth (docs/midi.md): onset times against the notes, and spectra.

Usage: ``python tests/bench/midi_table.py VGMIDI_FOLDER``; needs the program ``fluidsynth`` and ``make setup``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import librosa
import mir_eval
import numpy as np
import pretty_midi
import soundfile
from emobench.audio import midi
from emobench.builders.readers.vgmidi import pins

SECONDS, RATE, HOP = 30, 22_050, 64
EDGES = {"+reverb": ["-R", "1", "-C", "1"], "dry": ["-R", "0", "-C", "0"]}


def fluidsynth(path: Path, arguments: list[str]) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        wave = Path(folder, "out.wav")
        command = ["fluidsynth", "-ni", "-q", "-g", "0.5", "-r", "48000", "-F", str(wave), *arguments]
        subprocess.run([*command, str(midi._soundfont()), str(path)], check=True, capture_output=True)
        samples, _ = soundfile.read(wave, frames=SECONDS * 48_000)
    return samples.mean(axis=1)


def onsets(path: Path) -> np.ndarray:
    notes = [note.start for instrument in pretty_midi.PrettyMIDI(str(path)).instruments for note in instrument.notes]
    times = np.unique([time for time in notes if time < SECONDS - 0.5])
    return times[np.diff(times, prepend=-1) > 0.03]


def flux(samples: np.ndarray) -> np.ndarray:
    return librosa.onset.onset_strength(y=samples, sr=RATE, hop_length=HOP, n_fft=512, n_mels=40, lag=8)


def f_measure(samples: np.ndarray, expected: np.ndarray, window: float) -> float:
    found = librosa.onset.onset_detect(y=samples, sr=RATE, hop_length=256, units="time")
    return mir_eval.onset.f_measure(expected, found, window=window)[0]


def mel(samples: np.ndarray) -> np.ndarray:
    bands = librosa.feature.melspectrogram(y=samples, sr=RATE, n_mels=40)
    return librosa.power_to_db(bands, ref=np.max, top_db=60)


def main(folder: Path) -> None:
    paths = [folder / path for path in sorted(pins()) if path.endswith(".mid")][8::17]
    rows = []
    for path in paths:
        ours = midi.render_midi(path, seconds=SECONDS, exactly=True) / 2**15
        ours = librosa.resample(ours, orig_sr=48_000, target_sr=RATE)
        expected = onsets(path)
        row = [f_measure(ours, expected, 0.05)]
        for arguments in EDGES.values():
            other = librosa.resample(fluidsynth(path, arguments), orig_sr=48_000, target_sr=RATE)
            other = np.pad(other, (0, max(0, len(ours) - len(other))))[: len(ours)]
            a, b = flux(ours), flux(other)
            width = 40
            lags = [
                np.corrcoef(a[width + k : len(a) - width + k], b[width : len(b) - width])[0, 1]
                for k in range(-width, width + 1)
            ]
            x, y = mel(ours), mel(other)
            loud = (x > -60) | (y > -60)
            row += [
                f_measure(other, expected, 0.05),
                (int(np.argmax(lags)) - width) * HOP / RATE * 1000,
                max(lags),
                np.corrcoef(x[loud], y[loud])[0, 1],
                np.abs(x - y)[loud].mean(),
                20 * np.log10(np.std(ours) / np.std(other)),
            ]
        rows.append(row)
        print(f"{path.stem[:60]:60}", *(f"{value:8.3f}" for value in row), flush=True)
    print(f"{'median':60}", *(f"{value:8.3f}" for value in np.median(rows, axis=0)))
    print(f"{'minimum':60}", *(f"{value:8.3f}" for value in np.min(rows, axis=0)))
    print(f"{'maximum':60}", *(f"{value:8.3f}" for value in np.max(rows, axis=0)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
