"""Progress bars on standard error, in terminals and notebooks, and a line that says what happens before them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

if TYPE_CHECKING:
    from tqdm.std import tqdm

_Item = TypeVar("_Item")


def bars_wanted() -> bool:
    """Whether to show progress bars: in a terminal or notebook, unless ``EMOBENCH_QUIET`` is set to 1."""
    return (sys.stderr.isatty() or _in_notebook()) and os.environ.get("EMOBENCH_QUIET") != "1"


def progress(
    items: Iterable[_Item] | None = None,
    description: str | None = None,
    unit: str = "it",
    total: int | None = None,
    *,
    leave: bool = True,
    disable: bool = False,
    scale: bool = False,
) -> tqdm[_Item]:
    """Show a progress bar while iterating, or one that the caller updates.

    Parameters
    ----------
    items : iterable, optional
        Items to iterate over. Without them, use the bar as a context manager and call its ``update``.
    description, unit : str
        Text before the bar, and the name of one item.
    total : int, optional
        Number of items; by default the length of ``items``, if it has one.
    leave : bool
        Whether the finished bar stays visible.
    disable : bool
        Whether to show nothing. Nothing is shown either where :func:`bars_wanted` is false.

    scale : bool
        Whether to write numbers of items with a prefix, such as 25.2M.

    Returns
    -------
    tqdm
        Iterable over the items. In a notebook it is a widget if ipywidgets is installed.
    """
    bar: Any
    if _in_notebook():
        from tqdm.auto import tqdm as bar
    else:
        from tqdm.std import tqdm as bar
    if not disable:
        clear_status()
    hidden = disable or not bars_wanted()
    return bar(items, description, total, leave, file=sys.stderr, unit=unit, unit_scale=scale, disable=hidden)


class _Status:
    shown: ClassVar[bool] = False


def status(text: str) -> None:
    """Say what is done before the first progress bar, in a terminal where bars are shown.

    The line stays until the next status or bar, or until :func:`clear_status`.
    """
    if bars_wanted() and not _in_notebook():
        sys.stderr.write(f"\r\x1b[K{text} …")
        sys.stderr.flush()
        _Status.shown = True


def clear_status() -> None:
    """Remove the line of :func:`status`, if there is one."""
    if _Status.shown:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
        _Status.shown = False


def _in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"
