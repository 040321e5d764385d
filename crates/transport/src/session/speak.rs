//! The speaking side of a session.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flagperf_wire::{MAX_CHUNK, TREE_WINDOW, Timing, ToAgent, TreeId, encode};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep_until};

use super::Clock;
use crate::clock::now;

/// What is to be said.
#[derive(Debug)]
pub(super) enum Outgoing {
    Message(ToAgent),
    /// Ask about the clock.
    AskClock,
    /// A directory, in as many messages as it takes.
    Tree(TreeId, Arc<[u8]>),
    /// The agent has taken so many bytes of a directory.
    Taken(u64),
}

/// Carries what is to be said to the agent until the session is dropped.
///
/// A directory may take minutes. All other messages overtake it, but for the one that makes ready a task
/// that needs it: whoever wants to stop, or to be heard of, does not wait for it.
pub(super) async fn write_requests(
    mut stdin: impl AsyncWrite + Unpin,
    mut requests: UnboundedReceiver<Outgoing>,
    timing: Timing,
    clock: Arc<Mutex<Clock>>,
) {
    let heartbeat = Duration::from_secs_f64(timing.heartbeat_s.max(0.01));
    let mut pings = 0;
    let mut due = Instant::now();
    let mut freight = Freight::default();
    loop {
        let message = tokio::select! {
            biased;
            () = sleep_until(due) => {
                due = Instant::now() + heartbeat;
                pings += 1;
                Some(ToAgent::Ping { id: pings })
            }
            outgoing = requests.recv() => match outgoing {
                // The session was dropped: this closes the channel, whatever becomes of its other half.
                None => {
                    let _ = stdin.shutdown().await;
                    return;
                }
                Some(Outgoing::AskClock) => {
                    pings += 1;
                    Some(ToAgent::Ping { id: pings })
                }
                Some(Outgoing::Message(message)) => freight.pass(message),
                Some(Outgoing::Tree(tree, packed)) => {
                    freight.queue.push_back(Load::Tree { tree, packed, at: 0 });
                    None
                }
                Some(Outgoing::Taken(bytes)) => {
                    freight.under_way = freight.under_way.saturating_sub(bytes);
                    None
                }
            },
            () = std::future::ready(()), if freight.may_go() => freight.next(),
        };
        if let Some(message) = message
            && write(&mut stdin, &message, &clock).await.is_err()
        {
            // The reading side sees the end too and tells why.
            return;
        }
    }
}

/// Directories on their way, and what must not arrive before them.
#[derive(Debug, Default)]
struct Freight {
    queue: VecDeque<Load>,
    /// Bytes that were sent and not taken yet.
    under_way: u64,
}

#[derive(Debug)]
enum Load {
    Tree {
        tree: TreeId,
        packed: Arc<[u8]>,
        at: usize,
    },
    Message(ToAgent),
}

impl Freight {
    /// Holds back a message that needs a directory which has not gone yet.
    fn pass(&mut self, message: ToAgent) -> Option<ToAgent> {
        let needed = match &message {
            ToAgent::Prepare { directory, .. } => directory.tree(),
            _ => None,
        };
        let Some(needed) = needed else {
            return Some(message);
        };
        let waits = self
            .queue
            .iter()
            .any(|load| matches!(load, Load::Tree { tree, .. } if *tree == needed));
        if waits {
            self.queue.push_back(Load::Message(message));
            return None;
        }
        Some(message)
    }

    fn may_go(&self) -> bool {
        match self.queue.front() {
            None => false,
            Some(Load::Message(_)) => true,
            Some(Load::Tree { .. }) => self.under_way + MAX_CHUNK as u64 <= TREE_WINDOW,
        }
    }

    fn next(&mut self) -> Option<ToAgent> {
        match self.queue.front_mut()? {
            Load::Tree { tree, packed, at } => {
                let end = packed.len().min(*at + MAX_CHUNK);
                let put = ToAgent::Put {
                    tree: *tree,
                    bytes: packed[*at..end].to_vec().into(),
                    last: end == packed.len(),
                };
                self.under_way += (end - *at) as u64;
                *at = end;
                if end == packed.len() {
                    self.queue.pop_front();
                }
                Some(put)
            }
            Load::Message(_) => match self.queue.pop_front() {
                Some(Load::Message(message)) => Some(message),
                _ => None,
            },
        }
    }
}

