//! Opens a memory file: takes it over, refuses it, or makes a new one.

use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::base::Clock;
use crate::memory::{ArenaFile, BLOCK_BYTES, ChunkRef, LiveState, PAGE_BYTES, SUPERBLOCK_PAGES, Superblock};
use crate::settings::Settings;
use crate::sys::boot::{BootId, since_boot_ms, try_lock};
use crate::sys::mapping::{Space, allocate_file};
use crate::sys::process::effective_user;

use super::classes::{ClassChange, change_classes};
use super::header::{Header, HeaderFault, OtherSetting};

/// How a process began with a memory file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// With a new file, or with one whose items could not be kept.
    Cold,
    /// With the items of a process that ended cleanly.
    Clean,
    /// With the items of a process that was killed.
    Unclean,
}

/// A memory file that belongs to this process from now on.
pub struct Opened {
    /// The file.
    pub file: ArenaFile,
    /// How the process begins.
    pub started: Started,
    /// Where the store's clock goes on.
    pub clock: Clock,
    /// Why a file was there and its items are not kept.
    pub dropped: Option<String>,
    /// How its size classes have changed.
    pub change: ClassChange,
}

/// Why a memory file cannot be used.
#[derive(Debug)]
pub enum OpenError {
    /// The operator must change something.
    Refused(String),
    /// A system call failed while doing this.
    System(&'static str, io::Error),
}

/// Names that a refused file may get: `FILE.refused-1` and so on.
const REFUSED_MAX: u32 = 99;
/// How the settings table writes a list that was not given.
const ABSENT: &str = "NULL";
/// Bytes of the superblock.
const SUPERBLOCK_BYTES: u64 = SUPERBLOCK_PAGES as u64 * PAGE_BYTES as u64;
/// Why a file that lacks its end is refused.
const CUT_OFF: &str = "the file is cut off";
/// Access mode of a new file.
const MODE: u32 = 0o600;
/// Bits of a mode that let other users write.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Opens the memory file at `path`.
///
/// # Errors
/// Why the file cannot be used. It is unchanged then.
pub fn open(path: &Path, settings: &Settings) -> Result<Opened, OpenError> {
    match open_locked(open_and_lock(path)?, settings)? {
        Ok(opened) => Ok(opened),
        Err((file, reason)) => {
            // Of a symbolic link, the file itself is kept aside.
            let path = &path.canonicalize().map_err(at("rename"))?;
            let refused = rename_aside(path).map_err(at("rename"))?;
            drop(file);
            let new = open_and_lock(path)?;
            create(new, settings, Some(format!("{reason}; the file is kept as {}", refused.display())))
        }
    }
}

/// Opens memory without a name, which is new or comes from another process. Content that cannot be used is dropped.
///
/// # Errors
/// Why the memory cannot be used. It is unchanged then.
pub fn open_in_memory(file: File, settings: &Settings) -> Result<Opened, OpenError> {
    match open_locked(file, settings)? {
        Ok(opened) => Ok(opened),
        Err((file, reason)) => create(file, settings, Some(format!("items dropped: {reason}"))),
    }
}

/// Opens a file that belongs to this process. The inner error is a file that is no memory file of larder or is damaged,
/// and the reason.
fn open_locked(file: File, settings: &Settings) -> Result<Result<Opened, (File, String)>, OpenError> {
    let len = file.metadata().map_err(at("read the size of"))?.len();
    if len == 0 {
        return create(file, settings, None).map(Ok);
    }
    let opened = match examine(&file, len, settings).map_err(at("read"))? {
        Examined::Usable(usable) => take_over(file, *usable, settings),
        Examined::Settings(others) if !settings.restart_discard => Err(OpenError::Refused(start_otherwise(&others))),
        Examined::Settings(others) => {
            let reason = made_with(&others);
            create(file, settings, Some(format!("items dropped: {reason}, and -o restart_discard is given")))
        }
        Examined::OtherBoot => {
            let reason = "items dropped: the machine went down without a clean stop of the server";
            create(file, settings, Some(reason.into()))
        }
        Examined::Unfinished => create(file, settings, None),
        Examined::Bad(reason) => return Ok(Err((file, reason))),
    };
    opened.map(Ok)
}

fn at(what: &'static str) -> impl Fn(io::Error) -> OpenError {
    move |error| OpenError::System(what, error)
}

/// Says which settings differ.
pub(super) fn made_with(others: &[OtherSetting]) -> String {
    let each = others.iter().map(|OtherSetting { option, in_file, now }| {
        let then = if in_file == ABSENT { format!("without {option}") } else { format!("with {option} {in_file}") };
        let now = if now == ABSENT { "not given" } else { now };
        format!("{then}, which is now {now}")
    });
    format!("made {}", each.collect::<Vec<_>>().join(", and "))
}

/// Why the items of a file cannot be kept.
pub(super) fn too_many_classes(others: &[OtherSetting]) -> String {
    format!("{}; it has too many size classes to keep them", made_with(others))
}

/// The same, and what an operator can do.
pub(super) fn start_otherwise(others: &[OtherSetting]) -> String {
    let advice = "start with the settings that it was made with, or with -o restart_discard to drop its items";
    format!("{}; {advice}", too_many_classes(others))
}

/// Opens a file or makes an empty one, and locks it. The lock comes first: another process may be using the file.
fn open_and_lock(path: &Path) -> Result<File, OpenError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(MODE);
    let file = options.open(path).map_err(at("open"))?;
    let facts = file.metadata().map_err(at("open"))?;
    if !facts.is_file() {
        return Err(OpenError::Refused("not a file".into()));
    }
    // Who can write to the file can make the server do anything.
    if facts.uid() != effective_user() || facts.mode() & WRITABLE_BY_OTHERS != 0 {
        return Err(OpenError::Refused("another user owns it or may write to it".into()));
    }
    if !try_lock(&file).map_err(at("lock"))? {
        let pid = Superblock::read_state(&file).ok().flatten().map(|state| state.pid);
        let owner = pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
        return Err(OpenError::Refused(format!("in use by {owner}")));
    }
    // Another process may have renamed the file before this one had the lock.
    let named = std::fs::metadata(path).map_err(at("open"))?;
    if (named.dev(), named.ino()) != (facts.dev(), facts.ino()) {
        return Err(OpenError::Refused("another process has just replaced it".into()));
    }
    Ok(file)
}

