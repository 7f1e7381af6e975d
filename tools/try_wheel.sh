#!/bin/sh
# Usage: tools/try_wheel.sh BIN   where BIN is the bin folder of an environment with `build` installed.
# Builds the wheel, installs it into an empty environment and runs the demo there, away from the checkout.
set -eu
bin=$1
checkout=$(cd "$(dirname "$0")/.." && pwd)
away=$(mktemp -d)
trap 'rm -rf "$away"' EXIT
"$bin/python" -m build --wheel --outdir "$away/dist" "$checkout"
"$bin/python" -m venv "$away/venv"
"$away/venv/bin/python" -m pip install --quiet --disable-pip-version-check -c "$checkout/requirements.lock" "$away"/dist/*.whl
cd "$away"
"$away/venv/bin/escl" demo --limit 1 --json > demo.json
"$away/venv/bin/python" - <<'PYTHON'
import json
import pathlib

import escl

assert pathlib.Path.cwd() in pathlib.Path(escl.__file__).parents, escl.__file__
run = json.load(open("demo.json"))
states = run["results"]["n_dialogues"]
assert states["complete"] == 4 and states["failed"] == 0, states
assert len(run["results"]["cells"]) == 2 * 2 * 7, len(run["results"]["cells"])
print("the wheel's demo:", states)
PYTHON
