//! `doctor`: what a write that no trigger saw leaves behind, and what becomes of it.
