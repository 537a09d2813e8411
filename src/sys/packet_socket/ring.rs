//! What comes in on an interface, in memory that is shared with the kernel.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt};

use super::frame::{HEADER, TAG, put_tag, tag};
use super::mapping::{BLOCK, Mapping, SLOT, WORD};
use super::{BATCH, PacketSocket};

/// Frames as they come in on an interface, up to [`BATCH`] at a time; not those that leave by it.
pub struct Ring {
    socket: PacketSocket,
    slots: Mapping,
    count: usize,
    /// The first of the slots that are taken.
    first: usize,
    /// How many are taken; the frames are as many.
    taken: usize,
    frames: [Extent; BATCH],
    /// Frames that no slot is long enough for.
    large: Vec<Box<[u8]>>,
    left_out: u64,
}

/// Where the header and the frame behind it lie.
#[derive(Clone, Copy, Debug, Default)]
struct Extent {
    /// In so many of the large ones; `None`: in its slot.
    large: Option<usize>,
    start: usize,
    end: usize,
}

/// Large frames of one batch at most: with 64 KiB each, half of a mebibyte.
const LARGE: usize = 8;
/// The longest frame: 64 KiB of IP behind Ethernet and two tags.
const FRAME: usize = 65_536 + 14 + 2 * TAG;

// include/uapi/linux/if_packet.h; the C library's crate has them not.
const PACKET_RX_RING: i32 = 5;
const PACKET_STATISTICS: i32 = 6;
const PACKET_COPY_THRESH: i32 = 7;
const PACKET_VERSION: i32 = 10;
const PACKET_IGNORE_OUTGOING: i32 = 23;
const TPACKET_V2: i32 = 1;
const STATUS_COPY: u32 = 1 << 1;
const STATUS_VLAN_VALID: u32 = 1 << 4;
const STATUS_VLAN_TPID_VALID: u32 = 1 << 6;
/// The type of a tag where the kernel does not say (IEEE 802.1Q).
const DOT1Q: u16 = 0x8100;

/// `struct tpacket2_hdr` behind its status: what is told of a frame.
struct Told {
    length: usize,
    here: usize,
    /// Where the frame begins, from the beginning of the slot.
    at: usize,
    tag: Option<[u8; TAG]>,
}

impl Told {
    fn read(status: u32, slot: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u32::from_ne_bytes(slot.get(at - WORD..at)?.try_into().ok()?));
        let half = |at: usize| Some(u16::from_ne_bytes(slot.get(at - WORD..at - WORD + 2)?.try_into().ok()?));
        let protocol = if status & STATUS_VLAN_TPID_VALID != 0 { half(26)? } else { DOT1Q };
        let tag = if status & STATUS_VLAN_VALID != 0 { Some(tag(protocol, half(24)?)) } else { None };
        Some(Self { length: word(4)? as usize, here: word(8)? as usize, at: usize::from(half(12)?), tag })
    }
}

impl Ring {
    /// All frames that come in on the interface of this index, with this much memory for those that wait.
    ///
    /// # Errors
    ///
    /// Whatever the kernel says: no such interface, no permission (`CAP_NET_RAW`), no memory.
    pub fn open(index: u32, memory: usize) -> io::Result<Self> {
        let socket = PacketSocket::new(memory)?;
        let blocks = (memory / BLOCK).max(1);
        let count = Mapping::slots_of(blocks);
        socket.set(libc::SOL_PACKET, PACKET_IGNORE_OUTGOING, &1_i32)?;
        socket.set(libc::SOL_PACKET, PACKET_VERSION, &TPACKET_V2)?;
        // A frame that is longer than its slot is to be had from the socket as well.
        socket.set(libc::SOL_PACKET, PACKET_COPY_THRESH, &1_i32)?;
        // `struct tpacket_req`: size and number of blocks, size and number of slots.
        let wanted = [BLOCK, blocks, SLOT, count].map(|number| number as u32);
        socket.set(libc::SOL_PACKET, PACKET_RX_RING, &wanted)?;
        let slots = Mapping::new(socket.as_fd(), blocks)?;
        socket.bind(index, libc::ETH_P_ALL as u16)?;
        let frames = [Extent::default(); BATCH];
        Ok(Self { socket, slots, count, first: 0, taken: 0, frames, large: Vec::new(), left_out: 0 })
    }

    /// Where frames go out by the same interface.
    pub fn socket(&self) -> &PacketSocket {
        &self.socket
    }

    /// How many frames the last [`receive`](Self::receive) took.
    pub fn len(&self) -> usize {
        self.taken
    }

    pub fn is_empty(&self) -> bool {
        self.taken == 0
    }

    /// Gives back the frames of the last call, waits for one at most as long as `patience`, and takes all that are there, up
    /// to [`BATCH`]. There are none when time was over.
    ///
    /// # Errors
    ///
    /// Whatever the kernel says; `ENETDOWN` when the interface goes down or away.
    pub fn receive(&mut self, patience: Duration) -> io::Result<()> {
        self.give_back();
        if self.slots.status(self.first).is_none() {
            self.wait(patience)?;
        }
        let mut large = 0;
        while self.taken < BATCH
            && let slot = (self.first + self.taken) % self.count
            && let Some(status) = self.slots.status(slot)
        {
            if status & STATUS_COPY != 0 {
                if large == LARGE {
                    break;
                }
                large += 1;
            }
            let extent = self.take(slot, status, large);
            if let Some(place) = self.frames.get_mut(self.taken) {
                *place = extent;
            }
            self.taken += 1;
        }
        Ok(())
    }

    fn give_back(&mut self) {
        for place in 0..self.taken {
            self.slots.release((self.first + place) % self.count);
        }
        self.first = (self.first + self.taken) % self.count;
        self.taken = 0;
    }

