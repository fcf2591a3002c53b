//! io_uring, where the kernel has it and lets us: it receives by itself from the sockets that it was given, into buffers that all of
//! them share, and sends what it is told to with the next call. Of many connections with small messages each costs no system call of its own.

#![expect(
    unsafe_code,
    reason = "the kernel is told addresses, and of descriptors that outlive what it does with them"
)]

use io_uring::types::{BufRingEntry, Fd, SubmitArgs};
use io_uring::{EnterFlags, IoUring, cqueue, opcode, squeue};
use rustix::event::PollFlags;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{RecvFlags, SendFlags};
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

/// The names of what is no end of a pair: there are not so many descriptors that one had such a name.
const EPOLL: u64 = u64::MAX;
const NOBODY: u64 = u64::MAX - 1;
const SENDS: u64 = (u32::MAX as u64) << 32;

/// All of it is to be taken, or it failed.
const WHOLE: SendFlags = SendFlags::from_bits_retain(RecvFlags::WAITALL.bits());

/// One thread's.
pub(super) struct Ring {
    uring: IoUring,
    buffers: Buffers,
    /// What is to be sent, or was and is not told of yet.
    sends: Vec<Sending>,
    /// What the kernel said and nobody was told yet.
    heard: Vec<cqueue::Entry>,
    /// Receives that have not ended.
    receives: usize,
    /// Something waits for what is being sent.
    hurries: bool,
    watches_epoll: bool,
    flags: EnterFlags,
}

