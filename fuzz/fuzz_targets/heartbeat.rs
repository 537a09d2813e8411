#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tsuji_fuzz::checks::run("heartbeat", data));
