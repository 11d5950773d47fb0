//! Tests of the write queue: whatever the kernel takes at a time, the client reads the same bytes.

use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use super::{Flushed, TEXT_BYTES_MAX, TlsBuffers, Transport, VALUES_MAX, WriteQueue};
use crate::base::{Deadline, Key, KeyHasher};
use crate::command::{BORROWED_VALUE_MIN, ReplySink as _, copied_value};
use crate::conn::backlog::Sent;
use crate::item::{Extras, ItemRef, Layout, LinkInfo, PendingItem};
use crate::memory::{ChunkRef, ClassPlan, SizeClasses, SlabAllocator};
use crate::sync::{Epochs, Pin};

fn slabs() -> &'static SlabAllocator {
    let plan = ClassPlan { first: 64, growth_factor: 1.5, chunk_max: 16384, explicit: Vec::new() };
    Box::leak(Box::new(SlabAllocator::new(SizeClasses::build(&plan), 8 << 20).unwrap()))
}

fn chunk(slabs: &SlabAllocator, class: u8) -> ChunkRef {
    let mut guard = slabs.lock(class);
    let mut chunk = None;
    if guard.take(1, |taken| chunk = Some(taken)) == 0 {
        assert!(guard.grow(0, true));
        guard.take(1, |taken| chunk = Some(taken));
    }
    chunk.unwrap()
}

fn value(len: u32) -> Vec<u8> {
    (0..len).map(|index| u8::try_from(index * 31 % 251).unwrap()).collect()
}

/// A linked item whose value is `value(len)`.
fn item<'pin>(pin: &'pin Pin, slabs: &'static SlabAllocator, len: u32) -> ItemRef<'pin> {
    let key = Key::new(b"colour").unwrap();
    let layout = Layout::new(&slabs.classes, key, Extras::default(), len);
    let (head, hashed) = (chunk(slabs, layout.head_class), KeyHasher::with_seed(1).hash(key));
    let mut pending = PendingItem::new(slabs, head, layout, hashed, Extras::default(), Deadline::NEVER);
    while let Some(class) = pending.next_link_class() {
        pending.push_link(chunk(slabs, class));
    }
    assert_eq!(pending.fill(&value(len)), len as usize);
    let head = pending.complete().link(LinkInfo::main(5));
    ItemRef::try_view(pin, slabs, head).unwrap()
}

/// The two ends of a connection. The server's end does not block.
fn pair() -> (Transport, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    (OwnedFd::from(ours).into(), theirs)
}

/// Queues a value as commands do.
fn push<'pin>(queue: &mut WriteQueue<'_, 'pin>, item: ItemRef<'pin>) {
    match copied_value(&item) {
        Some(value) => queue.text().extend_from_slice(value),
        None => queue.value(item),
    }
}

/// Queues text and values of `lens`. Returns what the client has to read.
fn queue_all<'pin>(
    queue: &mut WriteQueue<'_, 'pin>,
    pin: &'pin Pin,
    slabs: &'static SlabAllocator,
    lens: &[u32],
) -> Vec<u8> {
    let mut expected = Vec::new();
    for len in lens {
        let line = format!("VALUE colour 0 {len}\r\n");
        queue.text().extend_from_slice(line.as_bytes());
        push(queue, item(pin, slabs, *len));
        queue.text().extend_from_slice(b"\r\n");
        expected.extend_from_slice(line.as_bytes());
        expected.extend_from_slice(&value(*len));
        expected.extend_from_slice(b"\r\n");
    }
    expected
}

#[test]
fn copied_and_borrowed_values_are_sent_in_order() {
    let (slabs, epochs) = (slabs(), Arc::new(Epochs::new(1)));
    let mut thread = epochs.join();
    let pin = thread.pin();
    let (ours, mut theirs) = pair();
    let (mut text, mut written) = (Vec::new(), 0);
    let mut queue = WriteQueue::new(&mut text);
    let edge = BORROWED_VALUE_MIN;
    let expected = queue_all(&mut queue, &pin, slabs, &[3, edge, edge - 1, 40_000, 0, edge + 1]);
    assert!(matches!(queue.flush_all(&ours, &mut written), Ok(Flushed::All)));
    assert!(queue.is_empty());
    drop(ours);
    let mut read = Vec::new();
    theirs.read_to_end(&mut read).unwrap();
    assert_eq!(written, read.len() as u64);
    assert!(read == expected);
}

#[test]
fn what_the_kernel_does_not_take_is_leased_and_sent_after_the_pin() {
    let (slabs, epochs) = (slabs(), Arc::new(Epochs::new(1)));
    let mut thread = epochs.join();
    for lens in [&[700_000][..], &[3, 20_000, 5, 300_000, 4000, 60_000, 60_000, 60_000], &[100_000; 9]] {
        let pin = thread.pin();
        let (mut ours, mut theirs) = pair();
        let (mut text, mut written) = (Vec::new(), 0);
        let mut queue = WriteQueue::new(&mut text);
        let expected = queue_all(&mut queue, &pin, slabs, lens);
        let Ok(Flushed::Part(mut backlog)) = queue.flush_all(&ours, &mut written) else {
            panic!("a socket that is not read has room for half a megabyte")
        };
        assert!(queue.is_empty());
        assert!(!slabs.leases.is_empty());
        drop(pin);
        let (mut read, mut some) = (Vec::new(), [0; 3001]);
        while backlog.send(&mut ours, &mut TlsBuffers::default(), &mut written).unwrap() == Sent::Part {
            let n = theirs.read(&mut some).unwrap();
            read.extend_from_slice(&some[..n]);
        }
        drop((ours, backlog));
        theirs.read_to_end(&mut read).unwrap();
        assert_eq!(written, read.len() as u64);
        assert!(read == expected);
        assert_eq!(slabs.leases.len(), 0);
    }
}

#[test]
fn a_rollback_forgets_text_and_values() {
    let (slabs, epochs) = (slabs(), Arc::new(Epochs::new(1)));
    let mut thread = epochs.join();
    let pin = thread.pin();
    let mut text = Vec::new();
    let mut queue = WriteQueue::new(&mut text);
    queue.text().extend_from_slice(b"STORED\r\n");
    let mark = queue.mark();
    queue_all(&mut queue, &pin, slabs, &[3, 50_000]);
    queue.rollback(mark);
    let (ours, mut theirs) = pair();
    assert!(matches!(queue.flush_all(&ours, &mut 0), Ok(Flushed::All)));
    drop(ours);
    let mut read = Vec::new();
    theirs.read_to_end(&mut read).unwrap();
    assert_eq!(read, b"STORED\r\n");
}

#[test]
fn text_or_values_beyond_their_bound_fill_the_queue() {
    let (slabs, epochs) = (slabs(), Arc::new(Epochs::new(1)));
    let mut thread = epochs.join();
    let pin = thread.pin();
    let (mut text, large) = (Vec::new(), item(&pin, slabs, BORROWED_VALUE_MIN));
    let mut queue = WriteQueue::new(&mut text);
    queue.text().resize(TEXT_BYTES_MAX - 1, b'x');
    assert!(!queue.is_full());
    queue.text().push(b'x');
    assert!(queue.is_full());
    let mut other_text = Vec::new();
    let mut queue = WriteQueue::new(&mut other_text);
    let filling = (1..).find(|_| {
        queue.value(large);
        queue.is_full()
    });
    assert!(filling.is_some_and(|count| count <= VALUES_MAX));
}
