"""Verdicts of the frame walk beside those of ffmpeg and mpg123, in Markdown: ``python mpeg_table.py FOLDER..``.

ffmpeg: number of frames that ``ffprobe -count_frames`` decodes, and lines of ``ffmpeg -v error -i FILE -f null -``.
mpg123: number of frames that it writes without gapless trimming, and lines of complaint.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import soundfile
from emobench.audio.mpeg import FrameWalk, walk
from emobench.errors import AudioError

SUFFIXES = (".mp3", ".bit")
COMPLAINT = re.compile(r"error|warning|illegal|resync|frankenstein|junk|trouble", re.IGNORECASE)


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=120, check=False)


def _count(number: float, what: str) -> str:
    return f"{number:g} {what}{'' if number == 1 else 's'}"


def _ours(path: Path) -> tuple[FrameWalk | None, str]:
    try:
        found = walk(path)
    except AudioError as error:
        return None, f"**{error.reason}**: {str(error).removeprefix(f'{path}: ')}"
    rate = f"{found.bit_rate // 1000} kbit/s{' VBR' if found.vbr else ''}"
    return found, f"{_count(found.frames, 'frame')}, MPEG {found.version} layer {'I' * found.layer}, {rate}"


def _ffmpeg(path: Path) -> str:
    errors = _run("ffmpeg", "-v", "error", "-i", str(path), "-f", "null", "-").stderr.splitlines()
    entries = ["-select_streams", "a:0", "-count_frames", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0"]
    frames = re.match(r"\d+", _run("ffprobe", "-v", "error", *entries, str(path)).stdout)
    first = re.sub(r"^\[[^]]*\] ?", "", errors[0]).replace(str(path), "FILE")[:60] if errors else ""
    count = _count(int(frames[0]), "frame") if frames else "no frames"
    return count + (f"; {_count(len(errors), 'error')}: {first}" if errors else "")


def _mpg123(path: Path, found: FrameWalk | None) -> str:
    with tempfile.TemporaryDirectory() as folder:
        wave = Path(folder) / "a.wav"
        done = _run("mpg123", "--no-gapless", "--no-control", "-w", str(wave), str(path))
        lines = [line for line in re.split(r"[\r\n]+", done.stderr) if COMPLAINT.search(line)]
        try:
            with soundfile.SoundFile(wave) as sound:
                samples, rate = sound.frames, sound.samplerate
        except soundfile.LibsndfileError:
            samples, rate = 0, 1
    length = _count(samples / found.samples_per_frame, "frame") if found else f"{samples / rate:.3f} s"
    first = re.sub(r"^\[[^]]*\] ?", "", lines[0])[:60] if lines else ""
    return length + (f"; {_count(len(lines), 'complaint')}: {first}" if lines else "")


def main() -> None:
    """Print a row for every file."""
    print("| file | the walk | ffmpeg | mpg123 |\n| --- | --- | --- | --- |")
    for folder in sys.argv[1:]:
        for path in sorted(Path(folder).iterdir()):
            if path.suffix in SUFFIXES:
                found, ours = _ours(path)
                cells = (path.name, ours, _ffmpeg(path), _mpg123(path, found))
                print("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |", flush=True)


if __name__ == "__main__":
    main()
