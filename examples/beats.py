"""Draw the beats of an audio file and write the audio with clicks: ``python examples/beats.py song.mp3 out/``.

Writes ``<name>.png`` (mel spectrogram, onset profile and beats), ``<name>.wav`` (the audio on the left, clicks on the
right) and ``<name>.txt`` (one beat per line, which ``emobench run --beats`` and Sonic Visualiser read). With
``--beats``, the beats are read from such a file instead of being tracked.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import librosa
import numpy as np
import soundfile
from emobench.audio.beats import BeatConfig, onset_profile, track_beats
from emobench.audio.decode import decode
from matplotlib.figure import Figure

RATE = 22050


def draw(samples: np.ndarray, beats: np.ndarray, config: BeatConfig) -> Figure:
    """Draw the mel spectrogram and the onset profile, with the beats as lines."""
    profile = onset_profile(samples, RATE, config)
    mel = librosa.power_to_db(
        librosa.feature.melspectrogram(y=samples, sr=RATE, n_fft=1024, hop_length=256), ref=np.max
    )
    seconds = len(samples) / RATE
    figure = Figure(figsize=(max(8.0, min(0.6 * seconds, 60.0)), 5.0), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    above.imshow(mel, origin="lower", aspect="auto", extent=(0.0, seconds, 0.0, mel.shape[0]), cmap="magma")
    above.set_ylabel("mel band")
    below.plot(np.arange(len(profile)) * config.hop / RATE, profile, linewidth=0.7, color="0.3")
    below.set(xlabel="time (s)", ylabel="onset profile", xlim=(0.0, seconds))
    above.vlines(beats, 0.0, mel.shape[0], color="cyan", linewidth=0.8)
    below.vlines(beats, 0.0, profile.max(), color="tab:red", linewidth=0.8)
    return figure


def main() -> None:
    """Write the drawing, the audio and the beats."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("audio", type=Path, help="audio file")
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument("--start", type=float, default=0.0, help="first second")
    parser.add_argument("--duration", type=float, default=30.0, help="number of seconds")
    parser.add_argument("--beats", type=Path, help="text file with the time of one beat, from --start on, per line")
    options = parser.parse_args()
    samples = decode(options.audio, sample_rate=RATE, start=options.start, duration=options.duration)
    config = BeatConfig()
    beats = np.loadtxt(options.beats, usecols=0, ndmin=1) if options.beats else track_beats(samples, RATE, config)
    options.out.mkdir(parents=True, exist_ok=True)
    place = options.out / options.audio.stem
    draw(samples, beats, config).savefig(f"{place}.png", dpi=100)
    clicks = librosa.clicks(times=beats, sr=RATE, length=len(samples))
    soundfile.write(f"{place}.wav", np.column_stack([samples, 0.5 * clicks]), RATE)
    np.savetxt(f"{place}.txt", beats, fmt="%.4f")


if __name__ == "__main__":
    main()
