//! What rdkafka's safe interface lacks, through rdkafka-sys: the one place of
//! this crate with `unsafe`.
//!
//! Invariant: every pointer is used while the client, event or message that
//! owns it is borrowed, every object made here is destroyed here, and all that
//! leaves this file is owned or borrows from a safe value.
#![allow(
    unsafe_code,
    reason = "librdkafka's admin calls, lossless header names and raw commits have no safe binding"
)]

mod produce;

use std::borrow::Cow;
use std::ffi::{CStr, CString, c_char};
use std::marker::PhantomData;
use std::ptr;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::client::{Client, ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::BorrowedMessage;
use rdkafka_sys as sys;

pub(crate) use produce::{Headers, Topic};

/// A failure as librdkafka's error objects tell it.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) reason: String,
    pub(crate) is_fatal: bool,
    pub(crate) is_retriable: bool,
    pub(crate) is_abortable: bool,
}

impl Failure {
    fn of_code(code: Code, reason: String) -> Self {
        Self {
            code,
            reason,
            is_fatal: false,
            is_retriable: false,
            is_abortable: false,
        }
    }
}

/// One partition of an admin call's answer.
#[derive(Clone, Debug)]
pub(crate) struct PartitionAnswer {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) metadata: String,
    pub(crate) error: Option<Code>,
}

/// A topic as `DescribeTopics` tells it.
#[derive(Clone, Debug)]
pub(crate) struct TopicAnswer {
    pub(crate) name: String,
    pub(crate) id: [u8; 16],
    pub(crate) partitions: usize,
    /// Whether this login may write to it; nothing where the brokers do not say.
    pub(crate) may_write: Option<bool>,
}

/// A group as `DescribeConsumerGroups` tells it.
#[derive(Clone, Debug)]
pub(crate) struct GroupAnswer {
    pub(crate) state: String,
    pub(crate) members: Vec<String>,
    /// What all of them hold together.
    pub(crate) held: Vec<PartitionAnswer>,
}

/// What became of a record that was written, or was not.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) error: Option<Code>,
    /// Only where it was not written.
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// What was given with the record.
    pub(crate) opaque: usize,
}

/// Which offsets `ListOffsets` is to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OffsetSpec {
    Earliest,
    /// The high watermark: the end for readers of uncommitted records.
    Latest,
    /// The last stable offset: the end for readers of committed records.
    LatestStable,
    /// The first offset at or after a time in milliseconds since 1970.
    Time(i64),
}

/// How long librdkafka itself would wait for a coordinator: its own limit, which is never reached,
/// since the caller gives up long before and takes the client down.
///
/// A request to a coordinator that librdkafka (2.12.1) gives up by itself stays in its list, and is
/// taken up again once a broker answers, with memory that is gone by then: the process is aborted
/// (`rd_kafka_enq_once_del_source_return`). A client that is destroyed takes the list with it.
const COORDINATOR_TIMEOUT: Duration = Duration::from_hours(1);

/// A borrowed librdkafka client.
#[derive(Clone, Copy)]
pub(crate) struct Native<'a> {
    client: *mut sys::rd_kafka_t,
    owner: PhantomData<&'a ()>,
}

impl<'a> Native<'a> {
    pub(crate) fn of<C: ClientContext>(client: &'a Client<C>) -> Self {
        Self {
            client: client.native_ptr(),
            owner: PhantomData,
        }
    }

