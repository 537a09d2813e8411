//! A frame with its header, and the VLAN tag that belongs into it.

/// `struct virtio_net_hdr` (include/uapi/linux/virtio_net.h) in front of each frame, in the order of bytes of this machine.
pub const HEADER: usize = 10;
/// A VLAN tag.
pub(super) const TAG: usize = 4;
/// The two addresses at the beginning of a frame, in front of a tag.
const ADDRESSES: usize = 12;

/// A frame that was made here, behind a header that asks for nothing.
pub fn outgoing(frame: &[u8]) -> Vec<u8> {
    [&[0; HEADER], frame].concat()
}

/// A tag as it lies in a frame.
pub(super) fn tag(protocol: u16, control: u16) -> [u8; TAG] {
    let ([a, b], [c, d]) = (protocol.to_be_bytes(), control.to_be_bytes());
    [a, b, c, d]
}

/// Puts a tag back behind the addresses. `bytes` has room for it, then the header, then the frame; afterwards the header lies
/// at its beginning. `false`: there is not even a whole pair of addresses.
pub(super) fn put_tag(bytes: &mut [u8], tag: [u8; TAG]) -> bool {
    let front = HEADER + ADDRESSES;
    if bytes.len() < TAG + front {
        return false;
    }
    bytes.copy_within(TAG..TAG + front, 0);
    if let Some(place) = bytes.get_mut(front..front + TAG) {
        place.copy_from_slice(&tag);
    }
    if let Some(header) = bytes.first_chunk_mut::<HEADER>() {
        shift(header);
    }
    true
}

/// What the header names lies by a tag further back now: the end of the headers, and where a checksum begins.
fn shift(header: &mut [u8; HEADER]) {
    const NEEDS_CHECKSUM: u8 = 1;
    let [flags, segments, l0, l1, _, _, c0, c1, ..] = *header;
    let moved = |low, high| u16::from_ne_bytes([low, high]).saturating_add(TAG as u16).to_ne_bytes();
    if segments != 0 {
        [header[2], header[3]] = moved(l0, l1);
    }
    if flags & NEEDS_CHECKSUM != 0 {
        [header[6], header[7]] = moved(c0, c1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_put_back_where_they_were() {
        let frame: Vec<u8> = (0..60).collect();
        // A checksum at 34 is still to be made, and there are segments behind headers of 54 bytes.
        let header = |end: u16, checksum: u16| {
            [[1, 1], end.to_ne_bytes(), 1400_u16.to_ne_bytes(), checksum.to_ne_bytes(), [16, 0]].concat()
        };
        let mut bytes = [&[0; TAG][..], &header(54, 34), &frame].concat();
        assert!(put_tag(&mut bytes, tag(0x88a8, 0x2042)));
        let expected = [&header(58, 38)[..], &frame[..12], &[0x88, 0xa8, 0x20, 0x42], &frame[12..]].concat();
        assert_eq!(bytes, expected);
    }

    #[test]
    fn a_header_that_asks_for_nothing_goes_on_doing_so() {
        let mut bytes = [&[0; TAG][..], &outgoing(&[7; 12])].concat();
        assert!(put_tag(&mut bytes, tag(0x8100, 5)));
        assert_eq!(bytes, [&outgoing(&[7; 12])[..], &[0x81, 0, 0, 5]].concat());
    }

    #[test]
    fn what_has_no_addresses_has_no_place_for_a_tag() {
        assert!(!put_tag(&mut [0; TAG + HEADER + 11], tag(0x8100, 5)));
    }
}
