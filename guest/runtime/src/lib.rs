//! What a component needs from `std`, without the imports of `std`: an allocator, a panic handler,
//! and the function with which the host allocates arguments.
//!
//! A component that links this library has them, and imports nothing. It is empty on every other
//! target than wasm32.

#![no_std]
#![cfg(target_arch = "wasm32")]
#![allow(
    unsafe_code,
    reason = "the canonical ABI, the C library and the memory itself are outside of Rust"
)]

extern crate alloc;

use core::alloc::Layout;
use core::arch::wasm32::{memory_grow, memory_size, unreachable};
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use talc::base::{Talc, binning::Binning};
use talc::cell::TalcSyncCell;
use talc::source::Source;
use talc::wasm::WasmBinning;

#[global_allocator]
static ALLOCATOR: TalcSyncCell<Memory, WasmBinning> = TalcSyncCell::new_wasm(Memory::Nothing);

/// Writes the crate's version, licence and description into the component, where tools show them:
/// `serial-gate policy inspect`, `wasm-tools metadata show`. The sections' names are those tools'.
#[macro_export]
macro_rules! metadata {
    () => {
        $crate::metadata!("version", "CARGO_PKG_VERSION");
        $crate::metadata!("licenses", "CARGO_PKG_LICENSE");
        $crate::metadata!("description", "CARGO_PKG_DESCRIPTION");
    };
    ($section:literal, $variable:literal) => {
        const _: () = {
            // SAFETY: the section belongs to no code.
            #[used]
            #[unsafe(link_section = $section)]
            static TEXT: [u8; env!($variable).len()] = $crate::bytes(env!($variable));
        };
    };
}

/// The bytes of a text, whose length `N` is.
#[doc(hidden)]
pub const fn bytes<const N: usize>(text: &str) -> [u8; N] {
    match text.as_bytes().first_chunk() {
        Some(bytes) => *bytes,
        None => [0; N],
    }
}

/// Memory that is there from the start, enough for most calls. To grow a memory, and to shrink it
/// for the next instance, takes a host longer than a small call.
static mut BEGINNING: [MaybeUninit<u8>; FIRST] = [MaybeUninit::uninit(); FIRST];
const FIRST: usize = 1 << 20;

/// The memory that the allocator has so far.
#[derive(Debug)]
enum Memory {
    Nothing,
    Beginning,
    /// It also has the memory that the host gave, up to this end.
    Grown(NonNull<u8>),
}

// SAFETY: nothing here allocates.
unsafe impl Source for Memory {
    fn acquire<B: Binning>(talc: &mut Talc<Memory, B>, layout: Layout) -> Result<(), ()> {
        const PAGE: usize = 64 << 10;
        if let Memory::Nothing = talc.source {
            talc.source = Memory::Beginning;
            // SAFETY: only this line uses it, once.
            return match unsafe { talc.claim((&raw mut BEGINNING).cast(), FIRST) } {
                Some(_) => Ok(()),
                None => Err(()),
            };
        }
        // Some more, for the allocator's data and the next blocks.
        let pages = (layout.size() + layout.align()).div_ceil(PAGE) + 16;
        let start = memory_size(0) * PAGE;
        if memory_grow(0, pages) == usize::MAX {
            return Err(());
        }
        let start = core::ptr::with_exposed_provenance_mut::<u8>(start);
        let end = start.wrapping_add(pages * PAGE);
        // SAFETY: the pages are new and follow the last ones: nothing else grows this memory.
        let end = unsafe {
            match talc.source {
                Memory::Grown(before) => talc.extend(before, end),
                _ => talc.claim(start, pages * PAGE).ok_or(())?,
            }
        };
        talc.source = Memory::Grown(end);
        Ok(())
    }
}

// For `memcpy`, `memcmp` and the like. `std` would link this library.
#[link(name = "c")]
unsafe extern "C" {}

/// The canonical ABI's allocator, with which the host makes room for the arguments.
///
/// # Safety
///
/// The canonical ABI passes either no old block (`old_size` is 0), or a block that it got here with
/// the same size and alignment. `align` is a power of two.
#[unsafe(no_mangle)]
unsafe extern "C" fn cabi_realloc(
    old: *mut u8,
    old_size: usize,
    align: usize,
    new_size: usize,
) -> *mut u8 {
    if new_size == 0 {
        return core::ptr::without_provenance_mut(align);
    }
    // SAFETY: the canonical ABI promises a valid size and alignment, and an old block of ours.
    let block = unsafe {
        if old_size == 0 {
            alloc::alloc::alloc(Layout::from_size_align_unchecked(new_size, align))
        } else {
            alloc::alloc::realloc(
                old,
                Layout::from_size_align_unchecked(old_size, align),
                new_size,
            )
        }
    };
    if block.is_null() {
        unreachable();
    }
    block
}

/// Traps: the host sees that the policy failed, and goes on without it.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unreachable()
}
