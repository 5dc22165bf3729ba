//! GS1 frames.
