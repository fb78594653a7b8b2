# Makes one bill of materials (CycloneDX 1.5) from what images/root collects: the
# list that each program holds of its crates, and {package, version, architecture}
# for what comes from Debian.

# Licences of what is not a crate, as SPDX says them.
{
    "ca-certificates": "MPL-2.0",
    "ffmpeg": "LGPL-2.1-or-later",
    "libc6": "LGPL-2.1-or-later",
    "libgcc-s1": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "libmp3lame0": "LGPL-2.0-or-later"
} as $of_debian
| $licences[0] as $of_crates
| map(select(.bomFormat)) as $programs
| map(select(.package)) as $packages

# Older crates write a slash where SPDX has a word.
| def licensed($expression):
    if $expression then . + {licenses: [{expression: ($expression | gsub(" */ *"; " OR "))}]} else . end;
def crate: licensed($of_crates["\(.name)@\(.version)"]);
def package:
    (.package + "@" + .version) as $ref
    | {
        type: "library",
        "bom-ref": $ref,
        name: .package,
        version,
        purl: "pkg:deb/debian/\(.package)@\(.version | @uri)?arch=\(.architecture)&distro=bookworm"
    }
    | licensed($of_debian[.name]);

([$programs[].metadata.component | . + {type: "application"} | crate] | unique_by(.["bom-ref"])) as $applications
| ($applications | map(.["bom-ref"])) as $refs
| {
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: {
        component: {
            type: "container",
            "bom-ref": "image",
            name: $name,
            version: $applications[0].version
        }
    },
    components: (
        $applications
        + ([$programs[].components[] | crate] | unique_by(.["bom-ref"]) | map(select(.["bom-ref"] | IN($refs[]) | not)))
        + [{type: "library", "bom-ref": "rust-std", name: "rust-std", version: ($rust | rtrimstr("\n"))} | licensed("MIT OR Apache-2.0")]
        + [$packages[] | package]
    ),
    dependencies: (
        [{ref: "image", dependsOn: ($refs + ["rust-std"] + [$packages[] | "\(.package)@\(.version)"])}]
        + ([$programs[].dependencies[]] | unique_by(.ref))
    )
}
