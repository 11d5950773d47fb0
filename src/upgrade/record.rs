//! The records of a part: the process, its index, a listener, a UDP socket, a connection, a watcher.
//!
//! ```text
//! kind │ bytes │ fields …           fields are only added at the end; a reader skips those that it does not know
//! ```

use super::encoding::{RecordReader, RecordWriter};

/// What a part consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartRecord {
    /// The process. Its descriptor is the memory of its items.
    Process(ProcessRecord),
    /// The file of the index.
    Index,
    /// A socket that listens, or that receives datagrams.
    Listener(ListenerRecord),
    /// A client.
    Connection(ConnectionRecord),
    /// A client that watches.
    Watcher(WatcherRecord),
}

/// What the process hands over beside its items.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessRecord {
    /// The version of larder.
    pub version: String,
    /// Time since the machine's start at which it stopped serving, in microseconds.
    pub paused_us: u64,
    /// Whether the items have proofs (-e).
    pub has_proofs: bool,
    /// The state of the items, as a clean memory file has it.
    pub state: Vec<u8>,
    /// Numbers that go on, by name.
    pub counters: Vec<(String, u64)>,
}

/// What a socket that is no client is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketKind {
    /// It accepts clients over TCP.
    Tcp = 0,
    /// It accepts clients over a unix socket.
    Unix = 1,
    /// It accepts admins over a unix socket.
    Admin = 2,
    /// It receives datagrams.
    Udp = 3,
    /// It accepts clients of HTTP.
    Http = 4,
    /// It accepts clients that use TLS, as the options say. A process that knows no TLS must not serve them in clear.
    Tls = 5,
    /// The same, without client certificates.
    BasicTls = 6,
    /// The same, with client certificates.
    MutualTls = 7,
    /// It accepts clients of HTTP that use TLS, as the options say.
    HttpTls = 8,
    /// The same, without client certificates.
    HttpBasicTls = 9,
    /// The same, with client certificates.
    HttpMutualTls = 10,
}

const SOCKET_KINDS: [SocketKind; 11] = [
    SocketKind::Tcp,
    SocketKind::Unix,
    SocketKind::Admin,
    SocketKind::Udp,
    SocketKind::Http,
    SocketKind::Tls,
    SocketKind::BasicTls,
    SocketKind::MutualTls,
    SocketKind::HttpTls,
    SocketKind::HttpBasicTls,
    SocketKind::HttpMutualTls,
];

/// A socket that is no client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerRecord {
    /// What it is for.
    pub kind: SocketKind,
    /// Where it is bound: an address and a port, or a path.
    pub address: Vec<u8>,
}

/// How far a client has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionStage {
    /// It sends requests.
    Command,
    /// These bytes of a refused value are still to come.
    Swallow(u64),
    /// It must authenticate, and has failed this many times.
    Locked(u8),
    /// It is to be closed when it has its replies.
    Closing,
    /// The rest of a refused line is still to come.
    RefusedLine,
}

/// A client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionRecord {
    /// How far it has come.
    pub stage: ConnectionStage,
    /// The grammar, see `protocol::Grammar::code`.
    pub grammar: u8,
    /// Whether it came over -o admin_socket.
    pub is_admin: bool,
    /// Whether its first command was logged.
    pub is_introduced: bool,
    /// Whether it has closed its end.
    pub hangup: bool,
    /// Seconds since it last sent something.
    pub idle_s: u32,
    /// Bytes that it has sent and that are not handled.
    pub unread: Vec<u8>,
    /// Unsent replies.
    pub unsent: Vec<u8>,
}

/// A client that watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatcherRecord {
    /// Whether it came over -o admin_socket.
    pub is_admin: bool,
    /// Its streams, see `protocol::Streams::bits`.
    pub streams: u32,
    /// What the keys of its events begin with.
    pub prefix: Vec<u8>,
    /// It gets one of this many lines.
    pub sample: u32,
    /// The number of the last event.
    pub gid: u64,
    /// Unsent lines.
    pub unsent: Vec<u8>,
    /// Lines that passed its filter since it last got one.
    pub matched: u32,
    /// Lines that were lost, and of which it has not been told.
    pub skipped: u64,
}