/// What can be done with a file.
pub(super) enum Examined {
    /// Its items can be taken over.
    Usable(Box<Usable>),
    /// There are not enough size classes for the settings and for the items. A setting that differs.
    Settings(Vec<OtherSetting>),
    /// It was left unclean by another start of the machine. What the kernel had not written is lost.
    OtherBoot,
    /// The process that made it died before it had written the header. It holds nothing.
    Unfinished,
    /// It cannot be used, for this reason.
    Bad(String),
}

/// A file whose items can be taken over.
pub(super) struct Usable {
    pub header: Header,
    /// The state, with the size classes for the settings of this start.
    pub state: LiveState,
    /// The page table.
    pub page_table: Vec<u32>,
    /// How the size classes differ from those in the file.
    pub change: ClassChange,
}

/// Examines a file that this process has locked. The order of the checks is that of the drawing in mod.rs.
pub(super) fn examine(file: &File, len: u64, settings: &Settings) -> io::Result<Examined> {
    let header = match examine_header(file, len)? {
        Ok(header) => header,
        Err(obstacle) => return Ok(obstacle),
    };
    let Some(state) = Superblock::read_state(file)? else {
        return Ok(Examined::Bad("both copies of its state are damaged".into()));
    };
    if !state.is_clean && !state.boot_id.is_same(BootId::read()) {
        return Ok(Examined::OtherBoot);
    }
    examine_pages(file, len, header, state, settings)
}

