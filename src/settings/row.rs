//! One row of the settings table, as data: what the help, the manual and the front end read.

/// One setting.
#[derive(Debug)]
pub struct Row {
    /// Name of the field in `Settings`.
    pub field: &'static str,
    /// What it does: a sentence or two.
    pub doc: &'static str,
    /// How an operator writes it, in the notation of table.rs.
    pub(super) option: &'static str,
    /// Under which heading the help shows it.
    pub group: Group,
    /// Its key in `stats settings`; empty when it has no row there.
    pub stat: &'static str,
    /// Whether it does anything.
    pub status: Status,
}

/// Headings of the help, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Where clients come in.
    Network,
    /// What memory holds.
    Memory,
    /// How much one client, and all together, may have.
    Clients,
    /// Which commands clients may use.
    Commands,
    /// Users, files, daemon.
    Process,
    /// What is said, and then nothing else happens.
    Messages,
    /// What is there for programs that expect memcached.
    Compatibility,
}

impl Group {
    /// All of them, in the order of the help.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::Network, "Network"),
        (Self::Memory, "Memory"),
        (Self::Clients, "Clients and threads"),
        (Self::Commands, "Commands"),
        (Self::Process, "Process"),
        (Self::Messages, "Messages"),
        (Self::Compatibility, "Compatibility"),
    ];
}

/// Whether a setting does anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It does what it says.
    Works,
    /// It works and is for tests: the help does not show it.
    Hidden,
    /// memcached's option is accepted; why it changes nothing here.
    NoEffect(&'static str),
    /// Anything but the default is refused at start: a later version will have it.
    Later,
    /// No option at all: a row that `stats settings` must have.
    Report,
}

/// Where an operator writes a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On the command line: short and long name.
    Flag,
    /// In the list behind -o.
    Suboption,
    /// In the environment.
    Environment,
    /// Nowhere.
    Nowhere,
}

impl Row {
    /// Where an operator writes it.
    pub fn place(&self) -> Place {
        match self.option.as_bytes() {
            [] => Place::Nowhere,
            [b'-', b'o', b' ', ..] => Place::Suboption,
            [b'-', ..] => Place::Flag,
            [..] => Place::Environment,
        }
    }

    /// What stands for its value in the help: `<num>`. None: it takes no value.
    pub fn hint(&self) -> Option<&'static str> {
        let from = self.option.find('<')?;
        Some(self.option[from..].trim_end_matches(']'))
    }

    /// Whether a value may be left out: the notation is `name[=<num>]`.
    pub fn value_is_optional(&self) -> bool {
        self.option.ends_with(']')
    }

    /// How messages name it: `-t, --threads`, `-o hashpower`.
    pub fn names(&self) -> &'static str {
        self.option.split(['=', '<']).next().unwrap_or_default().trim_end_matches(['[', ' '])
    }

    /// Its short name on the command line.
    pub fn short(&self) -> Option<&'static str> {
        self.flag_names().find(|name| !name.starts_with("--")).and_then(|name| name.strip_prefix('-'))
    }

    /// Its long names on the command line.
    pub fn longs(&self) -> impl Iterator<Item = &'static str> {
        self.flag_names().filter_map(|name| name.strip_prefix("--"))
    }

    /// The name of a suboption or an environment variable, without `-o` and `[no_]`.
    pub fn bare_name(&self) -> &'static str {
        let name = self.names().trim_start_matches("-o ");
        name.strip_prefix("[no_]").unwrap_or(name)
    }

    /// Whether `no_` before its name undoes it.
    pub fn has_negation(&self) -> bool {
        self.option.contains("[no_]")
    }

    /// The whole notation, as the help shows it: `-t, --threads=<num>`.
    pub fn notation(&self) -> &'static str {
        self.option
    }

    fn flag_names(&self) -> impl Iterator<Item = &'static str> {
        let names = if self.place() == Place::Flag { self.names() } else { "" };
        names.split(", ")
    }
}
