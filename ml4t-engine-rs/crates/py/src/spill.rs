//! Rows that have no room in memory, in a file without a name.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use memmap2::{Mmap, MmapOptions};
use ml4t_sim::rows::{Budget, Spill, Stored};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Lists that share the memory of a run: seven tables, and two of orders that ended.
const LISTS: usize = 9;
/// Bytes of a list in memory at least: what goes to the file goes in parts of half of it, and each has a map of its own.
const LEAST: usize = 1 << 19;
/// Maps of a process at most, well below what systems allow; what comes later stays in memory.
const MOST_MAPS: usize = 30_000;

static MAPS: AtomicUsize = AtomicUsize::new(0);

/// Memory of each list of one run, and a file for what exceeds it: made when it is first needed, gone with the run.
pub(crate) fn budget(spec: &Bound<'_, PyDict>) -> PyResult<Option<Budget>> {
    let Some(bytes) = spec.get_item("table_memory")?.filter(|given| !given.is_none()) else { return Ok(None) };
    let spill = Arc::new(SpillFile { folder: std::env::temp_dir(), file: Mutex::new(None) });
    let bytes: usize = bytes.extract()?;
    Ok(Some(Budget { bytes: (bytes / LISTS).max(LEAST), spill }))
}

#[derive(Debug)]
struct SpillFile {
    folder: PathBuf,
    file: Mutex<Option<Opened>>,
}

#[derive(Debug)]
struct Opened {
    file: File,
    /// Where the next part begins.
    end: u64,
    /// The process that opened it.
    process: u32,
}

impl Spill for SpillFile {
    fn store(&self, parts: &[&[u8]]) -> Option<Stored> {
        if MAPS.load(Ordering::Relaxed) >= MOST_MAPS {
            return None;
        }
        let mut opened = self.file.lock().ok()?;
        let process = std::process::id();
        // A process that was forked from another has its maps, and must not write where that one does.
        if opened.as_ref().is_none_or(|opened| opened.process != process) {
            *opened = Some(Opened { file: tempfile::tempfile_in(&self.folder).ok()?, end: 0, process });
        }
        let Opened { file, end, .. } = opened.as_mut()?;
        // What a write that failed has left behind is written over.
        file.seek(SeekFrom::Start(*end)).ok()?;
        for part in parts {
            file.write_all(part).ok()?;
        }
        let length: usize = parts.iter().map(|part| part.len()).sum();
        // SAFETY: the file has no name, so that no other process opens it, and a fork makes its own; what lies before
        // `end` is never written again.
        let map = unsafe { MmapOptions::new().offset(*end).len(length).map(&*file) }.ok()?;
        *end += length as u64;
        MAPS.fetch_add(1, Ordering::Relaxed);
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

impl Drop for Part {
    fn drop(&mut self) {
        MAPS.fetch_sub(1, Ordering::Relaxed);
    }
}
