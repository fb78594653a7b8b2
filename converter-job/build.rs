//! Has the program find the FFmpeg that it was linked with, where that is not the system's own: in
//! `lib` beside the program's folder, as in an image, or else where it was built.

use std::{env, error::Error, process::Command};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-env-changed=PKG_CONFIG_PATH");
    if env::var_os("PKG_CONFIG_PATH").is_none_or(|path| path.is_empty()) {
        return Ok(());
    }
    let asked = Command::new("pkg-config").args(["--variable=libdir", "libavformat"]).output()?;
    let folder = String::from_utf8(asked.stdout)?;
    // The old kind of path holds for the libraries' libraries too.
    println!(
        "cargo:rustc-link-arg=-Wl,--disable-new-dtags,-rpath,$ORIGIN/../lib:{}",
        folder.trim()
    );
    Ok(())
}
