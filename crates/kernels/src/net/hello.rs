//! What a connection says first: who calls, in which run, and what the connection is for.
//!
//! Anybody can connect to the port of a meeting: another run, a port scanner, a browser. So the
//! first bytes are those of a stranger until they have been read and found right. The token keeps
//! runs apart; it is no secret and no protection against somebody who wants to do harm.
//!
//! Layout, numbers with the lowest byte first: magic (8 bytes), purpose (1), rank (4), world (4),
//! port (2), tag (4), stream (2), length of the token (2), token. What a purpose has no use for is 0.

/// Begins every connection.
const MAGIC: [u8; 8] = *b"fpmeet\x00\x01";

/// Bytes before the token.
const FIXED: usize = 8 + 1 + 4 + 4 + 2 + 4 + 2 + 2;

/// Longest token, in bytes.
pub(super) const LONGEST_TOKEN: usize = 512;

/// Most bytes of a hello.
pub(super) const LONGEST_HELLO: usize = FIXED + LONGEST_TOKEN;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To join the meeting. The port is where the caller itself can be called, on any address.
    Join {
        /// That port.
        port: u16,
    },
    /// To carry data between two ranks.
    Link {
        /// Which piece of work it belongs to.
        tag: u32,
        /// Which of the parallel connections it is.
        stream: u16,
    },
}

/// The first message of a connection between two ranks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The caller's rank.
    pub rank: u32,
    /// How many ranks the caller believes in.
    pub world: u32,
    /// What the connection is for.
    pub purpose: Purpose,
    /// Which run this is; at most 512 bytes.
    pub token: Vec<u8>,
}

/// What the bytes received so far are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HelloState {
    /// The beginning of a hello.
    Partial,
    /// A whole one.
    Whole(Hello),
    /// No hello, whatever may follow.
    Foreign,
}

impl Hello {
    /// The bytes that stand for it. A longer token is cut.
    pub fn encode(&self) -> Vec<u8> {
        let (purpose, port, tag, stream) = match self.purpose {
            Purpose::Join { port } => (0, port, 0, 0),
            Purpose::Link { tag, stream } => (1, 0, tag, stream),
        };
        let token = &self.token[..self.token.len().min(LONGEST_TOKEN)];
        let mut bytes = MAGIC.to_vec();
        bytes.push(purpose);
        bytes.extend(self.rank.to_le_bytes());
        bytes.extend(self.world.to_le_bytes());
        bytes.extend(u16::to_le_bytes(port));
        bytes.extend(u32::to_le_bytes(tag));
        bytes.extend(u16::to_le_bytes(stream));
        bytes.extend((token.len() as u16).to_le_bytes());
        bytes.extend(token);
        bytes
    }

    /// Reads the first bytes of a connection. Bytes after a whole hello make it foreign: nobody
    /// speaks on before the answer.
    pub fn read(bytes: &[u8]) -> HelloState {
        let known = bytes.len().min(MAGIC.len());
        if bytes[..known] != MAGIC[..known] {
            return HelloState::Foreign;
        }
        let Some((fixed, token)) = bytes.split_at_checked(FIXED) else {
            return HelloState::Partial;
        };
        match Self::read_fixed(&fixed[MAGIC.len()..]) {
            None => HelloState::Foreign,
            Some((_, length)) if length > LONGEST_TOKEN || token.len() > length => {
                HelloState::Foreign
            }
            Some((_, length)) if token.len() < length => HelloState::Partial,
            Some((mut hello, _)) => {
                hello.token = token.to_vec();
                HelloState::Whole(hello)
            }
        }
    }

    /// Everything but the token, and the token's length.
    fn read_fixed(bytes: &[u8]) -> Option<(Self, usize)> {
        let (purpose, rest) = bytes.split_first()?;
        let (rank, rest) = rest.split_first_chunk()?;
        let (world, rest) = rest.split_first_chunk()?;
        let (port, rest) = rest.split_first_chunk()?;
        let (tag, rest) = rest.split_first_chunk()?;
        let (stream, rest) = rest.split_first_chunk()?;
        let (length, _) = rest.split_first_chunk()?;
        let (port, stream) = (u16::from_le_bytes(*port), u16::from_le_bytes(*stream));
        let tag = u32::from_le_bytes(*tag);
        let purpose = match (purpose, port, tag, stream) {
            (0, port, 0, 0) => Purpose::Join { port },
            (1, 0, tag, stream) => Purpose::Link { tag, stream },
            _ => return None,
        };
        let hello = Self {
            rank: u32::from_le_bytes(*rank),
            world: u32::from_le_bytes(*world),
            purpose,
            token: Vec::new(),
        };
        Some((hello, usize::from(u16::from_le_bytes(*length))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hello() -> impl Strategy<Value = Hello> {
        let purpose = prop_oneof![
            any::<u16>().prop_map(|port| Purpose::Join { port }),
            any::<(u32, u16)>().prop_map(|(tag, stream)| Purpose::Link { tag, stream }),
        ];
        let token = prop::collection::vec(any::<u8>(), 0..=LONGEST_TOKEN);
        (any::<u32>(), any::<u32>(), purpose, token).prop_map(|(rank, world, purpose, token)| {
            Hello {
                rank,
                world,
                purpose,
                token,
            }
        })
    }

    proptest! {
        #[test]
        fn it_comes_back_only_when_whole(hello in hello(), cut: prop::sample::Index) {
            let bytes = hello.encode();
            prop_assert_eq!(Hello::read(&bytes), HelloState::Whole(hello));
            let cut = cut.index(bytes.len());
            prop_assert_eq!(Hello::read(&bytes[..cut]), HelloState::Partial);
            let longer: Vec<u8> = bytes.into_iter().chain([0]).collect();
            prop_assert_eq!(Hello::read(&longer), HelloState::Foreign);
        }

        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>, keep in 0usize..40) {
            let mut mixed = [&MAGIC[..], &[0; FIXED - MAGIC.len()]].concat();
            mixed.truncate(keep);
            mixed.extend(&bytes);
            if let HelloState::Whole(hello) = Hello::read(&mixed) {
                prop_assert_eq!(hello.encode(), mixed);
            }
        }
    }

    #[test]
    fn a_stranger_is_known_by_the_first_byte_that_differs() {
        assert_eq!(Hello::read(b""), HelloState::Partial);
        assert_eq!(Hello::read(b"fp"), HelloState::Partial);
        assert_eq!(Hello::read(b"GET / HTTP/1.1\r\n"), HelloState::Foreign);
        let mut endless = MAGIC.to_vec();
        endless.resize(FIXED, 0xff);
        endless[8] = 0;
        assert_eq!(Hello::read(&endless), HelloState::Foreign);
    }
}
