//! What a launcher or an agent says on standard error.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::AsyncReadExt;
use tokio::process::ChildStderr;
use tokio::time::timeout;

use super::LEAVING;

/// An agent's last words on standard error that are kept, in bytes.
const LAST_WORDS: usize = 4096;

/// The last words of a launcher or an agent on standard error.
#[derive(Debug, Clone)]
pub(super) struct Words {
    kept: Arc<Mutex<Vec<u8>>>,
    /// Closed by the listener once nobody can say more.
    ended: tokio::sync::watch::Receiver<()>,
}

impl Words {
    pub(super) fn listen(stderr: ChildStderr) -> Self {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let (alive, ended) = tokio::sync::watch::channel(());
        let words = Arc::clone(&kept);
        tokio::spawn(async move {
            keep_last_words(stderr, words).await;
            drop(alive);
        });
        Self { kept, ended }
    }

    /// All of them, once nobody can say more.
    pub(super) async fn all(mut self) -> String {
        let _ = timeout(LEAVING, self.ended.changed()).await;
        self.so_far()
    }

    /// What was said until now.
    pub(super) fn so_far(&self) -> String {
        let words = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&words).trim().to_owned()
    }
}

async fn keep_last_words(mut stderr: ChildStderr, words: Arc<Mutex<Vec<u8>>>) {
    let mut bytes = [0; 1024];
    while let Ok(count @ 1..) = stderr.read(&mut bytes).await {
        let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
        words.extend_from_slice(&bytes[..count]);
        let excess = words.len().saturating_sub(LAST_WORDS);
        words.drain(..excess);
    }
}
