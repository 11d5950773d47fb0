//! `larder --inspect FILE` and `larder --clear FILE`.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::base::Clock;
use crate::item::item_bytes_in;
use crate::memory::{BLOCK_BYTES, LiveState, PAGE_BYTES, Superblock, chunk_bytes_in, class_in};
use crate::settings::Settings;
use crate::sys::boot::{is_locked, try_lock};

use super::header::Header;
use super::open::{Examined, OpenError, Usable, examine, start_otherwise};

/// Pages and items of a class. The links of a chain count in the class of its head.
#[derive(Clone, Copy, Default)]
struct ClassCount {
    chunk_bytes: u32,
    pages: u32,
    items: u64,
    item_bytes: u64,
}

/// Describes a memory file, and says whether a server with `settings` would keep its items. It changes nothing.
///
/// # Errors
/// The kernel's error.
pub fn inspect(path: &Path, settings: &Settings) -> io::Result<String> {
    let file = File::open(path)?;
    let len = file.metadata()?.len();
    let in_use = is_locked(&file)?;
    let mut text = String::new();
    let mut row = |name: &str, value: String| text += &format!("{name:<10} {value}\n");
    row("file", format!("{}, {} MiB", path.display(), len >> 20));
    let header = read_header(&file, len)?;
    if let Some(header) = &header {
        row("format", format!("version {}, file id {:016x}", header.version, header.file_id));
        let made_with = header.settings.iter().map(|(name, value)| format!("{name} {value}"));
        row("made with", made_with.collect::<Vec<_>>().join(", "));
        if let Some(state) = Superblock::read_state(&file)? {
            describe_state(&state, in_use, &mut row);
        }
    }
    if len == 0 {
        row("usable", "yes: it is empty".into());
        return Ok(text);
    }
    let verdict = examine(&file, len, settings)?;
    if let Examined::Usable(usable) = &verdict {
        let Usable { page_table, state, .. } = &**usable;
        for (class, count) in count_classes(&file, page_table)?.iter().enumerate().filter(|(_, count)| count.pages > 0)
        {
            let ClassCount { chunk_bytes, pages, items, item_bytes } = count;
            let is_former = state.classes.is_former.get(class).is_some_and(|is_former| *is_former);
            let former = if is_former { ", not for new items" } else { "" };
            let items = format!("{items} items of {item_bytes} bytes{former}");
            row("class", format!("{class}: chunks of {chunk_bytes} bytes, {pages} pages, {items}"));
        }
    }
    row("usable", usable(&verdict, in_use));
    Ok(text)
}

fn read_header(file: &File, len: u64) -> io::Result<Option<Header>> {
    if len < BLOCK_BYTES as u64 {
        return Ok(None);
    }
    let mut block = [0; BLOCK_BYTES];
    file.read_exact_at(&mut block, 0)?;
    Ok(Header::decode(&block).ok())
}

fn describe_state(state: &LiveState, in_use: bool, row: &mut impl FnMut(&str, String)) {
    let age_s = Clock::start().unix_ms().saturating_sub(state.unix_ms) / 1000;
    let pid = state.pid;
    let end = match (in_use, state.is_clean) {
        (true, _) => format!("in use by process {pid}"),
        (false, true) => format!("clean; process {pid} stopped {age_s} s ago, with {} items", state.items),
        (false, false) => format!("unclean; process {pid} began {age_s} s ago and did not stop"),
    };
    row("state", end);
    row("starts", state.generation.to_string());
    row("next CAS", if state.is_clean { state.cas_end.to_string() } else { format!("{} or lower", state.cas_end) });
    if state.is_clean && state.index.at > 0 {
        row("index", format!("{} buckets in {} KiB, behind the pages", state.index.buckets, state.index.bytes >> 10));
    }
    if state.flush_due > 0 {
        row(
            "flush",
            format!("at second {} of the store's clock, which is at {}", state.flush_due, state.clock_ms / 1000),
        );
    }
}

/// Counts the linked items of each class and their bytes, without checking their proofs.
fn count_classes(file: &File, page_table: &[u32]) -> io::Result<Vec<ClassCount>> {
    let mut counts = vec![ClassCount::default(); usize::from(u8::MAX) + 1];
    let mut page_bytes = vec![0; PAGE_BYTES as usize];
    for (page, format) in page_table.iter().enumerate().filter(|(_, format)| **format != 0) {
        let chunk_bytes = chunk_bytes_in(*format);
        let count = &mut counts[usize::from(class_in(*format))];
        (count.chunk_bytes, count.pages) = (chunk_bytes, count.pages + 1);
        file.read_exact_at(&mut page_bytes, page as u64 * u64::from(PAGE_BYTES))?;
        for bytes in page_bytes.chunks_exact(chunk_bytes.max(1) as usize).filter_map(item_bytes_in) {
            (count.items, count.item_bytes) = (count.items + 1, count.item_bytes + bytes);
        }
    }
    Ok(counts)
}

fn usable(verdict: &Examined, in_use: bool) -> String {
    match verdict {
        _ if in_use => "no: another process uses it".into(),
        Examined::Usable(usable) => match usable.change.line() {
            Some(line) => format!("yes: {line}"),
            None => "yes".into(),
        },
        Examined::Settings(others) => format!("no: {}", start_otherwise(others)),
        Examined::OtherBoot => "no: the machine went down without a clean stop of the server".into(),
        Examined::Unfinished => "no: a start that made it was cut off".into(),
        Examined::Bad(reason) => format!("no: {reason}"),
    }
}

/// Drops the items of a memory file that no process uses.
///
/// # Errors
/// Why they are not dropped.
pub fn clear(path: &Path) -> Result<String, OpenError> {
    let system = |what: &'static str| move |error| OpenError::System(what, error);
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(system("open"))?;
    if !try_lock(&file).map_err(system("lock"))? {
        return Err(OpenError::Refused("another process uses it".into()));
    }
    let facts = file.metadata().map_err(system("read the size of"))?;
    let len = facts.len();
    if !facts.is_file() {
        return Err(OpenError::Refused("not a file".into()));
    }
    if len > 0 && read_header(&file, len).map_err(system("read"))?.is_none() {
        return Err(OpenError::Refused("not a memory file of this larder".into()));
    }
    file.set_len(0).and_then(|()| file.sync_all()).map_err(system("truncate"))?;
    Ok(format!("{}: cleared\n", path.display()))
}