/// Examines the page table, and whether the size classes of the file can become those of `settings`.
pub(super) fn examine_pages(
    file: &File,
    len: u64,
    header: Header,
    mut state: LiveState,
    settings: &Settings,
) -> io::Result<Examined> {
    let page_table = Superblock::read_page_table(file, ChunkRef::PAGES_MAX)?;
    if len < page_table.len() as u64 * u64::from(PAGE_BYTES) {
        return Ok(Examined::Bad(CUT_OFF.into()));
    }
    Ok(match change_classes(&mut state, &header, &page_table, settings) {
        ClassChange::Impossible(others) => Examined::Settings(others),
        change => Examined::Usable(Box::new(Usable { header, state, page_table, change })),
    })
}

/// Examines everything but the state and the pages. The inner error is an obstacle.
pub(super) fn examine_header(file: &File, len: u64) -> io::Result<Result<Header, Examined>> {
    if len < BLOCK_BYTES as u64 {
        return Ok(Err(Examined::Bad("not a memory file of larder".into())));
    }
    if len <= SUPERBLOCK_BYTES && Superblock::is_unfinished(file, len)? {
        return Ok(Err(Examined::Unfinished));
    }
    let mut block = [0; BLOCK_BYTES];
    file.read_exact_at(&mut block, 0)?;
    Ok(match Header::decode(&block) {
        Ok(_) if len < SUPERBLOCK_BYTES => Err(Examined::Bad(CUT_OFF.into())),
        Ok(header) => Ok(header),
        Err(fault) => Err(Examined::Bad(reason(fault))),
    })
}

pub(super) fn reason(fault: HeaderFault) -> String {
    match fault {
        HeaderFault::NoMemoryFile => "not a memory file of larder".into(),
        HeaderFault::Damaged => "its header is damaged".into(),
        HeaderFault::Version(version) => format!("it has format version {version}, which this larder does not know"),
        HeaderFault::Layout => "its items have another layout".into(),
    }
}

/// Gives a file that cannot be used another name.
fn rename_aside(path: &Path) -> io::Result<PathBuf> {
    for number in 1..=REFUSED_MAX {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".refused-{number}"));
        let aside = PathBuf::from(name);
        if !aside.exists() {
            std::fs::rename(path, &aside)?;
            return Ok(aside);
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("there are {REFUSED_MAX} refused files; remove some")))
}

/// Makes a new memory file of `file`, whose content is lost. The header comes last: without it, the file is refused.
fn create(file: File, settings: &Settings, dropped: Option<String>) -> Result<Opened, OpenError> {
    file.set_len(0).map_err(at("truncate"))?;
    allocate_file(&file, 0, SUPERBLOCK_BYTES).map_err(at("allocate the superblock of"))?;
    fill_new(file, settings, Space::Ahead, dropped)
}

/// Makes a new memory file of `file`, which is memory without a name.
///
/// # Errors
/// The kernel's error.
pub fn create_in_memory(file: File, settings: &Settings) -> io::Result<ArenaFile> {
    file.set_len(SUPERBLOCK_BYTES)?;
    match fill_new(file, settings, Space::OnTouch, None) {
        Ok(opened) => Ok(opened.file),
        Err(OpenError::System(_, error)) => Err(error),
        Err(OpenError::Refused(reason)) => Err(io::Error::other(reason)),
    }
}

fn fill_new(file: File, settings: &Settings, space: Space, dropped: Option<String>) -> Result<Opened, OpenError> {
    let superblock = Superblock::new(file.try_clone().map_err(at("open"))?, LiveState::default());
    let clock = Clock::start();
    superblock.update(|state| begin(state, &clock)).map_err(at("write"))?;
    let file_id = RandomState::new().build_hasher().finish();
    file.write_all_at(&Header::new(settings, file_id).encode(), 0).map_err(at("write"))?;
    superblock.sync().map_err(at("write"))?;
    let has_proofs = settings.memory_file.is_some();
    let file = ArenaFile {
        file,
        superblock: Arc::new(superblock),
        page_table: Vec::new(),
        space,
        has_proofs,
        is_handed: false,
        mapped_ahead: None,
    };
    Ok(Opened { file, started: Started::Cold, clock, dropped, change: ClassChange::None })
}