    fn wait(&self, patience: Duration) -> io::Result<()> {
        let patience = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
        let mut awaited = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        match poll(&mut awaited, patience) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [answer] = awaited;
        if answer.revents().is_some_and(|events| events.contains(PollFlags::POLLERR)) {
            let error = getsockopt(&self.socket, sockopt::SocketError)?;
            return Err(io::Error::from_raw_os_error(if error == 0 { libc::ENETDOWN } else { error }));
        }
        Ok(())
    }

    /// Takes the frame of a slot that is ours; an empty extent when there is no whole one. `large` is how many large ones
    /// there are, this one among them.
    fn take(&mut self, slot: usize, status: u32, large: usize) -> Extent {
        let told = Told::read(status, self.slots.slot(slot));
        let extent = told.and_then(|told| {
            if status & STATUS_COPY != 0 { self.take_large(large - 1, told.tag) } else { self.take_small(slot, &told) }
        });
        if extent.is_none() {
            self.left_out += 1;
        }
        extent.unwrap_or_default()
    }

    fn take_small(&mut self, slot: usize, told: &Told) -> Option<Extent> {
        let bytes = self.slots.slot_mut(slot);
        let (start, end) = (told.at.checked_sub(HEADER + WORD)?, told.at - WORD + told.here);
        // A frame that is not whole found no room in the socket for its copy.
        (told.here == told.length && end <= bytes.len() && start >= TAG).then_some(())?;
        let Some(tag) = told.tag else { return Some(Extent { large: None, start, end }) };
        let start = start - TAG;
        put_tag(bytes.get_mut(start..end)?, tag).then_some(Extent { large: None, start, end })
    }

    /// Takes the copy of a frame that was too long for its slot.
    fn take_large(&mut self, number: usize, tag: Option<[u8; TAG]>) -> Option<Extent> {
        if self.large.len() <= number {
            self.large.push(vec![0; TAG + HEADER + FRAME].into_boxed_slice());
        }
        let memory = self.large.get_mut(number)?;
        let place = memory.get_mut(TAG..)?;
        // NEED: with MSG_TRUNC the kernel tells a frame's length even where it has no room, which no safe wrapper tells.
        // SAFETY: the pointer and the length are those of `place`, which is borrowed through the call.
        #[expect(unsafe_code, reason = "see SAFETY")]
        let length = unsafe {
            let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
            libc::recv(self.socket.socket.as_raw_fd(), place.as_mut_ptr().cast(), place.len(), flags)
        };
        let (start, end) = (TAG, TAG + usize::try_from(length).ok()?);
        (end <= memory.len()).then_some(())?;
        let Some(tag) = tag else { return Some(Extent { large: Some(number), start, end }) };
        put_tag(memory.get_mut(..end)?, tag).then_some(Extent { large: Some(number), start: 0, end })
    }

    /// A frame from its Ethernet header on; empty when there was no whole one.
    pub fn frame(&mut self, place: usize) -> &mut [u8] {
        let Some(extent) = self.extent(place) else { return &mut [] };
        self.memory(place, extent).get_mut(extent.start + HEADER..extent.end).unwrap_or_default()
    }

    fn memory(&mut self, place: usize, extent: Extent) -> &mut [u8] {
        match extent.large {
            Some(number) => self.large.get_mut(number).map(|memory| &mut **memory).unwrap_or_default(),
            None => self.slots.slot_mut((self.first + place) % self.count),
        }
    }

    /// The frame was made anew and has this length: what the kernel said of the one that came no longer holds.
    pub fn renew(&mut self, place: usize, length: usize) {
        let Some(extent) = self.extent(place) else { return };
        let (start, behind) = (extent.start, extent.start + HEADER);
        if let Some(header) = self.memory(place, extent).get_mut(start..behind) {
            header.fill(0);
        }
        if let Some(extent) = self.frames.get_mut(place) {
            extent.end = extent.end.min(behind + length);
        }
    }

    /// A frame behind its header, to be [sent](PacketSocket::send); empty when there was no whole one.
    pub fn outgoing(&self, place: usize) -> &[u8] {
        let Some(Extent { large, start, end }) = self.extent(place) else { return &[] };
        let memory = match large {
            Some(number) => self.large.get(number).map(|memory| &**memory).unwrap_or_default(),
            None => self.slots.slot((self.first + place) % self.count),
        };
        memory.get(start..end).unwrap_or_default()
    }

    fn extent(&self, place: usize) -> Option<Extent> {
        self.frames.get(..self.taken)?.get(place).copied().filter(|extent| extent.end > 0)
    }

    /// Frames that were lost since the last call: the ring was full, or there was no whole one to be had.
    pub fn take_lost(&mut self) -> u64 {
        // `struct tpacket_stats`: packets and drops, set back when they are read.
        let mut counted = [0_u32; 2];
        let mut length = size_of_val(&counted) as u32;
        // NEED: packet sockets have options that no safe wrapper knows.
        // SAFETY: the kernel writes at most `length` bytes into `counted`, which is so long and outlives the call.
        #[expect(unsafe_code, reason = "see SAFETY")]
        let asked = unsafe {
            let (file, into) = (self.socket.socket.as_raw_fd(), counted.as_mut_ptr().cast());
            libc::getsockopt(file, libc::SOL_PACKET, PACKET_STATISTICS, into, &raw mut length)
        };
        let [_, drops] = counted;
        let drops = if asked == 0 { u64::from(drops) } else { 0 };
        drops + std::mem::take(&mut self.left_out)
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").field("socket", &self.socket).field("taken", &self.taken).finish_non_exhaustive()
    }
}
