"""A Dask cluster as a :class:`concurrent.futures.Executor`."""

from __future__ import annotations

import logging
import re
import socket
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future, InvalidStateError
from contextlib import contextmanager, suppress
from importlib import metadata
from typing import Any

from ..errors import EmobenchError, EmobenchWarning, InputError
from .environment import package_versions
from .isolation import StoppedError

# Seconds to wait for a scheduler that does not answer.
_PATIENCE = 10.0

# How often to repeat a call whose worker died.
_RETRIES = 3

_ADDRESS = re.compile(r"(tcp|tls|ws|wss)://[^/\s]+:\d+")

# Settings of a client below distributed.comm.tls in Dask's configuration.
_TLS_SETTINGS = ("ca-file", "client.cert", "client.key")

_AGAIN = "Finished work is kept; rerun the command to resume."


class ClusterExecutor(Executor):
    """Executor that runs calls on a Dask cluster and fails all of them when the scheduler is lost.

    Parameters
    ----------
    client : distributed.Client
        A connected client.
    address : str
        Address of its scheduler.

    Attributes
    ----------
    requested : bool
        Whether :meth:`stop` was called.
    """

    requested = False

    def __init__(self, client: Any, address: str) -> None:
        self._client = client
        self._address = address
        self._versions = package_versions(heavy=False)
        self._inner = client.get_executor(pure=False, retries=_RETRIES)
        self._futures: weakref.WeakSet[Future[Any]] = weakref.WeakSet()
        self._ended = threading.Event()
        threading.Thread(target=self._watch, name="emobench-scheduler-watch", daemon=True).start()

    @property
    def busy(self) -> bool:
        """Whether a call is waited for."""
        return any(not future.done() for future in list(self._futures))

    def stop(self) -> None:
        """Let all calls, and later ones, raise :class:`StoppedError`."""
        self.requested = True
        for future in list(self._futures):
            _settle(future, StoppedError("stopped."))

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Submit a call to the cluster."""
        outer: Future[Any] = Future()
        if self.requested:
            _settle(outer, StoppedError("stopped."))
            return outer
        inner = self._inner.submit(_on_worker, self._versions, function, *args, **kwargs)
        outer.add_done_callback(lambda done: inner.cancel() if done.cancelled() else None)
        inner.add_done_callback(lambda done: self._hand_over(done, outer))
        self._futures.add(outer)
        return outer

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Cancel all unfinished calls."""
        self._ended.set()
        for future in list(self._futures):
            future.cancel()

    def _watch(self) -> None:
        """Fail every call when the scheduler has been lost for ``_PATIENCE`` seconds."""
        lost_since = None
        while not self._ended.wait(0.5):
            if self._client.status == "running":
                lost_since = None
                continue
            lost_since = lost_since or time.monotonic()
            if self._client.status == "closed" or time.monotonic() - lost_since > _PATIENCE:
                for future in list(self._futures):
                    _settle(future, self._lost())
                return

    def _lost(self) -> EmobenchError:
        return EmobenchError(f"the connection to the scheduler {self._address} was lost. {_AGAIN}")

    def _hand_over(self, inner: Future[Any], outer: Future[Any]) -> None:
        """Pass on the outcome of a call, with Dask's own errors explained."""
        from distributed.scheduler import KilledWorker

        if outer.done():
            return
        try:
            result = inner.result()
        except CancelledError:
            gone = self._client.status != "running"
            _settle(outer, self._lost() if gone else EmobenchError(f"the cluster cancelled the work. {_AGAIN}"))
        except KilledWorker as error:
            _settle(
                outer,
                EmobenchError(
                    f"several workers of the cluster died on the same work, the last one on {error.last_worker}. Check "
                    f"their logs and give them more memory. {_AGAIN}"
                ),
            )
        except ModuleNotFoundError as error:
            _settle(
                outer, EmobenchError(f"the cluster's workers lack the package {error.name}; install emobench there.")
            )
        except BaseException as error:
            _settle(outer, error)
        else:
            with suppress(InvalidStateError):
                outer.set_result(result)


