//! Peak rate of the arithmetic units.
