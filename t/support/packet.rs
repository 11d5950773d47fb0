//! Packets of the binary protocol: requests made from their fields, replies shown as text.

use larder::protocol::binary::{HEADER_LEN, Opcode, REQUEST_MAGIC};

use super::Client;

/// The opaque of every request, unless a test wants another one.
const OPAQUE: [u8; 4] = *b"\x01\x02\x03\x04";

/// A request. The lengths follow from the other fields unless they are set.
#[derive(Clone)]
pub(crate) struct Packet {
    pub magic: u8,
    pub opcode: u8,
    pub key: Vec<u8>,
    pub extras: Vec<u8>,
    pub value: Vec<u8>,
    pub cas: u64,
    pub opaque: [u8; 4],
    pub key_len: Option<u16>,
    pub extras_len: Option<u8>,
    pub body_len: Option<u32>,
    pub data_type: u8,
    pub vbucket: u16,
}

impl Packet {
    pub(crate) const fn new(opcode: u8) -> Self {
        Self {
            magic: REQUEST_MAGIC,
            opcode,
            key: Vec::new(),
            extras: Vec::new(),
            value: Vec::new(),
            cas: 0,
            opaque: OPAQUE,
            key_len: None,
            extras_len: None,
            body_len: None,
            data_type: 0,
            vbucket: 0,
        }
    }

    /// A request with a key and zeros for the extras that the opcode needs.
    pub(crate) fn of(opcode: Opcode, key: impl AsRef<[u8]>) -> Self {
        let (key, extras) = (key.as_ref().to_vec(), vec![0; opcode.extras_len()]);
        Self { key, extras, ..Self::new(opcode as u8) }
    }

    pub(crate) fn store(opcode: Opcode, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        Self { value: value.as_ref().to_vec(), ..Self::of(opcode, key) }
    }

    /// An increment or decrement.
    pub(crate) fn arith(opcode: Opcode, key: &str, delta: u64, initial: u64, exptime: u32) -> Self {
        let extras = [&delta.to_be_bytes()[..], &initial.to_be_bytes(), &exptime.to_be_bytes()].concat();
        Self { extras, ..Self::of(opcode, key) }
    }

    pub(crate) fn extras(self, extras: impl AsRef<[u8]>) -> Self {
        Self { extras: extras.as_ref().to_vec(), ..self }
    }

    pub(crate) fn cas(self, cas: u64) -> Self {
        Self { cas, ..self }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let body_len = self.extras.len() + self.key.len() + self.value.len();
        let mut bytes = vec![self.magic, self.opcode];
        bytes.extend_from_slice(&self.key_len.unwrap_or(len_of(&self.key)).to_be_bytes());
        bytes.extend_from_slice(&[self.extras_len.unwrap_or(len_of(&self.extras)), self.data_type]);
        bytes.extend_from_slice(&self.vbucket.to_be_bytes());
        bytes.extend_from_slice(
            &self.body_len.unwrap_or_else(|| u32::try_from(body_len).expect("a test's body is short")).to_be_bytes(),
        );
        bytes.extend_from_slice(&self.opaque);
        bytes.extend_from_slice(&self.cas.to_be_bytes());
        [&bytes, &self.extras[..], &self.key, &self.value].concat()
    }
}

/// The length of a field whose length fits `T`.
fn len_of<T: TryFrom<usize>>(field: &[u8]) -> T {
    T::try_from(field.len()).unwrap_or_else(|_| panic!("a field of {} bytes", field.len()))
}

/// A reply.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub opcode: u8,
    pub status: u16,
    pub cas: u64,
    pub opaque: [u8; 4],
    pub extras: Vec<u8>,
    pub key: Vec<u8>,
    pub value: Vec<u8>,
}

impl Reply {
    /// The reply at the front of `bytes`, and its length. `None`: it is incomplete.
    pub(crate) fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let header = bytes.first_chunk::<HEADER_LEN>()?;
        assert_eq!((header[0], header[5]), (0x81, 0), "a reply's magic and data type: {}", bytes.escape_ascii());
        let short = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let (key_len, extras_len) = (usize::from(short(2)), usize::from(header[4]));
        let body_len = u32::from_be_bytes(header[8..12].try_into().ok()?) as usize;
        let body = bytes[HEADER_LEN..].get(..body_len)?;
        let (extras, rest) = body.split_at(extras_len);
        let (key, value) = rest.split_at(key_len);
        let reply = Self {
            opcode: header[1],
            status: short(6),
            cas: u64::from_be_bytes(header[16..].try_into().ok()?),
            opaque: header[12..16].try_into().ok()?,
            extras: extras.to_vec(),
            key: key.to_vec(),
            value: value.to_vec(),
        };
        Some((reply, HEADER_LEN + body_len))
    }

    /// All replies in `bytes`.
    pub(crate) fn read_all(mut bytes: &[u8]) -> Vec<Self> {
        let mut replies = Vec::new();
        while !bytes.is_empty() {
            let (reply, len) = Self::read(bytes).unwrap_or_else(|| panic!("half a reply: {}", bytes.escape_ascii()));
            replies.push(reply);
            bytes = &bytes[len..];
        }
        replies
    }

    /// Its fields: opcode, status, CAS unique, extras, key, value. Those that are 0 or empty are left out.
    pub(crate) fn show(&self) -> String {
        let name = Opcode::from_wire(self.opcode).map_or_else(|| format!("{:02x}", self.opcode), |o| o.name().into());
        let mut shown = format!("{name} {:02x}", self.status);
        if self.cas > 0 {
            shown += &format!(" #{}", self.cas);
        }
        if !self.extras.is_empty() {
            shown +=
                &self.extras.iter().map(|byte| format!("{byte:02x}")).fold(" x".to_string(), |all, two| all + &two);
        }
        if !self.key.is_empty() {
            shown += &format!(" [{}]", self.key.escape_ascii());
        }
        if !self.value.is_empty() {
            shown += &format!(" {}", self.value.escape_ascii());
        }
        shown
    }
}

/// The replies in `bytes`, one per line.
pub(crate) fn show_replies(bytes: &[u8]) -> String {
    let replies = Reply::read_all(bytes);
    for reply in &replies {
        assert_eq!(reply.opaque, OPAQUE, "the opaque comes back");
    }
    replies.iter().map(|reply| reply.show() + "\n").collect()
}

/// Reads the next reply.
pub(crate) fn read_reply(client: &mut Client) -> Reply {
    let mut bytes = client.read_exactly(HEADER_LEN).expect("a reply has a header");
    let body_len = u32::from_be_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]) as usize;
    bytes.extend(client.read_exactly(body_len).expect("a reply has the body that its header announces"));
    Reply::read(&bytes).expect("header and body are there").0
}
