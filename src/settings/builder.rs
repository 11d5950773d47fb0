//! Builds `Settings` from options: sets one option at a time, then checks the rules between options.

use std::collections::BTreeSet;
use std::path::Path;

use super::address::{Endpoint, ListenAddress};
use super::codec::{LATER, NEGATED};
use super::quantity::short_bytes;
use super::row::{Row, SettingStatus, Source};
use super::suggest;
use super::table::{LRU_PERCENT_MAX, ROWS, Settings};
use super::tls::ListenerTls;

/// Other nodes of a mesh.
const PEERS_MAX: usize = 15;
/// The word that stands for the descriptor store of the service manager in the place of a memory file.
pub const DESCRIPTOR_STORE: &str = "fdstore:";
/// The value with which a switch may be written.
const SWITCHED_ON: &str = "1";

/// Collects options into settings.
#[derive(Default)]
pub struct SettingsBuilder {
    settings: Settings,
    given: BTreeSet<&'static str>,
}

impl SettingsBuilder {
    /// A builder that holds the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets one option to `text`, which is empty for a switch. Surrounding blanks are removed: deployment charts often
    /// pass `"-m 1024"` as one word.
    ///
    /// # Errors
    /// The message for the operator, with the option's name.
    pub fn set(&mut self, row: &'static Row, text: &str) -> Result<(), String> {
        let named = |error: String| format!("{}: {error}", row.names());
        self.settings.read(row.field, text.trim()).map_err(named)?;
        self.given.insert(row.field);
        if row.status == SettingStatus::Later && self.settings.show(row.field) != Settings::default().show(row.field) {
            return Err(format!("{}: {LATER}", row.names()));
        }
        Ok(())
    }

    /// Sets one suboption of -o: `name`, `no_name` or `name=value`.
    ///
    /// # Errors
    /// The message for the operator, with the suboption's name.
    pub fn set_suboption(&mut self, word: &str) -> Result<(), String> {
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        let name = name.trim();
        let negated = name.strip_prefix("no_");
        let suboptions = || ROWS.iter().filter(|row| row.source() == Source::Suboption);
        // Match the whole name first: `no_hashexpand` is a name, but `no_lru_crawler` is the negation of one.
        let named = suboptions().find(|row| row.bare_name() == name);
        let row = named.or_else(|| suboptions().find(|row| row.has_negation() && Some(row.bare_name()) == negated));
        let Some(row) = row else { return Err(format!("-o {word}: no such option; {}", suggest::remedy(name))) };
        // memcached ignores the values of switches. Any value but 1 may mean something else than it does.
        let value = value.filter(|text| row.hint().is_some() || *text != SWITCHED_ON);
        let text = match (row.hint(), value) {
            (None, Some(_)) => return Err(format!("-o {name}: takes no value")),
            (Some(_) | None, None) if named.is_none() => NEGATED,
            (Some(_), Some(_)) if named.is_none() => return Err(format!("-o {name}: takes no value")),
            (Some(hint), None) if !row.value_is_optional() => return Err(format!("-o {name}: needs a value: {hint}")),
            (_, value) => value.unwrap_or_default(),
        };
        self.set(row, text)
    }

    /// Returns the settings without checking the rules between options. Used when the command line only asks for help.
    pub fn unchecked(self) -> Settings {
        self.settings
    }

