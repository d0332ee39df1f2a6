//! What is watched of claims: the shadow and the decision log.

mod log;
mod shadow;
