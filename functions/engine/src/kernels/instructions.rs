//! The processor's vector instructions, chosen at run time.
//!
//! Kernels are plain loops over slices. [`run`] compiles such a loop several times, each for more instructions, and takes the
//! best version that this processor has: no kernel names an instruction, and other architectures run the same code. The
//! compiler makes short vectors of such a loop, which is enough where memory is what takes time. Where sums have to stay in
//! registers, a kernel is a loop over [`Vector`]s, and [`run_on_vectors`] chooses how long they are.
#![allow(
    unsafe_code,
    reason = "only the caller can know that the processor has the instructions which a function is compiled for"
)]

mod vector;

use std::marker::PhantomData;

use vector::Portable;
pub(super) use vector::{BLOCK, Vector};
#[cfg(target_arch = "x86_64")]
use vector::{Narrow, Wide};

/// A loop to be compiled for several instruction sets.
pub(super) trait Task {
    type Output;

    /// Does it. Has to be `#[inline(always)]`, with all that it calls: only what is inlined gets the instructions.
    fn run(self) -> Self::Output;
}

/// Does a task with the best instructions that the processor has.
#[cfg(target_arch = "x86_64")]
pub(super) fn run<T: Task>(task: T) -> T::Output {
    if has_avx512() {
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { avx512(task) };
    }
    if has_avx2() {
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { avx2(task) };
    }
    task.run()
}

/// Does a task with the instructions that every processor of the architecture has.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn run<T: Task>(task: T) -> T::Output {
    task.run()
}

/// A loop over vectors, to be compiled for several instruction sets.
pub(super) trait VectorTask {
    type Output;

    /// Does it. Has to be `#[inline(always)]`, with all that it calls, as in a [`Task`].
    fn run<V: Vector>(self) -> Self::Output;
}

/// A task whose vectors are chosen.
struct On<V, T>(T, PhantomData<V>);

impl<V: Vector, T: VectorTask> Task for On<V, T> {
    type Output = T::Output;

    #[inline(always)]
    fn run(self) -> T::Output {
        self.0.run::<V>()
    }
}

/// Does a task with the longest vectors that the processor has.
pub(super) fn run_on_vectors<T: VectorTask>(task: T) -> T::Output {
    #[cfg(target_arch = "x86_64")]
    if has_avx512() {
        // SAFETY: the processor has what the function is compiled for, and the vectors need no more.
        return unsafe { avx512(On::<Wide, _>(task, PhantomData)) };
    } else if has_avx2() {
        // SAFETY: the processor has what the function is compiled for, and the vectors need no more.
        return unsafe { avx2(On::<Narrow, _>(task, PhantomData)) };
    }
    On::<Portable, _>(task, PhantomData).run()
}

/// Does a task with certain vectors, portable ones, `avx2` or `avx512`, if the processor has them.
#[cfg(test)]
pub(super) fn run_on<T: VectorTask>(vectors: &str, task: T) -> Option<T::Output> {
    match vectors {
        "portable" => Some(task.run::<Portable>()),
        // SAFETY: the processor has what the functions are compiled for.
        #[cfg(target_arch = "x86_64")]
        "avx2" if has_avx2() => Some(unsafe { avx2(On::<Narrow, _>(task, PhantomData)) }),
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        "avx512" if has_avx512() => Some(unsafe { avx512(On::<Wide, _>(task, PhantomData)) }),
        _ => None,
    }
}

/// Those that [`run_on`] knows.
#[cfg(test)]
pub(super) const VECTORS: [&str; 3] = ["portable", "avx2", "avx512"];

/// What the instructions that [`run`] chooses can do, for loops whose sizes depend on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Vectors {
    /// 32 vectors of 16 numbers; multiplication and addition in one.
    Wide,
    /// 16 vectors of 8 numbers; multiplication and addition in one.
    Narrow,
    /// Not known; multiplication and addition in one may be many times as slow as in two.
    Unknown,
}

/// The vectors of this processor.
pub(super) fn vectors() -> Vectors {
    #[cfg(target_arch = "x86_64")]
    if has_avx512() {
        return Vectors::Wide;
    } else if has_avx2() {
        return Vectors::Narrow;
    }
    Vectors::Unknown
}

/// What [`run`] chooses here: a set of instructions, or the architecture where it has no choice.
pub(crate) fn name() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    if has_avx512() {
        return "avx512";
    } else if has_avx2() {
        return "avx2";
    }
    std::env::consts::ARCH
}

// The macros read a variable that the standard library keeps.
#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn avx512<T: Task>(task: T) -> T::Output {
    task.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2<T: Task>(task: T) -> T::Output {
    task.run()
}