const PROCESS: u8 = 1;
const LISTENER: u8 = 2;
const CONNECTION: u8 = 3;
const WATCHER: u8 = 4;
const INDEX: u8 = 5;

impl PartRecord {
    pub(super) fn encode(&self, writer: &mut RecordWriter) {
        let mut fields = RecordWriter::default();
        let kind = match self {
            Self::Process(process) => {
                process.encode(&mut fields);
                PROCESS
            }
            Self::Index => INDEX,
            Self::Listener(listener) => {
                fields.u8(listener.kind as u8);
                fields.bytes(&listener.address);
                LISTENER
            }
            Self::Connection(connection) => {
                connection.encode(&mut fields);
                CONNECTION
            }
            Self::Watcher(watcher) => {
                watcher.encode(&mut fields);
                WATCHER
            }
        };
        writer.record(kind, &fields);
    }

    /// The next record. `None`: its kind or its shape is unknown.
    pub(super) fn decode(reader: &mut RecordReader<'_>) -> Option<Self> {
        let (kind, mut fields) = reader.record()?;
        match kind {
            PROCESS => ProcessRecord::decode(&mut fields).map(Self::Process),
            INDEX => Some(Self::Index),
            LISTENER => {
                let kind = *SOCKET_KINDS.get(usize::from(fields.u8()?))?;
                Some(Self::Listener(ListenerRecord { kind, address: fields.bytes()?.to_vec() }))
            }
            CONNECTION => ConnectionRecord::decode(&mut fields).map(Self::Connection),
            WATCHER => WatcherRecord::decode(&mut fields).map(Self::Watcher),
            _ => None,
        }
    }
}

impl ProcessRecord {
    fn encode(&self, fields: &mut RecordWriter) {
        fields.bytes(self.version.as_bytes());
        fields.u64(self.paused_us);
        fields.u8(u8::from(self.has_proofs));
        fields.bytes(&self.state);
        fields.u64(self.counters.len() as u64);
        for (name, value) in &self.counters {
            fields.bytes(name.as_bytes());
            fields.u64(*value);
        }
    }

    fn decode(fields: &mut RecordReader<'_>) -> Option<Self> {
        let (version, paused_us) = (fields.text()?, fields.u64()?);
        let (has_proofs, state) = (fields.u8()? == 1, fields.bytes()?.to_vec());
        let mut counters = Vec::new();
        for _ in 0..fields.u64()? {
            counters.push((fields.text()?, fields.u64()?));
        }
        Some(Self { version, paused_us, has_proofs, state, counters })
    }
}

impl ConnectionRecord {
    fn encode(&self, fields: &mut RecordWriter) {
        let (stage, number) = match self.stage {
            ConnectionStage::Command => (0, 0),
            ConnectionStage::Swallow(bytes) => (1, bytes),
            ConnectionStage::Locked(failures) => (2, u64::from(failures)),
            ConnectionStage::Closing => (3, 0),
            ConnectionStage::RefusedLine => (4, 0),
        };
        fields.u8(stage);
        fields.u64(number);
        fields.u8(self.grammar);
        for flag in [self.is_admin, self.is_introduced, self.hangup] {
            fields.u8(u8::from(flag));
        }
        fields.u32(self.idle_s);
        fields.bytes(&self.unread);
        fields.bytes(&self.unsent);
    }

    fn decode(fields: &mut RecordReader<'_>) -> Option<Self> {
        let stage = match (fields.u8()?, fields.u64()?) {
            (0, _) => ConnectionStage::Command,
            (1, bytes) => ConnectionStage::Swallow(bytes),
            (2, failures) => ConnectionStage::Locked(u8::try_from(failures).ok()?),
            (3, _) => ConnectionStage::Closing,
            (4, _) => ConnectionStage::RefusedLine,
            _ => return None,
        };
        Some(Self {
            stage,
            grammar: fields.u8()?,
            is_admin: fields.u8()? == 1,
            is_introduced: fields.u8()? == 1,
            hangup: fields.u8()? == 1,
            idle_s: fields.u32()?,
            unread: fields.bytes()?.to_vec(),
            unsent: fields.bytes()?.to_vec(),
        })
    }
}

