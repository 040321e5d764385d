//! Block devices, `/proc/diskstats`, and network interfaces, `/proc/net/dev`.

use super::{fields, lines, number};

/// Totals of one block device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Disk<'a> {
    pub(crate) name: &'a [u8],
    /// Sectors read. A sector is 512 bytes here, whatever the device's own block size is.
    pub(crate) read_sectors: u64,
    /// Sectors written.
    pub(crate) written_sectors: u64,
    /// Milliseconds with at least one request under way.
    pub(crate) busy_ms: u64,
}

/// The devices of `/proc/diskstats`, partitions included; damaged lines are left out.
pub(crate) fn disks(text: &[u8]) -> impl Iterator<Item = Disk<'_>> {
    lines(text).filter_map(|line| {
        // major minor name reads merged sectors ms writes merged sectors ms in-flight ms …
        let mut words = fields(line).skip(2);
        let name = words.next()?;
        let read_sectors = number(words.nth(2)?)?;
        let written_sectors = number(words.nth(3)?)?;
        let busy_ms = number(words.nth(2)?)?;
        Some(Disk {
            name,
            read_sectors,
            written_sectors,
            busy_ms,
        })
    })
}

/// Totals of one network interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interface<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) received: u64,
    pub(crate) sent: u64,
    /// Packets with errors, both ways.
    pub(crate) errors: u64,
    /// Packets dropped, both ways.
    pub(crate) dropped: u64,
}

/// The interfaces of `/proc/net/dev`; the two heading lines and damaged lines are left out.
pub(crate) fn interfaces(text: &[u8]) -> impl Iterator<Item = Interface<'_>> {
    lines(text).filter_map(|line| {
        // Names may hold a colon (`eth0:1`), the numbers never do.
        let colon = line.iter().rposition(|b| *b == b':')?;
        let (name, rest) = (line[..colon].trim_ascii(), &line[colon + 1..]);
        // Large byte counts may touch the colon. Received: bytes packets errs drop fifo frame
        // compressed multicast; sent: bytes packets errs drop …
        let mut words = fields(rest).map(number);
        let received = words.next()??;
        let receive_errors = words.nth(1)??;
        let receive_drops = words.next()??;
        let sent = words.nth(4)??;
        let send_errors = words.nth(1)??;
        let send_drops = words.next()??;
        Some(Interface {
            name,
            received,
            sent,
            errors: receive_errors.checked_add(send_errors)?,
            dropped: receive_drops.checked_add(send_drops)?,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn real_diskstats() {
        let text = b"   7       0 loop0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n \
            254       0 vda 6976 3929 3295250 17924 984 6994 628832 2191 0 6928 20549 3277 32 47368 432 26 1\n \
            259       1 nvme0n1p1 12 0 96 3 0 0 0 0 0 4 3\n   8 0 sda 1 2\n";
        let all: Vec<_> = disks(text).collect();
        assert_eq!(all.len(), 3);
        assert_eq!(
            all[1],
            Disk {
                name: b"vda",
                read_sectors: 3_295_250,
                written_sectors: 628_832,
                busy_ms: 6928
            }
        );
        assert_eq!((all[2].name, all[2].busy_ms), (&b"nvme0n1p1"[..], 4));
    }

    #[test]
    fn real_net_dev() {
        let text = b"Inter-|   Receive                                                |  Transmit\n \
            face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n    \
            lo:    3193      29    0    0    0     0          0         0     3193      29    0    0    0     0       0          0\n  \
            eth0:23396432     886    1    2    0     0          0         0    69311     664    3    4    0     0       0          0\n";
        let all: Vec<_> = interfaces(text).collect();
        assert_eq!(all.len(), 2);
        assert_eq!(
            all[1],
            Interface {
                name: b"eth0",
                received: 23_396_432,
                sent: 69_311,
                errors: 4,
                dropped: 6
            }
        );
    }

    proptest! {
        #[test]
        fn disks_round_trip(name in "[a-z0-9]{1,12}", v in prop::array::uniform11(any::<u64>())) {
            let numbers: Vec<String> = v.iter().map(u64::to_string).collect();
            let line = format!(" 8 0 {name} {}\n", numbers.join(" "));
            prop_assert_eq!(
                disks(line.as_bytes()).next(),
                Some(Disk { name: name.as_bytes(), read_sectors: v[2], written_sectors: v[6], busy_ms: v[9] })
            );
        }

        #[test]
        fn interfaces_round_trip(name in "[a-z0-9:.]{1,15}", v in prop::array::uniform16(0u64..1 << 62)) {
            let numbers: Vec<String> = v.iter().map(u64::to_string).collect();
            let line = format!("  {name}: {}\n", numbers.join(" "));
            let parsed = interfaces(line.as_bytes()).next().unwrap();
            prop_assert_eq!(parsed.name, name.as_bytes());
            prop_assert_eq!((parsed.received, parsed.sent), (v[0], v[8]));
            prop_assert_eq!((parsed.errors, parsed.dropped), (v[2] + v[10], v[3] + v[11]));
        }

        #[test]
        fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "([a-z]{0,4}:?( [0-9]{0,22}){0,20}\n?){0,4}") {
            disks(&bytes).count();
            interfaces(&bytes).count();
            disks(text.as_bytes()).count();
            interfaces(text.as_bytes()).count();
        }
    }
}
