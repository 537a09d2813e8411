//! Whole programs, from outside.

mod dscontrol;