    /// Describes one topic; a missing one fails with `UnknownTopicOrPartition`.
    pub(crate) fn describe_topic(
        self,
        topic: &str,
        timeout: Duration,
    ) -> Result<TopicAnswer, Failure> {
        let name = c_string(topic)?;
        let mut names = [name.as_ptr()];
        let event = self.admin_call(
            sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
            timeout,
            // SAFETY: the options are alive; a returned error is ours to destroy.
            |options| unsafe {
                take_failure(
                    sys::rd_kafka_AdminOptions_set_include_authorized_operations(options, 1),
                )
            },
            |options, queue| {
                // SAFETY: librdkafka copies the names before it returns, and the
                // collection is destroyed once.
                unsafe {
                    let topics =
                        sys::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), 1);
                    sys::rd_kafka_DescribeTopics(self.client, topics, options, queue);
                    sys::rd_kafka_TopicCollection_destroy(topics);
                }
            },
        )?;
        // SAFETY: all that is read here lives as long as the event.
        unsafe {
            let result = sys::rd_kafka_event_DescribeTopics_result(event.pointer);
            let mut count = 0;
            let topics = sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
            if topics.is_null() || count == 0 {
                return Err(unexpected("DescribeTopics answered without a topic"));
            }
            let topic = *topics;
            failure_of(sys::rd_kafka_TopicDescription_error(topic))?;
            let mut partitions = 0;
            sys::rd_kafka_TopicDescription_partitions(topic, &raw mut partitions);
            let id = sys::rd_kafka_TopicDescription_topic_id(topic);
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&sys::rd_kafka_Uuid_most_significant_bits(id).to_be_bytes());
            bytes[8..]
                .copy_from_slice(&sys::rd_kafka_Uuid_least_significant_bits(id).to_be_bytes());
            Ok(TopicAnswer {
                name: text(sys::rd_kafka_TopicDescription_name(topic)),
                id: bytes,
                partitions,
                may_write: may_write(topic),
            })
        }
    }

    /// Finds one offset a partition; `partitions` are numbers of `topic`.
    pub(crate) fn list_offsets(
        self,
        topic: &str,
        partitions: &[i32],
        spec: OffsetSpec,
        timeout: Duration,
    ) -> Result<Vec<PartitionAnswer>, Failure> {
        let name = c_string(topic)?;
        let offset = match spec {
            OffsetSpec::Earliest => -2,
            OffsetSpec::Latest | OffsetSpec::LatestStable => -1,
            OffsetSpec::Time(time) => time.max(0),
        };
        let list = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            // SAFETY: the list is alive and the returned element belongs to it.
            // The safe interface refuses negative offsets, which are the
            // protocol's names for both ends.
            unsafe {
                (*sys::rd_kafka_topic_partition_list_add(list.ptr(), name.as_ptr(), *partition))
                    .offset = offset;
            }
        }
        let isolation = if spec == OffsetSpec::Latest {
            sys::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED
        } else {
            sys::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED
        };
        let event = self.admin_call(
            sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTOFFSETS,
            timeout,
            |options| {
                // SAFETY: the options are alive; a returned error is ours to destroy.
                unsafe {
                    take_failure(sys::rd_kafka_AdminOptions_set_isolation_level(
                        options, isolation,
                    ))
                }
            },
            // SAFETY: client, list, options and queue are alive; librdkafka copies the list.
            |options, queue| unsafe {
                sys::rd_kafka_ListOffsets(self.client, list.ptr(), options, queue);
            },
        )?;
        // SAFETY: all that is read here lives as long as the event.
        unsafe {
            let result = sys::rd_kafka_event_ListOffsets_result(event.pointer);
            let mut count = 0;
            let infos = sys::rd_kafka_ListOffsets_result_infos(result, &raw mut count);
            Ok((0..count)
                .map(|index| {
                    partition_answer(&*sys::rd_kafka_ListOffsetsResultInfo_topic_partition(
                        *infos.add(index),
                    ))
                })
                .collect())
        }
    }

    /// Commits offsets for a group without members. The client must be dropped after a timeout.
    pub(crate) fn alter_group_offsets(
        self,
        group: &str,
        offsets: &TopicPartitionList,
        timeout: Duration,
    ) -> Result<Vec<PartitionAnswer>, Failure> {
        let group = c_string(group)?;
        let event = self.coordinator_call(
            sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS,
            timeout,
            |options, queue| {
                // SAFETY: the request copies group and list, and is destroyed once.
                unsafe {
                    let mut request =
                        sys::rd_kafka_AlterConsumerGroupOffsets_new(group.as_ptr(), offsets.ptr());
                    sys::rd_kafka_AlterConsumerGroupOffsets(
                        self.client,
                        &raw mut request,
                        1,
                        options,
                        queue,
                    );
                    sys::rd_kafka_AlterConsumerGroupOffsets_destroy(request);
                }
            },
        )?;
        // SAFETY: all that is read here lives as long as the event.
        unsafe {
            let result = sys::rd_kafka_event_AlterConsumerGroupOffsets_result(event.pointer);
            let mut count = 0;
            let groups =
                sys::rd_kafka_AlterConsumerGroupOffsets_result_groups(result, &raw mut count);
            group_answer(groups, count)
        }
    }

    /// Removes a group. The client must be dropped after a timeout.
    pub(crate) fn delete_group(self, group: &str, timeout: Duration) -> Result<(), Failure> {
        let group = c_string(group)?;
        let event = self.coordinator_call(
            sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DELETEGROUPS,
            timeout,
            |options, queue| {
                // SAFETY: the request copies the name, and is destroyed once.
                unsafe {
                    let mut request = sys::rd_kafka_DeleteGroup_new(group.as_ptr());
                    sys::rd_kafka_DeleteGroups(self.client, &raw mut request, 1, options, queue);
                    sys::rd_kafka_DeleteGroup_destroy(request);
                }
            },
        )?;
        // SAFETY: all that is read here lives as long as the event.
        unsafe {
            let result = sys::rd_kafka_event_DeleteGroups_result(event.pointer);
            let mut count = 0;
            let groups = sys::rd_kafka_DeleteGroups_result_groups(result, &raw mut count);
            group_answer(groups, count).map(drop)
        }
    }

    /// A group's state and members. The client must be dropped after a timeout.
    pub(crate) fn describe_group(
        self,
        group: &str,
        timeout: Duration,
    ) -> Result<GroupAnswer, Failure> {
        let name = c_string(group)?;
        let mut names = [name.as_ptr()];
        let event = self.coordinator_call(
            sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS,
            timeout,
            // SAFETY: librdkafka copies the names before it returns.
            |options, queue| unsafe {
                sys::rd_kafka_DescribeConsumerGroups(
                    self.client,
                    names.as_mut_ptr(),
                    1,
                    options,
                    queue,
                );
            },
        )?;
        // SAFETY: all that is read here lives as long as the event.
        unsafe {
            let result = sys::rd_kafka_event_DescribeConsumerGroups_result(event.pointer);
            let mut count = 0;
            let groups = sys::rd_kafka_DescribeConsumerGroups_result_groups(result, &raw mut count);
            if groups.is_null() || count == 0 {
                return Err(unexpected(
                    "DescribeConsumerGroups answered without a group",
                ));
            }
            let group = *groups;
            failure_of(sys::rd_kafka_ConsumerGroupDescription_error(group))?;
            let state = sys::rd_kafka_ConsumerGroupDescription_state(group);
            let count = sys::rd_kafka_ConsumerGroupDescription_member_count(group);
            let members: Vec<_> = (0..count)
                .map(|index| sys::rd_kafka_ConsumerGroupDescription_member(group, index))
                .collect();
            Ok(GroupAnswer {
                state: text(sys::rd_kafka_consumer_group_state_name(state)),
                held: members
                    .iter()
                    .filter_map(|member| {
                        let assignment = sys::rd_kafka_MemberDescription_assignment(*member);
                        (!assignment.is_null())
                            .then(|| entries(sys::rd_kafka_MemberAssignment_partitions(assignment)))
                    })
                    .flatten()
                    .collect(),
                members: members
                    .into_iter()
                    .map(|member| {
                        let instance = sys::rd_kafka_MemberDescription_group_instance_id(member);
                        if instance.is_null() {
                            text(sys::rd_kafka_MemberDescription_client_id(member))
                        } else {
                            text(instance)
                        }
                    })
                    .collect(),
            })
        }
    }

    /// Commits the open transaction. rdkafka's own call polls the main queue for
    /// 100 ms first; here the producer's poll thread serves the reports that
    /// librdkafka waits for.
    pub(crate) fn commit_transaction(self, timeout: Duration) -> Result<(), Failure> {
        // SAFETY: the client is alive; a returned error is ours to destroy.
        unsafe {
            take_failure(sys::rd_kafka_commit_transaction(
                self.client,
                milliseconds(timeout),
            ))
        }
    }

    /// The group's name for this member; empty while it has none.
    pub(crate) fn member_id(self) -> String {
        // SAFETY: the client is alive; the name is ours to free, once.
        unsafe {
            let name = sys::rd_kafka_memberid(self.client);
            let member = text(name);
            if !name.is_null() {
                sys::rd_kafka_mem_free(self.client, name.cast());
            }
            member
        }
    }

    /// Waits for one event of the main queue and hands it to the context, or what it reports of
    /// records to `reported`. rdkafka's admin client never does, so that its logs pile up unread;
    /// its producers wait in whole milliseconds and spin for the rest of the last one.
    pub(crate) fn serve_main_queue(
        self,
        context: &impl ClientContext,
        wait: Duration,
        mut reported: impl FnMut(Report),
    ) {
        // SAFETY: the client outlives the queue, which is destroyed before the
        // call returns; what an event holds is copied before it is destroyed.
        unsafe {
            let queue = Queue {
                pointer: sys::rd_kafka_queue_get_main(self.client),
            };
            let Some(event) = queue.poll(wait) else {
                return;
            };
            match sys::rd_kafka_event_type(event.pointer) {
                sys::RD_KAFKA_EVENT_LOG => {
                    let mut facility = ptr::null();
                    let mut message = ptr::null();
                    let mut level = 0;
                    let failed = sys::rd_kafka_event_log(
                        event.pointer,
                        &raw mut facility,
                        &raw mut message,
                        &raw mut level,
                    );
                    if failed == 0 {
                        let level = match level {
                            ..=3 => RDKafkaLogLevel::Error,
                            4 => RDKafkaLogLevel::Warning,
                            5 | 6 => RDKafkaLogLevel::Info,
                            _ => RDKafkaLogLevel::Debug,
                        };
                        context.log(level, &text(facility), &text(message));
                    }
                }
                sys::RD_KAFKA_EVENT_ERROR => {
                    let code: Code = sys::rd_kafka_event_error(event.pointer).into();
                    let reason = text(sys::rd_kafka_event_error_string(event.pointer));
                    context.error(KafkaError::Global(code), &reason);
                }
                sys::RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH => {
                    let config = sys::rd_kafka_event_config_string(event.pointer);
                    let config = (!config.is_null()).then(|| text(config));
                    let token = context.generate_oauth_token(config.as_deref());
                    // What librdkafka does not take it asks for again.
                    drop(self.set_token(token.map_err(|error| error.to_string())));
                }
                sys::RD_KAFKA_EVENT_DR => {
                    while let Some(message) =
                        sys::rd_kafka_event_message_next(event.pointer).as_ref()
                    {
                        reported(report(message));
                    }
                }
                _ => {}
            }
        }
    }

    /// Tells the client its token, or why there is none, of which it then tells its context.
    pub(crate) fn set_token(self, token: Result<OAuthToken, String>) -> Result<(), String> {
        let plain = |text: String| CString::new(text).map_err(|error| error.to_string());
        let told = token.and_then(|token| {
            let (value, principal) = (plain(token.token)?, plain(token.principal_name)?);
            let mut reason: [c_char; 512] = [0; 512];
            // SAFETY: the client is alive, librdkafka copies the strings, and ends what it writes into the buffer.
            unsafe {
                let code = sys::rd_kafka_oauthbearer_set_token(
                    self.client,
                    value.as_ptr(),
                    token.lifetime_ms,
                    principal.as_ptr(),
                    ptr::null_mut(),
                    0,
                    reason.as_mut_ptr(),
                    reason.len(),
                );
                match Code::from(code) {
                    Code::NoError => Ok(()),
                    _ => Err(text(reason.as_ptr())),
                }
            }
        });
        if let Err(reason) = &told {
            let reason = plain(reason.replace('\0', " "))?;
            // SAFETY: the client is alive, and librdkafka copies the string.
            unsafe { sys::rd_kafka_oauthbearer_set_token_failure(self.client, reason.as_ptr()) };
        }
        told
    }

    /// Runs one admin request on a queue of its own. It ends by its own timeout; the second on top
    /// covers the way through the queues.
    fn admin_call(
        self,
        operation: sys::rd_kafka_admin_op_t,
        timeout: Duration,
        configure: impl FnOnce(*mut sys::rd_kafka_AdminOptions_t) -> Result<(), Failure>,
        submit: impl FnOnce(*const sys::rd_kafka_AdminOptions_t, *mut sys::rd_kafka_queue_t),
    ) -> Result<Event, Failure> {
        let wait = timeout + Duration::from_secs(1);
        self.request(operation, timeout, wait, configure, submit)
    }

    /// Runs one admin request to a coordinator, which never ends by its own timeout. After
    /// ours the client must be dropped.
    fn coordinator_call(
        self,
        operation: sys::rd_kafka_admin_op_t,
        timeout: Duration,
        submit: impl FnOnce(*const sys::rd_kafka_AdminOptions_t, *mut sys::rd_kafka_queue_t),
    ) -> Result<Event, Failure> {
        self.request(operation, COORDINATOR_TIMEOUT, timeout, |_| Ok(()), submit)
    }

    fn request(
        self,
        operation: sys::rd_kafka_admin_op_t,
        timeout: Duration,
        wait: Duration,
        configure: impl FnOnce(*mut sys::rd_kafka_AdminOptions_t) -> Result<(), Failure>,
        submit: impl FnOnce(*const sys::rd_kafka_AdminOptions_t, *mut sys::rd_kafka_queue_t),
    ) -> Result<Event, Failure> {
        // SAFETY: the client is alive for `'a`; queue and options are destroyed
        // when their guards go, after the answer has arrived or was given up.
        unsafe {
            let queue = Queue {
                pointer: sys::rd_kafka_queue_new(self.client),
            };
            let options = Options {
                pointer: sys::rd_kafka_AdminOptions_new(self.client, operation),
            };
            let mut reason: [c_char; 256] = [0; 256];
            let code: Code = sys::rd_kafka_AdminOptions_set_request_timeout(
                options.pointer,
                milliseconds(timeout),
                reason.as_mut_ptr(),
                reason.len(),
            )
            .into();
            if code != Code::NoError {
                return Err(Failure::of_code(code, text(reason.as_ptr())));
            }
            configure(options.pointer)?;
            submit(options.pointer, queue.pointer);
            let deadline = Instant::now() + wait;
            loop {
                let left = deadline.saturating_duration_since(Instant::now());
                if let Some(event) = queue.poll(left) {
                    let code: Code = sys::rd_kafka_event_error(event.pointer).into();
                    if code == Code::NoError {
                        return Ok(event);
                    }
                    let reason = text(sys::rd_kafka_event_error_string(event.pointer));
                    return Err(Failure::of_code(code, reason));
                }
                if left.is_zero() {
                    return Err(Failure::of_code(
                        Code::OperationTimedOut,
                        format!("no answer within {} s", wait.as_secs()),
                    ));
                }
            }
        }
    }
}

