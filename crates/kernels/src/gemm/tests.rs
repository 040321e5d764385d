//! Products of every kernel and layout against plain references.

use proptest::prelude::*;

use super::kernel::{Accumulator, Brain, Byte, Double, Half, Microkernel, Portable, Single};
use super::path::paths;
use super::product::Product;
use super::scalar::Scalar;
use super::{Damage, Error, Format, Gemm, check};
use crate::features::first_missing;

pub(super) fn corrupt<K: Microkernel>(product: &Product<K>, damage: Damage) {
    let c = product.c.pointer();
    match damage {
        Damage::Add {
            row,
            column,
            amount,
        } => {
            // SAFETY: inside C, and the workers wait.
            let element = unsafe { &mut *c.add(row * product.n + column) };
            *element = element.plus(K::C::from_f64(amount));
        }
        Damage::Zero => {
            for index in 0..product.c.len() {
                // SAFETY: as above.
                unsafe { *c.add(index) = K::C::default() };
            }
        }
        // SAFETY: the workers wait.
        Damage::Poison => unsafe { product.poison() },
    }
}

pub(super) fn verify_every_element<K: Microkernel>(product: &Product<K>) -> Result<(), String> {
    // SAFETY: the workers wait.
    let (a, b, c) = unsafe {
        (
            product.a.as_slice(),
            product.b.as_slice(),
            product.c.as_slice(),
        )
    };
    for (i, row) in a.chunks_exact(product.k).enumerate() {
        for j in 0..product.n {
            let column = b[j..].iter().step_by(product.n);
            check::element::<K>(row, column, c[i * product.n + j], (i, j))?;
        }
    }
    Ok(())
}

pub(super) fn sum<K: Microkernel>(product: &Product<K>) -> f64 {
    // SAFETY: the workers wait.
    unsafe { product.c.as_slice() }
        .iter()
        .map(|x| x.to_f64())
        .sum()
}

fn right(gemm: &mut Gemm) -> Result<(), String> {
    for _ in 0..2 {
        gemm.run();
        gemm.product.verify_every_element()?;
        gemm.verify(20, 5)?;
    }
    Ok(())
}

fn here(threads: usize) -> Vec<usize> {
    let allowed = rustix::thread::sched_getaffinity(None).unwrap();
    let cpus: Vec<usize> = (0..1024).filter(|&cpu| allowed.is_set(cpu)).collect();
    (0..threads)
        .map(|thread| cpus[thread % cpus.len()])
        .collect()
}

macro_rules! layouts {
    ($($name:ident: $kernel:ty,)*) => {$(
        proptest! {
            #![proptest_config(ProptestConfig::with_cases(24))]
            #[test]
            fn $name(
                m in 1_usize..70, n in 1_usize..210, k in 1_usize..150,
                threads in 1_usize..5, seed in any::<u64>(),
            ) {
                let mut gemm = Gemm::with::<$kernel>((m, n, k), &here(threads), seed).unwrap();
                right(&mut gemm).map_err(TestCaseError::fail)?;
            }
        }
    )*};
}

// The layouts of all vector and tile kernels, in portable arithmetic.
layouts! {
    portable_fp64: Portable<Double, 4, 8, 1, 1>,
    portable_fp32: Portable<Single, 4, 16, 1, 1>,
    layout_of_avx512_fp64: Portable<Double, 9, 24, 1, 1>,
    layout_of_avx512_bf16: Portable<Brain, 9, 48, 2, 2>,
    layout_of_avx512_vnni: Portable<Byte, 9, 48, 4, 4>,
    layout_of_avx512_fp16: Portable<Half, 9, 48, 2, 2>,
    layout_of_avx_vnni: Portable<Byte, 4, 24, 4, 4>,
    layout_of_amx_bf16: Portable<Brain, 32, 32, 32, 2>,
    layout_of_amx_fp16: Portable<Half, 32, 32, 32, 2>,
    layout_of_amx_int8: Portable<Byte, 32, 32, 64, 4>,
}

