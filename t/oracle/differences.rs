//! Every accepted difference between memcached and larder, with its reason. What is not here must be equal.

use std::collections::BTreeMap;
use std::fmt;

use super::stream::Command;

pub(crate) struct Difference {
    pub(crate) what: &'static str,
    reason: &'static str,
    seen: Seen,
    /// memcached may say either, depending on the moment.
    pub(crate) depends_on_timing: bool,
}

/// Bytes of the longest flag O, with its letter.
const OPAQUE_LEN_MAX: usize = 32;

/// How a difference is kept from being a mismatch.
enum Seen {
    /// Replies are read into a form in which it does not show.
    Rewritten,
    /// Transcripts whose flags memcached does not know.
    Flag(&'static str),
    /// In these transcripts memcached says something else, and commands it applies to stay out of random streams.
    /// The predicate sees the command and those before it in its batch.
    Avoided { transcripts: &'static [&'static str], applies: fn(&Command, &[Command]) -> bool },
    /// The duel of datagrams or packets knows it.
    Duel,
    /// In these transcripts memcached says something else.
    Transcripts(&'static [&'static str]),
}

pub(crate) const UNIQUES: &Difference = &TABLE[0];
pub(crate) const VERSION: &Difference = &TABLE[1];
pub(crate) const STATS: &Difference = &TABLE[1];
pub(crate) const META_TIMES: &Difference = &TABLE[2];
pub(crate) const META_KEYS: &Difference = &TABLE[3];
pub(crate) const META_PLACES: &Difference = &TABLE[1];
pub(crate) const META_READS: &Difference = &TABLE[4];
pub(crate) const DATES: &Difference = &TABLE[7];
pub(crate) const SECONDS: &Difference = &TABLE[8];
pub(crate) const FLUSHES: &Difference = &TABLE[16];
pub(crate) const ODD_VALUES: &Difference = &TABLE[15];
pub(crate) const PADDING: &Difference = &TABLE[14];

