//! Matrix products C = A B in five number formats, written for the processor at hand.
//!
//! [`Gemm`] owns random operands, the result, and one pinned thread per processor; [`Gemm::run`]
//! times one whole product, packing included, as a library call would be timed. [`Gemm::verify`]
//! says whether the last product was right. Formats for which the processor has no instructions are
//! refused, not emulated; only FP64 and FP32 have a portable form. Transposed operands, scaling and
//! Arm's matrix instructions are absent.

mod check;
mod grid;
mod kernel;
mod mapping;
#[cfg(any(test, target_arch = "x86_64"))]
mod narrow;
mod path;
mod product;
mod scalar;
mod team;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86;

use std::sync::Arc;

use self::grid::Caches;
use self::kernel::{Double, Microkernel, Portable, Single};
use self::product::Product;
use self::team::{Step, Team};

pub use self::path::{Format, Unsupported};
pub(crate) use self::path::{Isa, path};
pub use self::team::TeamError;
pub(crate) use self::team::pin;

/// Why a product cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The processor lacks the instructions of the format.
    #[error("not supported by this processor: {feature}")]
    Unsupported {
        /// The missing feature, or features any of which would do, as in `/proc/cpuinfo`.
        feature: String,
    },
    /// A size is zero, or there is no processor to use.
    #[error("a product needs at least one row, column, term and processor")]
    Empty,
    /// The system refused the memory.
    #[error("cannot map the matrices")]
    Memory(#[source] std::io::Error),
    /// The worker threads could not be started.
    #[error("cannot start the workers")]
    Team(#[from] TeamError),
}

impl From<Unsupported> for Error {
    fn from(unsupported: Unsupported) -> Self {
        Self::Unsupported {
            feature: unsupported.feature,
        }
    }
}

/// A matrix product that can be computed again and again.
pub struct Gemm {
    operations: f64,
    isa: &'static str,
    team: Team,
    product: Box<dyn Inspect>,
}

impl Gemm {
    /// Allocates the m x k matrix A, the k x n matrix B and the m x n matrix C, and fills A and B with
    /// random numbers, each by the thread that will use it.
    pub fn new(
        format: Format,
        m: usize,
        n: usize,
        k: usize,
        cpus: &[usize],
        seed: u64,
    ) -> Result<Self, Error> {
        Self::on(path(format)?, (m, n, k), cpus, seed)
    }

    fn on(
        isa: Isa,
        sizes: (usize, usize, usize),
        cpus: &[usize],
        seed: u64,
    ) -> Result<Self, Error> {
        match isa {
            Isa::PortableFp64 => Self::with::<Portable<Double, 4, 8, 1, 1>>(sizes, cpus, seed),
            Isa::PortableFp32 => Self::with::<Portable<Single, 4, 16, 1, 1>>(sizes, cpus, seed),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Fp64 => Self::with::<x86::Avx512F64>(sizes, cpus, seed),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Fp32 => Self::with::<x86::Avx512F32>(sizes, cpus, seed),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2Fp64 => Self::with::<x86::Avx2F64>(sizes, cpus, seed),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2Fp32 => Self::with::<x86::Avx2F32>(sizes, cpus, seed),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Bf16 => Self::with::<x86::Avx512Bf16>(sizes, cpus, seed),
            #[cfg(target_arch = "x86_64")]
            Isa::AmxBf16 => Self::with::<x86::AmxBf16>(sizes, cpus, seed),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni => Self::with::<x86::Avx512Vnni>(sizes, cpus, seed),
            #[cfg(target_arch = "x86_64")]
            Isa::AvxVnni => Self::with::<x86::AvxVnni>(sizes, cpus, seed),
            #[cfg(target_arch = "x86_64")]
            Isa::AmxInt8 => Self::with::<x86::AmxInt8>(sizes, cpus, seed),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Fp16 => Self::with::<x86::Avx512Fp16>(sizes, cpus, seed),
            #[cfg(target_arch = "x86_64")]
            Isa::AmxFp16 => Self::with::<x86::AmxFp16>(sizes, cpus, seed),
        }
    }

    fn with<K: Microkernel>(
        sizes: (usize, usize, usize),
        cpus: &[usize],
        seed: u64,
    ) -> Result<Self, Error> {
        let (m, n, k) = sizes;
        let Some(&first) = cpus.first() else {
            return Err(Error::Empty);
        };
        if m == 0 || n == 0 || k == 0 {
            return Err(Error::Empty);
        }
        let product = Product::<K>::new(sizes, cpus.len(), Caches::of(first), seed)
            .map_err(|errno| Error::Memory(errno.into()))?;
        let product = Arc::new(product);
        let mut team = Team::new(cpus, product.clone())?;
        team.run(Step::Fill);
        Ok(Self {
            operations: 2.0 * m as f64 * n as f64 * k as f64,
            isa: K::ISA,
            team,
            product: Box::new(product),
        })
    }

    /// Computes the whole product once and returns the seconds from the call to the workers until
    /// the last of them is done; packing of both operands is part of it.
    ///
    /// Before the clock starts, one element in every tile of C is overwritten with a value that
    /// no product has, so that [`Self::verify`] cannot take an earlier result for this one.
    pub fn run(&mut self) -> f64 {
        self.product.poison();
        self.team.run(Step::Multiply).as_secs_f64()
    }

    /// Operations of one product: 2 m n k, an addition and a multiplication per term.
    #[must_use]
    pub fn flops_per_run(&self) -> f64 {
        self.operations
    }

    /// The instruction set in use, such as `avx512f`, `avx2+fma`, `amx_int8` or `portable`.
    #[must_use]
    pub fn isa(&self) -> &'static str {
        self.isa
    }

    /// Checks the product of the last [`Self::run`]: `probes` random elements and a random combination
    /// of every row. Returns what was checked, or the first thing that is wrong.
    pub fn verify(&self, probes: usize, seed: u64) -> Result<String, String> {
        self.product.verify(probes, seed)
    }

    /// Adds `amount` to one element of C, or overwrites all of C with zeros.
    #[cfg(test)]
    fn corrupt(&mut self, damage: Damage) {
        self.product.corrupt(damage);
    }
}

#[cfg(test)]
#[derive(Clone, Copy, Debug)]
enum Damage {
    Add {
        row: usize,
        column: usize,
        amount: f64,
    },
    Zero,
    Poison,
}

/// What can be done with a product of any kernel while its workers wait.
trait Inspect: Send + Sync {
    fn poison(&self);
    fn verify(&self, probes: usize, seed: u64) -> Result<String, String>;
    #[cfg(test)]
    fn corrupt(&self, damage: Damage);
    #[cfg(test)]
    fn verify_every_element(&self) -> Result<(), String>;
    #[cfg(test)]
    fn sum(&self) -> f64;
}

impl<K: Microkernel> Inspect for Arc<Product<K>> {
    fn poison(&self) {
        // SAFETY: only `Gemm::run` calls this, with `&mut self` and before the workers start.
        unsafe { Product::poison(self) };
    }

    fn verify(&self, probes: usize, seed: u64) -> Result<String, String> {
        check::verify(self, probes, seed)
    }

    #[cfg(test)]
    fn corrupt(&self, damage: Damage) {
        tests::corrupt(self, damage);
    }

    #[cfg(test)]
    fn verify_every_element(&self) -> Result<(), String> {
        tests::verify_every_element(self)
    }

    #[cfg(test)]
    fn sum(&self) -> f64 {
        tests::sum(self)
    }
}
