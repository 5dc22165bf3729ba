//! GLYPH payload text.
