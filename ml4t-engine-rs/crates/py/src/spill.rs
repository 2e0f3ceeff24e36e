//! Rows that have no room in memory, in a file without a name.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use memmap2::{Mmap, MmapOptions};
use ml4t_sim::rows::{Budget, Spill, Stored};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Memory of the tables of one run, and a file for what exceeds it: made when it is first needed, gone with the run.
pub(crate) fn budget(spec: &Bound<'_, PyDict>) -> PyResult<Option<Budget>> {
    let Some(bytes) = spec.get_item("table_memory")?.filter(|given| !given.is_none()) else { return Ok(None) };
    let folder: PathBuf = match spec.get_item("spill_folder")?.filter(|given| !given.is_none()) {
        Some(given) => given.extract()?,
        None => std::env::temp_dir(),
    };
    let spill = Arc::new(SpillFile { folder, file: Mutex::new(None) });
    Ok(Some(Budget { bytes: bytes.extract()?, spill }))
}

#[derive(Debug)]
struct SpillFile {
    folder: PathBuf,
    /// The file and its length.
    file: Mutex<Option<(File, u64)>>,
}

impl Spill for SpillFile {
    fn store(&self, parts: &[&[u8]]) -> Option<Stored> {
        let mut file = self.file.lock().ok()?;
        if file.is_none() {
            *file = Some((tempfile::tempfile_in(&self.folder).ok()?, 0));
        }
        let (file, end) = file.as_mut()?;
        // What a write that failed has left behind is written over.
        file.seek(SeekFrom::Start(*end)).ok()?;
        for part in parts {
            file.write_all(part).ok()?;
        }
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let begin = *end;
        *end += length as u64;
        // Each piece begins where the last one ended; the map takes care of pages.
        // SAFETY: the file has no name, so that nobody else opens it, and what was written is never written again.
        let map = unsafe { MmapOptions::new().offset(begin).len(length).map(&*file) }.ok()?;
        Some(Arc::new(Part(map)))
    }
}

/// A part of the file, in the address space.
struct Part(Mmap);

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