/// The header at `index`. rdkafka's own accessor panics on a name that is not
/// UTF-8, which any producer may write.
pub(crate) fn header<'m>(
    message: &'m BorrowedMessage<'_>,
    index: usize,
) -> Option<(Cow<'m, str>, Option<&'m [u8]>)> {
    let mut headers = ptr::null_mut();
    let mut name = ptr::null();
    let mut value = ptr::null();
    let mut size = 0;
    // SAFETY: the message is borrowed for `'m` and owns headers, names and
    // values; librdkafka sets the pointers only where it reports no error, and
    // ends a name with a null byte.
    unsafe {
        let code: Code = sys::rd_kafka_message_headers(message.ptr(), &raw mut headers).into();
        if code != Code::NoError {
            return None;
        }
        let code: Code = sys::rd_kafka_header_get_all(
            headers,
            index,
            &raw mut name,
            &raw mut value,
            &raw mut size,
        )
        .into();
        if code != Code::NoError {
            return None;
        }
        let value =
            (!value.is_null()).then(|| std::slice::from_raw_parts(value.cast::<u8>(), size));
        Some((CStr::from_ptr(name).to_string_lossy(), value))
    }
}

/// The entries of a list that rdkafka made. Its own accessor panics on a note
/// that is not UTF-8, which any committer may write.
pub(crate) fn list_entries(list: &TopicPartitionList) -> Vec<PartitionAnswer> {
    // SAFETY: the list is borrowed while it is read.
    unsafe { entries(list.ptr()) }
}

