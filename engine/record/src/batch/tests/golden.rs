use super::sample;

#[test]
fn a_batch_has_these_very_bytes() {
    #[rustfmt::skip]
    let expected: &[u8] = &[
        0, 0, 0, 0, 0, 0, 0, 0,                              // base offset
        0, 0, 0, 0x4c,                                       // length: 49 + 17 + 10
        0xff, 0xff, 0xff, 0xff,                              // leader epoch: none
        2,                                                   // magic
        0, 0, 0, 0,                                          // CRC, filled in below
        0, 0,                                                // attributes
        0, 0, 0, 1,                                          // last offset delta
        0, 0, 0x01, 0x8b, 0xcf, 0xe5, 0x68, 0x00,            // base time stamp 1 700 000 000 000
        0, 0, 0x01, 0x8b, 0xcf, 0xe5, 0x68, 0x05,            // max time stamp
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,      // producer id
        0xff, 0xff,                                          // producer epoch
        0xff, 0xff, 0xff, 0xff,                              // base sequence
        0, 0, 0, 2,                                          // record count
        32, 0, 0, 0, 2, b'k', 10, b'h', b'e', b'l', b'l', b'o', 2, 2, b'h', 2, b'x',
        18, 0, 10, 2, 1, 1, 2, 2, b'n', 1,
    ];
    let batch = sample();
    let mut without_crc = batch.to_vec();
    without_crc[17..21].fill(0);
    assert_eq!(without_crc, expected);
    assert_eq!(batch[17..21], crc32c::crc32c(&expected[21..]).to_be_bytes());
}
