//! What a person sees while nodes are brought up, if that takes its time.

use std::future::Future;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use flagperf_model::{NodeName, fold};
use tokio::time::timeout;

use super::{CLEAR, time_of_day, width};

/// What is over sooner is not told.
const SOON: Duration = Duration::from_secs(1);

/// Awaits something, and tells what is awaited if it takes longer than a second. On a terminal the line goes when
/// that is over.
pub(crate) async fn while_connecting<T>(
    nodes: &[NodeName],
    connecting: impl Future<Output = T>,
) -> T {
    tokio::pin!(connecting);
    if let Ok(done) = timeout(SOON, &mut connecting).await {
        return done;
    }
    let on_terminal = std::io::stderr().is_terminal();
    let text = format!("connecting to {}", fold(nodes));
    if on_terminal {
        let text: String = text.chars().take(width().saturating_sub(4)).collect();
        drop(write!(anstream::stderr().lock(), "{CLEAR}{text}"));
        drop(anstream::stderr().lock().flush());
    } else {
        let now = time_of_day(flagperf_engine::now());
        drop(writeln!(anstream::stderr().lock(), "{now} {text}"));
    }
    let done = connecting.await;
    if on_terminal {
        drop(write!(anstream::stderr().lock(), "{CLEAR}"));
        drop(anstream::stderr().lock().flush());
    }
    done
}
