"""Progress bars in terminals and notebooks, and none elsewhere."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import pytest
from emobench.runtime.progress import bars_wanted, clear_status, progress, status


class Terminal(io.StringIO):
    """Standard error of a terminal."""

    def isatty(self) -> bool:
        return True


def open_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Make standard error a terminal. Not a fixture: pytest replaces standard error between fixtures and test."""
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    return terminal


def test_terminal_shows_description_and_count(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = open_terminal(monkeypatch)
    assert list(progress(range(3), "reading", "clip")) == [0, 1, 2]
    assert "reading: 100%" in terminal.getvalue()
    assert "3/3" in terminal.getvalue()


def test_bar_that_the_caller_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = open_terminal(monkeypatch)
    with progress(description="training", unit="epoch", total=5) as bar:
        bar.update(2)
    assert "2/5" in terminal.getvalue()


@pytest.mark.parametrize("quiet", [False, True])
def test_nothing_where_it_is_disabled_or_quiet(quiet: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = open_terminal(monkeypatch)
    monkeypatch.setenv("EMOBENCH_QUIET", "1" if quiet else "0")
    assert list(progress(range(3), disable=not quiet)) == [0, 1, 2]
    assert terminal.getvalue() == ""


def test_nothing_where_standard_error_is_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", written := io.StringIO())
    assert list(progress(range(3))) == [0, 1, 2]
    assert written.getvalue() == ""


def test_notebook_shows_bars_though_standard_error_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    shell = type("ZMQInteractiveShell", (), {})
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=shell))  # type: ignore[arg-type]
    assert bars_wanted()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))  # type: ignore[arg-type]
    assert not bars_wanted()


def test_status_until_the_first_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = open_terminal(monkeypatch)
    status("reading the dataset")
    assert terminal.getvalue().endswith("reading the dataset …")
    assert list(progress(range(2), "training")) == [0, 1]
    before, _, after = terminal.getvalue().partition("reading the dataset …")
    # The line is erased before the bar is drawn.
    assert after.startswith("\r\x1b[K\rtraining")
    clear_status()
    assert terminal.getvalue() == before + "reading the dataset …" + after


def test_a_status_is_erased_without_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = open_terminal(monkeypatch)
    status("starting")
    clear_status()
    assert terminal.getvalue().endswith("starting …\r\x1b[K")


def test_no_status_where_no_bars_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", written := io.StringIO())
    status("starting")
    assert written.getvalue() == ""
    terminal = open_terminal(monkeypatch)
    monkeypatch.setenv("EMOBENCH_QUIET", "1")
    status("starting")
    clear_status()
    assert terminal.getvalue() == ""
