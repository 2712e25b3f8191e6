//! The rules on a simulated machine: one by one in [`rules`], in random order against a model in [`model`]; packet filters in [`network`], handlers in [`handlers`].

mod audit;
mod handlers;
mod machine;
mod model;
mod network;
mod revocation;
mod rules;
mod source;
