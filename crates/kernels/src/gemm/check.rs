//! Whether a product is right: probes of single elements and a check of every row.
//!
//! Integers are compared exactly (modulo 2^32, as the instructions compute). Floats are compared
//! with a reference of higher precision, within a bound for the rounding errors:
//!
//! Summing k products of numbers that are independent and uniform in [-1, 1] (variance 1/3), the
//! partial sum after l products has variance l/9. Each addition errs by at most u times the partial
//! sum (u the unit roundoff), so the squares of these bounds add up to u^2 k^2/18 on average, or
//! u^2 k b/18 when sums restart after every b products; where products are rounded on their own,
//! they add u^2 k/9. Taking rounding errors as independent of mean zero, their sum stays, by Azuma's
//! inequality, below L times the root of that with probability 1 - 2 exp(-L^2/2): Higham and Mary,
//! A new approach to probabilistic rounding error analysis, SIAM J. Sci. Comput. 41(5), 2019, and
//! Sharper probabilistic backward error analysis for basic linear algebra kernels with random data,
//! SIAM J. Sci. Comput. 42(5), 2020. L = 8 makes it 3e-14. The worst case (Higham, Accuracy and
//! Stability of Numerical Algorithms, 2nd ed., section 3.1: k u sum |a||b|) is larger by a factor of
//! the order of the root of k and would let wrong elements pass.
//!
//! The check of the rows is Freivalds' (Probabilistic machines can use less running time, IFIP 1977):
//! for a random vector y, C y must equal A (B y), which costs mn + kn + mk instead of mnk. The signs
//! of y are independent of the errors, so the bound of a row grows with the root of n.

use super::kernel::Microkernel;
use super::product::Product;
use super::scalar::{Random, Scalar};

/// Deviations are accepted up to this many times the root mean square of the bounds.
const LEVEL: f64 = 8.0;
/// Unit roundoff of FP64.
const UNIT_F64: f64 = 1.0 / (1_u64 << 53) as f64;
/// Unit roundoff of FP32.
const UNIT_F32: f64 = 1.0 / (1_u64 << 24) as f64;
/// Unit roundoff of binary16.
const UNIT_F16: f64 = 1.0 / (1_u64 << 11) as f64;

/// Root mean square of the bound of one element's rounding errors.
fn element_error<K: Microkernel>(k: usize) -> f64 {
    let chain = |unit: f64, k: f64, b: f64| unit * (k * b / 18.0 + k / 9.0).sqrt();
    let k = k as f64;
    let unit = if size_of::<K::C>() == 8 {
        UNIT_F64
    } else {
        UNIT_F32
    };
    let narrow = K::NARROW_CHAIN.map_or(0.0, |most| chain(UNIT_F16, k, k.min(most as f64)));
    narrow + chain(unit, k, k)
}

/// Root mean square of the bound of one row sum's errors, those of the reference (in FP64) included:
/// B y errs by u n / sqrt 6 per element, A (B y) and C y likewise.
fn row_error<K: Microkernel>(n: usize, k: usize) -> f64 {
    let (rows, depth) = (n as f64, k as f64);
    let reference = (depth + 1.0) * rows.sqrt() + 2.0 * (rows + 1.0) * depth.sqrt();
    element_error::<K>(k) * rows.sqrt() + UNIT_F64 * reference / 18.0_f64.sqrt()
}

/// Checks `probes` random elements and every row; says what was checked, or what is wrong.
pub(super) fn verify<K: Microkernel>(
    product: &Product<K>,
    probes: usize,
    seed: u64,
) -> Result<String, String> {
    let mut random = Random::new(seed, 3);
    // SAFETY: the caller holds the product, and workers only work while it is borrowed mutably.
    let (a, b, c) = unsafe {
        (
            product.a.as_slice(),
            product.b.as_slice(),
            product.c.as_slice(),
        )
    };
    let (n, k) = (product.n, product.k);
    let mut worst = 0.0_f64;
    for _ in 0..probes {
        let (i, j) = (random.below(product.m), random.below(n));
        let row = &a[i * k..][..k];
        let column = b[j..].iter().step_by(n);
        worst = worst.max(element::<K>(row, column, c[i * n + j], (i, j))?);
    }
    if K::C::default().to_i64().is_some() {
        integer_rows::<K>((a, b, c), (n, k), &mut random)?;
        Ok(format!(
            "{probes} elements and all {} rows equal the exact product",
            product.m
        ))
    } else {
        let of_rows = float_rows::<K>((a, b, c), (n, k), &mut random)?;
        Ok(format!(
            "{probes} elements within {:.1} % and all {} rows within {:.1} % of the error bound",
            worst * 100.0,
            product.m,
            of_rows * 100.0
        ))
    }
}

