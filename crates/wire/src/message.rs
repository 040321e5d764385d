//! The messages. `docs/protocol.md` tells the conversation they make.

use flagperf_model::{
    Absent, Limits, MachineFacts, MonitorCost, ProcessSpec, SampleBlock, SeriesDecl, Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::Chunk;

/// Names a task within a session. The controller counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TaskId(pub u32);

/// Names a directory of files that was sent to an agent. The controller counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TreeId(pub u32);

/// Names a process whose streams are handed through, within a session. The controller counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChannelId(pub u32);

/// Names something that is to be undone, within a session. The controller counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UndoId(pub u32);

/// How often both ends speak, and when silence counts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Seconds from one heartbeat to the next.
    pub heartbeat_s: f64,
    /// Silence of this many seconds is reported.
    pub silent_s: f64,
    /// Silence of this many seconds ends the session.
    pub lost_s: f64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat_s: 2.0,
            silent_s: 10.0,
            lost_s: 30.0,
        }
    }
}

/// One moment on a node's two clocks, which lets the controller place `CLOCK_MONOTONIC` readings
/// of the node's processes in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockAnchor {
    /// The wall clock.
    pub unix: Timestamp,
    /// `CLOCK_MONOTONIC`, in nanoseconds.
    pub mono_ns: u64,
}

impl ClockAnchor {
    /// The moment of a `CLOCK_MONOTONIC` reading.
    pub fn moment(&self, mono_ns: u64) -> Timestamp {
        self.unix
            .plus_nanos(mono_ns.wrapping_sub(self.mono_ns).cast_signed())
    }
}

/// What the controller says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ToAgent {
    /// The first message: how often to speak, and how much to send. Answered by [`FromAgent::Facts`].
    Hello {
        /// Heartbeats and silence.
        timing: Timing,
        /// Bytes of output and files that may be under way without credit.
        window: u64,
        /// True if output is worth compressing on its way.
        pack: bool,
        /// Directory for the files of this session; absent for the system's own place for such.
        scratch: Option<String>,
        /// What the files of this session are called there, in letters and digits: the same on all nodes of a run,
        /// so that paths are too. Where the name is taken, another is found.
        name: String,
    },
    /// Still here, and what does your clock say? Answered by [`FromAgent::Pong`] at once.
    Ping {
        /// Counts the questions.
        id: u64,
    },
    /// A part of a directory's files, packed as `flagperf-archive` does. Answered by [`FromAgent::Taken`],
    /// and no more than [`TREE_WINDOW`](crate::TREE_WINDOW) bytes go without that answer.
    Put {
        /// The directory's name from now on.
        tree: TreeId,
        /// At most [`MAX_CHUNK`](crate::MAX_CHUNK) bytes.
        bytes: ByteBuf,
        /// True for the last part.
        last: bool,
    },
    /// Make ready for a task: unpack what it needs, make its directory for files. Answered by
    /// [`FromAgent::Prepared`], or by [`FromAgent::Refused`].
    Prepare {
        /// The task's name from now on.
        task: TaskId,
        /// Where its processes run.
        directory: TaskDirectory,
    },
    /// Start the processes of a task. Answered by [`FromAgent::Started`], [`FromAgent::Output`],
    /// one [`FromAgent::Exited`] a process, and a last [`FromAgent::TaskEnded`].
    Run {
        /// The task, which must be prepared.
        task: TaskId,
        /// The processes, one a rank.
        processes: Vec<ProcessSpec>,
        /// When the agent ends it by itself.
        limits: Limits,
        /// The node's `CLOCK_MONOTONIC`, in nanoseconds, at which to start; at once if that is past.
        start_at: u64,
    },
    /// Send the files that a task has left, and remove them. Answered by [`FromAgent::Files`] and a last
    /// [`FromAgent::FilesEnded`].
    Collect {
        /// The task, which must have ended.
        task: TaskId,
    },
    /// End a task: SIGTERM, and SIGKILL after the task's grace; at once if `kill`.
    End {
        /// The task.
        task: TaskId,
        /// SIGKILL at once.
        kill: bool,
    },
    /// Start a process that is no part of a task, and hand its standard streams through. Answered by
    /// [`FromAgent::Said`] and a last [`FromAgent::HungUp`].
    Open {
        /// The channel's name from now on.
        channel: ChannelId,
        /// The process. Its rank and its cores say nothing.
        process: ProcessSpec,
    },
    /// Hand bytes to the standard input of such a process. Answered by [`FromAgent::Written`], and no more than
    /// [`RELAY_WINDOW`](crate::RELAY_WINDOW) bytes go without that answer.
    Write {
        /// The channel.
        channel: ChannelId,
        /// At most [`MAX_CHUNK`](crate::MAX_CHUNK) bytes.
        bytes: ByteBuf,
    },
    /// Close the standard input of such a process.
    HangUp {
        /// The channel.
        channel: ChannelId,
    },
    /// Run a command when the session ends, however it does. It undoes what was done outside the processes that
    /// the agent started itself.
    AtEnd {
        /// What is to be undone.
        undo: UndoId,
        /// The command; absent if it was undone already.
        process: Option<ProcessSpec>,
    },
    /// This many bytes of output were taken; as many more may be sent.
    Credit {
        /// How many.
        bytes: u64,
    },
    /// Begin to sample; answered by [`FromAgent::Samples`] from time to time.
    MonitorStart {
        /// Nanoseconds from one sample to the next.
        interval_ns: u64,
    },
    /// Stop sampling; answered by the last samples and [`FromAgent::MonitorStopped`].
    MonitorStop {
        /// The task during which it sampled.
        task: TaskId,
    },
    /// End everything and leave.
    Shutdown,
}

