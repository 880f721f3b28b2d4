use super::*;
use crate::value::first_id;

#[test]
fn a_batch_has_the_wanted_size_and_comes_back() {
    for batch_bytes in [512, 1024, 2048, 4096] {
        let id = first_id(0);
        let batch = build(0, &[(id, value_bytes_for(batch_bytes))], 7).unwrap();
        assert_eq!(batch.len(), batch_bytes);
        let records = decode(0, &[batch]).unwrap();
        assert_eq!(records.len(), 1);
        assert_eq!((records[0].offset, records[0].id), (0, Some(id)));
    }
}
