#!/bin/sh
# Fetches a version of plotly.js (the cartesian bundle) and notes what was fetched.
#   sh refresh.sh 4.1.1
set -eu
cd "$(dirname "$0")"
package=plotly.js-cartesian-dist-min
version=${1:?"usage: sh refresh.sh VERSION"}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && npm pack --silent "$package@$version" && tar xzf ./*.tgz)
cp "$work/package/plotly-cartesian.min.js" "$work/package/LICENSE" .
sha256=$(sha256sum plotly-cartesian.min.js | cut -d' ' -f1)
cat > plotly.json <<JSON
{
  "package": "$package",
  "version": "$version",
  "license": "MIT",
  "file": "plotly-cartesian.min.js",
  "sha256": "$sha256"
}
JSON
