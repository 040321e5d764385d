//! What status tools print, read into values.
//!
//! A reader takes line after line, so that it fits a tool that prints once and ends as well as one that goes
//! on. It believes nothing: a line that is none of a known layout is passed over, and a value that is no
//! number is said to be none.

mod nvidia_smi;

use nvidia_smi::NvidiaSmi;

use crate::quantity::QUANTITIES;
use crate::{Quantity, Value};

/// The names of the readers that profiles can name.
pub const READERS: [&str; 1] = ["nvidia-smi"];

/// What a tool told of one chip at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChipReading {
    /// Its number with the tool.
    pub index: Option<u32>,
    /// What the vendor calls it apart from all others in the world.
    pub uuid: Option<String>,
    /// Its PCI address.
    pub bus: Option<String>,
    /// Product name.
    pub name: Option<String>,
    /// Version of its driver.
    pub driver: Option<String>,
    values: [Value; QUANTITIES],
}

impl ChipReading {
    /// What was told of a quantity.
    pub fn value(&self, quantity: Quantity) -> &Value {
        &self.values[quantity as usize]
    }

    /// The number of a quantity, if there is one.
    pub fn number(&self, quantity: Quantity) -> Option<f64> {
        self.value(quantity).number()
    }

    fn set(&mut self, quantity: Quantity, value: Value) {
        self.values[quantity as usize] = value;
    }

    /// True if both are of the same chip. What names it for good counts before what may change: numbers are given
    /// anew when a chip drops out.
    pub fn is_of_same_chip(&self, other: &Self) -> bool {
        match (&self.uuid, &other.uuid, &self.bus, &other.bus) {
            (Some(one), Some(two), ..) => one == two,
            (_, _, Some(one), Some(two)) => one == two,
            _ => self.index.is_some() && self.index == other.index,
        }
    }
}

/// Reads what one run of a status tool prints.
#[derive(Debug)]
pub struct StatusReader(Kind);

#[derive(Debug)]
enum Kind {
    NvidiaSmi(NvidiaSmi),
}

impl StatusReader {
    /// The reader of that name, one of [`READERS`], before the tool has said anything.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "nvidia-smi" => Some(Self(Kind::NvidiaSmi(NvidiaSmi::default()))),
            _ => None,
        }
    }

    /// Takes the next line, with or without its end. Gives what is known of a chip once it is complete.
    pub fn line(&mut self, line: &str) -> Option<ChipReading> {
        match &mut self.0 {
            Kind::NvidiaSmi(reader) => reader.line(line),
        }
    }

    /// True once the layout of what the tool prints was recognised.
    pub fn is_at_home(&self) -> bool {
        match &self.0 {
            Kind::NvidiaSmi(reader) => reader.is_at_home(),
        }
    }

    /// The field that the tool says it does not know, if this line says so.
    pub fn refused_field<'l>(&self, line: &'l str) -> Option<&'l str> {
        match &self.0 {
            Kind::NvidiaSmi(_) => nvidia_smi::refused_field(line),
        }
    }

    /// True if this line says that the machine has no chips.
    pub fn says_none(&self, line: &str) -> bool {
        match &self.0 {
            Kind::NvidiaSmi(_) => nvidia_smi::says_none(line),
        }
    }
}
