#!/usr/bin/env bash
# Makes echarts.min.js, LICENSE and NOTICE anew from the npm releases that package.json names. Needs node and npm.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/package.json" "$here/entry.js" "$work"
cd "$work"
npm install --silent --no-audit --no-fund --no-package-lock
version=$(node -p 'require("echarts/package.json").version')
banner="/*! Apache ECharts $version, a part of it; Apache License 2.0, see LICENSE and NOTICE */"
npx esbuild entry.js --bundle --minify --format=iife --global-name=echarts --target=es2020 --charset=ascii \
  --legal-comments=none --banner:js="$banner" --outfile="$here/echarts.min.js" --log-level=warning
cp node_modules/echarts/NOTICE "$here"
# Its own licence, and those of what it embeds.
{
  cat node_modules/echarts/LICENSE
  for part in echarts/licenses/LICENSE-d3 zrender/LICENSE tslib/LICENSE.txt; do
    printf '\n%s\n%s:\n\n' "$(printf '=%.0s' {1..72})" "$part"
    cat "node_modules/$part"
  done
} >"$here/LICENSE"