    /// Returns the settings after checking the rules between options.
    ///
    /// # Errors
    /// The message for the operator.
    pub fn finish(self) -> Result<Settings, String> {
        let Self { mut settings, given } = self;
        let half = settings.memory_limit_bytes / 2;
        if settings.item_size_max > half {
            if given.contains("item_size_max") {
                let item = short_bytes(settings.item_size_max);
                let memory = short_bytes(settings.memory_limit_bytes);
                return Err(format!("-I, --max-item-size: {item} is more than half of -m, --memory-limit ({memory})"));
            }
            // The default of -I must not forbid a small -m.
            settings.item_size_max = half;
        }
        let largest = settings.slab_sizes.as_ref().and_then(|sizes| sizes.last());
        if let Some(largest) = largest.filter(|largest| **largest > settings.slab_chunk_max) {
            let max = settings.slab_chunk_max;
            return Err(format!("-o slab_sizes: {largest} is larger than slab_chunk_max, {max} bytes"));
        }
        let lists_pct = settings.hot_lru_pct + settings.warm_lru_pct;
        if lists_pct > LRU_PERCENT_MAX {
            return Err(format!(
                "-o hot_lru_pct and warm_lru_pct: {lists_pct} together is more than {LRU_PERCENT_MAX}"
            ));
        }
        settings.check_authentication()?;
        settings.check_http()?;
        if settings.napi_ids > settings.threads {
            let (queues, threads) = (settings.napi_ids, settings.threads);
            return Err(format!("-N, --napi-ids: {queues} is more than -t, --threads ({threads})"));
        }
        if settings.udp_port != 0 && !given.contains("tcp_port") {
            settings.tcp_port = settings.udp_port;
        }
        settings.detail_enabled = given.contains("prefix_delimiter");
        settings.threads_per_udp = settings.threads;
        settings.temp_lru = given.contains("temporary_ttl");
        settings.lru_segmented = settings.lru_maintainer;
        if settings.admin_socket.is_some() && settings.admin_socket == settings.unix_socket {
            return Err("-o admin_socket: the same file as -s, --unix-socket".into());
        }
        settings.check_replication()?;
        settings.check_tls()?;
        let networks = [settings.tcp_endpoints(), settings.udp_endpoints()];
        if settings.unix_socket.is_none() && networks.iter().all(Vec::is_empty) {
            let off = "-p, --port: 0 turns TCP off, and neither -U, --udp-port nor -s, --unix-socket is given";
            return Err(format!("{off}: nowhere to listen"));
        }
        Ok(settings)
    }
}

impl Settings {
    /// The file of users who may authenticate. `None`: clients need no authentication.
    pub fn user_file(&self) -> Option<&Path> {
        let sasl_file = self.sasl_file.as_deref().filter(|_| self.sasl);
        self.auth_file.as_deref().or(sasl_file)
    }

    /// Checks the options that exclude each other when clients must authenticate.
    fn check_authentication(&self) -> Result<(), String> {
        let asked = match (&self.auth_file, self.sasl) {
            (None, false) => return Ok(()),
            (Some(_), _) => "-Y, --auth-file",
            (None, true) => "-S, --enable-sasl",
        };
        if self.user_file().is_none() {
            return Err(format!("{asked}: needs a file of users: -Y, --auth-file, or MEMCACHED_SASL_PWDB"));
        }
        if self.udp_port != 0 {
            return Err(format!("-U, --udp-port: UDP clients cannot authenticate, which {asked} demands; write -U 0"));
        }
        match (&self.auth_file, self.sasl, self.protocol) {
            (Some(_), false, "binary") => {
                Err(format!("-B, --protocol: binary excludes {asked}, which is for the text protocol; add -S"))
            }
            (None, true, "ascii") => {
                Err(format!("-B, --protocol: ascii excludes {asked}, which is for the binary protocol; add -Y"))
            }
            _ => Ok(()),
        }
    }

    /// Whether the service manager keeps the items: -e fdstore:
    pub fn is_kept_by_manager(&self) -> bool {
        self.memory_file.as_deref().is_some_and(|path| path == Path::new(DESCRIPTOR_STORE))
    }

