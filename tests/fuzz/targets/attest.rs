//! The reader of signed bytes never panics, takes nothing that another reader does not, and its canonical form is its
//! own and means the same. Records and rules read back or are refused.

#![no_main]

use attest::{Batch, Code, Limits, RECORD_LIMITS, Record, Tape, canonicalise};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let other = serde_json::from_slice::<serde_json::Value>(bytes);
    let limits = Limits::default();
    let once = match canonicalise(bytes, &limits) {
        Ok(once) => once,
        Err(fault) => {
            let documented = matches!(fault.code, Code::DataTooDeep | Code::DuplicateKey)
                || fault.detail.contains("beyond the range of a double")
                || fault.detail.contains("digits");
            assert!(documented || other.is_err(), "only we refuse it: {fault}");
            return;
        }
    };
    assert!(other.is_ok(), "only we take it: {other:?}");
    assert!(once.bytes().all(|byte| matches!(byte, b' '..=b'~')));
    assert_eq!(canonicalise(once.as_bytes(), &limits).as_ref(), Ok(&once));
    let tape = Tape::read(bytes, &limits).expect("read before");
    if let Ok(batch) = Batch::read(&tape) {
        for signed in &batch.traces {
            let mut canonical = String::new();
            signed.trace.write_canonical(&mut canonical);
            assert!(canonicalise(canonical.as_bytes(), &limits).as_ref() == Ok(&canonical));
            let _ = signed.trace.attempts(attest::trace::Strictness::AsSigned);
        }
    }
    let tape = Tape::read(bytes, &RECORD_LIMITS).expect("read before");
    if let Ok(record) = Record::read(&tape) {
        assert!(record.event_rows().is_ok() && record.llm_rows().is_ok());
    }
});
