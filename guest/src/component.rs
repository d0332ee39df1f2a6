//! The default policy as a WebAssembly component: the only file that knows of the bindings.
//!
//! It converts, calls the rule, and converts back; no rule is decided here. The component imports
//! nothing, which is why the allocator and the panic handler that `std` would bring are here.

#![allow(
    unsafe_code,
    reason = "the generated bindings are unsafe, and so is linking the C library"
)]
#![allow(
    missing_docs,
    reason = "the generated bindings have no documentation of their own"
)]

use alloc::vec::Vec;
use core::alloc::Layout;

use crate::{clause, decide, settings, snapshot};

wit_bindgen::generate!({ path: "../wit", world: "policy" });

use exports::serial_gate::policy::serial_gate::{
    Clause, Decision, Description, Dialect, Guest, Hold, PolicyError, Settings, Snapshot, TaskRef,
    Verdict,
};

struct DefaultPolicy;

export!(DefaultPolicy);

impl Guest for DefaultPolicy {
    fn describe() -> Description {
        Description {
            name: "serial".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "a task starts when every earlier task of its repo is done and the repo is not frozen".into(),
        }
    }

    fn decide(settings: Settings, snapshot: Snapshot) -> Result<Vec<Decision>, PolicyError> {
        let settings = parsed(&settings)?;
        let decisions = decide::decide(&settings, &queue_state(snapshot))
            .map_err(PolicyError::InvalidSnapshot)?;
        Ok(decisions.into_iter().map(contract_decision).collect())
    }

    fn claim_clause(settings: Settings, _: Dialect) -> Result<Clause, PolicyError> {
        let settings = parsed(&settings)?;
        Ok(Clause {
            text: clause::claim_clause(&settings),
            notes: settings.scope.notes().to_vec(),
            valid_until: None,
        })
    }
}

fn parsed(settings: &Settings) -> Result<settings::Settings, PolicyError> {
    settings::Settings::parse(
        settings.enabled,
        &settings.repos,
        settings.freeze_enabled,
        settings.rules.as_deref(),
    )
    .map_err(PolicyError::InvalidRules)
}

fn queue_state(contract: Snapshot) -> snapshot::Snapshot {
    snapshot::Snapshot {
        symbols: contract.symbols,
        tasks: contract
            .tasks
            .iter()
            .map(|task| snapshot::Task {
                id: task.id,
                repo: task.repo,
                stage: task.stage,
            })
            .collect(),
        jobs: contract
            .jobs
            .iter()
            .map(|job| snapshot::Job {
                id: job.id,
                task_id: job.task_id.map(task_ref),
                repo: job.repo,
                agent: job.agent,
                status: job.status,
            })
            .collect(),
        freezes: contract
            .freezes
            .iter()
            .map(|freeze| snapshot::Freeze {
                id: freeze.id,
                repo: freeze.repo,
                active: freeze.cleared_at.is_none(),
            })
            .collect(),
    }
}

fn task_ref(contract: TaskRef) -> snapshot::TaskRef {
    match contract {
        TaskRef::Id(id) => snapshot::TaskRef::Id(id),
        TaskRef::AfterEveryId => snapshot::TaskRef::AfterEveryId,
    }
}

fn contract_decision(decision: snapshot::Decision) -> Decision {
    let verdict = match decision.verdict {
        snapshot::Verdict::Claim => Verdict::Claim,
        snapshot::Verdict::Hold {
            earlier_task,
            freeze,
        } => Verdict::Hold(Hold {
            earlier_task,
            freeze,
            rule: None,
        }),
    };
    Decision {
        job: decision.job,
        verdict,
    }
}

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