    /// Checks what -Z needs.
    fn check_tls(&self) -> Result<(), String> {
        let with = |tls| self.listen.iter().chain(&self.http).any(|address| address.tls == tls);
        let is_tls = |address: &ListenAddress| matches!(address.tls, ListenerTls::Basic | ListenerTls::Mutual);
        let mut links = self.replication_peers.iter().chain(&self.replication_listen);
        if links.any(is_tls) {
            return Err(
                "-x, --replication-peer, -o repl_listen: no prefixes; -o repl_tls is for TLS between nodes".into()
            );
        }
        self.check_link_tls()?;
        if !self.ssl_enabled {
            for (option, addresses) in [("-l, --listen", &self.listen), ("--http", &self.http)] {
                if let Some(address) = addresses.iter().find(|address| is_tls(address)) {
                    return Err(format!("{option}: the prefix {} needs -Z, --enable-ssl", address.tls.prefix()));
                }
            }
            return Ok(());
        }
        if self.tcp_endpoints().is_empty() && self.http.is_empty() && !self.replication_tls {
            return Err("-Z, --enable-ssl: needs a TCP port".into());
        }
        if self.ssl_chain_cert.is_none() {
            return Err("-Z, --enable-ssl: needs -o ssl_chain_cert=<file>".into());
        }
        if self.ssl_ca_cert.is_none() && (self.ssl_verify_mode > 0 || with(ListenerTls::Mutual)) {
            return Err("-o ssl_verify_mode or the prefix mtls: needs -o ssl_ca_cert=<file>".into());
        }
        Ok(())
    }

    /// Checks what -o repl_tls needs.
    fn check_link_tls(&self) -> Result<(), String> {
        if self.replication_tls_name.is_some() && !self.replication_tls {
            return Err("-o repl_tls_name: needs -o repl_tls".into());
        }
        if !self.replication_tls {
            return Ok(());
        }
        let needed = [
            (self.replicates(), "-x, --replication-peer"),
            (self.ssl_enabled, "-Z, --enable-ssl"),
            (self.ssl_ca_cert.is_some(), "-o ssl_ca_cert=<file>"),
        ];
        match needed.iter().find(|(is_there, _)| !is_there) {
            Some((_, option)) => Err(format!("-o repl_tls: needs {option}")),
            None => Ok(()),
        }
    }

    /// Whether a TCP listener uses TLS.
    pub fn has_tls_listeners(&self) -> bool {
        let mut endpoints = self.tcp_endpoints().into_iter().chain(self.http_endpoints());
        self.ssl_enabled && endpoints.any(|endpoint| endpoint.tls != ListenerTls::Off)
    }

    /// Whether this server is a node of a mesh.
    pub fn replicates(&self) -> bool {
        !self.replication_peers.is_empty() || !self.replication_listen.is_empty()
    }

    fn check_http(&self) -> Result<(), String> {
        let given = [(self.http_cache, "-o http_cache"), (self.http_token_file.is_some(), "-o http_token_file")];
        if let Some((_, option)) = given.iter().find(|(is_given, _)| *is_given && self.http.is_empty()) {
            return Err(format!("{option}: needs --http"));
        }
        if self.http_cache && self.user_file().is_some() && self.http_token_file.is_none() {
            return Err("-o http_cache: clients would need no password; add -o http_token_file".into());
        }
        Ok(())
    }

    /// The addresses for HTTP.
    pub fn http_endpoints(&self) -> Vec<Endpoint> {
        let endpoint = |one: &ListenAddress| one.endpoint(0);
        self.http.iter().map(endpoint).collect()
    }

    fn check_replication(&self) -> Result<(), String> {
        let peers = self.replication_peers.len();
        if peers > PEERS_MAX {
            return Err(format!("-x, --replication-peer: {peers} peers, at most {PEERS_MAX}"));
        }
        if self.replication_peers.is_empty() && self.replicates() && self.replication_secret.is_none() {
            return Err("-o repl_listen: needs -x, --replication-peer or -o repl_secret_file".into());
        }
        if !self.replication_owner_prefixes.is_empty() && !self.replicates() {
            return Err("-o repl_owner_prefix: needs -x, --replication-peer".into());
        }
        if !self.replication_owner_prefixes.is_empty() && !self.use_cas {
            return Err("-o repl_owner_prefix: needs CAS uniques, which -C, --disable-cas turns off".into());
        }
        Ok(())
    }