struct Queue {
    pointer: *mut sys::rd_kafka_queue_t,
}

impl Queue {
    fn poll(&self, wait: Duration) -> Option<Event> {
        // SAFETY: the queue is alive until it is dropped; the event is ours.
        let pointer = unsafe { sys::rd_kafka_queue_poll(self.pointer, milliseconds(wait)) };
        (!pointer.is_null()).then_some(Event { pointer })
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: made or referenced by this guard alone, dropped once.
        unsafe { sys::rd_kafka_queue_destroy(self.pointer) }
    }
}

struct Event {
    pointer: *mut sys::rd_kafka_event_t,
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: taken from a queue by this guard alone, dropped once.
        unsafe { sys::rd_kafka_event_destroy(self.pointer) }
    }
}

struct Options {
    pointer: *mut sys::rd_kafka_AdminOptions_t,
}

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: made by this guard alone, dropped once.
        unsafe { sys::rd_kafka_AdminOptions_destroy(self.pointer) }
    }
}

/// The partitions of the single group that an admin call named.
///
/// # Safety
/// `groups` must point to `count` results of an event that is alive.
unsafe fn group_answer(
    groups: *mut *const sys::rd_kafka_group_result_t,
    count: usize,
) -> Result<Vec<PartitionAnswer>, Failure> {
    if groups.is_null() || count == 0 {
        return Err(unexpected("the answer names no group"));
    }
    // SAFETY: as the caller promises.
    unsafe {
        failure_of(sys::rd_kafka_group_result_error(*groups))?;
        Ok(entries(sys::rd_kafka_group_result_partitions(*groups)))
    }
}