def _on_worker(versions: dict[str, str], function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function on a worker, provided that its package versions are those of the client."""
    own = package_versions(heavy=False)
    if own != versions:
        differing = ", ".join(
            f"{name} {own.get(name, 'missing')} instead of {versions.get(name, 'none')}"
            for name in sorted({*own, *versions})
            if own.get(name) != versions.get(name)
        )
        raise EmobenchError(
            f"the worker on {socket.gethostname()} has {differing}. Install the same versions there and rerun the "
            "command."
        )
    return function(*args, **kwargs)


def _settle(future: Future[Any], error: BaseException) -> None:
    with suppress(InvalidStateError):
        future.set_exception(error)


def _silence() -> None:
    """Keep tracebacks of lost connections off the terminal: the error of the call says what matters."""
    for name in ("distributed", "tornado", "asyncio"):
        for logger in (name, *(known for known in logging.root.manager.loggerDict if known.startswith(f"{name}."))):
            logging.getLogger(logger).setLevel(logging.CRITICAL + 1)


def _check_encryption(address: str) -> None:
    """Check that Dask's configuration has the certificates that an address needs, before creating a client.

    A `distributed.Client` that fails because of its configuration raises errors of many types and blocks for seconds
    when it is deleted.
    """
    from dask import config
    from distributed import Security

    if config.get("distributed.client.security-loader", None):
        return  # Another package provides the certificates when the client asks for them.
    try:
        security = Security()
        context = security.get_connection_args("client")["ssl_context"]
    except (OSError, ValueError) as error:
        settings = [(name, config.get(f"distributed.comm.tls.{name}", None)) for name in _TLS_SETTINGS]
        # A setting may also hold the PEM text itself, which must not appear in a message.
        values = ", ".join(f"{name} {value}" for name, value in settings if value and "\n" not in value)
        raise InputError(
            f"`scheduler` {address}: cannot use the certificates of Dask's setting distributed.comm.tls ({values}): "
            f"{error}. Expected readable PEM files and a key that matches its certificate."
        ) from error
    encrypted = address.startswith(("tls:", "wss:"))
    if encrypted and context is None:
        raise InputError(
            f"`scheduler` {address}: an encrypted connection needs certificates. Set "
            "DASK_DISTRIBUTED__COMM__TLS__CA_FILE, DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT and "
            "DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY to PEM files, or set distributed.comm.tls in a Dask "
            "configuration file."
        )
    if security.require_encryption and not encrypted:
        raise InputError(
            f"`scheduler` {address}: Dask's setting distributed.comm.require-encryption forbids an unencrypted "
            "connection; use the scheduler's tls:// address."
        )


@contextmanager
def connect(address: str) -> Iterator[ClusterExecutor]:
    """Connect to a Dask scheduler.

    Parameters
    ----------
    address : str
        Address of the scheduler, such as ``tcp://host:8786``.

    Yields
    ------
    ClusterExecutor

    Raises
    ------
    InputError
        If dask.distributed is not installed or has another version than the scheduler's, if the address is
        malformed, or if no scheduler answers there.
    """
    try:
        import distributed
    except ImportError as error:
        raise InputError(
            "`scheduler` needs dask.distributed. Install it with pip install 'emobench[cluster]'."
        ) from error
    _silence()
    expected = (
        f"`scheduler` {address}: expected the address of a running Dask scheduler, such as tcp://host:8786 or "
        "tls://host:8786"
    )
    if not _ADDRESS.fullmatch(address):
        raise InputError(f"{expected}.")
    _check_encryption(address)
    try:
        client = distributed.Client(address, timeout=_PATIENCE, set_as_default=False)
    except (OSError, TimeoutError) as error:
        if "certificate" in str(error) or "SSL" in str(error):
            raise InputError(
                f"`scheduler` {address}: the certificates of scheduler and client do not match ({error}). Use "
                "certificates of the same authority on both sides."
            ) from error
        raise InputError(f"{expected}; no scheduler answers there ({type(error).__name__}).") from error
    try:
        versions: Any = client.get_versions(check=False)
        found, own = versions["scheduler"]["packages"]["distributed"], metadata.version("distributed")
        if found != own:
            raise InputError(
                f"`scheduler` {address}: runs dask.distributed {found}, but this machine has {own}. Install the same "
                "version on both sides."
            )
        if not client.scheduler_info(n_workers=-1)["workers"]:
            warnings.warn(f"{address} has no workers yet; waiting for the first.", EmobenchWarning, stacklevel=3)
        pool = ClusterExecutor(client, address)
        try:
            yield pool
        finally:
            pool.shutdown()
    finally:
        client.close(timeout=2)