/// Where the processes of a task run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskDirectory {
    /// Where the agent runs.
    Any,
    /// In this directory of the node.
    Path(String),
    /// In a copy of a directory that was [`Put`](ToAgent::Put).
    Tree(TreeId),
    /// The same, and the copy is the session's own to write in: in the arguments, variables and directories of the
    /// task's processes [`COPY`](flagperf_model::COPY) and [`OUT`](flagperf_model::OUT) become paths on the node.
    Copy(TreeId),
}

impl TaskDirectory {
    /// The directory that must have arrived before, if there is one.
    pub fn tree(&self) -> Option<TreeId> {
        match self {
            Self::Any | Self::Path(_) => None,
            Self::Tree(tree) | Self::Copy(tree) => Some(*tree),
        }
    }
}

/// How one process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProcessEnd {
    /// By itself, with this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
    /// It never ran.
    NotStarted {
        /// The program.
        program: String,
        /// The system's reason.
        reason: String,
    },
}

/// Why a task is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskEnd {
    /// Its processes ended by themselves.
    Finished,
    /// It reached its timeout.
    TimedOut,
    /// It neither wrote output nor used a processor for too long.
    Stalled,
    /// The controller asked for it.
    Requested,
}

/// What the agent says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FromAgent {
    /// The first message.
    Hello {
        /// Content hash (BLAKE3) of the agent's program; must be that of the file that was placed.
        build: [u8; 32],
        /// Size of its program's file, in bytes.
        size: u64,
        /// Its version, which must be the controller's own.
        version: String,
        /// Its process id on the node.
        pid: u32,
        /// When it started, in clock ticks after the node's boot: with the process id this names it for good.
        started: u64,
        /// The path of its program on the node.
        program: String,
        /// The node's clocks.
        clock: ClockAnchor,
    },
    /// Still here.
    Heartbeat,
    /// What the clock says.
    Pong {
        /// The question's.
        id: u64,
        /// The node's `CLOCK_MONOTONIC`, in nanoseconds.
        mono_ns: u64,
    },
    /// What the machine is and what can be sampled on it.
    Facts {
        /// The facts.
        facts: Box<MachineFacts>,
        /// The series that [`FromAgent::Samples`] will carry, in the order of its columns.
        series: Vec<SeriesDecl>,
        /// The series that there are not, and why.
        absent: Vec<Absent>,
        /// The address that others most likely reach it at, if it has any but loopback.
        address: Option<String>,
        /// A TCP port that nobody listened on just now.
        free_port: Option<u16>,
        /// What tells this place from any other: the same twice is one machine under two names. Absent
        /// where the system does not say.
        place: Option<String>,
    },
    /// Bytes of a directory were taken; as many more may be sent.
    Taken {
        /// How many.
        bytes: u64,
    },
    /// All is ready for a task.
    Prepared {
        /// The task.
        task: TaskId,
        /// The directory in which its processes will run, if it is not the agent's own.
        directory: Option<String>,
    },
    /// The processes of a task have been started, or could not be.
    Started {
        /// The task.
        task: TaskId,
        /// When, on the node's `CLOCK_MONOTONIC`, in nanoseconds.
        mono_ns: u64,
    },
    /// Output of a process, standard output and standard error as they came.
    Output {
        /// The task.
        task: TaskId,
        /// The rank.
        rank: u32,
        /// The bytes.
        chunk: Chunk,
    },
    /// Bytes that a process behind a channel wrote to its standard output.
    Said {
        /// The channel.
        channel: ChannelId,
        /// The bytes.
        bytes: ByteBuf,
    },
    /// Bytes went to the standard input of a process behind a channel; as many more may be sent.
    Written {
        /// The channel.
        channel: ChannelId,
        /// How many.
        bytes: u64,
    },
    /// A process behind a channel has ended, and all that it wrote was sent.
    HungUp {
        /// The channel.
        channel: ChannelId,
        /// How it ended.
        end: ProcessEnd,
        /// The last of what it wrote to its standard error.
        words: String,
    },
    /// Files that a task has left, packed as `flagperf-archive` does.
    Files {
        /// The task.
        task: TaskId,
        /// At most [`MAX_CHUNK`](crate::MAX_CHUNK) bytes.
        bytes: ByteBuf,
    },
    /// All files of a task were sent.
    FilesEnded {
        /// The task.
        task: TaskId,
        /// How many.
        files: u64,
        /// Their size in bytes.
        bytes: u64,
        /// Files that could not be read, and why.
        problems: Vec<String>,
    },
    /// A process of a task ended.
    Exited {
        /// The task.
        task: TaskId,
        /// Its rank.
        rank: u32,
        /// How.
        end: ProcessEnd,
        /// True if the agent had asked it to end: its status then says nothing about the case.
        asked: bool,
        /// When, on the node's `CLOCK_MONOTONIC`, in nanoseconds.
        mono_ns: u64,
    },
    /// A task is over: none of its processes is left and all its output was sent.
    TaskEnded {
        /// The task.
        task: TaskId,
        /// Why.
        end: TaskEnd,
        /// When that began: a bound was reached, the controller asked, or the last process ended. On the
        /// node's `CLOCK_MONOTONIC`, in nanoseconds.
        mono_ns: u64,
        /// Command names of processes that outlived the task's own and were ended.
        strays: Vec<String>,
        /// Command names of processes that could not be ended, with their state.
        unkillable: Vec<String>,
        /// Processes that the kernel ended meanwhile because the memory that this place may use had run out.
        oom_kills: u64,
        /// True if it has left files for the controller to [`Collect`](ToAgent::Collect).
        has_files: bool,
    },
    /// Samples, in the order of the series in [`FromAgent::Facts`].
    Samples {
        /// Some moments.
        block: SampleBlock,
    },
    /// Sampling has stopped.
    MonitorStopped {
        /// The task, as the request named it.
        task: TaskId,
        /// What it cost.
        cost: MonitorCost,
    },
    /// Something is not as it should be, but the agent goes on.
    Warning {
        /// In words.
        message: String,
    },
    /// A task could not be made ready or started.
    Refused {
        /// The task.
        task: TaskId,
        /// In words.
        reason: String,
    },
}
