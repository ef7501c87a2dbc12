#!/usr/bin/env bash
# Build the distributions, check them, and run the tests of the source distribution on its own.
#
# dist/ receives the wheel and the source distribution. The latter is unpacked elsewhere; the package is built from it
# and installed, with the dependencies of .venv, into an environment in which the checkout does not exist. Arguments are
# passed to pytest, by default those of `make test`.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$PWD/.venv/bin/python

rm -rf dist
# The second build is from the source distribution, so it shows that nothing is missing there.
"$python" -m build --outdir dist
"$python" -m twine check --strict dist/*

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tar -xzf dist/*.tar.gz -C "$work"
# pip and setuptools are those of .venv, too.
"$python" -m venv --without-pip "$work/env"
packages=$("$work/env/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
# Only the packages of .venv: the file that links to the checkout is not read in a folder that is added like this.
"$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' >"$packages/dependencies.pth"
"$python" -m pip --python "$work/env/bin/python" install --quiet --no-deps --ignore-installed dist/*.whl
cd "$work"/emobench-*/
where=$("$work/env/bin/python" -c 'import emobench; print(emobench.__file__)')
[ "$where" = "$packages/emobench/__init__.py" ] || { echo "package-check: tests would import $where" >&2; exit 1; }
[ $# -gt 0 ] || set -- -n auto --dist worksteal -m "not slow"
"$work/env/bin/python" -m pytest "$@"
