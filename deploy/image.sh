#!/usr/bin/env bash
# Builds the image without a container engine and tests it; needs root, buildah and debootstrap
# (Debian: apt-get install buildah debootstrap).
#
#   deploy/image.sh [folder]        default folder: build/image
#
# MIRROR: the Debian mirror; default: the first one this machine's apt uses.
# BUILDAH_ARGS: more arguments of `buildah bud`, such as --volume for a registry's certificates.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(realpath --canonicalize-missing "${1:-build/image}")
mirror=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -1)}
mkdir -p "$folder"
store() { buildah --storage-driver vfs --root "$folder/store" --runroot "$folder/run" "$@"; }

if ! store inspect --type image localhost/benben-base > /dev/null 2>&1; then
  [ -f "$folder/base/etc/debian_version" ] || debootstrap --variant=minbase bookworm "$folder/base" "$mirror"
  container=$(store from scratch)
  store add --quiet "$container" "$folder/base" /
  store commit --quiet --rm "$container" localhost/benben-base
fi

# shellcheck disable=SC2086
store bud --format docker --isolation chroot --build-arg BASE=localhost/benben-base \
  --build-arg TOOLS_BASE=localhost/benben-base ${BUILDAH_ARGS:-} --tag localhost/benben .

container=$(store from localhost/benben)
trap 'store rm "$container" > /dev/null' EXIT
inside() { store run --isolation chroot "$container" -- "$@"; }
echo "user $(inside id -un), $(inside benben --version)"
inside lmplz --help 2>&1 | head -1 || true
inside bash -c 'cd /tmp && python -m benben.sample.build /tmp/sample && benben run default "input=[/tmp/sample]" output=/tmp/run fetch.enabled=no'
