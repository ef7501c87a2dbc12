"""A Dask cluster behind TLS: certificates from Dask's configuration, and one line for each problem with them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from emobench.errors import InputError
from emobench.runtime.cluster import connect

from .dask_cluster import Cluster

dask = pytest.importorskip("dask")
pytest.importorskip("distributed")


def _certificate(folder: Path, name: str) -> tuple[str, str]:
    """Make a self-signed certificate and its key with the command of docs/scale.md."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    certificate, key = folder / f"{name}-cert.pem", folder / f"{name}-key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-noenc", "-days", "2"]
    subprocess.run(
        [*command, "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    return str(certificate), str(key)


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Certificate and key of the cluster."""
    return _certificate(tmp_path_factory.mktemp("ours"), "ours")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Certificate and key that the cluster does not know."""
    return _certificate(tmp_path_factory.mktemp("theirs"), "theirs")


@pytest.fixture(scope="module")
def configuration(ours: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the configuration of docs/scale.md."""
    certificate, key = ours
    folder = tmp_path_factory.mktemp("dask")
    pair = f"{{cert: {certificate}, key: {key}}}"
    (folder / "tls.yaml").write_text(
        f"distributed:\n  comm:\n    require-encryption: true\n    tls:\n      ca-file: {certificate}\n"
        f"      scheduler: {pair}\n      worker: {pair}\n      client: {pair}\n"
    )
    return folder


@pytest.fixture(scope="module")
def cluster(configuration: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster that only speaks TLS."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DASK_CONFIG", str(configuration))
        started = Cluster(tmp_path_factory.mktemp("cluster"), "tls")
    yield started
    started.end()


def _tls(ca: str | None, pair: tuple[str | None, str | None]) -> dict[str, str | None]:
    return {
        "distributed.comm.tls.ca-file": ca,
        "distributed.comm.tls.client.cert": pair[0],
        "distributed.comm.tls.client.key": pair[1],
    }


def _command(address: str, folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "emobench", "build-data", "--size", "4", "--pretrain-size", "1", "--scheduler", address],
        cwd=folder,
        env={**os.environ, "EMOBENCH_CACHE": str(folder / "cache"), **settings},
        capture_output=True,
        text=True,
        check=False,
    )


SUBMIT = (
    "import os, sys\nfrom emobench.runtime.cluster import connect\n"
    "with connect(sys.argv[1]) as pool:\n    print(pool.submit(os.getpid).result(60))"
)


@pytest.mark.slow
@pytest.mark.parametrize("source", ["file", "environment"])
def test_work_through_tls(
    source: str, cluster: Cluster, configuration: Path, ours: tuple[str, str], tmp_path: Path
) -> None:
    names = {"CA_FILE": ours[0], "CLIENT__CERT": ours[0], "CLIENT__KEY": ours[1]}
    settings = {
        "file": {"DASK_CONFIG": str(configuration)},
        "environment": {f"DASK_DISTRIBUTED__COMM__TLS__{name}": value for name, value in names.items()},
    }
    ran = subprocess.run(
        [sys.executable, "-c", SUBMIT, cluster.address],
        env={**os.environ, **settings[source]},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) in cluster.workers()


def test_a_configuration_that_requires_encryption(configuration: Path, tmp_path: Path) -> None:
    ran = _command("tcp://127.0.0.1:1", tmp_path, DASK_CONFIG=str(configuration))
    assert ran.returncode == 2
    assert ran.stderr == (
        "emobench: --scheduler tcp://127.0.0.1:1: Dask's setting distributed.comm.require-encryption forbids an "
        "unencrypted connection; use the scheduler's tls:// address.\n"
    )


def test_an_address_without_certificates(tmp_path: Path) -> None:
    ran = _command("tls://127.0.0.1:1", tmp_path, DASK_CONFIG=str(tmp_path))
    assert ran.returncode == 2
    assert ran.stderr == (
        "emobench: --scheduler tls://127.0.0.1:1: an encrypted connection needs certificates. Set "
        "DASK_DISTRIBUTED__COMM__TLS__CA_FILE, DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT and "
        "DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY to PEM files, or set distributed.comm.tls in a Dask "
        "configuration file.\n"
    )


def test_certificates_that_cannot_be_used(ours: tuple[str, str], theirs: tuple[str, str], tmp_path: Path) -> None:
    certificate, key = ours
    (tmp_path / "empty.pem").write_text("")
    for pair in (
        (certificate, str(tmp_path / "none.pem")),
        (str(tmp_path / "empty.pem"), key),
        (certificate, theirs[1]),
    ):
        with (
            dask.config.set(_tls(certificate, pair)),
            pytest.raises(InputError, match=f"ca-file {certificate}, client.cert {pair[0]}, client.key {pair[1]}"),
            connect("tls://127.0.0.1:1"),
        ):
            pass


@pytest.mark.slow
def test_certificates_of_another_authority(cluster: Cluster, ours: tuple[str, str], theirs: tuple[str, str]) -> None:
    """Neither does a client trust an unknown scheduler, nor a scheduler an unknown client."""
    for ca, pair in ((theirs[0], ours), (ours[0], theirs)):
        with (
            dask.config.set(_tls(ca, pair)),
            pytest.raises(InputError, match="do not match"),
            connect(cluster.address),
        ):
            pass


def test_an_address_where_nobody_speaks_tls(ours: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emobench.runtime.cluster._PATIENCE", 1.0)
    with (
        dask.config.set(_tls(ours[0], ours)),
        pytest.raises(InputError, match=r"tls://127.0.0.1:1: expected .* no scheduler answers there \(OSError\)"),
        connect("tls://127.0.0.1:1"),
    ):
        pass