/// Every kernel of this architecture whose instructions the processor has.
fn runnable() -> Vec<(Format, super::Isa)> {
    let mut runnable = Vec::new();
    for format in Format::ALL {
        for &(isa, features) in paths(format) {
            match first_missing(features) {
                None => runnable.push((format, isa)),
                Some(feature) => println!("skipped {}: no {feature}", isa.name()),
            }
        }
    }
    runnable
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn kernels_of_this_processor(
        m in 1_usize..70, n in 1_usize..210, k in 1_usize..300,
        threads in 1_usize..5, seed in any::<u64>(),
    ) {
        for (_, isa) in runnable() {
            let mut gemm = Gemm::on(isa, (m, n, k), &here(threads), seed).unwrap();
            right(&mut gemm).map_err(|why| TestCaseError::fail(format!("{isa:?}: {why}")))?;
        }
    }
}

#[test]
fn several_blocks_in_every_direction() {
    for (_, isa) in runnable() {
        let sizes = (521, 1300, 2100);
        let mut gemm = Gemm::on(isa, sizes, &here(2), 11).unwrap();
        gemm.run();
        gemm.verify(50, 3)
            .unwrap_or_else(|why| panic!("{isa:?}: {why}"));
    }
}

#[test]
fn a_wrong_product_is_found() {
    for (format, isa) in runnable() {
        // Beyond the bound of a row of this size in each format.
        let amount = match format {
            Format::Fp64 => 1e-8,
            Format::Fp32 | Format::Bf16 => 0.05,
            Format::Int8 => 1.0,
            Format::Fp16 => 20.0,
        };
        let mut gemm = Gemm::on(isa, (130, 250, 170), &here(2), 3).unwrap();
        assert!(
            gemm.verify(0, 1).is_err(),
            "{isa:?}: no product has been computed yet"
        );
        gemm.run();
        assert_eq!(gemm.verify(30, 1).err(), None);
        gemm.corrupt(Damage::Add {
            row: 77,
            column: 201,
            amount,
        });
        assert!(gemm.verify(0, 1).is_err(), "{isa:?}: one wrong element");
        gemm.corrupt(Damage::Zero);
        assert!(
            gemm.verify(0, 1).is_err() && gemm.verify(30, 1).is_err(),
            "{isa:?}: zeros"
        );
        gemm.run();
        assert_eq!(gemm.verify(30, 1).err(), None);
        gemm.corrupt(Damage::Poison);
        assert!(gemm.verify(0, 1).is_err(), "{isa:?}: stale tiles");
    }
}

#[test]
fn operands_do_not_depend_on_the_threads() {
    let mut one = Gemm::with::<Portable<Byte, 8, 48, 4, 4>>((50, 60, 70), &here(1), 9).unwrap();
    let mut four = Gemm::with::<Portable<Byte, 8, 48, 4, 4>>((50, 60, 70), &here(4), 9).unwrap();
    let mut other = Gemm::with::<Portable<Byte, 8, 48, 4, 4>>((50, 60, 70), &here(4), 10).unwrap();
    for gemm in [&mut one, &mut four, &mut other] {
        gemm.run();
    }
    assert_eq!(one.product.sum(), four.product.sum());
    assert_ne!(one.product.sum(), other.product.sum());
}

#[test]
fn nothing_is_not_a_product() {
    for sizes in [(0, 1, 1), (1, 0, 1), (1, 1, 0)] {
        let result = Gemm::new(Format::Fp64, sizes.0, sizes.1, sizes.2, &here(1), 1);
        assert!(matches!(result, Err(Error::Empty)));
    }
    assert!(matches!(
        Gemm::new(Format::Fp64, 1, 1, 1, &[], 1),
        Err(Error::Empty)
    ));
    let huge = Gemm::new(Format::Fp64, usize::MAX, 2, 2, &here(1), 1);
    assert!(matches!(huge, Err(Error::Memory(_))));
}

#[test]
fn unsupported_formats_name_what_is_missing() {
    for format in Format::ALL {
        let gemm = Gemm::new(format, 8, 8, 8, &here(1), 1);
        match (format.isa(), gemm) {
            (Ok(isa), Ok(gemm)) => assert_eq!(isa, gemm.isa()),
            (Err(expected), Err(Error::Unsupported { feature })) => {
                assert_eq!(feature, expected.feature);
                assert!(!feature.is_empty());
            }
            (isa, gemm) => panic!("{format:?}: {isa:?} and {:?}", gemm.err()),
        }
    }
}
