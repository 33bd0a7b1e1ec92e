//! JSON Schema, cut down to what a provider takes.
