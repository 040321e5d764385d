//! The meeting of the ranks.
//!
//! Rank 0 listens where the plan says; every other rank opens a port of its own, calls rank 0 and
//! tells that port. When all are there, rank 0 tells each of them where every other can be called:
//! at the address from which it came.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::control::Control;
use super::dial::{WELCOME, call_master, prepare};
use super::error::{How, NetError, Verdict};
use super::frame::{Frame, Frames, Kind};
use super::hello::{Hello, Purpose};
use super::listener::Listener;
use super::mesh::Names;
use crate::driver::Cluster;

/// Bytes of a rank's entry in the table: address and port.
const ENTRY: usize = 18;

/// What a rank has after the meeting: its port, the conversation, where each rank can be called.
pub(super) type Met = (Listener, Control, Vec<SocketAddr>);

fn started(control: io::Result<Control>) -> Result<Control, NetError> {
    control.map_err(|source| NetError::System {
        action: "a thread for the conversation with the other ranks cannot be started",
        source,
    })
}

/// Rank 0: waits for all others and tells each where to call the rest.
pub(super) fn receive_all(
    cluster: &Cluster,
    names: &Names,
    token: &[u8],
    patience: Duration,
) -> Result<Met, NetError> {
    let mut listener = Listener::open(cluster.port, patience)?;
    let mut joined = BTreeMap::new();
    let welcomed = welcome_all(cluster, names, token, patience, &mut listener, &mut joined);
    if let Err(error) = welcomed {
        tell(joined.into_values().map(|(stream, _)| stream), &error);
        return Err(error);
    }
    let mut addresses = vec![SocketAddr::new(
        Ipv6Addr::UNSPECIFIED.into(),
        listener.port(),
    )];
    addresses.extend(joined.values().map(|(_, address)| *address));
    let table = Frame {
        kind: Kind::Table,
        body: encode_table(&addresses),
    };
    let table = table.encode();
    let mut peers = Vec::new();
    for (rank, (mut stream, _)) in joined {
        stream.write_all(&table).map_err(|error| {
            Verdict::of(rank, &error, patience.as_secs()).error(names.who(rank), "the meeting")
        })?;
        peers.push((rank, stream, Frames::default()));
    }
    let control = started(Control::start(0, peers))?;
    Ok((listener, control, addresses))
}

/// The ranks that have joined, each with where it can be called.
type Joined = BTreeMap<u32, (TcpStream, SocketAddr)>;

fn welcome_all(
    cluster: &Cluster,
    names: &Names,
    token: &[u8],
    patience: Duration,
    listener: &mut Listener,
    joined: &mut Joined,
) -> Result<(), NetError> {
    let until = Instant::now() + patience;
    while joined.len() + 1 < cluster.world as usize {
        let Some(mut caller) = listener.next(until)? else {
            let missing = (1..cluster.world).filter(|rank| !joined.contains_key(rank));
            return Err(missing_error(missing, names, cluster.port, patience));
        };
        let hello = &caller.hello;
        let Purpose::Join { port } = hello.purpose else {
            continue;
        };
        if hello.token != token {
            continue;
        }
        let welcomed =
            prepare(&caller.stream, patience).and_then(|()| caller.stream.write_all(&WELCOME));
        if hello.world != cluster.world || hello.rank == 0 || hello.rank >= cluster.world {
            let error = NetError::Protocol {
                who: format!("rank {}", hello.rank),
                stage: "the meeting".to_owned(),
                problem: format!(
                    "it counts itself as one of {} ranks; expected a rank from 1 to {}, of {}",
                    hello.world,
                    cluster.world - 1,
                    cluster.world
                ),
            };
            tell([caller.stream], &error);
            return Err(error);
        }
        if welcomed.is_ok() {
            // A rank that calls again has given up its earlier call.
            let address = SocketAddr::new(caller.address, port);
            joined.insert(hello.rank, (caller.stream, address));
        }
    }
    Ok(())
}

/// Tells these ranks why there is no meeting.
fn tell(streams: impl IntoIterator<Item = TcpStream>, error: &NetError) {
    let frame = Frame {
        kind: Kind::Blame,
        body: Verdict::new(0, How::Said(error.to_string())).encode(),
    };
    let frame = frame.encode();
    for mut stream in streams {
        // One that has gone in the meantime needs no reason.
        let _told = stream.write_all(&frame);
    }
}

