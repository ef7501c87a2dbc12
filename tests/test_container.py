"""The container files agree with each other and with the lock files; ``make container-check`` builds and runs them."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_packages_are_a_layer_that_does_not_depend_on_the_code() -> None:
    """The stage of the packages copies lock files only, and the last stage copies it whole."""
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]
    (packages,) = (stage for stage in stages if stage.startswith("${BASE} AS packages"))
    copied = re.findall(r"^COPY (.+)$", packages, flags=re.MULTILINE)
    assert copied == ["requirements-torch-cpu.lock ${LOCK} /src/"]
    assert "COPY --from=packages /opt/packages /opt/packages" in stages[-1]
    (default,) = re.findall(r"^ARG LOCK=(\S+)$", DOCKERFILE, flags=re.MULTILINE)
    assert (ROOT / default).is_file()


def test_compose_is_a_cluster_of_three_workers() -> None:
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    services = compose["services"]
    assert services["worker"]["deploy"]["replicas"] == 3
    assert (ROOT / services["worker"]["build"]["args"]["LOCK"]).read_text().count("\ndistributed==") == 1
    assert len({yaml.safe_dump([each["image"], each["build"], each["user"]]) for each in services.values()}) == 1
    # All containers see the same files under the same paths.
    assert {tuple(each["volumes"]) for each in services.values()} == {("${EMOBENCH_WORK:-./work}:/data",)}
    # A scheduler has no password, so nothing outside of the containers may reach it.
    assert compose["networks"]["cluster"] == {"internal": True}
    assert services["scheduler"]["networks"] == services["worker"]["networks"] == ["cluster"]
    assert not any("ports" in each for each in services.values())
    port = services["scheduler"]["command"][services["scheduler"]["command"].index("--port") + 1]
    assert f"tcp://scheduler:{port}" in services["worker"]["command"]
    assert f"--scheduler tcp://scheduler:{port}" in (ROOT / "docs/installation.md").read_text()
