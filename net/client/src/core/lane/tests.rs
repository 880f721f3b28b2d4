use std::collections::VecDeque;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

const CONFIG: LaneConfig = LaneConfig {
    is_idempotent: true,
    in_flight_max: 5,
    delivery_timeout: Duration::from_secs(60),
    request_timeout: Duration::from_secs(10),
};

type TestLane = Lane<u32, u64>;

fn lane() -> TestLane {
    let mut lane = Lane::new(CONFIG);
    lane.set_producer(ProducerId::new(7), ProducerEpoch::new(0));
    lane
}

fn refused(code: ErrorCode) -> ClientError {
    ClientError::Refused {
        code,
        message: "as the test says".to_owned(),
    }
}

fn lost() -> ClientError {
    ClientError::Lost {
        address: "a".to_owned(),
        reason: "reset".to_owned(),
    }
}

fn not_sent() -> ClientError {
    ClientError::NotSent {
        address: "a".to_owned(),
        reason: "reset".to_owned(),
    }
}

/// What is sent now: number, batch, epoch and sequence of each attempt.
fn send_all(lane: &mut TestLane, now: Instant) -> Vec<(AttemptNumber, u32, u16, u32)> {
    let mut sent = Vec::new();
    while let Some(attempt) = lane.next(now) {
        let stamp = attempt.stamp.unwrap();
        let (epoch, sequence) = (stamp.epoch.get(), stamp.base_sequence.get());
        sent.push((attempt.number, *attempt.batch, epoch, sequence));
    }
    sent
}

fn numbers(sent: &[(AttemptNumber, u32, u16, u32)]) -> Vec<(u32, u16, u32)> {
    sent.iter()
        .map(|&(_, batch, epoch, sequence)| (batch, epoch, sequence))
        .collect()
}

/// The batches that are settled, and whether they were stored (`s`), refused (`r`), expired (`e`) or are unknown (`u`).
fn settled(lane: &mut TestLane) -> Vec<(u32, char)> {
    let settled = lane.take_settled().into_iter();
    settled
        .map(|one| {
            let how = match one.outcome {
                Ok(_) => 's',
                Err(DeliveryError::UnknownOutcome { .. }) => 'u',
                Err(DeliveryError::Expired { .. }) => 'e',
                Err(_) => 'r',
            };
            (one.batch, how)
        })
        .collect()
}

/// Long enough for any pause.
fn later(now: Instant) -> Instant {
    now + Duration::from_secs(2)
}

#[test]
fn batches_are_numbered_by_their_records_and_five_are_under_way() {
    let now = Instant::now();
    let mut lane = lane();
    for batch in 0..5 {
        assert!(lane.has_room());
        lane.push(batch, batch + 1, now);
    }
    assert!(!lane.has_room());
    let sent = send_all(&mut lane, now);
    let expected = [(0, 0, 0), (1, 0, 1), (2, 0, 3), (3, 0, 6), (4, 0, 10)];
    assert_eq!(numbers(&sent), expected);
    for (number, batch, ..) in sent {
        lane.answered(number, Ok(u64::from(batch)), now, 0);
    }
    assert_eq!(
        settled(&mut lane),
        [0, 1, 2, 3, 4].map(|batch| (batch, 's'))
    );
    lane.push(9, 1, now);
    assert_eq!(numbers(&send_all(&mut lane, now)), [(9, 0, 15)]);
}

#[test]
fn what_was_lost_is_sent_again_in_order_with_the_same_numbers() {
    let now = Instant::now();
    let mut lane = lane();
    (0..3).for_each(|batch| lane.push(batch, 2, now));
    let sent = send_all(&mut lane, now);
    let first = numbers(&sent);
    for (number, ..) in sent.into_iter().rev() {
        assert_eq!(
            lane.answered(number, Err(lost()), now, 0),
            Metadata::Refresh
        );
    }
    assert!(send_all(&mut lane, now).is_empty(), "there is a pause");
    assert!(lane.wakes_at().unwrap() <= later(now));
    assert_eq!(numbers(&send_all(&mut lane, later(now))), first);
}

#[test]
fn those_behind_a_refused_one_follow_it_again() {
    let now = Instant::now();
    let mut lane = lane();
    (0..3).for_each(|batch| lane.push(batch, 1, now));
    let sent = send_all(&mut lane, now);
    let metadata = lane.answered(sent[0].0, Err(refused(ErrorCode::Throttled)), now, 0);
    assert_eq!(metadata, Metadata::Keep);
    for (number, ..) in &sent[1..] {
        let error = refused(ErrorCode::OutOfOrderSequence);
        lane.answered(*number, Err(error), now, 0);
    }
    assert!(settled(&mut lane).is_empty());
    assert_eq!(
        numbers(&send_all(&mut lane, later(now))),
        [(0, 0, 0), (1, 0, 1), (2, 0, 2)]
    );
}

