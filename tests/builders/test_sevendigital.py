"""Downloading previews from a server that checks signatures and misbehaves."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from emobench.builders.readers.msd.allowance import RECORD
from emobench.builders.readers.msd.preview import Credentials, RefusedError
from emobench.builders.readers.msd.sevendigital import Download, DownloadConfig, clip_path
from emobench.errors import EmobenchError, InputError

from .preview_server import KEY, SECRET, PreviewServer

KEYS = Credentials(KEY, SECRET)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("clip") / "clip.mp3"
    sound = np.random.default_rng(0).normal(0, 0.1, 22_050).astype(np.float32)
    soundfile.write(path, sound, 22_050, format="MP3", subtype="MPEG_LAYER_III")
    return path.read_bytes()


@pytest.fixture
def server(clip: bytes) -> Iterator[PreviewServer]:
    other = PreviewServer(clip)
    made = PreviewServer(clip, other)
    yield made
    made.close()
    other.close()


def _download(server: PreviewServer, folder: Path, **changes: Any) -> Download:
    settings = {"backoff": 0.01, "timeout": 1.0, "time_limit": 1.0, "size_limit": 100_000, **changes}
    return Download(folder, DownloadConfig(clip_url=f"{server.url}/clip", **settings), KEYS)


def _failure(server: PreviewServer, folder: Path, *manners: str, **changes: Any) -> str:
    server.behave["5504670"] = list(manners)
    with pytest.raises(EmobenchError, match="1 of 1 clips could not be downloaded") as caught:
        _download(server, folder, **changes)(["5504670"])
    assert [path.name for path in folder.rglob("*") if path.is_file()] == [RECORD]
    return str(caught.value)


# Successful downloads


def test_clips_are_signed_fetched_and_kept(tmp_path: Path, server: PreviewServer, clip: bytes) -> None:
    found = _download(server, tmp_path)(["5504670", "77", "8", "5504670"])
    assert found == {"5504670": "5/5/5504670.clip.mp3", "77": "7/7/77.clip.mp3", "8": "8/0/8.clip.mp3"}
    for path in found.values():
        assert (tmp_path / path).read_bytes() == clip
    assert server.refused == 0
    assert len(server.requests) == 3
    for _, _, query, headers in server.requests:
        assert query["country"] == ["US"]
        assert query["oauth_signature_method"] == ["HMAC-SHA1"]
        assert "authorization" not in headers
    # What is there is not fetched again.
    assert _download(server, tmp_path)(["5504670", "77", "8"]) == found
    assert len(server.requests) == 3


def test_several_at_a_time(tmp_path: Path, server: PreviewServer) -> None:
    clips = [str(number) for number in range(100, 130)]
    server.behave = {name: ["slow"] for name in clips[:6]}
    _download(server, tmp_path, connections=3)(clips)
    assert server.busiest == 3


def test_404_is_recorded_and_not_requested_again(
    tmp_path: Path, server: PreviewServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "emobench")
    server.behave["6"] = ["404"]
    assert _download(server, tmp_path)(["5", "6"]) == {"5": "5/0/5.clip.mp3"}
    assert _download(server, tmp_path)(["5", "6"]) == {"5": "5/0/5.clip.mp3"}
    assert server.asked("6") == 1
    skipped = f"skipping 1 clip missing from {server.url}/clip?country=US, as recorded in {tmp_path / RECORD}"
    assert skipped in caplog.messages


def test_a_404_applies_to_one_country_and_address(tmp_path: Path, server: PreviewServer) -> None:
    server.behave["6"] = ["404", "404", "ok"]
    assert _download(server, tmp_path)(["6"]) == {}
    assert _download(server, tmp_path, country="us")(["6"]) == {}
    assert server.asked("6") == 1
    assert _download(server, tmp_path, country="GB")(["6"]) == {}
    assert server.asked("6") == 2
    config = DownloadConfig(clip_url=f"{server.url}/clip/x")
    assert Download(tmp_path, config, KEYS)(["6"]) == {"6": "6/0/6.clip.mp3"}


def test_temporary_files_of_a_killed_download_are_removed(tmp_path: Path, server: PreviewServer) -> None:
    (tmp_path / "1" / "0").mkdir(parents=True)
    orphan, other = tmp_path / "1/0/.1001.clip.mp3.0a1b2c3d.tmp", tmp_path / "1/0/notes.tmp"
    for path in (orphan, other):
        path.write_bytes(b"x")
    _download(server, tmp_path)(["5"])
    assert not orphan.exists()
    assert other.exists()


@pytest.mark.parametrize(
    ("manner", "kept"),
    [
        ("500", True),
        ("503", True),
        ("reset", True),
        ("truncated", True),
        ("cut", True),
        ("html", True),
        ("empty", True),
    ],
)
def test_transient_failures(tmp_path: Path, server: PreviewServer, clip: bytes, manner: str, kept: bool) -> None:
    server.behave["5504670"] = [manner, manner, "ok"]
    found = _download(server, tmp_path)(["5504670"])
    assert (tmp_path / found["5504670"]).read_bytes() == clip
    assert server.asked("5504670") == 3


def test_a_clip_that_is_damaged_on_the_server_is_kept_for_the_filter(tmp_path: Path, server: PreviewServer) -> None:
    server.behave["5"] = ["damaged"]
    assert _download(server, tmp_path)(["5"])
    assert server.asked("5") == 1


def test_a_body_without_a_length(tmp_path: Path, server: PreviewServer, clip: bytes) -> None:
    server.behave["5"] = ["whole"]
    assert (tmp_path / _download(server, tmp_path)(["5"])["5"]).read_bytes() == clip


@pytest.mark.parametrize("manner", ["429:1", "503:1"])
def test_retry_after_pauses_all_threads(tmp_path: Path, server: PreviewServer, manner: str) -> None:
    server.behave["100"] = [manner, "ok"]
    waited: list[float] = []
    began = time.time()
    now = [began]

    def wait(seconds: float) -> None:
        waited.append(seconds)
        now[0] += seconds

    config = DownloadConfig(clip_url=f"{server.url}/clip", connections=1)
    Download(tmp_path, config, KEYS, now=lambda: now[0], wait=wait)(["100", "101"])
    assert sum(waited) == pytest.approx(1.0)
    assert server.asked("100") == 2


@pytest.mark.parametrize("after", ["99999999999999", "10000000000", "9" * 5000, "²", "Wed, 21 Oct 9999 07:28:00 GMT"])
def test_an_unreasonable_retry_after(tmp_path: Path, server: PreviewServer, after: str) -> None:
    server.behave["100"] = [f"429:{after}", "ok"]
    waited: list[float] = []
    now = [time.time()]

    def wait(seconds: float) -> None:
        waited.append(seconds)
        now[0] += seconds

    config = DownloadConfig(clip_url=f"{server.url}/clip")
    Download(tmp_path, config, KEYS, now=lambda: now[0], wait=wait)(["100", "101"])
    assert 0.1 < sum(waited) <= 86_400
    assert server.asked("100") == 2


def test_retry_after_as_a_date(tmp_path: Path, server: PreviewServer) -> None:
    server.behave["100"] = ["429:date", "ok"]
    began = time.time()
    _download(server, tmp_path)(["100"])
    assert 0.5 < time.time() - began < 10


def test_429_without_retry_after_backs_off(tmp_path: Path, server: PreviewServer) -> None:
    server.behave["100"] = ["429", "429", "429", "ok"]
    waited: list[float] = []
    config = DownloadConfig(clip_url=f"{server.url}/clip", backoff=10.0)
    Download(tmp_path, config, KEYS, wait=waited.append)(["100"])
    # 10, 20 and 40 seconds, with a jitter of 50 %.
    assert [round(np.log2(seconds / 10)) for seconds in waited] == pytest.approx([0, 1, 2], abs=1)
    assert all(5 * 2**place <= seconds <= 15 * 2**place for place, seconds in enumerate(waited))


# Failures


@pytest.mark.parametrize(
    ("manner", "kind", "asked"),
    [
        ("500", "HTTP status 500", 5),
        ("403", "HTTP status 403", 1),
        ("400", "HTTP status 400", 1),
        ("html", "a response that is not MPEG audio", 5),
        ("empty", "a response that is not MPEG audio", 5),
        ("cut", "a truncated response", 5),
        ("truncated", "IncompleteRead", 5),
        ("reset", "ConnectionError", 5),
        ("huge", "more than 100000 bytes", 1),
        ("loop", "too many redirects", 1),
        ("file", "redirect to an invalid URL", 1),
        ("to http://127.0.0.1:99999/x", "redirect to an invalid URL", 1),
        ("to http://127.0.0.1:abc/x", "redirect to an invalid URL", 1),
        ("to http://[::1", "redirect to an invalid URL", 1),
    ],
)
def test_permanent_failures(tmp_path: Path, server: PreviewServer, manner: str, kind: str, asked: int) -> None:
    message = _failure(server, tmp_path, manner)
    assert f"1 × {kind}" in message or ("Protocol" in message and kind == "IncompleteRead")
    assert server.asked("5504670") == (6 if manner == "loop" else asked)
    assert "downloaded clips are kept" in message


def test_the_others_are_fetched_whatever_one_redirects_to(tmp_path: Path, server: PreviewServer) -> None:
    server.behave = {"101": ["to http://[::1"], "102": ["to http://x:99999"]}
    with pytest.raises(EmobenchError, match="2 of 5 clips could not be downloaded"):
        _download(server, tmp_path)(["100", "101", "102", "103", "104"])
    assert len(list(tmp_path.rglob("*.mp3"))) == 3


def test_a_slow_drip_is_given_up(tmp_path: Path, server: PreviewServer) -> None:
    began = time.monotonic()
    assert "took longer than 0.5 s" in _failure(server, tmp_path, "drip", time_limit=0.5, attempts=2)
    assert time.monotonic() - began < 5


def test_a_server_that_is_down(tmp_path: Path, server: PreviewServer) -> None:
    server.close()
    assert "ConnectionError" in _failure(server, tmp_path, "ok")


def test_too_many_failures_in_a_row_end_the_run(tmp_path: Path, server: PreviewServer) -> None:
    clips = [str(number) for number in range(100, 400)]
    server.behave = {name: ["400"] for name in clips}
    with pytest.raises(EmobenchError, match="20 of 300 clips could not be downloaded"):
        _download(server, tmp_path, connections=1)(clips)
    assert len(server.requests) < 40


@pytest.mark.parametrize("manner", ["401", "refused"])
def test_refused_keys_end_the_run(tmp_path: Path, server: PreviewServer, manner: str) -> None:
    clips = [str(number) for number in range(100, 150)]
    server.behave["103"] = [manner]
    with pytest.raises(RefusedError, match="SEVENDIGITAL_KEY and SEVENDIGITAL_SECRET") as caught:
        _download(server, tmp_path, connections=1)(clips)
    assert "\n" not in str(caught.value)
    assert len(server.requests) == 4
    assert len(list(tmp_path.rglob("*.mp3"))) == 3


def test_wrong_keys(tmp_path: Path, server: PreviewServer) -> None:
    config = DownloadConfig(clip_url=f"{server.url}/clip")
    for keys in (Credentials(KEY, "wrong"), Credentials("wrong", SECRET)):
        with pytest.raises(RefusedError):
            Download(tmp_path, config, keys)(["5"])
    assert server.refused == 2


# Redirects


def test_a_redirect_within_the_host_is_signed_anew(tmp_path: Path, server: PreviewServer, clip: bytes) -> None:
    server.behave["5"] = ["again", "ok"]
    assert (tmp_path / _download(server, tmp_path)(["5"])["5"]).read_bytes() == clip
    first, second = (query for _, _, query, _ in server.requests)
    assert server.refused == 0
    assert second["country"] == ["SE"]
    assert first["oauth_nonce"] != second["oauth_nonce"]


def test_a_redirect_to_another_host_carries_no_signature(tmp_path: Path, server: PreviewServer, clip: bytes) -> None:
    server.behave["5"] = ["away"]
    assert (tmp_path / _download(server, tmp_path)(["5"])["5"]).read_bytes() == clip
    assert server.other is not None
    ((_, path, query, headers),) = server.other.requests
    assert path == "/clip-of/5"
    assert not [name for name in query if name.startswith("oauth")]
    assert not {"authorization", "cookie", "referer"} & set(headers)


def test_no_secret_is_shown_logged_or_written(
    tmp_path: Path, server: PreviewServer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    server.behave = {"5": ["ok"], "6": ["reset"], "7": ["500"], "8": ["404"], "9": ["away"]}
    download = _download(server, tmp_path, attempts=2)
    with pytest.raises(EmobenchError) as caught:
        download(["5", "6", "7", "8", "9"])
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    out = "".join(capfd.readouterr())
    chain = []
    error: BaseException | None = caught.value
    while error:
        chain.append(repr(error))
        error = error.__cause__ or error.__context__
    for text in (caplog.text, out, *chain, repr(KEYS), repr(download), written.decode("latin-1")):
        assert KEY not in text
        assert SECRET not in text
        assert "oauth" not in text


# The limit per day


def test_the_duration_is_logged(tmp_path: Path, server: PreviewServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "emobench")
    download = _download(server, tmp_path, per_day=4000)
    assert download.plan([str(number) for number in range(50_000)]).days == pytest.approx(11.5)
    download(["5", "6"])
    assert "downloading 2 clips, which takes less than a day with at most 4000 requests in 24 hours" in caplog.text
    assert _download(server, tmp_path, per_day=2).plan(["5", "6", "7", "8", "9"]).days == 1.5


# Interrupted downloads


def _start(folder: Path, server: PreviewServer, count: int) -> subprocess.Popen[str]:
    driver = Path(__file__).with_name("download_driver.py")
    environment = {**os.environ, "SEVENDIGITAL_KEY": KEY, "SEVENDIGITAL_SECRET": SECRET}
    return subprocess.Popen(
        [sys.executable, driver, folder, server.url, str(count)], env=environment, stderr=subprocess.PIPE, text=True
    )


def test_a_killed_download_resumes(tmp_path: Path, server: PreviewServer, clip: bytes) -> None:
    server.behave = {str(number): ["drip", "ok"] for number in range(120, 140)}
    process = _start(tmp_path, server, 40)
    until = time.monotonic() + 60
    while server.asked("121") == 0 and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = {path.name for path in tmp_path.rglob("*.mp3")}
    assert 15 <= len(before) < 40
    server.behave, asked = {}, len(server.requests)
    _download(server, tmp_path)([str(number) for number in range(100, 140)])
    assert len(server.requests) - asked == 40 - len(before)
    for number in range(100, 140):
        assert (tmp_path / clip_path(str(number))).read_bytes() == clip


def test_two_downloads_to_one_folder(tmp_path: Path, server: PreviewServer) -> None:
    server.behave = {str(number): ["drip"] for number in range(100, 140)}
    process = _start(tmp_path, server, 40)
    try:
        until = time.monotonic() + 60
        while not server.requests and time.monotonic() < until:
            time.sleep(0.02)
        with pytest.raises(InputError, match="another process downloads to this folder"):
            _download(server, tmp_path)(["5"])
        # An interrupt does not wait for the threads.
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        process.communicate(timeout=30)
        assert time.monotonic() - began < 5
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("present", [(), ("SEVENDIGITAL_KEY",), ("SEVENDIGITAL_SECRET",)], ids=str)
def test_without_keys_nothing_is_requested(
    tmp_path: Path, server: PreviewServer, monkeypatch: pytest.MonkeyPatch, present: tuple[str, ...]
) -> None:
    for name in present:
        monkeypatch.setenv(name, "hush")
    lacking = {"SEVENDIGITAL_KEY", "SEVENDIGITAL_SECRET"} - set(present)
    with pytest.raises(InputError) as caught:
        Download(tmp_path, DownloadConfig(clip_url=f"{server.url}/clip"))(["5"])
    first = str(caught.value).split(" not set")[0]
    assert all(name in first for name in lacking)
    assert "hush" not in str(caught.value)
    assert not server.requests