/// Deviation of one element as a share of its bound.
pub(super) fn element<'a, K: Microkernel>(
    row: &[K::A],
    column: impl Iterator<Item = &'a K::B>,
    found: K::C,
    (i, j): (usize, usize),
) -> Result<f64, String> {
    if let Some(found) = found.to_i64() {
        let exact = row.iter().zip(column).fold(0_i64, |sum, (&a, &b)| {
            sum.wrapping_add(product_of_integers(a, b))
        });
        return if exact as i32 == found as i32 {
            Ok(0.0)
        } else {
            Err(format!("element ({i}, {j}) is {found} instead of {exact}"))
        };
    }
    let bound = LEVEL * element_error::<K>(row.len());
    let exact = dot(row, column);
    let deviation = (found.to_f64() - exact).abs();
    if deviation <= bound {
        Ok(deviation / bound)
    } else {
        let found = found.to_f64();
        Err(format!(
            "element ({i}, {j}) is {found:e} instead of {exact:e}: off by {deviation:e}, more than {bound:e}"
        ))
    }
}

fn product_of_integers<A: Scalar, B: Scalar>(a: A, b: B) -> i64 {
    a.to_i64().unwrap_or(0) * b.to_i64().unwrap_or(0)
}

/// Dot product as if computed in twice the precision of FP64 and rounded once: algorithm Dot2 of
/// Ogita, Rump and Oishi, Accurate sum and dot product, SIAM J. Sci. Comput. 26(6), 2005.
fn dot<'a, A: Scalar, B: Scalar>(row: &[A], column: impl Iterator<Item = &'a B>) -> f64 {
    let (mut sum, mut rest) = (0.0_f64, 0.0_f64);
    for (&a, &b) in row.iter().zip(column) {
        let (a, b) = (a.to_f64(), b.to_f64());
        let product = a * b;
        let lost_in_product = a.mul_add(b, -product);
        let next = sum + product;
        let part = next - sum;
        let lost_in_sum = (sum - (next - part)) + (product - part);
        sum = next;
        rest += lost_in_product + lost_in_sum;
    }
    sum + rest
}

type Matrices<'a, K> = (
    &'a [<K as Microkernel>::A],
    &'a [<K as Microkernel>::B],
    &'a [<K as Microkernel>::C],
);

/// Largest deviation of a row as a share of its bound.
fn float_rows<K: Microkernel>(
    (a, b, c): Matrices<'_, K>,
    (n, k): (usize, usize),
    random: &mut Random,
) -> Result<f64, String> {
    let signs: Vec<f64> = (0..n)
        .map(|_| if random.next() >> 63 == 0 { 1.0 } else { -1.0 })
        .collect();
    let by: Vec<f64> = b
        .chunks_exact(n)
        .map(|row| float_sum(row, &signs))
        .collect();
    let bound = LEVEL * row_error::<K>(n, k);
    let mut worst = 0.0_f64;
    for (i, (a, c)) in a.chunks_exact(k).zip(c.chunks_exact(n)).enumerate() {
        let (found, expected) = (float_sum(c, &signs), float_sum(a, &by));
        let deviation = (found - expected).abs();
        // Written so that a NaN is an error.
        if deviation <= bound {
            worst = worst.max(deviation / bound);
        } else {
            return Err(format!(
                "row {i} times random signs is {found:e} instead of {expected:e}: off by {deviation:e}, more than {bound:e}"
            ));
        }
    }
    Ok(worst)
}

fn float_sum<T: Scalar>(row: &[T], weights: &[f64]) -> f64 {
    row.iter()
        .zip(weights)
        .map(|(x, weight)| x.to_f64() * weight)
        .sum()
}

/// Exact modulo 2^32. The weights are odd, so that a single wrong element cannot be multiplied away;
/// several escape with odds of about one in two billion per row.
fn integer_rows<K: Microkernel>(
    (a, b, c): Matrices<'_, K>,
    (n, k): (usize, usize),
    random: &mut Random,
) -> Result<(), String> {
    let weights: Vec<i64> = (0..n).map(|_| ((random.next() >> 32) | 1) as i64).collect();
    let by: Vec<i64> = b
        .chunks_exact(n)
        .map(|row| integer_sum(row, &weights))
        .collect();
    for (i, (a, c)) in a.chunks_exact(k).zip(c.chunks_exact(n)).enumerate() {
        let (found, expected) = (integer_sum(c, &weights), integer_sum(a, &by));
        if found as u32 != expected as u32 {
            return Err(format!(
                "row {i} times random weights is {} instead of {} modulo 2^32",
                found as u32, expected as u32
            ));
        }
    }
    Ok(())
}

fn integer_sum<T: Scalar>(row: &[T], weights: &[i64]) -> i64 {
    row.iter().zip(weights).fold(0, |sum: i64, (x, &weight)| {
        sum.wrapping_add(x.to_i64().unwrap_or(0).wrapping_mul(weight))
    })
}