async fn write(
    stdin: &mut (impl AsyncWrite + Unpin),
    request: &ToAgent,
    clock: &Mutex<Clock>,
) -> io::Result<()> {
    let Ok(frame) = encode(request) else {
        return Ok(());
    };
    if let ToAgent::Ping { id } = request {
        clock.lock().unwrap_or_else(PoisonError::into_inner).asked = Some((*id, now()));
    }
    stdin.write_all(&frame).await?;
    stdin.flush().await
}

#[cfg(test)]
mod tests {
    use flagperf_wire::TaskDirectory;

    use super::*;
    use flagperf_wire::{Decoder, TaskId};
    use tokio::io::{AsyncReadExt, DuplexStream};
    use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
    use tokio::time::timeout;

    /// An agent that reads what is said when it is asked to.
    struct Ear {
        stream: DuplexStream,
        decoder: Decoder,
    }

    impl Ear {
        /// What is said until nothing comes for some time, without questions about the clock.
        async fn all(&mut self) -> Vec<ToAgent> {
            let mut heard = Vec::new();
            let mut bytes = vec![0; 1 << 16];
            while let Ok(Ok(count @ 1..)) =
                timeout(Duration::from_millis(300), self.stream.read(&mut bytes)).await
            {
                self.decoder.push(&bytes[..count]);
                while let Some(message) = self.decoder.take().unwrap() {
                    heard.push(message);
                }
            }
            heard.retain(|message| !matches!(message, ToAgent::Ping { .. }));
            heard
        }
    }

    fn spoken() -> (UnboundedSender<Outgoing>, Ear) {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let (sender, requests) = unbounded_channel();
        let timing = Timing {
            heartbeat_s: 60.0,
            ..Timing::default()
        };
        tokio::spawn(write_requests(ours, requests, timing, Arc::default()));
        let ear = Ear {
            stream: theirs,
            decoder: Decoder::default(),
        };
        (sender, ear)
    }

    fn put_bytes(heard: &[ToAgent]) -> u64 {
        heard
            .iter()
            .map(|message| match message {
                ToAgent::Put { bytes, .. } => bytes.len() as u64,
                _ => 0,
            })
            .sum()
    }

    #[tokio::test]
    async fn a_directory_waits_until_the_agent_has_taken_some_and_others_overtake_it() {
        let (sender, mut ear) = spoken();
        let packed: Arc<[u8]> = vec![7; 2 * TREE_WINDOW as usize + 1].into();
        let task = TaskId(4);
        let prepare = ToAgent::Prepare {
            task,
            directory: TaskDirectory::Tree(TreeId(3)),
        };
        sender.send(Outgoing::Tree(TreeId(3), packed)).unwrap();
        sender.send(Outgoing::Message(prepare.clone())).unwrap();
        let heard = ear.all().await;
        assert_eq!(put_bytes(&heard), TREE_WINDOW, "no more than the window");
        assert!(!heard.contains(&prepare));
        sender.send(Outgoing::Message(ToAgent::Shutdown)).unwrap();
        assert_eq!(ear.all().await, [ToAgent::Shutdown]);
        sender.send(Outgoing::Taken(TREE_WINDOW)).unwrap();
        assert_eq!(put_bytes(&ear.all().await), TREE_WINDOW);
        sender.send(Outgoing::Taken(TREE_WINDOW)).unwrap();
        let heard = ear.all().await;
        assert!(
            matches!(&heard[..], [ToAgent::Put { last: true, .. }, last] if *last == prepare),
            "{heard:?}"
        );
    }

    #[tokio::test]
    async fn an_empty_directory_is_sent_too() {
        let (sender, mut ear) = spoken();
        sender
            .send(Outgoing::Tree(TreeId(1), Vec::new().into()))
            .unwrap();
        let heard = ear.all().await;
        assert!(matches!(&heard[..], [ToAgent::Put { last: true, .. }]));
    }
}
