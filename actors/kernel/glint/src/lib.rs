//! The vocabulary of Glintcast: what an event, a source, a topic, a phase and an offset are.
//!
//! Pure values: nothing here reads a clock, a file or a socket, and nothing here knows how a client is spoken to.
//!
//! Layout:
//! - [`json`]: JSON with lexemes and member order kept.
//! - [`draft`]: a glint on its way in, whatever its shape.
//! - [`event`]: an event on its way out: topics, names, numbers.
//! - [`hex`]: bytes as digits.
//! - [`offset`]: the place of an event in the one order.
//! - [`phase`]: the breath, its phases and its climate.
//! - [`stamp`]: points in time.
//! - [`refusal`]: what is said when something is not taken.

pub mod draft;
pub mod event;
pub mod hex;
pub mod json;
pub mod offset;
pub mod phase;
pub mod refusal;
pub mod stamp;

pub use draft::Draft;
pub use event::{Event, Name, Topic, Topics};
pub use offset::Offset;
pub use phase::{Breath, Climate, Phase, State};
pub use refusal::{Refusal, RefusalKind};
pub use stamp::{Stamp, Zone};
