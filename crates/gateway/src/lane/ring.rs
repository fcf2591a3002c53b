//! io_uring, where the kernel has it and lets us: it receives by itself from the sockets that it was given, into buffers that all of
//! them share, and sends what it is told to with the next call. Of many connections with small messages each costs no system call of its own.

#![expect(
    unsafe_code,
    reason = "the kernel is told addresses, and of descriptors that outlive what it does with them"
)]

use io_uring::types::{BufRingEntry, Fd};
use io_uring::{IoUring, cqueue, opcode, squeue};
use rustix::event::PollFlags;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::SendFlags;
use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

/// What the kernel is told with one call.
const SUBMISSIONS: u32 = 256;
/// What it may say before it is heard: more is kept for later, at some cost.
const COMPLETIONS: u32 = 2048;
/// Buffers, a power of two. Where all are full, whoever receives next is told so.
const BUFFERS: u16 = 256;
/// Of one.
pub(super) const SIZE: usize = 8 * 1024;
const GROUP: u16 = 0;
const PAGE: usize = 4096;

/// The names of what is no end of a pair: there are not so many descriptors that one had such a name.
const EPOLL: u64 = u64::MAX;
const NOBODY: u64 = u64::MAX - 1;
const SENDS: u64 = (u32::MAX as u64) << 32;

/// One thread's.
pub(super) struct Ring {
    uring: IoUring,
    buffers: Buffers,
    /// Whose bytes each buffer holds that are being sent, and how many.
    sent: Box<[(u64, u32)]>,
    /// What has been asked for and will be answered with the next call.
    prompt: usize,
    /// Receives that have not ended.
    receives: usize,
    watches_epoll: bool,
}

/// A buffer with what was received.
#[derive(Debug)]
pub(super) struct Full {
    id: u16,
    bytes: usize,
}

/// What the kernel says.
#[derive(Debug)]
pub(super) enum Said {
    /// The epoll has something to say.
    Epoll,
    /// By this end. It receives on unless this is the last.
    Received { name: u64, what: Full, is_last: bool },
    /// This end receives no more: it has ended, or there was no buffer, or it was told to, or it is broken.
    Ended { name: u64, how: Result<(), Errno> },
    /// To this end: so many bytes of the buffer.
    Sent { name: u64, what: Full, taken: Result<usize, Errno> },
}

impl Ring {
    /// An error where the kernel has none, or too old a one (before 6.1), or does not let us.
    pub(super) fn new() -> io::Result<Self> {
        let uring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_cqsize(COMPLETIONS)
            .build(SUBMISSIONS)?;
        uring.submitter().register_ring_fd()?;
        let buffers = Buffers::register(&uring)?;
        let sent = vec![(0, 0); BUFFERS.into()].into_boxed_slice();
        Ok(Self { uring, buffers, sent, prompt: 0, receives: 0, watches_epoll: false })
    }

    /// Whether it is to be waited for.
    pub(super) fn is_in_use(&self) -> bool {
        self.receives > 0 || self.prompt > 0
    }

    /// Has the kernel receive from this socket, until it says that it ended. The socket is open when this returns.
    pub(super) fn receive(&mut self, socket: &impl AsRawFd, name: u64) {
        self.receives += 1;
        self.push(&opcode::RecvMulti::new(Fd(socket.as_raw_fd()), GROUP).build().user_data(name));
        self.submit();
    }

    /// Has an end receive no more, which it says.
    pub(super) fn cancel(&mut self, name: u64) {
        self.prompt += 1;
        self.push(&opcode::AsyncCancel::new(name).build().user_data(NOBODY));
    }

    /// Has the kernel send what was received, with the next call. The socket is to be open until then: see [`Self::submit`].
    pub(super) fn send(&mut self, socket: &impl AsRawFd, name: u64, what: Full) {
        let (bytes, length) = self.buffers.get(&what);
        let flags = (SendFlags::NOSIGNAL | SendFlags::DONTWAIT).bits().cast_signed();
        let send = opcode::Send::new(Fd(socket.as_raw_fd()), bytes, length).flags(flags);
        self.sent[usize::from(what.id)] = (name, length);
        self.prompt += 1;
        self.push(&send.build().user_data(SENDS | u64::from(what.id)));
    }

    /// What was asked for is under way when this returns.
    pub(super) fn submit(&mut self) {
        self.enter(0);
    }

    /// The bytes of a buffer.
    pub(super) fn bytes(&self, what: &Full) -> &[u8] {
        self.buffers.bytes(what)
    }

    pub(super) fn give_back(&mut self, what: Full) {
        self.buffers.offer(what.id);
    }

