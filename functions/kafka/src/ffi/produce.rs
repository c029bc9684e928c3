//! Handing records to a producer. rdkafka's own call copies the topic's name and has librdkafka search
//! for the topic under the client's lock, with every record; here a topic is looked up once.

use std::ptr;

use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka_sys as sys;
use rdkafka_sys::rd_kafka_vtype_t as vtype;

use super::{Failure, Native, c_string};
use crate::OutRecord;

/// A topic of one client, whose owner drops it before the client.
pub(crate) struct Topic {
    pointer: *mut sys::rd_kafka_topic_t,
}

// SAFETY: librdkafka locks its topics: they may be used on any thread.
unsafe impl Send for Topic {}
// SAFETY: as above, on several threads at once.
unsafe impl Sync for Topic {}

impl Drop for Topic {
    fn drop(&mut self) {
        // SAFETY: made by `Native::topic` and dropped once, before its client.
        unsafe { sys::rd_kafka_topic_destroy(self.pointer) }
    }
}

/// A record's headers, until librdkafka takes them over with the record.
pub(crate) struct Headers {
    pointer: *mut sys::rd_kafka_headers_t,
}

impl Headers {
    /// Copies of a record's headers; none where it has none.
    pub(crate) fn of(record: &OutRecord<'_>) -> Option<Self> {
        if record.headers.is_empty() {
            return None;
        }
        // SAFETY: a list is made for at least as many headers as are added.
        let headers = Self {
            pointer: unsafe { sys::rd_kafka_headers_new(record.headers.len()) },
        };
        for (name, value) in &record.headers {
            let (value, size) = bytes(value.as_deref());
            // SAFETY: the list is alive and ours alone; name and value are copied by their lengths,
            // of which none exceeds a slice's, and adding cannot fail.
            unsafe {
                sys::rd_kafka_header_add(
                    headers.pointer,
                    name.as_ptr().cast(),
                    name.len().cast_signed(),
                    value,
                    size.cast_signed(),
                );
            }
        }
        Some(headers)
    }
}

impl Drop for Headers {
    fn drop(&mut self) {
        // SAFETY: the list is ours until it is forgotten, which is when librdkafka has taken it.
        unsafe { sys::rd_kafka_headers_destroy(self.pointer) }
    }
}

impl Native<'_> {
    /// Looks a topic up for writing. The cluster is not asked whether it exists.
    pub(crate) fn topic(self, name: &str) -> Result<Topic, Failure> {
        let name = c_string(name)?;
        // SAFETY: the client is alive; librdkafka copies the name.
        let pointer =
            unsafe { sys::rd_kafka_topic_new(self.client, name.as_ptr(), ptr::null_mut()) };
        if pointer.is_null() {
            // SAFETY: reads the error of this thread's last call.
            let code: Code = unsafe { sys::rd_kafka_last_error() }.into();
            return Err(Failure::of_code(code, code.to_string()));
        }
        Ok(Topic { pointer })
    }

    /// Takes a record in, with `headers`, which are left where it is refused. `topic` is one of this
    /// client's, and counts in place of the record's.
    pub(crate) fn produce(
        self,
        topic: &Topic,
        record: &OutRecord<'_>,
        headers: &mut Option<Headers>,
        opaque: usize,
    ) -> Result<(), Code> {
        let (value, value_size) = bytes(record.value);
        let (key, key_size) = bytes(record.key);
        let list = headers
            .as_ref()
            .map_or(ptr::null_mut(), |headers| headers.pointer);
        // SAFETY: client and topic are alive; key and value are copied before the call returns; each
        // argument has the type that its tag asks for, and the end is marked. The opaque value is a
        // number, which is never followed as a pointer.
        let code: Code = unsafe {
            sys::rd_kafka_producev(
                self.client,
                vtype::RD_KAFKA_VTYPE_RKT,
                topic.pointer,
                vtype::RD_KAFKA_VTYPE_PARTITION,
                record.partition.unwrap_or(-1),
                vtype::RD_KAFKA_VTYPE_MSGFLAGS,
                sys::RD_KAFKA_MSG_F_COPY,
                vtype::RD_KAFKA_VTYPE_VALUE,
                value,
                value_size,
                vtype::RD_KAFKA_VTYPE_KEY,
                key,
                key_size,
                vtype::RD_KAFKA_VTYPE_OPAQUE,
                ptr::without_provenance_mut::<std::ffi::c_void>(opaque),
                vtype::RD_KAFKA_VTYPE_TIMESTAMP,
                record.timestamp_ms.unwrap_or(0),
                vtype::RD_KAFKA_VTYPE_HEADERS,
                list,
                vtype::RD_KAFKA_VTYPE_END,
            )
        }
        .into();
        if code != Code::NoError {
            return Err(code);
        }
        // The message owns them now.
        std::mem::forget(headers.take());
        Ok(())
    }
}

/// Null and an empty slice are told apart, as Kafka does.
fn bytes(slice: Option<&[u8]>) -> (*const std::ffi::c_void, usize) {
    slice.map_or((ptr::null(), 0), |slice| {
        (slice.as_ptr().cast(), slice.len())
    })
}
