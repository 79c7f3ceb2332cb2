#!/bin/bash
# Makes /opt/benben, the Python environment of the jobs, on every node of EMR (bootstrap action, the
# code's URL as argument) and of Dataproc (initialization action, the URL as metadata benben-code).
set -euo pipefail
if [ -x /usr/share/google/get_metadata_value ]; then
  code=$(/usr/share/google/get_metadata_value attributes/benben-code)
  apt-get update
  apt-get install --yes --no-install-recommends python3 python3-venv python3-dev cmake g++ make
  fetch() { gcloud storage cp "$code/$1" "$2"; }
else
  code=$1
  sudo dnf install --assumeyes python3.11 python3.11-devel cmake gcc-c++ make
  fetch() { aws s3 cp --only-show-errors "$code/$1" "$2"; }
fi
folder=$(mktemp -d)
fetch requirements.lock "$folder/requirements.lock"
fetch dependencies.txt "$folder/dependencies.txt"
python=$(command -v python3.11)
sudo "$python" -m venv /opt/benben
sudo /opt/benben/bin/pip install --quiet --no-cache-dir --disable-pip-version-check \
  --constraint "$folder/requirements.lock" --requirement "$folder/dependencies.txt"
rm -r "$folder"
