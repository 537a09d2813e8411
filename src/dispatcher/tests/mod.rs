//! Stories of the heart, told in pretended time.

mod alerts;
mod comebacks;
mod explanations;
mod health;
mod laws;
mod names;
mod operators;
mod pretend;
mod reload;
mod reports;
mod weights;

use pretend::{Fate, Pretend, SHOP};
