//! What `std` would bring to a component, without its imports: an allocator, a panic handler, and
//! the function by which the host passes arguments.
//!
//! Owns nothing of the rule. Every policy that links this library gets it, and imports nothing.

#![allow(
    unsafe_code,
    reason = "the canonical ABI and the C library are foreign code"
)]

use core::alloc::Layout;

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

// `memcpy`, `memcmp` and their kind. With `std` they come with its own link to this library.
#[link(name = "c")]
unsafe extern "C" {}

/// Where the host puts the arguments: the canonical ABI's allocator, under the name it asks for.
///
/// # Safety
///
/// The canonical ABI passes either no old block (`old_size` is 0), or one that it got here with
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
        core::arch::wasm32::unreachable();
    }
    block
}

/// Traps: the host sees that the policy failed, and goes on without it.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
