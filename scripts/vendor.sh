#!/bin/sh
# Fetch the libraries of the leaderboard page from the npm registry into cards/static/vendored, unmodified, with their
# licences and a manifest. Needs npm. To change a version, edit it here, run this script and the tests, and look at the
# page.
set -eu
cd "$(dirname "$0")/../cards/static/vendored"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Arguments: package, version, SPDX licence, source file, licence file, name of both files here.
vendor() {
    mkdir "$scratch/$6"
    tarball=$(npm pack --silent --pack-destination "$scratch/$6" "$1@$2")
    tar -xzf "$scratch/$6/$tarball" -C "$scratch/$6"
    cp "$scratch/$6/package/$4" "$6.min.js"
    cp "$scratch/$6/package/$5" "$6.LICENSE.txt"
    chmod 644 "$6.min.js" "$6.LICENSE.txt"
    hash=$(sha256sum "$6.min.js" | cut -d ' ' -f 1)
    licence_hash=$(sha256sum "$6.LICENSE.txt" | cut -d ' ' -f 1)
    cat >>"$scratch/entries" <<END
  {
    "package": "$1",
    "version": "$2",
    "license": "$3",
    "source": "$4",
    "files": {
      "$6.min.js": "$hash",
      "$6.LICENSE.txt": "$licence_hash"
    }
  },
END
}

vendor datatables.net 3.1.5 MIT js/dataTables.min.js License.txt datatables
vendor d3 7.9.2 ISC dist/d3.min.js LICENSE d3
vendor @observablehq/plot 0.6.17 ISC dist/plot.umd.min.js LICENSE plot

{ echo '['; sed '$ s/,$//' "$scratch/entries"; echo ']'; } >manifest.json
