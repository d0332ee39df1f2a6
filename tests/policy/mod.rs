//! The sandbox of the policies: components that mean harm, components of other contracts, and the
//! compiled ones on the disk.

mod bombs;
mod built_in;
mod containment;
mod contract_versions;
mod inspect;
mod json_face;
mod kept_policies;
mod smallest_host;
mod source;
mod texts_of_policies;
mod wasi;
mod wit_package;
