//! A claim that finds nothing, and the change that ends the wait.