impl WatcherRecord {
    fn encode(&self, fields: &mut RecordWriter) {
        fields.u8(u8::from(self.is_admin));
        fields.u32(self.streams);
        fields.bytes(&self.prefix);
        fields.u32(self.sample);
        fields.u64(self.gid);
        fields.bytes(&self.unsent);
        fields.u32(self.matched);
        fields.u64(self.skipped);
    }

    fn decode(fields: &mut RecordReader<'_>) -> Option<Self> {
        Some(Self {
            is_admin: fields.u8()? == 1,
            streams: fields.u32()?,
            prefix: fields.bytes()?.to_vec(),
            sample: fields.u32()?,
            gid: fields.u64()?,
            unsent: fields.bytes()?.to_vec(),
            matched: fields.u32()?,
            skipped: fields.u64()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{
        ConnectionRecord, ConnectionStage, ListenerRecord, PartRecord, ProcessRecord, SOCKET_KINDS, WatcherRecord,
    };
    use crate::upgrade::encoding::{RecordReader, RecordWriter};

    fn records() -> Vec<PartRecord> {
        let counters = vec![("get_hits".to_owned(), 7), ("cmd_set".to_owned(), u64::MAX)];
        let (version, state) = ("0.1.0".to_owned(), vec![5; 9]);
        let process = ProcessRecord { version, paused_us: 9, has_proofs: true, state, counters };
        let stages = [
            ConnectionStage::Command,
            ConnectionStage::Swallow(1 << 40),
            ConnectionStage::Locked(3),
            ConnectionStage::Closing,
            ConnectionStage::RefusedLine,
        ];
        let connection = |stage| ConnectionRecord {
            stage,
            grammar: 2,
            is_admin: true,
            is_introduced: false,
            hangup: true,
            idle_s: 77,
            unread: b"get col".to_vec(),
            unsent: b"END\r\n".to_vec(),
        };
        let listener = |kind| PartRecord::Listener(ListenerRecord { kind, address: b"127.0.0.1:5".to_vec() });
        let mut records = vec![PartRecord::Process(process), PartRecord::Index];
        records.extend(SOCKET_KINDS.map(listener));
        records.extend(stages.map(connection).map(PartRecord::Connection));
        let (prefix, unsent) = (b"a:".to_vec(), b"ts=1".to_vec());
        let (is_admin, streams, sample, gid) = (false, 5, 9, 1 << 40);
        let watcher = WatcherRecord { is_admin, streams, prefix, sample, gid, unsent, matched: 8, skipped: 3 };
        records.push(PartRecord::Watcher(watcher));
        records
    }

    #[test]
    fn a_record_reads_as_it_was_written() {
        let mut writer = RecordWriter::default();
        records().iter().for_each(|record| record.encode(&mut writer));
        let mut reader = RecordReader(&writer.0);
        for record in records() {
            assert_eq!(PartRecord::decode(&mut reader), Some(record));
        }
        assert!(reader.0.is_empty());
    }

    #[test]
    fn fields_of_a_newer_version_are_skipped_and_missing_ones_are_noticed() {
        for record in records() {
            let mut writer = RecordWriter::default();
            record.encode(&mut writer);
            let (kind, fields) = RecordReader(&writer.0).record().unwrap();
            let mut longer = RecordWriter::default();
            longer.record(kind, &RecordWriter([fields.0, b"new"].concat()));
            assert_eq!(PartRecord::decode(&mut RecordReader(&longer.0)).as_ref(), Some(&record));
            for len in 0..fields.0.len() {
                let mut shorter = RecordWriter::default();
                shorter.record(kind, &RecordWriter(fields.0[..len].to_vec()));
                assert_eq!(PartRecord::decode(&mut RecordReader(&shorter.0)), None, "{record:?} with {len} bytes");
            }
        }
        assert_eq!(PartRecord::decode(&mut RecordReader(&[99, 0, 0, 0, 0, 0, 0, 0, 0])), None);
    }
}
