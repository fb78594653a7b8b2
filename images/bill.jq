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

# Older crates write a slash where SPDX has a word.
| def licensed($expression):
    if $expression then . + {licenses: [{expression: ($expression | gsub(" */ *"; " OR "))}]} else . end;
def reference: "\(.name)@\(.version)";
# Ours are in no registry, so they have no address there.
def crate:
    . + {"bom-ref": reference}
    | if (.purl // "") | contains("download_url") then del(.purl) else . end
    | licensed($of_crates[reference]);
def package:
    {name: .package, version}
    + {
        type: "library",
        purl: "pkg:deb/debian/\(.package)@\(.version | @uri)?arch=\(.architecture)&distro=bookworm"
    }
    | . + {"bom-ref": reference}
    | licensed($of_debian[.name]);

map(select(.package) | package) as $packages
| ({name: "rust-std", version: ($rust | rtrimstr("\n")), type: "library"} | . + {"bom-ref": reference} | licensed("MIT OR Apache-2.0")) as $std
# Each program numbers its crates by itself: its numbers become names.
| map(
    select(.bomFormat)
    | (.components + [.metadata.component + {type: "application"}] | map(select($of_crates[reference]))) as $components
    | ($components | map({key: .["bom-ref"], value: reference}) | from_entries) as $names
    | {
        application: (.metadata.component | reference),
        components: ($components | map(crate)),
        dependencies: [
            .dependencies[]
            | select($names[.ref])
            | {ref: $names[.ref], dependsOn: [.dependsOn[]? | $names[.] // empty]}
        ]
    }
) as $programs
| [$programs[].application] as $applications
| {
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: {
        component: {
            type: "container",
            "bom-ref": "image",
            name: $name,
            version: ($applications[0] | split("@")[1])
        }
    },
    # Where one program uses another's package as a library, it is a program still.
    components: (
        ([$programs[].components[]] | group_by(.["bom-ref"]) | map(sort_by(.type)[0]))
        + [$std] + $packages
    ),
    dependencies: (
        [{ref: "image", dependsOn: ($applications + [$std["bom-ref"]] + [$packages[]["bom-ref"]])}]
        + ([$programs[].dependencies[]] | group_by(.ref) | map({ref: .[0].ref, dependsOn: ([.[].dependsOn[]] | unique)}))
    )
}
