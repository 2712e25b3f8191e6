//! The rules on a simulated machine: one by one in [`rules`], in random order against a model in [`model`].

mod audit;
mod machine;
mod model;
mod revocation;
mod rules;