const TABLE: &[Difference] = &[
    Difference {
        what: "unique numbers",
        reason: "Only their being equal or not has a meaning; they are compared as ordinals of first appearance.",
        seen: Seen::Rewritten,
        depends_on_timing: false,
    },
    Difference {
        what: "what a server says of itself: `version`, `stats`, class and size in me",
        reason: "The names of rows are compared with t/golden, and values in t/text.",
        seen: Seen::Rewritten,
        depends_on_timing: false,
    },
    Difference {
        what: "seconds in replies to meta commands",
        reason: "Each server has its own tick. Times to live are compared by their number of digits.",
        seen: Seen::Rewritten,
        depends_on_timing: true,
    },
    Difference {
        what: "keys in base64",
        reason: "memcached does not find them with me, ignores bits and bytes that it cannot use, and forgets how a key was \
                 written when its value is joined or grows, or when mg or ma creates the item. It then sends the bytes \
                 as they are, even a line end.",
        seen: Seen::Avoided {
            transcripts: &[
                "a_key_stays_in_base64_while_its_value_changes",
                "an_item_with_a_key_in_base64_is_described",
                "base64_has_one_form",
            ],
            applies: |command, _| {
                let is_me = command.words()[0] == b"me" && command.has_flag(b'b');
                is_me || command.has_odd_base64_key()
            },
        },
        depends_on_timing: false,
    },
    Difference {
        what: "whether an item was read before",
        reason: "An add that finds the item counts as an access, for both. We do not keep it apart from a read.",
        seen: Seen::Rewritten,
        depends_on_timing: false,
    },
    Difference {
        what: "a key of more than 250 bytes in get, gets, gat, gats",
        reason: "memcached sends an empty line behind the refusal and drops answers of earlier commands that it has \
                 not sent yet; clients lose step over both.",
        seen: Seen::Avoided {
            transcripts: &[
                "a_key_of_251_bytes_anywhere_refuses_the_whole_get",
                "a_key_of_251_bytes_refuses_the_whole_gat",
                "a_refused_get_leaves_earlier_answers_alone",
                "get_of_a_key_of_251_bytes_is_refused",
            ],
            applies: |command, _| command.is_retrieval() && command.words().iter().any(|word| word.len() > 250),
        },
        depends_on_timing: false,
    },
    Difference {
        what: "`slabs reassign` on a server that has just started",
        reason: "memcached answers BUSY until its page mover runs. Afterwards both answer the same.",
        seen: Seen::Avoided { transcripts: &["slabs_reassign_says_what_is_wrong"], applies: |_, _| false },
        depends_on_timing: true,
    },
    Difference {
        what: "flags and times that do not fit 32 bits",
        reason: "memcached keeps the lower 32 bits, so that a client's flags change, and a date past 2038 is over at once; \
                 touch, gat and flush_all refuse both. We refuse such flags, and take dates for dates. -1 in 32 bits \
                 without a sign is negative everywhere.",
        seen: Seen::Avoided {
            transcripts: &[
                "flags_above_32_bits_are_refused_with_the_data",
                "flags_far_below_0_are_refused_with_the_data",
                "a_date_past_2038_is_in_the_future",
                "a_date_to_touch_may_lie_past_2038",
                "minus_one_in_32_bits_without_a_sign_is_negative",
                "a_time_before_1901_is_over_at_once",
                "a_date_past_2038_is_a_time_to_live",
            ],
            applies: |command, _| {
                let known = i128::from(i64::MIN)..=i128::from(u32::MAX);
                let is_cut = command.is_storage() && command.number(2).is_some_and(|flags| !known.contains(&flags));
                let later = |time| time > i128::from(i32::MAX);
                let earlier = |time| command.is_storage() && time < i128::from(i32::MIN);
                is_cut || command.exptimes().chain(command.flush_delay()).any(|time| later(time) || earlier(time))
            },
        },
        depends_on_timing: false,
    },
    Difference {
        what: "an item that lives for seconds only",
        reason: "Each server has its own tick, so one may answer when the other has just let go.",
        seen: Seen::Avoided {
            transcripts: &[],
            applies: |command, _| command.exptimes().any(|time| (1..10_000).contains(&time)),
        },
        depends_on_timing: true,
    },
    Difference {
        what: "number words that only C reads",
        reason: "memcached skips blanks of all kinds in front of some numbers, takes a TAB, CR or zero byte for an end and a \
                 sign alone for 0. As a ratio it takes NaN, infinities and 0x1, and at most 31 characters.",
        seen: Seen::Avoided {
            transcripts: &["a_ratio_is_a_finite_decimal_number"],
            applies: |command, _| {
                let is_odd = |word: &[u8]| word.iter().any(|byte| matches!(byte, 0 | 9..=13));
                command.numbers().iter().any(|word| is_odd(word) || matches!(word, [b'-' | b'+']))
            },
        },
        depends_on_timing: false,
    },
    Difference {
        what: "blanks before flush_all, verbosity, cache_memlimit, slabs, shutdown",
        reason: "memcached ignores them before these, and before no other command. We ignore them nowhere.",
        seen: Seen::Avoided {
            transcripts: &[],
            applies: |command, _| {
                let verbs: [&[u8]; 5] = [b"flush_all", b"verbosity", b"cache_memlimit", b"slabs", b"shutdown"];
                command.starts_with_blank() && verbs.contains(&command.words()[0])
            },
        },
        depends_on_timing: false,
    },
    Difference {
        what: "delete with a time or with many words",
        reason: "memcached since 1.6.19 deletes whatever follows the key; before it refused all but 0. We refuse a time: \
                 `delete key 10` comes from a client that expects a delayed delete. And four words, which memccapable tries.",
        seen: Seen::Avoided {
            transcripts: &["delete_refuses_any_other_time", "delete_with_four_words_more_is_refused"],
            applies: |command, _| {
                let words = command.words();
                let extra = words.get(2..).unwrap_or_default();
                let is_time = |word: &&[u8]| larder::base::parse_i64(word).is_some_and(|hold_s| hold_s != 0);
                words[0] == b"delete" && (extra.len() >= 4 || extra.first().is_some_and(is_time))
            },
        },
        depends_on_timing: false,
    },
    Difference {
        what: "bget, stats hotkeys, stats prefixes, and the classes 64 to 127",
        reason: "memcached has none of them. bget is another name of get in every memcached up to 1.6.18.",
        seen: Seen::Avoided {
            transcripts: &[
                "stats_hotkeys_say_how_they_are_found_and_can_be_switched",
                "hot_keys_can_be_kept_secret",
                "stats_prefixes_count_items_and_bytes_that_are_there",
                "prefixes_can_be_kept_secret",
                "bget_is_another_name_of_get",
                "there_are_127_classes_to_dump",
            ],
            applies: |command, _| {
                let words = command.words();
                words[0] == b"stats" && command.number(2).is_some_and(|class| (64..128).contains(&class))
            },
        },
        depends_on_timing: false,
    },
    Difference {
        what: "a value of exactly -I bytes",
        reason: "memcached's limit includes its own header and the key; ours is the value's alone, as operators read it.",
        seen: Seen::Transcripts(&["the_largest_value_is_the_item_size_limit_itself"]),
        depends_on_timing: false,
    },
    Difference {
        what: "a counter that was fetched in the same batch",
        reason: "memcached pads a number that grew shorter with blanks, unless an unsent answer still refers to the item.",
        seen: Seen::Avoided {
            transcripts: &[],
            applies: |command, earlier| {
                let clashes = |one: &Command, other: &Command| one.is_arith() && other.holds_item();
                earlier.iter().any(|other| clashes(command, other) || clashes(other, command))
            },
        },
        depends_on_timing: true,
    },
    Difference {
        what: "counting a value that only C reads",
        reason: "memcached takes -0 for 0, and what lies below -2^63 for what it is modulo 2^64. Behind a value of blanks it \
                 reads on, into whatever the chunk held before. These are no numbers of ours.",
        seen: Seen::Avoided {
            transcripts: &["a_value_of_blanks_cannot_be_counted", "a_value_with_a_minus_cannot_be_counted"],
            applies: |command, _| command.data_is_blank(),
        },
        depends_on_timing: true,
    },
    Difference {
        what: "a flush in the future",
        reason: "memcached has one watermark: a delayed flush after an immediate one brings back what its background \
                 threads have not freed yet. We have two.",
        seen: Seen::Avoided {
            transcripts: &["a_delayed_flush_does_not_bring_back_what_was_flushed"],
            applies: |command, _| command.flush_delay().is_some_and(|delay| delay > 0),
        },
        depends_on_timing: true,
    },
    Difference {
        what: "a time to live that was over when it was given",
        reason: "memcached prints what a negative number is in 32 bits without a sign. We print 0.",
        seen: Seen::Avoided {
            transcripts: &["an_item_that_is_over_has_no_seconds_left"],
            applies: |command, _| {
                let is_over = |time| time < 0 || (2_592_001..1_700_000_000).contains(&time);
                command.has_flag(b't') && command.exptimes().any(is_over)
            },
        },
        depends_on_timing: false,
    },
    Difference {
        what: "ma with C of a value of more than 512 KiB",
        reason: "memcached says that it is no number before it compares the CAS unique, and of other values afterwards. We \
                 compare first. Values in a stream of meta commands are shorter.",
        seen: Seen::Transcripts(&["a_count_compares_before_it_reads_a_large_value"]),
        depends_on_timing: false,
    },
    Difference {
        what: "replies to meta commands that show what the item has not",
        reason: "memcached drops T and E when a number has more digits than before, and shows the first time of an item that \
                 is created with two. Our items have what the reply shows.",
        seen: Seen::Avoided {
            transcripts: &[
                "a_number_that_grows_has_its_new_time_and_cas_unique",
                "an_item_that_is_created_with_two_times_has_the_second",
            ],
            applies: |command, _| {
                let grows = command.is_increment() && (command.has_flag(b'T') || command.has_flag(b'E'));
                let place = |letter| command.flags().iter().position(|word| word[0] == letter);
                let is_between = match (place(b'N'), place(b't'), place(b'T')) {
                    (Some(vivify), Some(shown), Some(touch)) => (vivify < shown) != (touch < shown),
                    _ => false,
                };
                grows || is_between
            },
        },
        depends_on_timing: false,
    },
    Difference {
        what: "E of an ms whose data does not fit its length",
        reason: "memcached stores nothing, and gives the CAS unique to the next item that a classic command of the \
                 connection stores, whatever its key is.",
        seen: Seen::Avoided {
            transcripts: &["a_refused_value_leaves_no_cas_unique"],
            applies: |command, _| command.words()[0] == b"ms" && command.has_flag(b'E') && !command.has_whole_data(),
        },
        depends_on_timing: false,
    },
    Difference {
        what: "expiry and client flags of an item that md empties",
        reason: "memcached makes a new item of T and F: without T, what would have expired never does. Ours keeps its \
                 expiry and has no client flags.",
        seen: Seen::Avoided {
            transcripts: &[],
            applies: |command, _| {
                let is_emptied = command.words()[0] == b"md" && command.has_flag(b'x');
                is_emptied && (!command.has_flag(b'T') || command.has_flag(b'F'))
            },
        },
        depends_on_timing: false,
    },
    Difference {
        what: "meta requests that are refused",
        reason: "memcached executes mg and ma before it refuses a long opaque, and executes the value of an ms with a word that \
                 cannot be a flag as commands. We execute nothing that we refuse.",
        seen: Seen::Avoided {
            transcripts: &[
                "a_request_with_a_long_opaque_is_not_executed",
                "a_value_is_swallowed_after_any_error_in_a_flag",
            ],
            applies: |command, _| {
                let is_long = |word: &&[u8]| word[0] == b'O' && word.len() > OPAQUE_LEN_MAX;
                let may_be_flag = |byte: u8| matches!(byte, b'0'..=b'9' | b'A'..=b'z');
                match command.words()[0] {
                    b"mg" | b"ma" => command.flags().iter().any(is_long),
                    b"ms" => command.flags().iter().any(|word| !may_be_flag(word[0])),
                    _ => false,
                }
            },
        },
        depends_on_timing: false,
    },
    Difference {
        what: "`debugtime`",
        reason: "Only a debug build of memcached can move its clock.",
        seen: Seen::Flag("debug_commands"),
        depends_on_timing: false,
    },
];

