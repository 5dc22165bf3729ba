//! What there is of sinks, for those who look at them.

use actors::sink::SinkHandle;

use super::traces::TraceStore;

/// Where traces are kept besides the log.
#[derive(Debug, Clone, Default)]
pub struct Sinks {
    /// The store of traces, if there is one.
    pub traces: Option<TraceStore>,
    /// All sinks.
    pub handles: Vec<SinkHandle>,
}

impl Sinks {
    /// Has all sinks write what there is and stop.
    pub async fn finish(&self) {
        for handle in &self.handles {
            handle.finish().await;
        }
    }

    /// Returns the sink of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&SinkHandle> {
        self.handles.iter().find(|handle| handle.name() == name)
    }
}