/// Whether a described topic may be written to. Whoever may describe it may do something with it,
/// so an empty list says that the brokers do not tell.
///
/// # Safety
/// `topic` must point to a description that is alive.
unsafe fn may_write(topic: *const sys::rd_kafka_TopicDescription_t) -> Option<bool> {
    let mut count = 0;
    // SAFETY: as the caller promises; the list has `count` entries and lives as long.
    let operations = unsafe {
        let list = sys::rd_kafka_TopicDescription_authorized_operations(topic, &raw mut count);
        if list.is_null() || count == 0 {
            return None;
        }
        std::slice::from_raw_parts(list, count)
    };
    let write = sys::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_WRITE;
    Some(operations.contains(&write))
}

/// # Safety
/// `list` must be null or point to a list that is alive.
unsafe fn entries(list: *const sys::rd_kafka_topic_partition_list_t) -> Vec<PartitionAnswer> {
    // SAFETY: as the caller promises; a list holds `cnt` elements.
    unsafe {
        if list.is_null() || (*list).elems.is_null() {
            return Vec::new();
        }
        let count = usize::try_from((*list).cnt).unwrap_or(0);
        std::slice::from_raw_parts((*list).elems, count)
            .iter()
            .map(|entry| partition_answer(entry))
            .collect()
    }
}