    /// The addresses where other nodes reach this one.
    pub fn replication_endpoints(&self) -> Vec<Endpoint> {
        let port = self.replication_port;
        if !self.replication_listen.is_empty() {
            let endpoint = |one: &ListenAddress| one.endpoint(port);
            return self.replication_listen.iter().map(endpoint).collect();
        }
        if self.listen.is_empty() {
            return vec![Endpoint::everywhere(port)];
        }
        self.listen.iter().map(|one| Endpoint { host: one.host.clone(), port, tls: one.tls }).collect()
    }

    /// The other nodes that this one dials.
    pub fn replication_peer_endpoints(&self) -> Vec<Endpoint> {
        let port = self.replication_port;
        let endpoint = |one: &ListenAddress| one.endpoint(port);
        self.replication_peers.iter().map(endpoint).collect()
    }

    /// The TCP addresses to bind, in order. Empty if TCP is off.
    pub fn tcp_endpoints(&self) -> Vec<Endpoint> {
        self.endpoints(self.tcp_port)
    }

    /// The UDP addresses to bind, in order. Empty if UDP is off.
    pub fn udp_endpoints(&self) -> Vec<Endpoint> {
        self.endpoints(self.udp_port)
    }

    /// The addresses of -l. Those without a port get `port`. Empty if `port` is 0.
    fn endpoints(&self, port: i32) -> Vec<Endpoint> {
        if self.unix_socket.is_some() || port == 0 {
            return Vec::new();
        }
        // -1 asks for any free port, which is 0 for the kernel.
        let default_port = u16::try_from(port).unwrap_or(0);
        if self.listen.is_empty() {
            return vec![Endpoint::everywhere(default_port)];
        }
        self.listen.iter().map(|entry| entry.endpoint(default_port)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, ROWS, Settings, SettingsBuilder};

    /// Builds settings from words: `field=text`, or `-o word` for a suboption.
    fn build(words: &[&str]) -> Result<Settings, String> {
        let mut builder = SettingsBuilder::new();
        for word in words {
            if let Some(suboption) = word.strip_prefix("-o ") {
                builder.set_suboption(suboption)?;
            } else {
                let (field, text) = word.split_once('=').unwrap();
                builder.set(ROWS.iter().find(|row| row.field == field).unwrap(), text)?;
            }
        }
        builder.finish()
    }

    #[test]
    fn errors_name_the_option_the_value_and_the_limit() {
        assert_eq!(build(&["threads=900"]).unwrap_err(), "-t, --threads: 900 is outside 1 to 256");
        assert_eq!(build(&["-o hashpower=5"]).unwrap_err(), "-o hashpower: 5 is outside 12 to 32");
        assert_eq!(build(&["-o foo"]).unwrap_err(), "-o foo: no such option; larder -h lists them");
        assert_eq!(build(&["-o idle_timeout"]).unwrap_err(), "-o idle_timeout: needs a value: <num>");
        assert!(build(&["-o track_sizes=1"]).unwrap().track_sizes);
        assert_eq!(build(&["-o track_sizes=0"]).unwrap_err(), "-o track_sizes: takes no value");
        assert_eq!(build(&["-o no_slab_automove=1"]).unwrap_err(), "-o no_slab_automove: takes no value");
        assert_eq!(
            build(&["-o no_idle_timeout"]).unwrap_err(),
            "-o no_idle_timeout: no such option; did you mean -o idle_timeout?"
        );
    }

    #[test]
    fn what_comes_later_is_refused_unless_it_is_the_default() {
        assert!(build(&["udp_port=0", "-o ext_threads=1", "-o no_drop_privileges"]).is_ok());
        assert!(build(&["-o ext_path=/f:1G"]).is_err());
    }

    #[test]
    fn suboptions_can_be_negated_where_memcached_allows_it() {
        let settings =
            build(&["-o no_lru_crawler", "-o no_slab_automove", "-o no_hashexpand", "-o no_maxconns_fast"]).unwrap();
        assert!(!settings.lru_crawler);
        assert_eq!(settings.slab_automove, 0);
        assert!(!settings.hash_expansion);
        assert!(!settings.maxconns_fast);
        assert_eq!(build(&["-o slab_automove"]).unwrap().slab_automove, 1);
        assert_eq!(build(&["-o slab_automove=2"]).unwrap().slab_automove, 2);
    }

    #[test]
    fn a_small_memory_lowers_the_default_item_size_but_not_a_given_one() {
        assert_eq!(build(&["memory_limit_bytes=1"]).unwrap().item_size_max, 512 << 10);
        let refused = "-I, --max-item-size: 1m is more than half of -m, --memory-limit (1m)";
        assert_eq!(build(&["memory_limit_bytes=1", "item_size_max=1m"]).unwrap_err(), refused);
        assert_eq!(build(&["memory_limit_bytes=2048", "item_size_max=1024m"]).unwrap().item_size_max, 1 << 30);
    }

    #[test]
    fn the_operators_socket_is_not_the_clients() {
        assert!(build(&["unix_socket=/s", "-o admin_socket=/t"]).is_ok());
        let refused = "-o admin_socket: the same file as -s, --unix-socket";
        assert_eq!(build(&["unix_socket=/s", "-o admin_socket=/s"]).unwrap_err(), refused);
    }

    #[test]
    fn limits_are_memcacheds() {
        assert!(build(&["-o tail_repair_time=10", "-o hot_lru_pct=30", "-o warm_lru_pct=50"]).is_ok());
        let refused = "-o tail_repair_time: 9 is outside 10 to 2147483647";
        assert_eq!(build(&["-o tail_repair_time=9"]).unwrap_err(), refused);
        for option in ["hot_max_factor", "warm_max_factor", "slab_automove_ratio"] {
            assert!(build(&[&format!("-o {option}=0.001")]).is_ok());
            assert!(build(&[&format!("-o {option}=0")]).is_err(), "{option}");
        }
        assert!(build(&["-o idle_timeout=4294967295"]).is_ok(), "-1 without a sign: never");
        let refused = "-o hot_lru_pct and warm_lru_pct: 81 together is more than 80";
        assert_eq!(build(&["-o hot_lru_pct=41"]).unwrap_err(), refused);
    }

    #[test]
    fn items_over_http_are_as_safe_as_the_others() {
        assert!(build(&["http=80", "-o http_cache"]).is_ok());
        assert!(build(&["http=80", "-o http_cache", "auth_file=/u", "-o http_token_file=/t"]).is_ok());
        let refused = "-o http_cache: clients would need no password; add -o http_token_file";
        assert_eq!(build(&["http=80", "-o http_cache", "auth_file=/u"]).unwrap_err(), refused);
        assert_eq!(build(&["-o http_cache"]).unwrap_err(), "-o http_cache: needs --http");
        assert_eq!(build(&["-o http_token_file=/t"]).unwrap_err(), "-o http_token_file: needs --http");
    }

    #[test]
    fn every_network_queue_needs_a_thread() {
        assert!(build(&["threads=3", "napi_ids=3"]).is_ok());
        assert_eq!(build(&["napi_ids=5"]).unwrap_err(), "-N, --napi-ids: 5 is more than -t, --threads (4)");
    }

    #[test]
    fn a_delimiter_turns_detail_on() {
        let settings = build(&["prefix_delimiter=:"]).unwrap();
        assert!(settings.detail_enabled);
        assert!(!build(&[]).unwrap().detail_enabled);
    }

    #[test]
    fn authentication_needs_users_and_a_protocol_that_has_it() {
        let checked = |sasl, auth_file: &str, sasl_file: &str, protocol, udp_port| {
            let path = |text: &str| (!text.is_empty()).then(|| text.into());
            let (auth_file, sasl_file) = (path(auth_file), path(sasl_file));
            let settings = Settings { sasl, auth_file, sasl_file, protocol, udp_port, ..Settings::default() };
            settings.check_authentication().map(|()| settings.user_file().map(|path| path.display().to_string()))
        };
        let users = |path: &str| Ok(Some(path.to_string()));
        assert_eq!(checked(false, "", "", "auto", 7), Ok(None));
        assert_eq!(checked(false, "", "s", "auto", 7), Ok(None), "the environment alone demands nothing");
        assert_eq!(checked(false, "y", "s", "auto", 0), users("y"));
        assert_eq!(checked(true, "y", "s", "binary", 0), users("y"));
        assert_eq!(checked(true, "", "s", "binary", 0), users("s"));
        for (refused, word) in [
            (checked(true, "", "", "auto", 0), "-S, --enable-sasl: needs a file of users"),
            (checked(false, "y", "", "auto", 7), "-U, --udp-port: UDP clients cannot authenticate, which -Y"),
            (checked(true, "", "s", "auto", 7), "-U, --udp-port: UDP clients cannot authenticate, which -S"),
            (checked(false, "y", "", "binary", 0), "-B, --protocol: binary excludes -Y, --auth-file"),
            (checked(true, "", "s", "ascii", 0), "-B, --protocol: ascii excludes -S, --enable-sasl"),
        ] {
            assert!(refused.clone().is_err_and(|error| error.starts_with(word)), "{refused:?}");
        }
    }

    #[test]
    fn endpoints_follow_port_list_socket_and_port_file() {
        let shown = |words: &[&str]| {
            let settings = build(words).unwrap();
            let shown = |endpoint: &Endpoint| format!("{}/{}", endpoint.host.as_deref().unwrap_or("*"), endpoint.port);
            settings.tcp_endpoints().iter().map(shown).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(shown(&[]), "*/11211");
        assert_eq!(shown(&["listen=127.0.0.1,[::1]:5", "tcp_port=7"]), "127.0.0.1/7 ::1/5");
        assert_eq!(shown(&["tcp_port=-1"]), "*/0");
        assert_eq!(shown(&["unix_socket=s", "tcp_port=7"]), "");
        assert_eq!(shown(&["unix_socket=s", "tcp_port=0", "listen=a:1", "port_file=f"]), "");
        for others in [&["tcp_port=0"][..], &["tcp_port=0", "port_file=f"], &["tcp_port=0", "listen=a:1,b"]] {
            assert!(build(others).unwrap_err().contains("nowhere to listen"));
        }
    }

    #[test]
    fn udp_is_off_by_default_and_uses_the_addresses_of_tcp() {
        let ports = |words: &[&str]| {
            let settings = build(words).unwrap();
            let port = |endpoints: Vec<Endpoint>| endpoints.first().map(|endpoint| endpoint.port);
            (port(settings.tcp_endpoints()), port(settings.udp_endpoints()))
        };
        assert_eq!(ports(&[]), (Some(11211), None));
        assert_eq!(ports(&["udp_port=0"]), (Some(11211), None));
        assert_eq!(ports(&["udp_port=7"]), (Some(7), Some(7)));
        assert_eq!(ports(&["udp_port=7", "tcp_port=11211"]), (Some(11211), Some(7)));
        assert_eq!(ports(&["udp_port=-1", "tcp_port=0"]), (None, Some(0)));
        assert_eq!(ports(&["udp_port=7", "listen=a:5"]), (Some(5), Some(5)));
        assert_eq!(ports(&["udp_port=7", "unix_socket=s"]), (None, None));
    }

    #[test]
    fn every_default_lies_within_its_own_limits() {
        assert!(SettingsBuilder::new().finish().is_ok());
        for row in ROWS {
            let shown = Settings::default().show(row.field);
            let takes_a_number = row.hint() == Some("<num>") && !shown.contains('.');
            if takes_a_number {
                let mut settings = Settings::default();
                // -m is given in MiB but shown in bytes. The default of tail_repair_time cannot be given.
                if !["memory_limit_bytes", "tail_repair_time_s"].contains(&row.field) {
                    assert_eq!(settings.read(row.field, &shown), Ok(()), "{}", row.field);
                }
            }
        }
    }

    #[test]
    fn no_two_rows_share_a_name() {
        let mut names: Vec<&str> = ROWS.iter().flat_map(|row| row.longs().chain(row.short())).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