#[test]
fn a_refused_batch_makes_a_gap_and_the_rest_a_new_epoch() {
    let now = Instant::now();
    let mut lane = lane();
    (0..4).for_each(|batch| lane.push(batch, 1, now));
    let sent = send_all(&mut lane, now);
    lane.answered(sent[0].0, Ok(0), now, 0);
    let too_large = refused(ErrorCode::BatchTooLarge);
    lane.answered(sent[1].0, Err(too_large), now, 0);
    assert_eq!(settled(&mut lane), [(0, 's')]);
    // Nothing of the old epoch may be under way when the new one begins.
    assert!(send_all(&mut lane, later(now)).is_empty());
    let error = refused(ErrorCode::OutOfOrderSequence);
    lane.answered(sent[2].0, Err(error), now, 0);
    // It was lost, but cannot be in the log without the one in front of it.
    lane.answered(sent[3].0, Err(lost()), now, 0);
    assert_eq!(settled(&mut lane), [(1, 'r')]);
    assert_eq!(
        numbers(&send_all(&mut lane, later(now))),
        [(2, 1, 0), (3, 1, 1)]
    );
}

#[test]
fn those_that_may_be_stored_behind_an_unknown_one_share_its_fate() {
    let now = Instant::now();
    let mut lane = lane();
    (0..5).for_each(|batch| lane.push(batch, 1, now));
    let sent = send_all(&mut lane, now);
    for (number, batch, ..) in &sent {
        let error = match batch {
            0 | 1 | 3 => lost(),
            _ => refused(ErrorCode::OutOfOrderSequence),
        };
        lane.answered(*number, Err(error), now, 0);
    }
    // Only what waits expires, and the first does before the others.
    lane.entries[0].deadline = now;
    lane.expire(now);
    assert_eq!(settled(&mut lane), [(0, 'u'), (1, 'u')]);
    assert_eq!(
        numbers(&send_all(&mut lane, later(now))),
        [(2, 1, 0), (3, 1, 1), (4, 1, 2)]
    );
}

#[test]
fn numbers_that_no_broker_has_seen_are_given_again() {
    let now = Instant::now();
    let mut lane = lane();
    (0..2).for_each(|batch| lane.push(batch, 1, now));
    let sent = send_all(&mut lane, now);
    for (number, ..) in sent {
        lane.answered(number, Err(not_sent()), now, 0);
    }
    lane.entries[0].deadline = now;
    lane.expire(now);
    assert_eq!(settled(&mut lane), [(0, 'e')]);
    assert_eq!(numbers(&send_all(&mut lane, later(now))), [(1, 0, 0)]);
}

#[test]
fn a_broker_that_has_forgotten_the_producer_sees_a_new_epoch() {
    let now = Instant::now();
    let mut lane = lane();
    lane.push(0, 1, now);
    let sent = send_all(&mut lane, now);
    lane.answered(sent[0].0, Ok(0), now, 0);
    lane.push(1, 1, now);
    lane.push(2, 1, now);
    let sent = send_all(&mut lane, now);
    assert_eq!(numbers(&sent), [(1, 0, 1), (2, 0, 2)]);
    for (number, ..) in sent {
        let error = refused(ErrorCode::OutOfOrderSequence);
        lane.answered(number, Err(error), now, 0);
    }
    assert_eq!(settled(&mut lane), [(0, 's')]);
    assert_eq!(
        numbers(&send_all(&mut lane, later(now))),
        [(1, 1, 0), (2, 1, 1)]
    );
}

#[test]
fn a_fenced_lane_sends_no_more() {
    let now = Instant::now();
    let mut lane = lane();
    (0..2).for_each(|batch| lane.push(batch, 1, now));
    let sent = send_all(&mut lane, now);
    let fenced = refused(ErrorCode::FencedProducer);
    lane.answered(sent[0].0, Err(fenced.clone()), now, 0);
    lane.answered(sent[1].0, Err(fenced), now, 0);
    assert_eq!(settled(&mut lane), [(0, 'r'), (1, 'r')]);
    lane.push(2, 1, now);
    assert_eq!(settled(&mut lane), [(2, 'r')]);
    assert!(lane.is_empty() && send_all(&mut lane, later(now)).is_empty());
}

#[test]
fn after_the_last_epoch_another_producer_is_needed() {
    let now = Instant::now();
    let mut lane: TestLane = Lane::new(CONFIG);
    lane.push(0, 1, now);
    assert_eq!(lane.wants_producer(now), Some(NeededProducer::Any));
    assert!(lane.next(now).is_none());
    lane.set_producer(ProducerId::new(1), ProducerEpoch::MAX);
    let sent = send_all(&mut lane, now);
    let too_large = refused(ErrorCode::BatchTooLarge);
    lane.answered(sent[0].0, Err(too_large), now, 0);
    assert_eq!(settled(&mut lane), [(0, 'r')]);
    assert_eq!(lane.wants_producer(now), None);
    lane.push(1, 1, now);
    assert_eq!(lane.wants_producer(now), Some(NeededProducer::Another));
}