/// Differences of datagrams. t/oracle/datagrams.rs keeps them from being mismatches.
const DATAGRAMS: &[Difference] = &[
    Difference {
        what: "a datagram whose requests do not begin with a small letter or 0x80",
        reason: "memcached answers ERROR. Two servers whose addresses are forged would answer each other so forever.",
        seen: Seen::Duel,
        depends_on_timing: false,
    },
    Difference {
        what: "numbers of datagrams",
        reason: "memcached sends each value of a get as a message of its own, number 0 of 1, so that a client cannot tell \
                 whether one is missing. It sends a header for some requests without a reply, and answers a datagram that \
                 is not the first of a message. The bytes are compared.",
        seen: Seen::Duel,
        depends_on_timing: false,
    },
    Difference {
        what: "shutdown in a datagram",
        reason: "We do not execute it, whether -A is given or not.",
        seen: Seen::Duel,
        depends_on_timing: false,
    },
    Difference {
        what: "what a datagram leaves to the next one",
        reason: "memcached takes the next datagram for the rest of a value, and gives the CAS unique of a packet to the item of \
                 a later line of any client.",
        seen: Seen::Duel,
        depends_on_timing: false,
    },
];

/// Differences of packets. t/oracle/packets.rs keeps them out of streams.
const PACKETS: &[Difference] = &[
    Difference {
        what: "a packet with a wrong magic byte",
        reason: "memcached closes without the replies to earlier requests. We send them.",
        seen: Seen::Duel,
        depends_on_timing: false,
    },
    Difference {
        what: "a packet whose key and extras are longer than its body",
        reason: "memcached waits for bytes that are not a part of the packet, or closes without a reply. We refuse it.",
        seen: Seen::Duel,
        depends_on_timing: false,
    },
    Difference {
        what: "an unknown opcode with a body",
        reason: "memcached does not read the body, and the connection stalls. We answer and go on.",
        seen: Seen::Duel,
        depends_on_timing: false,
    },
    Difference {
        what: "touch, gat, gatq, gatk, gatkq and stat with lengths that do not fit",
        reason: "memcached executes some of them, and closes without replies after the others. We refuse them, as both do with \
                 those of other opcodes.",
        seen: Seen::Duel,
        depends_on_timing: false,
    },
    Difference {
        what: "stat with conns, cachedump and settingsx as key",
        reason: "memcached knows the first two in lines only, and takes any key that begins with settings for it. Ours are the \
                 same as in lines.",
        seen: Seen::Duel,
        depends_on_timing: false,
    },
    Difference {
        what: "a value that is too large, with a CAS unique",
        reason: "memcached drops the item even if it has another CAS unique. Ours stays, as after a cas command.",
        seen: Seen::Duel,
        depends_on_timing: false,
    },
];

