#!/bin/sh
# Installs the wheel as a stranger would, under each Python that is named: no compiler is started,
# the example is read, and the disk that all of it takes is told.
#   tools/fresh_install.sh python3.11 python3.12 python3.13
#   WITH='numpy<2' tools/fresh_install.sh python3.11
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$1" -m pip wheel --quiet --no-deps --wheel-dir "$work" .
for python; do
	"$python" -m venv "$work/venv"
	"$work/venv/bin/pip" install --quiet --only-binary :all: "$work"/chereme-*.whl ${WITH:-}
	(cd "$work" && PYTHONPATH= venv/bin/chereme recognize venv/lib/python3*/site-packages/chereme/examples/hello.mp4)
	"$work/venv/bin/pip" uninstall --quiet --yes setuptools pip
	du -sh "$work"/venv/lib/python3*/site-packages
	rm -rf "$work/venv"
done
