//! The wire format of the AWS Glue Schema Registry: which version of a schema a value has.
//!
//! In front of the value stand a 3, a byte that says how the value is packed (0: not at all, 5: by zlib), and the id of
//! the schema's version, 16 bytes. For Protobuf the value begins with the index of its message among all messages of the file, those
//! within others too, sorted by their full names.
//! <https://github.com/awslabs/aws-glue-schema-registry>
//!
//! Invariant: a value takes no more than [`LARGEST`] bytes of memory, whatever it was packed from.

use std::borrow::Cow;
use std::io::Read as _;

use flate2::read::ZlibDecoder;

use super::SchemaKey;

/// What every value begins with.
pub(super) const VERSION: u8 = 3;
const NOT_PACKED: u8 = 0;
const ZLIB: u8 = 5;
/// The most bytes that a value has: as many as the numbers of the largest record.
const LARGEST: u64 = 64 << 20;

/// Which schema the bytes have, and the value behind it; or why not.
pub(super) fn split(bytes: &[u8]) -> Result<(SchemaKey, Cow<'_, [u8]>), String> {
    let [_, packed, rest @ ..] = bytes else {
        return Err("it ends in the middle of the header of AWS Glue".to_owned());
    };
    let Some((version, value)) = rest.split_first_chunk::<16>() else {
        return Err("it ends in the middle of the id of its schema's version".to_owned());
    };
    let key = SchemaKey::Glue(u128::from_be_bytes(*version));
    let value = match *packed {
        NOT_PACKED => Cow::Borrowed(value),
        ZLIB => Cow::Owned(unpacked(value)?),
        other => {
            return Err(format!(
                "its header of AWS Glue says that it is packed by {other}: there are {NOT_PACKED} (not at all) and {ZLIB} (zlib)"
            ));
        }
    };
    Ok((key, value))
}

fn unpacked(value: &[u8]) -> Result<Vec<u8>, String> {
    let mut unpacked = Vec::new();
    let mut reader = ZlibDecoder::new(value).take(LARGEST + 1);
    reader
        .read_to_end(&mut unpacked)
        .map_err(|error| format!("it cannot be unpacked by zlib: {error}"))?;
    if unpacked.len() as u64 > LARGEST {
        return Err(format!("it has more than {LARGEST} bytes when unpacked"));
    }
    Ok(unpacked)
}

/// Puts the id of a schema's version in front of bytes, which stay as they are.
pub(super) fn framed(version: u128, bytes: &[u8]) -> Vec<u8> {
    [&[VERSION, NOT_PACKED], &version.to_be_bytes()[..], bytes].concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;
    use proptest::prelude::*;

    use super::*;

    fn packed(version: u128, bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(framed(version, &[]), Compression::fast());
        encoder.write_all(bytes).unwrap();
        let mut packed = encoder.finish().unwrap();
        packed[1] = ZLIB;
        packed
    }

    #[test]
    fn the_header_is_the_one_of_aws() {
        let id = uuid::uuid!("b7b4a7f0-9c96-4e4a-a687-fb5de9ef0c63").as_u128();
        let mut expected = vec![3, 0];
        expected.extend(hex::decode("b7b4a7f09c964e4aa687fb5de9ef0c63").unwrap());
        expected.push(42);
        assert_eq!(framed(id, &[42]), expected);
    }

    #[test]
    fn what_is_no_value_of_aws_is_refused_with_what_is_wrong() {
        let whole = packed(7, b"a text that is packed, a text that is packed");
        let other = [&[3, 9], &whole[2..]].concat();
        for (bytes, said) in [
            (&[3][..], "the header"),
            (&whole[..17], "the id of its schema's version"),
            (&whole[..whole.len() - 8], "by zlib"),
            (&other, "packed by 9"),
        ] {
            let reason = split(bytes).unwrap_err();
            assert!(reason.contains(said), "{reason}");
        }
    }

    #[test]
    fn a_small_record_that_unpacks_to_a_huge_one_is_refused() {
        let bomb = packed(7, &vec![0; usize::try_from(LARGEST).unwrap() + 1]);
        assert!(bomb.len() < 1 << 20, "{}", bomb.len());
        assert!(split(&bomb).unwrap_err().contains("when unpacked"));
    }

    proptest! {
        #[test]
        fn values_come_out_as_they_went_in(version: u128, bytes: Vec<u8>) {
            for framed in [framed(version, &bytes), packed(version, &bytes)] {
                let (key, value) = split(&framed).unwrap();
                prop_assert_eq!(key, SchemaKey::Glue(version));
                prop_assert_eq!(&*value, &bytes);
            }
        }

        #[test]
        fn rubbish_is_refused_or_read(bytes: Vec<u8>) {
            let framed = [&[VERSION, ZLIB][..], &bytes].concat();
            drop(split(&framed));
        }
    }
}
