#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    millrace_wire_fuzz::samples(data);
});
