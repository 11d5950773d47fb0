//! A row of the settings table as data, for the help, the manual and the command line.

/// A setting.
#[derive(Debug)]
pub struct Row {
    /// Name of the field in `Settings`.
    pub field: &'static str,
    /// Its effect, in a sentence or two.
    pub doc: &'static str,
    /// Its notation on the command line, as table.rs describes it.
    pub(super) option: &'static str,
    /// Its heading in the help.
    pub group: OptionGroup,
    /// Its key in `stats settings`. Empty if it has no row there.
    pub stat: &'static str,
    /// Whether it has an effect.
    pub status: SettingStatus,
}

/// Headings of the help, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionGroup {
    /// Listening sockets.
    Network,
    /// Memory limit and layout.
    Memory,
    /// Limits for one client and for all clients.
    Clients,
    /// Which commands clients may use.
    Commands,
    /// Several servers with the same items.
    Replication,
    /// User, files and daemon.
    Process,
    /// Options that print a text and exit.
    Messages,
    /// Options for programs that expect memcached.
    Compatibility,
}

impl OptionGroup {
    /// All headings, in the order of the help.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::Network, "Network"),
        (Self::Memory, "Memory"),
        (Self::Clients, "Clients and threads"),
        (Self::Commands, "Commands"),
        (Self::Replication, "Replication"),
        (Self::Process, "Process"),
        (Self::Messages, "Messages"),
        (Self::Compatibility, "Compatibility"),
    ];
}

/// Whether a setting has an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingStatus {
    /// It has the documented effect.
    Works,
    /// It works but is for tests. The help does not show it.
    Hidden,
    /// An option of memcached that is accepted without effect, with the reason.
    NoEffect(&'static str),
    /// Any value but the default is refused at start. A later version will support it.
    Later,
    /// Not an option: a row that `stats settings` must have.
    Report,
}

/// Where an operator sets a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// On the command line, by short or long name.
    Flag,
    /// In the list after -o.
    Suboption,
    /// In the environment.
    Environment,
    /// Nowhere: it cannot be set.
    Nowhere,
}

impl Row {
    /// Where an operator sets it.
    pub fn source(&self) -> Source {
        match self.option.as_bytes() {
            [] => Source::Nowhere,
            [b'-', b'o', b' ', ..] => Source::Suboption,
            [b'-', ..] => Source::Flag,
            [..] => Source::Environment,
        }
    }

    /// The placeholder of its value in the help: `<num>`. `None` if it takes no value.
    pub fn hint(&self) -> Option<&'static str> {
        let from = self.option.find('<')?;
        Some(self.option[from..].trim_end_matches(']'))
    }

    /// Whether the value may be omitted. The notation is `name[=<num>]`.
    pub fn value_is_optional(&self) -> bool {
        self.option.ends_with(']')
    }

    /// Its name in messages: `-t, --threads`, `-o hashpower`.
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

    /// The name of a suboption or environment variable, without `-o` and `[no_]`.
    pub fn bare_name(&self) -> &'static str {
        let name = self.names().trim_start_matches("-o ");
        name.strip_prefix("[no_]").unwrap_or(name)
    }

    /// Whether its name has a `no_` form.
    pub fn has_negation(&self) -> bool {
        self.option.contains("[no_]")
    }

    /// The full notation, as the help shows it: `-t, --threads=<num>`.
    pub fn notation(&self) -> &'static str {
        self.option
    }

    fn flag_names(&self) -> impl Iterator<Item = &'static str> {
        let names = if self.source() == Source::Flag { self.names() } else { "" };
        names.split(", ")
    }
}
