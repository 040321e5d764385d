//! Messages of the conversation that every rank has with rank 0.
//!
//! Each is its kind (1 byte), the length of its body (4 bytes, lowest first) and the body.

/// Largest body: the addresses of fifty thousand ranks.
const LARGEST_BODY: usize = 1 << 20;

const HEADER: usize = 5;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Where each rank can be called.
    Table,
    /// What a rank found.
    Report,
    /// What rank 0 decided.
    Decision,
    /// Who is to blame for the end of the work.
    Blame,
    /// The sender has finished in good order.
    Leave,
}

const KINDS: [Kind; 5] = [
    Kind::Table,
    Kind::Report,
    Kind::Decision,
    Kind::Blame,
    Kind::Leave,
];

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: Kind,
    /// What it says.
    pub body: Vec<u8>,
}

/// What came is no message; the text says why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FrameError(String);

impl Frame {
    /// The bytes that stand for it.
    pub fn encode(&self) -> Vec<u8> {
        let kind = KINDS.iter().position(|kind| *kind == self.kind);
        let mut bytes = vec![kind.unwrap_or_default() as u8];
        bytes.extend((self.body.len() as u32).to_le_bytes());
        bytes.extend(&self.body);
        bytes
    }
}

/// Cuts a stream of bytes into messages.
#[derive(Debug, Default)]
pub struct Frames {
    bytes: Vec<u8>,
}

impl Frames {
    /// Takes bytes as they came, in pieces of any size.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    /// The next whole message, if there is one.
    ///
    /// # Errors
    ///
    /// What came is no message. Nothing after it can be read.
    pub fn pop(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some((kind, rest)) = self.bytes.split_first() else {
            return Ok(None);
        };
        let kind = *KINDS
            .get(usize::from(*kind))
            .ok_or_else(|| FrameError(format!("{kind} is no kind of message")))?;
        let Some((length, rest)) = rest.split_first_chunk() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*length) as usize;
        if length > LARGEST_BODY {
            return Err(FrameError(format!(
                "a message of {length} bytes is larger than {LARGEST_BODY}"
            )));
        }
        let Some(body) = rest.get(..length) else {
            return Ok(None);
        };
        let body = body.to_vec();
        self.bytes.drain(..HEADER + length);
        Ok(Some(Frame { kind, body }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame() -> impl Strategy<Value = Frame> {
        (0usize..KINDS.len(), any::<Vec<u8>>()).prop_map(|(kind, body)| Frame {
            kind: KINDS[kind],
            body,
        })
    }

    proptest! {
        #[test]
        fn messages_come_back_however_they_are_cut(
            frames in prop::collection::vec(frame(), 0..5), piece in 1usize..40
        ) {
            let bytes: Vec<u8> = frames.iter().flat_map(Frame::encode).collect();
            let mut reader = Frames::default();
            let mut read = Vec::new();
            for piece in bytes.chunks(piece) {
                reader.push(piece);
                while let Some(frame) = reader.pop().unwrap() {
                    read.push(frame);
                }
            }
            prop_assert_eq!(read, frames);
        }

        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>) {
            let mut reader = Frames::default();
            reader.push(&bytes);
            while let Ok(Some(_)) = reader.pop() {}
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let refused = |bytes: &[u8]| {
            let mut reader = Frames::default();
            reader.push(bytes);
            reader.pop().unwrap_err().to_string()
        };
        assert_eq!(refused(b"GET"), "71 is no kind of message");
        assert_eq!(
            refused(&[1, 0, 0, 0, 255]),
            "a message of 4278190080 bytes is larger than 1048576"
        );
    }
}