pub(crate) const PACKET_MAGIC: &Difference = &PACKETS[0];
pub(crate) const PACKET_LENGTHS: &Difference = &PACKETS[1];
pub(crate) const PACKET_UNKNOWN: &Difference = &PACKETS[2];
pub(crate) const PACKET_UNCHECKED: &Difference = &PACKETS[3];
pub(crate) const PACKET_GROUPS: &Difference = &PACKETS[4];
pub(crate) const PACKET_TOO_LARGE: &Difference = &PACKETS[5];

pub(crate) const DATAGRAM_FIRST_BYTE: &Difference = &DATAGRAMS[0];
pub(crate) const DATAGRAM_LISTS: &Difference = &DATAGRAMS[1];
pub(crate) const DATAGRAM_EMPTY: &Difference = &DATAGRAMS[1];
pub(crate) const DATAGRAM_SHUTDOWN: &Difference = &DATAGRAMS[2];
pub(crate) const DATAGRAM_SEQUENCE: &Difference = &DATAGRAMS[1];
pub(crate) const DATAGRAM_VALUE: &Difference = &DATAGRAMS[3];
pub(crate) const DATAGRAM_GRAMMARS: &Difference = &DATAGRAMS[3];

/// How often each difference was met.
#[derive(Default)]
pub(crate) struct Tally {
    counts: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub(crate) fn count(&mut self, difference: &Difference) {
        *self.counts.entry(difference.what).or_default() += 1;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for difference in TABLE.iter().chain(DATAGRAMS).chain(PACKETS) {
            if let Some(count) = self.counts.get(difference.what) {
                writeln!(out, "{count:>9} x {}\n            {}", difference.what, difference.reason)?;
            }
        }
        Ok(())
    }
}

