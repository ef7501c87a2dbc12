"""A real Dask cluster for tests."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path


def children(pid: int) -> list[int]:
    """Return the child processes of a process."""
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in listed.stdout.split()]


class Cluster:
    """A real scheduler and two real workers, each in its own process.

    The protocol is tcp or tls; the certificates for tls come from Dask's configuration.
    """

    def __init__(self, folder: Path, protocol: str = "tcp") -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"{protocol}://127.0.0.1:{self.port}"
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        self.scheduler = self.start("scheduler", "--host", f"{protocol}://127.0.0.1", "--port", str(self.port))
        self.start_workers()

    def start_workers(self) -> None:
        """Start two workers."""
        self.worker = self.start("worker", self.address, "--nthreads", "1", "--nworkers", "2")

    def start(self, what: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start one worker."""
        with (self.folder / f"{what}-{len(self.processes)}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.dask_{what}", *arguments, "--no-dashboard"],
                env={**os.environ, "EMOBENCH_CACHE": str(self.folder / "cache")},
                cwd=self.folder,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def workers(self) -> list[int]:
        """Return the worker processes, which are children of their nannies."""
        return [pid for pid in children(self.worker.pid) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    def ready(self) -> bool:
        """Return whether a worker is registered with the scheduler."""
        log = self.folder / f"worker-{self.processes.index(self.worker)}.log"
        return b"Registered to" in log.read_bytes()

    def end(self) -> None:
        """Stop the workers and the scheduler."""
        for process in reversed(self.processes):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