/// Bytes on their way.
struct Sending {
    name: u64,
    what: Full,
    /// Where they were not taken whole: how many were, or why none.
    failure: Option<Result<usize, Errno>>,
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
            .setup_submit_all()
            .setup_cqsize(COMPLETIONS)
            .build(SUBMISSIONS)?;
        let buffers = Buffers::register(&uring)?;
        // A thread that waits for its clients waits for no disk. Kernels before 6.15 count it so.
        let can_tell = uring.params().is_feature_no_iowait();
        let flags = if can_tell { EnterFlags::NO_IOWAIT } else { EnterFlags::empty() };
        let (sends, heard) = (Vec::new(), Vec::new());
        Ok(Self { uring, buffers, sends, heard, receives: 0, hurries: false, watches_epoll: false, flags })
    }

    /// Whether it is to be waited for.
    pub(super) fn is_in_use(&self) -> bool {
        self.receives > 0 || !self.sends.is_empty() || !self.heard.is_empty()
    }

    /// Has the kernel receive from this socket, until it says that it ended. It has begun when this returns.
    pub(super) fn receive(&mut self, socket: &impl AsRawFd, name: u64) {
        self.receives += 1;
        self.push(&opcode::RecvMulti::new(Fd(socket.as_raw_fd()), GROUP).build().user_data(name));
        self.submit();
    }

    /// Has an end receive no more, which it says.
    pub(super) fn cancel(&mut self, name: u64) {
        self.push(&opcode::AsyncCancel::new(name).build().user_data(NOBODY));
    }

    /// Has the kernel send what was received, with the next call. The socket is to be open until then: see [`Self::submit`].
    ///
    /// It is done at once or not at all (`MSG_DONTWAIT`), and only what is not taken whole is said (`MSG_WAITALL` has less be a failure): of the
    /// others nothing is heard, so that there is something to wait for where one is not.
    pub(super) fn send(&mut self, socket: &impl AsRawFd, name: u64, what: Full) {
        let (bytes, length) = self.buffers.get(&what);
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT | WHOLE;
        let send = opcode::Send::new(Fd(socket.as_raw_fd()), bytes, length).flags(flags.bits().cast_signed());
        let send = send.build().flags(squeue::Flags::SKIP_SUCCESS).user_data(SENDS | u64::from(what.id));
        self.sends.push(Sending { name, what, failure: None });
        self.push(&send);
    }

    /// Somebody waits for what is being sent: nothing else is waited for before.
    pub(super) fn hurry(&mut self) {
        self.hurries = true;
    }

    /// What was asked for has begun when this returns, and what was to be sent was.
    pub(super) fn submit(&mut self) {
        if !self.uring.submission().is_empty() {
            self.enter(0);
        }
    }

    /// The bytes of a buffer.
    pub(super) fn bytes(&self, what: &Full) -> &[u8] {
        self.buffers.bytes(what)
    }

    pub(super) fn give_back(&mut self, what: Full) {
        self.buffers.offer(what.id);
    }

    /// Until the kernel says something, or not at all. What was sent is said first, before what came since.
    pub(super) fn wait(&mut self, epoll: &OwnedFd, at_once: bool, said: &mut Vec<Said>) {
        if !std::mem::replace(&mut self.watches_epoll, true) {
            let poll = opcode::PollAdd::new(Fd(epoll.as_raw_fd()), PollFlags::IN.bits().into());
            self.push(&poll.build().user_data(EPOLL));
        }
        let hurries = std::mem::take(&mut self.hurries) || at_once || !self.heard.is_empty();
        self.enter(usize::from(!hurries));
        let mut heard = std::mem::take(&mut self.heard);
        for failure in heard.iter().filter(|one| is_of_a_send(one)) {
            self.fails(failure.user_data() as u16, result(failure));
        }
        said.extend(self.sends.drain(..).map(|Sending { name, what, failure }| {
            let taken = failure.unwrap_or(Ok(what.bytes));
            Said::Sent { name, what, taken }
        }));
        let others = heard.drain(..).filter(|one| !is_of_a_send(one));
        said.extend(others.filter_map(|one| self.tell(&one)));
        // Its room is used again.
        self.heard = heard;
    }

    fn fails(&mut self, id: u16, how: Result<usize, Errno>) {
        for sending in self.sends.iter_mut().filter(|sending| sending.what.id == id) {
            sending.failure = Some(how);
        }
    }

    fn tell(&mut self, completion: &cqueue::Entry) -> Option<Said> {
        let (name, flags) = (completion.user_data(), completion.flags());
        match name {
            NOBODY => return None,
            EPOLL => {
                self.watches_epoll = false;
                return Some(Said::Epoll);
            }
            _ => {}
        }
        let is_last = !cqueue::more(flags);
        self.receives -= usize::from(is_last);
        Some(match (result(completion), cqueue::buffer_select(flags)) {
            (Ok(bytes @ 1..), Some(id)) => Said::Received { name, what: Full { id, bytes }, is_last },
            (how, taken) => {
                taken.into_iter().for_each(|id| self.buffers.offer(id));
                Said::Ended { name, how: how.map(drop) }
            }
        })
    }

    fn push(&mut self, entry: &squeue::Entry) {
        // SAFETY: what an entry points to is of `Buffers`, which stay for good, and its descriptor is open until it was submitted.
        while unsafe { self.uring.submission().push(entry) }.is_err() {
            self.submit();
        }
    }

    /// Until all that was asked for has begun, and all that was said is heard. Where there is no memory for it just now, it is asked for again.
    fn enter(&mut self, mut want: usize) {
        loop {
            let entered = retry_on_intr(|| {
                let entered =
                    self.uring.submitter().submit_with_args_and_flags(want, &SubmitArgs::new(), self.flags);
                entered.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
            });
            match entered {
                Ok(_) | Err(Errno::BUSY | Errno::AGAIN) => {}
                Err(error) => panic!("a ring of ours can be waited for: {error}"),
            }
            let completion = self.uring.completion();
            assert_eq!(completion.overflow(), 0, "the kernel kept what there was no place for");
            self.heard.extend(completion);
            let submission = self.uring.submission();
            if submission.is_empty() && !submission.cq_overflow() {
                return;
            }
            want = 0;
        }
    }
}

fn is_of_a_send(completion: &cqueue::Entry) -> bool {
    (SENDS..NOBODY).contains(&completion.user_data())
}

fn result(completion: &cqueue::Entry) -> Result<usize, Errno> {
    let result = completion.result();
    usize::try_from(result).map_err(|_| Errno::from_raw_os_error(-result))
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
        let entries = zeroed_pages(usize::from(BUFFERS) * size_of::<BufRingEntry>()).cast();
        // A page of it comes into being when it is first written to.
        let bytes = NonNull::from(Box::leak(vec![0; usize::from(BUFFERS) * SIZE].into_boxed_slice())).cast();
        let address = NonNull::<BufRingEntry>::as_ptr(entries).expose_provenance() as u64;
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

fn zeroed_pages(bytes: usize) -> NonNull<u8> {
    let layout = Layout::from_size_align(bytes, rustix::param::page_size()).expect("it is small");
    // SAFETY: it is not of size zero.
    NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
}