/// Whether `command` has to stay out of a random stream, behind `earlier` ones of its batch.
pub(crate) fn is_avoided(command: &Command, earlier: &[Command], tally: &mut Tally) -> bool {
    let hit = TABLE.iter().find(|difference| match &difference.seen {
        Seen::Avoided { applies, .. } => applies(command, earlier),
        Seen::Rewritten | Seen::Flag(_) | Seen::Duel | Seen::Transcripts(_) => false,
    });
    if let Some(difference) = hit {
        tally.count(difference);
    }
    hit.is_some()
}

/// Whether a transcript takes a flag that memcached does not have.
pub(crate) fn is_beyond_memcached(flags: &[String], tally: &mut Tally) -> bool {
    let hit = TABLE.iter().find(|difference| match &difference.seen {
        Seen::Flag(known) => flags.iter().any(|flag| flag.contains(known)),
        Seen::Rewritten | Seen::Avoided { .. } | Seen::Duel | Seen::Transcripts(_) => false,
    });
    if let Some(difference) = hit {
        tally.count(difference);
    }
    hit.is_some()
}

/// The difference that a transcript shows.
pub(crate) fn of_transcript(name: &str) -> Option<&'static Difference> {
    TABLE.iter().find(|difference| match &difference.seen {
        Seen::Avoided { transcripts, .. } | Seen::Transcripts(transcripts) => transcripts.contains(&name),
        Seen::Rewritten | Seen::Flag(_) | Seen::Duel => false,
    })
}