fn take_over(file: File, usable: Usable, settings: &Settings) -> Result<Opened, OpenError> {
    let Usable { mut header, state, page_table, change } = usable;
    let started = if state.is_clean { Started::Clean } else { Started::Unclean };
    let clock = resumed_clock(&state);
    let superblock = Superblock::new(file.try_clone().map_err(at("open"))?, state);
    // From here on the file is unclean, until this process has stopped cleanly. In the same step it gets its new size
    // classes.
    superblock.update(|state| begin(state, &clock)).map_err(at("write"))?;
    if header.take(settings) {
        superblock.write_header(&header.encode()).map_err(at("write"))?;
    }
    superblock.sync().map_err(at("write"))?;
    let file = ArenaFile {
        file,
        superblock: Arc::new(superblock),
        page_table,
        space: Space::Ahead,
        has_proofs: true,
        is_handed: false,
        mapped_ahead: None,
    };
    Ok(Opened { file, started, clock, dropped: None, change })
}

/// Notes in the state that this process uses the file.
pub(super) fn begin(state: &mut LiveState, clock: &Clock) {
    state.is_clean = false;
    state.generation += 1;
    (state.pid, state.boot_id) = (std::process::id(), BootId::read());
    stamp(state, clock);
}

/// Notes the time in the state.
pub(super) fn stamp(state: &mut LiveState, clock: &Clock) {
    // Rounded up, so that no item that has expired is there again.
    state.clock_ms = clock.read().ms() + 1;
    state.boot_ms = since_boot_ms().unwrap_or(0);
    state.unix_ms = clock.unix_ms();
}

/// The longest time without a server that counts, in milliseconds: a year. If the wall clock says more, it was wrong,
/// before or now. The store's clock has 17 years.
const DOWN_MS_MAX: u64 = 366 * 24 * 60 * 60 * 1000;

/// The clock of a process that goes on with this state.
pub(super) fn resumed_clock(state: &LiveState) -> Clock {
    let boot_ms = since_boot_ms().unwrap_or(0);
    Clock::start_at_ms(resume_at_ms(state, BootId::read(), boot_ms, Clock::start().unix_ms()))
}

/// Where the store's clock goes on, in milliseconds. Time without a server counts. Within one start of the machine its
/// own clock says how much it was, whatever happened to the wall clock. Otherwise the wall clock says it, unless it
/// went back.
fn resume_at_ms(state: &LiveState, boot_id: BootId, boot_ms: u64, unix_ms: i64) -> u64 {
    let down_ms = if state.boot_id.is_same(boot_id) {
        boot_ms.saturating_sub(state.boot_ms)
    } else {
        u64::try_from(unix_ms.saturating_sub(state.unix_ms)).unwrap_or(0).min(DOWN_MS_MAX)
    };
    state.clock_ms.saturating_add(down_ms)
}

#[cfg(test)]
mod tests {
    use super::{BootId, LiveState, resume_at_ms};

    const HERE: BootId = BootId([1; 16]);

    fn state() -> LiveState {
        LiveState { boot_id: HERE, clock_ms: 100_000, boot_ms: 50_000, unix_ms: 1_000_000_000, ..LiveState::default() }
    }

    #[test]
    fn time_without_a_server_counts_whatever_the_wall_clock_did() {
        for clock_set_ms in [-3_600_000, 0, 3_600_000] {
            let unix_ms = 1_000_000_000 + 6000 + clock_set_ms;
            assert_eq!(resume_at_ms(&state(), HERE, 56_000, unix_ms), 106_000, "{clock_set_ms}");
        }
    }

    #[test]
    fn across_starts_of_the_machine_the_wall_clock_counts_and_never_backwards() {
        let other = BootId([2; 16]);
        assert_eq!(resume_at_ms(&state(), other, 1000, 1_000_006_000), 106_000);
        assert_eq!(resume_at_ms(&state(), other, 1000, 999_000_000), 100_000);
        let a_year_later = resume_at_ms(&state(), other, 1000, i64::MAX);
        assert_eq!(a_year_later, 100_000 + 366 * 86_400_000, "a year at most");
        let unknown = LiveState { boot_id: BootId::default(), ..state() };
        assert_eq!(resume_at_ms(&unknown, BootId::default(), 1000, 1_000_006_000), 106_000);
    }
}
