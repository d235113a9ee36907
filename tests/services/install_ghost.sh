#!/usr/bin/env bash
# Installs a real Ghost for the slow tier (`make test-ghost`) from npm: some minutes, 620 MB, needs Node 18 or 20 and the network.
# It goes to $FENGMIAN_GHOST, or fengmian/ghost-VERSION in the user's cache folder. Safe to run again; no root is needed.
set -euo pipefail

version=5.130.6
yarn=1.22.22
folder=${FENGMIAN_GHOST:-${XDG_CACHE_HOME:-$HOME/.cache}/fengmian/ghost-$version}

fail() {
    echo "install_ghost.sh: $*" >&2
    exit 1
}

if [ -e "$folder/.whole" ]; then
    echo "install_ghost.sh: already installed: $folder"
    exit 0
fi
for program in node npm npx tar; do
    command -v "$program" >/dev/null || fail "$program is missing; on Debian: apt-get install nodejs npm"
done
major=$(node --print 'process.versions.node.split(".")[0]')
case $major in
    18 | 20) ;;
    *) fail "Node $major is here; Ghost $version runs on Node 18 and 20" ;;
esac

# Beside the folder, so that a try that broke off leaves nothing that looks like an installation.
mkdir -p "$(dirname "$folder")"
work=$(mktemp -d "$folder.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
npm pack "ghost@$version" --silent >/dev/null
tar xzf "ghost-$version.tgz" --strip-components=1
rm "ghost-$version.tgz"
# What Ghost needs to be developed is not all on npm.
node -e 'const fs = require("fs"), about = JSON.parse(fs.readFileSync("package.json"));
delete about.devDependencies; delete about.scripts; fs.writeFileSync("package.json", JSON.stringify(about, null, 1))'
npx --yes "yarn@$yarn" install --production --non-interactive --no-progress --ignore-engines --silent
node -e 'require("sqlite3"); require("sharp")' || fail "a part of Ghost that is made for this machine does not load; see above"
touch .whole
rm -rf "$folder"
mv "$work" "$folder"
trap - EXIT
echo "install_ghost.sh: installed: $folder"
