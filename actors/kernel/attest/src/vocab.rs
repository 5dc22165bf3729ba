//! The closed lists of the wire format.

use std::fmt;

macro_rules! words {
    ($(#[$doc:meta])* $type:ident { $($(#[$item:meta])* $name:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $type {
            $($(#[$item])* $name,)*
        }

        impl $type {
            /// All of them.
            pub const ALL: &[$type] = &[$($type::$name,)*];
            /// Their words, for messages.
            pub const WORDS: &[&str] = &[$($word,)*];

            /// Returns the word on the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $($type::$name => $word,)*
                }
            }

            /// Returns the one that a word names.
            #[must_use]
            pub fn of(word: &str) -> Option<$type> {
                match word {
                    $($word => Some($type::$name),)*
                    _ => None,
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// How much a trace says.
    Level {
        /// Numbers, booleans, ids, sizes and cost; no text.
        Generic = "generic",
        /// And reasoning, identified sources, hashes of prompts.
        Detailed = "detailed",
        /// And prompts and completions.
        FullTraces = "full_traces",
    }
}

words! {
    /// The version of a trace: which fields its signature covers.
    Version {
        /// Nine fields, four a component.
        V270 = "2.7.0",
        /// And the deployment profile, and the agent in each component.
        V279 = "2.7.9",
    }
}

words! {
    /// What a component reports.
    EventKind {
        /// A thought begins.
        ThoughtStart = "THOUGHT_START",
        /// What the agent knew.
        SnapshotAndContext = "SNAPSHOT_AND_CONTEXT",
        /// What the decision makers said.
        DmaResults = "DMA_RESULTS",
        /// What the identity decision maker said.
        IdmaResult = "IDMA_RESULT",
        /// Which action was selected.
        AspdmaResult = "ASPDMA_RESULT",
        /// Which tool was selected.
        TsaspdmaResult = "TSASPDMA_RESULT",
        /// What a second pass over the verb said.
        VerbSecondPassResult = "VERB_SECOND_PASS_RESULT",
        /// What the conscience said.
        ConscienceResult = "CONSCIENCE_RESULT",
        /// What was done; it seals the trace.
        ActionResult = "ACTION_RESULT",
        /// A model was called.
        LlmCall = "LLM_CALL",
        /// A round ended.
        RoundComplete = "ROUND_COMPLETE",
    }
}

words! {
    /// What part of a trace a component is.
    ComponentKind {
        /// What was observed.
        Observation = "observation",
        /// What was known.
        Context = "context",
        /// Why.
        Rationale = "rationale",
        /// Whether it was right.
        Conscience = "conscience",
        /// What was done.
        Action = "action",
        /// A second look at the verb.
        VerbSecondPass = "verb_second_pass",
        /// A call of a model.
        LlmCall = "llm_call",
        /// Something else.
        Unknown = "unknown",
    }
}

words! {
    /// How a call of a model ended.
    CallStatus {
        /// Well.
        Ok = "ok",
        /// Too late.
        Timeout = "timeout",
        /// The model turned it away.
        RateLimited = "rate_limited",
        /// There was no such model.
        ModelNotAvailable = "model_not_available",
        /// The answer had the wrong shape, and it was asked again.
        InstructorRetry = "instructor_retry",
        /// Badly in another way.
        OtherError = "other_error",
    }
}