    /// Until the kernel says something, or not at all.
    pub(super) fn wait(&mut self, epoll: &OwnedFd, at_once: bool, said: &mut Vec<Said>) {
        if !std::mem::replace(&mut self.watches_epoll, true) {
            let poll = opcode::PollAdd::new(Fd(epoll.as_raw_fd()), PollFlags::IN.bits().into());
            self.push(&poll.build().user_data(EPOLL));
        }
        let want = std::mem::take(&mut self.prompt) + usize::from(!at_once);
        self.enter(want);
        let Self { uring, buffers, sent, receives, watches_epoll, .. } = self;
        for completion in uring.completion() {
            let (name, result) = (completion.user_data(), completion.result());
            let how = usize::try_from(result).map_err(|_| Errno::from_raw_os_error(-result));
            match name {
                NOBODY => {}
                EPOLL => {
                    *watches_epoll = false;
                    said.push(Said::Epoll);
                }
                SENDS.. => {
                    let id = name as u16;
                    let (name, bytes) = sent[usize::from(id)];
                    said.push(Said::Sent { name, what: Full { id, bytes: bytes as usize }, taken: how });
                }
                _ => {
                    let is_last = !cqueue::more(completion.flags());
                    *receives -= usize::from(is_last);
                    said.push(match (how, cqueue::buffer_select(completion.flags())) {
                        (Ok(bytes @ 1..), Some(id)) => {
                            Said::Received { name, what: Full { id, bytes }, is_last }
                        }
                        (how, taken) => {
                            if let Some(id) = taken {
                                buffers.offer(id)
                            }
                            Said::Ended { name, how: how.map(drop) }
                        }
                    });
                }
            }
        }
    }

    fn push(&mut self, entry: &squeue::Entry) {
        // SAFETY: what an entry points to is of `Buffers`, which stay for good, and its descriptor is open until it was submitted.
        while unsafe { self.uring.submission().push(entry) }.is_err() {
            self.submit();
        }
    }

    fn enter(&mut self, want: usize) {
        let entered = retry_on_intr(|| {
            let entered = self.uring.submit_and_wait(want);
            entered.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
        });
        match entered {
            // Too much was said already: it is heard first.
            Ok(_) | Err(Errno::BUSY) => {}
            Err(error) => panic!("a ring of ours can be waited for: {error}"),
        }
    }
}

/// Shared with the kernel, and never freed: it may write to one until the process has ended, and a lane lasts as long.
struct Buffers {
    entries: NonNull<BufRingEntry>,
    bytes: NonNull<u8>,
    tail: u16,
}

// SAFETY: nobody else of ours has the memory.
unsafe impl Send for Buffers {}

impl Buffers {
    fn register(uring: &IoUring) -> io::Result<Self> {
        let entries: NonNull<BufRingEntry> = zeroed(usize::from(BUFFERS) * size_of::<BufRingEntry>()).cast();
        let bytes = zeroed(usize::from(BUFFERS) * SIZE);
        let address = entries.as_ptr().expose_provenance() as u64;
        // SAFETY: it is aligned, as long as it is said to be, and never freed.
        unsafe { uring.submitter().register_buf_ring_with_flags(address, BUFFERS, GROUP, 0) }?;
        let mut buffers = Self { entries, bytes, tail: 0 };
        (0..BUFFERS).for_each(|id| buffers.offer(id));
        Ok(buffers)
    }

    /// The kernel may fill it.
    fn offer(&mut self, id: u16) {
        let address = self.at(id).as_ptr().expose_provenance() as u64;
        // SAFETY: within the ring. The kernel reads an entry once the tail is behind it, and writes none.
        let entry = unsafe { self.entries.add(usize::from(self.tail % BUFFERS)).as_mut() };
        entry.set_addr(address);
        entry.set_len(SIZE as u32);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the tail lies in the ring's first entry, where no other field is, and is read by the kernel alone.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.entries.as_ptr()).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }

    fn bytes(&self, what: &Full) -> &[u8] {
        // SAFETY: within the buffer, which the kernel has filled and does not touch before it is offered again.
        unsafe { NonNull::slice_from_raw_parts(self.at(what.id), what.bytes).as_ref() }
    }

    fn get(&self, what: &Full) -> (*const u8, u32) {
        (self.at(what.id).as_ptr(), what.bytes as u32)
    }

    fn at(&self, id: u16) -> NonNull<u8> {
        // SAFETY: there are so many.
        unsafe { self.bytes.add(usize::from(id) * SIZE) }
    }
}

/// A page of it comes into being when it is first written to.
fn zeroed(bytes: usize) -> NonNull<u8> {
    let layout = Layout::from_size_align(bytes, PAGE).expect("it is small");
    // SAFETY: it is not of size zero.
    NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
}
