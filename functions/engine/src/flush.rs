//! Flush-to-zero on the thread that calls ONNX Runtime.
//!
//! Adam's moments of a dead unit decay into denormal numbers, with which a
//! processor calculates many times slower. ONNX Runtime sets the processor's
//! mode on the threads of its own pool, but on the calling thread only when it
//! makes the process's first session. The mode lasts as long as the guard.
#![allow(
    unsafe_code,
    reason = "the processor's floating-point mode has no safe interface"
)]

use std::arch::asm;
use std::marker::PhantomData;

/// While this lives, the current thread takes denormal numbers for zero.
pub(crate) struct FlushToZero {
    before: Mode,
    /// The mode is the thread's: the guard must not move to another one.
    thread: PhantomData<*const ()>,
}

impl FlushToZero {
    pub(crate) fn enable() -> Self {
        let before = read();
        write(before | FLUSH);
        Self {
            before,
            thread: PhantomData,
        }
    }
}

impl Drop for FlushToZero {
    fn drop(&mut self) {
        write(self.before);
    }
}

#[cfg(target_arch = "x86_64")]
type Mode = u32;
/// "Flush to zero" and "denormals are zero" of the MXCSR register.
#[cfg(target_arch = "x86_64")]
const FLUSH: Mode = 1 << 15 | 1 << 6;

#[cfg(target_arch = "x86_64")]
fn read() -> Mode {
    let mut mode: Mode = 0;
    // SAFETY: stores four bytes in a local variable of four bytes.
    unsafe {
        asm!("stmxcsr [{}]", in(reg) &raw mut mode, options(nostack, preserves_flags));
    }
    mode
}

#[cfg(target_arch = "x86_64")]
fn write(mode: Mode) {
    // SAFETY: reads four bytes of a local variable. Only the treatment of denormal numbers is
    // changed, never exceptions or rounding; between the two writes of a guard this thread only
    // calls ONNX Runtime, which does the same by itself, and does no arithmetic of its own.
    unsafe {
        asm!("ldmxcsr [{}]", in(reg) &raw const mode, options(nostack, readonly, preserves_flags));
    }
}

#[cfg(target_arch = "aarch64")]
type Mode = u64;
/// "Flush to zero" of the FPCR register; it covers inputs too.
#[cfg(target_arch = "aarch64")]
const FLUSH: Mode = 1 << 24;

#[cfg(target_arch = "aarch64")]
fn read() -> Mode {
    let mode: Mode;
    // SAFETY: copies a register that every thread may read.
    unsafe {
        asm!("mrs {}, fpcr", out(reg) mode, options(nomem, nostack, preserves_flags));
    }
    mode
}

#[cfg(target_arch = "aarch64")]
fn write(mode: Mode) {
    // SAFETY: only the treatment of denormal numbers is changed, never exceptions or rounding;
    // between the two writes of a guard this thread only calls ONNX Runtime, which does the same
    // by itself, and does no arithmetic of its own.
    unsafe {
        asm!("msr fpcr, {}", in(reg) mode, options(nomem, nostack, preserves_flags));
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::FlushToZero;

    #[test]
    fn denormal_numbers_are_zero_only_under_the_guard() {
        let half = || black_box(f32::MIN_POSITIVE) * black_box(0.5);
        assert!(half().is_subnormal());
        let guard = FlushToZero::enable();
        let flushed = half().to_bits();
        drop(guard);
        assert_eq!(flushed, 0);
        assert!(half().is_subnormal());
    }
}