/// Any other rank: calls rank 0 and waits for the table.
pub(super) fn join(
    cluster: &Cluster,
    names: &Names,
    token: &[u8],
    patience: Duration,
) -> Result<Met, NetError> {
    let listener = Listener::open(0, patience)?;
    let hello = Hello {
        rank: cluster.rank,
        world: cluster.world,
        purpose: Purpose::Join {
            port: listener.port(),
        },
        token: token.to_vec(),
    };
    let (who, host) = (names.who(0), cluster.master.as_str());
    let mut stream = call_master(&who, host, cluster.port, &hello, patience)?;
    let error = |verdict: Verdict| verdict.error(names.who(verdict.culprit), "the meeting");
    let failed = |e: io::Error| error(Verdict::of(0, &e, patience.as_secs() * 2));
    // Rank 0 has its own patience with those who come late.
    stream
        .set_read_timeout(Some(patience * 2))
        .map_err(failed)?;
    let mut frames = Frames::default();
    let mut buffer = vec![0; 1 << 16];
    let frame = loop {
        match frames.pop() {
            Ok(Some(frame)) => break frame,
            Ok(None) => {}
            Err(e) => return Err(error(Verdict::new(0, How::Broken(e.to_string())))),
        }
        match stream.read(&mut buffer) {
            Ok(0) => return Err(failed(io::ErrorKind::UnexpectedEof.into())),
            Ok(count) => frames.push(&buffer[..count]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(failed(e)),
        }
    };
    stream.set_read_timeout(Some(patience)).map_err(failed)?;
    let rank_0 = stream.peer_addr().map_err(failed)?;
    let verdict = Verdict::decode(&frame.body).filter(|_| frame.kind == Kind::Blame);
    if let Some(verdict) = verdict {
        return Err(error(verdict));
    }
    let table = (frame.kind == Kind::Table)
        .then(|| decode_table(&frame.body, rank_0))
        .flatten()
        .filter(|table| table.len() == cluster.world as usize);
    let addresses = table.ok_or_else(|| NetError::Protocol {
        who: names.who(0),
        stage: "the meeting".to_owned(),
        problem: format!("{:?} instead of the addresses of the ranks", frame.kind),
    })?;
    let control = started(Control::start(cluster.rank, vec![(0, stream, frames)]))?;
    Ok((listener, control, addresses))
}

fn missing_error(
    missing: impl Iterator<Item = u32>,
    names: &Names,
    port: u16,
    patience: Duration,
) -> NetError {
    const NAMED: usize = 10;
    let missing: Vec<String> = missing.map(|rank| names.who(rank)).collect();
    let mut who = missing[..missing.len().min(NAMED)].join(", ");
    if missing.len() > NAMED {
        who = format!("{who} and {} more", missing.len() - NAMED);
    }
    NetError::Missing {
        who,
        port,
        seconds: patience.as_secs(),
    }
}

fn encode_table(addresses: &[SocketAddr]) -> Vec<u8> {
    let entry = |address: &SocketAddr| {
        let ip = match address.ip() {
            IpAddr::V4(four) => four.to_ipv6_mapped(),
            IpAddr::V6(six) => six,
        };
        ip.octets().into_iter().chain(address.port().to_le_bytes())
    };
    addresses.iter().flat_map(entry).collect()
}

/// Rank 0 does not know how it is called from elsewhere; its place is where it was reached.
fn decode_table(body: &[u8], rank_0: SocketAddr) -> Option<Vec<SocketAddr>> {
    let entry = |bytes: &[u8]| {
        let (ip, port) = bytes.split_first_chunk::<16>()?;
        let ip = Ipv6Addr::from(*ip).to_canonical();
        let port = u16::from_le_bytes(port.try_into().ok()?);
        Some(if ip.is_unspecified() {
            rank_0
        } else {
            SocketAddr::new(ip, port)
        })
    };
    body.chunks(ENTRY).map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_travels_and_rank_0_is_where_it_was_reached() {
        let addresses: Vec<SocketAddr> = ["[::]:7", "10.1.2.3:5000", "[fd00::2]:65535"]
            .map(|text| text.parse().unwrap())
            .into();
        let reached: SocketAddr = "192.0.2.1:9".parse().unwrap();
        let table = decode_table(&encode_table(&addresses), reached).unwrap();
        assert_eq!(table, [reached, addresses[1], addresses[2]]);
        assert_eq!(decode_table(&[0; ENTRY + 3], reached), None);
    }

    #[test]
    fn of_many_missing_ranks_some_are_named() {
        let names = Names::new((0..20).map(|i| format!("n{i}")).collect());
        let text = |ranks: std::ops::Range<u32>| {
            missing_error(ranks, &names, 5, Duration::from_secs(30)).to_string()
        };
        assert_eq!(
            text(2..4),
            "node n2 (rank 2), node n3 (rank 3) did not come to port 5 within 30 s"
        );
        assert!(text(1..20).contains("node n10 (rank 10) and 9 more did not come"));
    }
}
