//! Packet sockets (packet(7)): frames come in through memory that is shared with the kernel, and go out many per system call.
//!
//! The kernel puts each frame into a ring of slots, with what it knows beside the bytes: the VLAN tag that it took out, which
//! is put back where it was, and a header that says what is still to be done to the frame (checksums left to hardware,
//! segments that were put together). A frame that goes out again takes this header along, so a frame of many segments
//! crosses in one piece and is cut by the kernel or the card on its way out.

mod frame;
mod mapping;
mod ring;
#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

pub use frame::{HEADER, outgoing};
pub use ring::Ring;

/// Frames that are taken and sent in one go: with so many the cost of a system call is a small part of a frame's, and all
/// their headers fit into the first-level cache.
pub const BATCH: usize = 64;

/// A packet socket at one interface. It sends; what comes in, its [`Ring`] has.
#[derive(Debug)]
pub struct PacketSocket {
    socket: OwnedFd,
}

/// What became of frames that were to go out.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Sent {
    pub frames: usize,
    /// The interface had no room for them, or would not have them.
    pub lost: usize,
}

// include/uapi/linux/if_packet.h; the C library's crate has them not.
const PACKET_VNET_HDR: i32 = 15;

impl PacketSocket {
    /// A socket that sends by the interface of this index, with this much memory for frames that wait.
    ///
    /// # Errors
    ///
    /// Whatever the kernel says: no such interface, no permission (`CAP_NET_RAW`).
    pub fn open(index: u32, memory: usize) -> io::Result<Self> {
        let this = Self::new(memory)?;
        this.bind(index, 0)?;
        Ok(this)
    }

    /// A socket that is bound to no interface yet.
    fn new(memory: usize) -> io::Result<Self> {
        // Without a protocol nothing comes in before all is set; `bind` names it.
        // NEED: the standard library has no packet sockets.
        // SAFETY: `socket` takes numbers only; what it returns is a new descriptor that nobody else owns.
        #[expect(unsafe_code, reason = "see SAFETY")]
        let socket = unsafe {
            let socket = libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0);
            OwnedFd::from_raw_fd(checked(socket)?)
        };
        let this = Self { socket };
        let memory = i32::try_from(memory).unwrap_or(i32::MAX);
        // Beyond what others may have, as for root; without the right to do so, up to that.
        for (forced, limited) in [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)] {
            this.set(libc::SOL_SOCKET, forced, &memory).or_else(|_| this.set(libc::SOL_SOCKET, limited, &memory))?;
        }
        this.set(libc::SOL_PACKET, PACKET_VNET_HDR, &1_i32)?;
        Ok(this)
    }

    /// `protocol`: what comes in, as in `linux/if_ether.h`; 0: nothing.
    fn bind(&self, index: u32, protocol: u16) -> io::Result<()> {
        let address = libc::sockaddr_ll {
            sll_family: libc::AF_PACKET as u16,
            sll_protocol: protocol.to_be(),
            sll_ifindex: i32::try_from(index).map_err(io::Error::other)?,
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 0,
            sll_addr: [0; 8],
        };
        // NEED: addresses of packet sockets are beyond the standard library.
        // SAFETY: the pointer and the length are those of `address`, which outlives the call.
        #[expect(unsafe_code, reason = "see SAFETY")]
        let bound = unsafe {
            let address: *const libc::sockaddr_ll = &raw const address;
            libc::bind(self.socket.as_raw_fd(), address.cast(), size_of::<libc::sockaddr_ll>() as u32)
        };
        checked(bound).map(drop)
    }

    fn set<T: Copy>(&self, level: i32, option: i32, value: &T) -> io::Result<()> {
        // NEED: packet sockets have options that no safe wrapper knows.
        // SAFETY: the kernel reads `size_of::<T>()` bytes from `value`, which outlives the call.
        #[expect(unsafe_code, reason = "see SAFETY")]
        let set = unsafe {
            let value: *const T = value;
            libc::setsockopt(self.socket.as_raw_fd(), level, option, value.cast(), size_of::<T>() as u32)
        };
        checked(set).map(drop)
    }

    /// Sends frames, each behind its header: from a [`Ring`], or [made here](outgoing). At most [`BATCH`] of them are taken.
    /// One that the interface has no room for is lost, as on any full link: its sender repeats it.
    ///
    /// # Errors
    ///
    /// The interface is down or has gone.
    pub fn send<'f>(&self, frames: impl IntoIterator<Item = &'f [u8]>) -> io::Result<Sent> {
        let (mut frames, mut count) = (frames.into_iter(), 0);
        let mut parts: [libc::iovec; BATCH] = std::array::from_fn(|_| {
            let frame = frames.next().inspect(|_| count += 1).unwrap_or_default();
            // The kernel only reads what is sent; the type has no other pointer.
            libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() }
        });
        let mut parts = parts.iter_mut();
        let mut messages: [libc::mmsghdr; BATCH] =
            std::array::from_fn(|_| message(parts.next().map_or(std::ptr::null_mut(), std::ptr::from_mut)));
        let mut sent = Sent::default();
        while let Some(rest) = messages.get_mut(sent.frames + sent.lost..count).filter(|rest| !rest.is_empty()) {
            // NEED: no safe wrapper sends many messages without allocating for each.
            // SAFETY: `rest` are as many as we say; each of their pointers is one to a part above, and each part one to a
            // frame, which is borrowed through the call and only read.
            #[expect(unsafe_code, reason = "see SAFETY")]
            let taken = unsafe {
                let (first, count) = (rest.as_mut_ptr(), rest.len() as u32);
                libc::sendmmsg(self.socket.as_raw_fd(), first, count, libc::MSG_DONTWAIT)
            };
            match checked(taken).map_err(|error| (error.raw_os_error(), error)) {
                Ok(taken) => sent.frames += taken as usize,
                Err((Some(libc::EINTR), _)) => {}
                Err((Some(libc::ENETDOWN | libc::ENXIO | libc::ENODEV), error)) => return Err(error),
                // It is the first of the rest that was refused.
                Err(_) => sent.lost += 1,
            }
        }
        Ok(sent)
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A message of one part.
fn message(part: *mut libc::iovec) -> libc::mmsghdr {
    libc::mmsghdr {
        msg_hdr: libc::msghdr {
            msg_name: std::ptr::null_mut(),
            msg_namelen: 0,
            msg_iov: part,
            msg_iovlen: 1,
            msg_control: std::ptr::null_mut(),
            msg_controllen: 0,
            msg_flags: 0,
        },
        msg_len: 0,
    }
}

fn checked(answer: i32) -> io::Result<i32> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}