#[test]
fn without_a_producer_batches_wait_or_are_refused() {
    let now = Instant::now();
    let mut lane: TestLane = Lane::new(CONFIG);
    lane.push(0, 1, now);
    lane.producer_failed(&lost(), now, 0);
    assert_eq!(lane.wants_producer(now), None, "there is a pause");
    assert!(lane.wants_producer(later(now)).is_some());
    lane.producer_failed(&refused(ErrorCode::UnknownApi), now, 0);
    assert_eq!(settled(&mut lane), [(0, 'r')]);
}

#[test]
fn what_is_not_numbered_goes_one_by_one_and_never_twice() {
    let now = Instant::now();
    let mut lane: TestLane = Lane::new(LaneConfig {
        is_idempotent: false,
        ..CONFIG
    });
    lane.push(0, 1, now);
    assert!(!lane.has_room());
    let attempt = lane.next(now).unwrap();
    assert_eq!(attempt.stamp, None);
    let number = attempt.number;
    lane.answered(number, Err(refused(ErrorCode::Throttled)), now, 0);
    let number = lane.next(later(now)).unwrap().number;
    lane.answered(number, Err(lost()), now, 0);
    assert_eq!(settled(&mut lane), [(0, 'u')]);
}

#[test]
fn each_code_is_sent_again_or_settled_as_it_says() {
    let now = Instant::now();
    for &code in ErrorCode::ALL {
        let mut lane = lane();
        lane.push(0, 1, now);
        let sent = send_all(&mut lane, now);
        lane.answered(sent[0].0, Err(refused(code)), now, 0);
        let is_settled = !settled(&mut lane).is_empty();
        let is_again = code.is_retriable()
            || matches!(
                code,
                ErrorCode::UnknownPartition
                    | ErrorCode::UnknownOutcome
                    | ErrorCode::OutOfOrderSequence
            );
        assert_eq!(is_settled, !is_again, "{code}");
    }
}

/// A partition as a broker keeps it: which batches it has, and what it knows of the producer.
#[derive(Default)]
struct Broker {
    log: Vec<u32>,
    end: u64,
    epoch: u16,
    next: u32,
    /// The last batches: epoch, sequence, records, offset.
    last: VecDeque<(u16, u32, u32, u64)>,
}

#[derive(Clone, Copy, Debug)]
struct Message {
    number: AttemptNumber,
    batch: u32,
    records: u32,
    stamp: ProducerStamp,
}

impl Broker {
    fn append(&mut self, message: &Message) -> Result<u64, ClientError> {
        let (epoch, found) = (message.stamp.epoch.get(), message.stamp.base_sequence.get());
        if epoch < self.epoch {
            return Err(refused(ErrorCode::FencedProducer));
        }
        let is_it =
            |one: &&(u16, u32, u32, u64)| (one.0, one.1, one.2) == (epoch, found, message.records);
        if let Some(stored) = self.last.iter().find(is_it) {
            return Ok(stored.3);
        }
        let expected = if epoch > self.epoch { 0 } else { self.next };
        if found < expected {
            return Err(refused(ErrorCode::DuplicateSequence));
        }
        if found > expected {
            return Err(refused(ErrorCode::OutOfOrderSequence));
        }
        self.epoch = epoch;
        self.next = found + message.records;
        self.last
            .push_back((epoch, found, message.records, self.end));
        if self.last.len() > 5 {
            self.last.pop_front();
        }
        self.log.push(message.batch);
        self.end += u64::from(message.records);
        Ok(self.end - u64::from(message.records))
    }
}

/// A connection: messages arrive in their order, also long after the client has given it up.
#[derive(Default)]
struct Link {
    messages: VecDeque<Message>,
    answers: Vec<(AttemptNumber, Result<u64, ClientError>)>,
}

