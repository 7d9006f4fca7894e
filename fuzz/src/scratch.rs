//! A folder for the files of one process: in memory, where the system has such a place.

use std::path::{Path, PathBuf};

/// A folder that is empty at first, and deleted when it is dropped.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A folder of this name and process. Whoever keeps it in a static leaves it to
    /// `scripts/fuzz.sh`, which names by `TMPDIR` where it is to be and clears that.
    pub fn new(name: &str) -> Self {
        let memory = Path::new("/dev/shm");
        let base = match std::env::var_os("TMPDIR") {
            Some(folder) => PathBuf::from(folder),
            None if memory.is_dir() => memory.to_path_buf(),
            None => std::env::temp_dir(),
        };
        let folder = base.join(format!("allotment-fuzz-{name}-{}", std::process::id()));
        std::fs::remove_dir_all(&folder).ok();
        std::fs::create_dir_all(&folder).expect("a folder for the files of this process");
        Self(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}
