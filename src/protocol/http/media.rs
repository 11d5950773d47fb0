//! Content types that an item can keep. Its client flags name one of them.

/// The upper half of client flags that name a content type: `HT`.
const MARK: u32 = 0x4854_0000;

/// The types, by the lower half of the flags. A row keeps its place: items outlive a server.
pub const MEDIA_TYPES: &[&str] = &[
    OCTETS,
    "text/plain",
    "text/plain; charset=utf-8",
    "text/html",
    "text/html; charset=utf-8",
    "text/css",
    "text/javascript",
    "text/csv",
    "application/json",
    "application/json; charset=utf-8",
    "application/xml",
    "application/x-protobuf",
    "application/msgpack",
    "application/cbor",
    "application/pdf",
    "application/gzip",
    "application/zip",
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "image/avif",
    "image/svg+xml",
    "audio/mpeg",
    "video/mp4",
    "font/woff2",
];

/// The type of an item that keeps none.
const OCTETS: &str = "application/octet-stream";

/// The client flags that name a content type. `None`: items cannot keep it.
pub fn media_flags(content_type: &[u8]) -> Option<u32> {
    let found = MEDIA_TYPES.iter().position(|known| known.as_bytes().eq_ignore_ascii_case(content_type))?;
    u32::try_from(found).ok().map(|index| MARK | index)
}

/// The content type that client flags name.
#[inline]
pub(super) fn media_type(client_flags: u32) -> &'static str {
    let index = client_flags ^ MARK;
    usize::try_from(index).ok().and_then(|index| MEDIA_TYPES.get(index)).copied().unwrap_or(OCTETS)
}

#[cfg(test)]
mod tests {
    use super::{MEDIA_TYPES, OCTETS, media_flags, media_type};

    #[test]
    fn flags_name_the_type_that_they_were_made_of() {
        for name in MEDIA_TYPES {
            assert_eq!(media_type(media_flags(name.as_bytes()).unwrap()), *name);
        }
        assert_eq!(media_flags(b"TEXT/HTML"), media_flags(b"text/html"));
        assert_eq!(media_flags(b"text/html;charset=latin1"), None);
        for flags in [0, 1, u32::MAX, 0x4854_ffff] {
            assert_eq!(media_type(flags), OCTETS);
        }
    }
}
