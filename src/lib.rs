//! optilock
