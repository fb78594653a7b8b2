# shellcheck shell=bash
# Packs tar files as an OCI image archive, with tar and sha256sum alone.
# Sourced by install and image.

# Prints sha256:<digest of the file>.
oci_digest() { echo "sha256:$(sha256sum "$1" | cut -d' ' -f1)"; }

# Moves a file into the archive folder under its digest; prints "digest size".
oci_store() {
    local folder="$1" file="$2" digest size
    digest="$(oci_digest "$file")"
    size="$(stat -c %s "$file")"
    mv "$file" "$folder/blobs/sha256/${digest#sha256:}"
    echo "$digest $size"
}

# oci_pack OUT NAME CONFIG LAYER...
#   CONFIG is the JSON object of the image's config ("User", "Entrypoint", ...).
#   A LAYER is an uncompressed tar file, which the archive takes in (the file is
#   linked or copied), or DIGEST:SIZE (sha256:...:123) of a layer that the node
#   has already: the archive only names it, and stays small.
oci_pack() {
    local out="$1" name="$2" config="$3" layer digest size diffs='' layers=''
    shift 3
    local folder
    folder="$(mktemp -d "$out.XXXXXX")"
    mkdir -p "$folder/blobs/sha256"
    for layer in "$@"; do
        if [[ $layer == sha256:*:* ]]; then
            digest="${layer%:*}" size="${layer##*:}"
        else
            digest="$(oci_digest "$layer")" size="$(stat -L -c %s "$layer")"
            cp --reflink=auto "$layer" "$folder/blobs/sha256/${digest#sha256:}"
        fi
        diffs+="${diffs:+,}\"$digest\""
        layers+="${layers:+,}{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"$digest\",\"size\":$size}"
    done

    printf '{"architecture":"%s","os":"linux","config":%s,"rootfs":{"type":"layers","diff_ids":[%s]}}' \
        "$(oci_architecture)" "$config" "$diffs" >"$folder/config"
    read -r digest size < <(oci_store "$folder" "$folder/config")
    printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"%s","size":%s},"layers":[%s]}' \
        "$digest" "$size" "$layers" >"$folder/manifest"
    read -r digest size < <(oci_store "$folder" "$folder/manifest")
    printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"%s","size":%s,"annotations":{"io.containerd.image.name":"%s"}}]}' \
        "$digest" "$size" "$name" >"$folder/index.json"
    printf '{"imageLayoutVersion":"1.0.0"}' >"$folder/oci-layout"
    tar -C "$folder" -cf "$folder.tar" oci-layout index.json blobs
    mv "$folder.tar" "$out"
    rm -rf "$folder"
}

# The machine's architecture in the words of an image.
oci_architecture() {
    case "$(uname -m)" in
        x86_64) echo amd64 ;;
        aarch64) echo arm64 ;;
        *) uname -m ;;
    esac
}