/// Plays a lane against a broker over connections that are cut, delay, and deliver twice.
fn play(seed: u64) -> (u32, u32) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut now = Instant::now();
    let mut lane: TestLane = Lane::new(LaneConfig {
        in_flight_max: rng.random_range(1..=5),
        delivery_timeout: Duration::from_secs(rng.random_range(2..20)),
        ..CONFIG
    });
    lane.set_producer(ProducerId::new(7), ProducerEpoch::new(0));
    let mut broker = Broker::default();
    let mut links = vec![Link::default()];
    let (mut pushed, mut retries) = (0, 0);
    let mut outcomes: Vec<Option<Result<u64, DeliveryError>>> = Vec::new();
    let batches = 200;
    let mut steps = 0;
    while pushed < batches || !lane.is_empty() {
        steps += 1;
        assert!(steps < 200_000, "seed {seed}: it comes to no end");
        // Near the end nothing goes wrong any more.
        let is_calm = steps > 100_000;
        match rng.random_range(0..100) {
            0..20 if pushed < batches && lane.has_room() => {
                lane.push(pushed, rng.random_range(1..4), now);
                outcomes.push(None);
                pushed += 1;
            }
            20..45 => {
                let open = links.last_mut().unwrap();
                while let Some(attempt) = lane.next(now) {
                    retries += u32::from(attempt.is_retry);
                    let (number, batch) = (attempt.number, *attempt.batch);
                    let stamp = attempt.stamp.unwrap();
                    let records = lane.entries.iter().find(|one| one.batch == batch);
                    let records = records.unwrap().records;
                    open.messages.push_back(Message {
                        number,
                        batch,
                        records,
                        stamp,
                    });
                }
            }
            45..70 => {
                let index = rng.random_range(0..links.len());
                let is_refused = !is_calm && rng.random_ratio(1, 10);
                let is_twice = !is_calm && rng.random_ratio(1, 10);
                let link = &mut links[index];
                if let Some(message) = link.messages.pop_front() {
                    let answer = match rng.random_range(0..4) {
                        0 if is_refused => Err(refused(ErrorCode::Throttled)),
                        1 if is_refused => Err(refused(ErrorCode::NotLeader)),
                        2 if is_refused => {
                            broker.append(&message).ok();
                            Err(refused(ErrorCode::UnknownOutcome))
                        }
                        3 if is_refused && message.batch % 10 == 0 => {
                            Err(refused(ErrorCode::InvalidBatch))
                        }
                        _ => broker.append(&message),
                    };
                    let is_stored = answer.is_ok();
                    link.answers.push((message.number, answer));
                    if is_twice && is_stored {
                        // Once more over another connection, which nobody reads, at any later time.
                        let mut ghost = Link::default();
                        ghost.messages.push_back(message);
                        links.insert(0, ghost);
                    }
                }
            }
            70..92 => {
                let open = links.last_mut().unwrap();
                if !open.answers.is_empty() {
                    let index = rng.random_range(0..open.answers.len());
                    let (number, answer) = open.answers.remove(index);
                    lane.answered(number, answer, now, rng.next_u64());
                }
            }
            92..94 if !is_calm => {
                // The connection is cut. What it holds may arrive all the same.
                let under_way: Vec<_> = lane
                    .entries
                    .iter()
                    .filter_map(|one| one.under_way)
                    .collect();
                for one in under_way {
                    let open = links.last_mut().unwrap();
                    let queued = open
                        .messages
                        .iter()
                        .position(|message| message.number == one.number);
                    let error = match queued {
                        Some(index) if rng.random_ratio(1, 4) => {
                            open.messages.truncate(index);
                            not_sent()
                        }
                        _ => lost(),
                    };
                    lane.answered(one.number, Err(error), now, rng.next_u64());
                }
                links.push(Link::default());
                if links.len() > 6 {
                    links.remove(0);
                }
            }
            _ => now += Duration::from_millis(rng.random_range(0..300)),
        }
        lane.expire(now);
        for one in lane.take_settled() {
            let place = &mut outcomes[usize::try_from(one.batch).unwrap()];
            assert!(
                place.replace(one.outcome).is_none(),
                "seed {seed}: told twice"
            );
        }
    }
    let mut sorted = broker.log.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(broker.log, sorted, "seed {seed}: out of order, or twice");
    for (batch, outcome) in (0..).zip(&outcomes) {
        let is_stored = broker.log.contains(&batch);
        match outcome.as_ref().unwrap() {
            Ok(_) | Err(DeliveryError::StoredBefore) => {
                assert!(
                    is_stored,
                    "seed {seed}: batch {batch} was acknowledged and is lost"
                );
            }
            Err(DeliveryError::UnknownOutcome { .. }) => {}
            Err(error) => assert!(
                !is_stored,
                "seed {seed}: batch {batch} is stored, and {error}"
            ),
        }
    }
    let stored = u32::try_from(broker.log.len()).unwrap();
    (retries, stored)
}

#[test]
fn nothing_is_lost_doubled_or_out_of_order_whatever_becomes_of_connections() {
    let (mut retries, mut stored) = (0, 0);
    for seed in 0..400 {
        let (more, kept) = play(seed);
        retries += more;
        stored += kept;
    }
    assert!(
        retries > 10_000 && stored > 40_000,
        "{retries} retries, {stored} stored"
    );
}