/// # Safety
/// `entry` must be an element of a list that is alive.
unsafe fn partition_answer(entry: &sys::rd_kafka_topic_partition_t) -> PartitionAnswer {
    let code: Code = entry.err.into();
    let metadata = if entry.metadata.is_null() {
        String::new()
    } else {
        // SAFETY: librdkafka keeps `metadata_size` bytes there.
        let bytes =
            unsafe { std::slice::from_raw_parts(entry.metadata.cast::<u8>(), entry.metadata_size) };
        String::from_utf8_lossy(bytes).into_owned()
    };
    PartitionAnswer {
        // SAFETY: the topic is a string that the list owns.
        topic: unsafe { text(entry.topic) },
        partition: entry.partition,
        offset: entry.offset,
        metadata,
        error: (code != Code::NoError).then_some(code),
    }
}

/// # Safety
/// The message must be one of a delivery report, whose topic is alive.
unsafe fn report(message: &sys::rd_kafka_message_t) -> Report {
    let code: Code = message.err.into();
    let error = (code != Code::NoError).then_some(code);
    Report {
        topic: match error {
            // SAFETY: as the caller promises.
            Some(_) => unsafe { text(sys::rd_kafka_topic_name(message.rkt)) },
            None => String::new(),
        },
        error,
        partition: message.partition,
        offset: message.offset,
        opaque: message._private.addr(),
    }
}

/// # Safety
/// `error` must be null or point to an error that is alive.
unsafe fn failure_of(error: *const sys::rd_kafka_error_t) -> Result<(), Failure> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: as the caller promises.
    unsafe {
        let code: Code = sys::rd_kafka_error_code(error).into();
        if code == Code::NoError {
            return Ok(());
        }
        Err(Failure {
            code,
            reason: text(sys::rd_kafka_error_string(error)),
            is_fatal: sys::rd_kafka_error_is_fatal(error) != 0,
            is_retriable: sys::rd_kafka_error_is_retriable(error) != 0,
            is_abortable: sys::rd_kafka_error_txn_requires_abort(error) != 0,
        })
    }
}

/// As [`failure_of`], and destroys the error.
///
/// # Safety
/// `error` must be null or point to an error that the caller owns.
unsafe fn take_failure(error: *mut sys::rd_kafka_error_t) -> Result<(), Failure> {
    // SAFETY: as the caller promises; the failure holds copies.
    unsafe {
        let result = failure_of(error);
        if !error.is_null() {
            sys::rd_kafka_error_destroy(error);
        }
        result
    }
}

/// # Safety
/// `string` must be null or point to a string that is alive.
unsafe fn text(string: *const c_char) -> String {
    if string.is_null() {
        return String::new();
    }
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(string) }
        .to_string_lossy()
        .into_owned()
}

fn c_string(text: &str) -> Result<CString, Failure> {
    CString::new(text)
        .map_err(|_| Failure::of_code(Code::InvalidArgument, "a name holds a null byte".to_owned()))
}

fn unexpected(reason: &str) -> Failure {
    Failure::of_code(Code::Fail, reason.to_owned())
}

fn milliseconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
