//! What `--help` shows below the flags: examples, and the formats that flags name.

pub(super) const RINGLOG: &str = "\
Examples:
  ringlog broker                                  data in ./ringlog-data
  ringlog topic create events --partitions 4
  echo 'hello, log' | ringlog produce events
  ringlog consume events --until-end

Exit codes: 0 done, 1 failed, 2 called in a wrong way.";

pub(super) const BROKER: &str = "\
Examples:
  ringlog broker                          data in ./ringlog-data, port 9400
  ringlog broker --data-dir /var/lib/ringlog --memory 4GiB
  ringlog broker --listen 0.0.0.0:9400 --advertised log1.example:9400
  ringlog broker --config broker.toml     the same from a file

Ctrl-C or SIGTERM stops it in order. A second one stops it at once, and the
next start recovers.";

pub(super) const TOPIC_CREATE: &str = "\
Examples:
  ringlog topic create events --partitions 4
  ringlog topic create audit --config retention_ms=30d
  ringlog topic create metrics --config durability=async";

pub(super) const TOPIC_LIST: &str = "\
Examples:
  ringlog topic list
  ringlog topic list --output json";

pub(super) const TOPIC_DESCRIBE: &str = "\
Examples:
  ringlog topic describe events
  ringlog topic describe events --partition 0,3 --output json";

pub(super) const TOPIC_ALTER: &str = "\
Examples:
  ringlog topic alter events --config retention_ms=30d
  ringlog topic alter events --config retention_ms=default
  ringlog topic alter events --partition 0 --config durability=async";

pub(super) const TOPIC_REASSIGN: &str = "\
Examples:
  ringlog topic reassign events --partition 0 --replicas 2
  ringlog topic reassign events --partition 0 --cancel";

pub(super) const TOPIC_DELETE: &str = "\
Examples:
  ringlog topic delete events";

pub(super) const TOPIC_OFFSETS: &str = "\
Examples:
  ringlog topic offsets events                    where each partition ends
  ringlog topic offsets events --at earliest      where each begins
  ringlog topic offsets events --at @2026-01-31T12:00:00Z";

pub(super) const TOPIC_DELETE_RECORDS: &str = "\
Examples:
  ringlog topic delete-records events --partition 0 --before 1000
  ringlog topic delete-records events --before @2026-01-31T12:00:00Z
  ringlog topic delete-records events --before latest";

pub(super) const PRODUCE: &str = "\
Formats:
  lines
    A record a line. Lines end at \\n only: a \\r before it belongs to the
    record, an empty line is an empty record. With --key-separator the key
    stands before the first separator.
  json
    An object a line: {\"key\": \"k\", \"value\": \"v\", \"timestamp\": 1769860800000,
    \"partition\": 0, \"headers\": [{\"key\": \"h\", \"value\": \"w\"}]}. Only value must
    be there; null is a tombstone. What is no UTF-8 stands in key_base64 and
    value_base64 instead (RFC 4648, padded). An offset is ignored, so that
    what `consume --format json` prints can be read. Blank lines are left out.
  length-prefixed
    The length of the value in 4 bytes, big-endian, then the value; the length
    ff ff ff ff is a tombstone.

Examples:
  echo 'hello, log' | ringlog produce events
  ringlog produce events --file access.log --headers source=web
  ringlog produce events --file pairs --key-separator , --compression zstd
  ringlog produce events --file records.json --format json";

pub(super) const CONSUME: &str = "\
Formats:
  lines
    A record a line, with the columns of --print. `produce` reads what
    `--print key,value` prints.
  json
    An object a line: partition, offset, timestamp (milliseconds since 1970),
    key, value, headers. What is no UTF-8 stands in key_base64 and
    value_base64 instead; a missing key and a tombstone are null.
  length-prefixed
    The length of the value in 4 bytes, big-endian, then the value; the length
    ff ff ff ff is a tombstone.

Examples:
  ringlog consume events                  follow the log from now on
  ringlog consume events --until-end      all there is, then stop
  ringlog consume events --from @2026-01-31T12:00:00Z --print timestamp,value
  ringlog consume events --from earliest --max 10 --format json
  ringlog consume events --group mail     go on where the group stopped";

pub(super) const GROUP_DESCRIBE: &str = "\
Examples:
  ringlog group describe mail
  ringlog group describe mail --output json";

pub(super) const GROUP_RESET: &str = "\
Examples:
  ringlog group reset mail --topic events --to earliest   read all again
  ringlog group reset mail --topic events --to latest     leave out all there is
  ringlog group reset mail --topic events --partition 0 --to 1000
  ringlog group reset mail --topic events --to @2026-01-31T12:00:00Z";

pub(super) const CLUSTER_STATUS: &str = "\
Examples:
  ringlog cluster status
  ringlog cluster status --output json";

pub(super) const CLUSTER_WATCH: &str = "\
Examples:
  ringlog cluster watch
  ringlog cluster watch --output json";

pub(super) const LOG_DUMP: &str = "\
Examples:
  ringlog log dump ringlog-data/topics/<id>/0     <id> as in `topic list`
  ringlog log dump ringlog-data/topics/<id>/0/checkpoint --output json";

pub(super) const LOG_VERIFY: &str = "\
Examples:
  ringlog log verify ringlog-data                 all partitions
  ringlog log verify ringlog-data/topics/<id>/0 --output json";

pub(super) const DOCTOR: &str = "\
Examples:
  ringlog doctor
  ringlog doctor --data-dir /var/lib/ringlog --output json

Ends with 1 when a broker cannot run here.";

pub(super) const COMPLETIONS: &str = "\
Examples:
  ringlog completions bash > ~/.local/share/bash-completion/completions/ringlog
  ringlog completions zsh > ~/.zfunc/_ringlog
  ringlog completions fish > ~/.config/fish/completions/ringlog.fish";

pub(super) const BENCH_DEVICE: &str = "\
Examples:
  ringlog bench device --dir ringlog-data         where the broker's data is
  ringlog bench device --shape write-sync --record-bytes 4KiB,64KiB";

pub(super) const BENCH_PRODUCE: &str = "\
Examples:
  ringlog bench produce --rate 10000 --durability sync
  ringlog bench produce --compare raw,ringlog --durability sync
  ringlog bench produce --compare ringlog,kafka --rate 1000 --out results";

pub(super) const BENCH_CONSUME: &str = "\
Examples:
  ringlog bench consume --fill 1GiB
  ringlog bench consume --pass-through            as a gateway reads";

pub(super) const BENCH_END_TO_END: &str = "\
Examples:
  ringlog bench end-to-end --rate 1000 --connections 4";

pub(super) const BENCH_RATE_LADDER: &str = "\
Examples:
  ringlog bench rate-ladder --rate 1000,5000,20000 --out results/ladder";

pub(super) const BENCH_SLO_SEARCH: &str = "\
Examples:
  ringlog bench slo-search --p99 5ms --durability sync";

pub(super) const BENCH_COLD_READER: &str = "\
Examples:
  ringlog bench cold-reader --rate 1000 --fill 8GiB";

pub(super) const BENCH_PARTITIONS: &str = "\
Examples:
  ringlog bench partitions --counts 1,100,1000 --rate 1000";

pub(super) const BENCH_CONNECTIONS: &str = "\
Examples:
  ringlog bench connections --connections 1,100,1000 --rate 1000";

pub(super) const BENCH_COMPARE_RESULTS: &str = "\
Examples:
  ringlog bench produce --rate 1000 --out before
  ringlog bench produce --rate 1000 --out after
  ringlog bench compare-results before after";

pub(super) const BENCH_HOSTILE: &str = "\
Examples:
  ringlog bench hostile --rate 1000
  ringlog bench hostile --rate 1000 --idle 1000 --vanishing 100 --duration 5s";

pub(super) const BENCH_SOAK: &str = "\
Examples:
  ringlog bench soak --rate 1000 --duration 8h --out results/soak";

pub(super) const BENCH_APPEND: &str = "\
Examples:
  ringlog bench append --record-bytes 4KiB
  ringlog bench append --record-bytes 1MiB --in-flight 4 --warm-up 5s
  ringlog bench append --counts 1,100,1000        many dirty logs in a round";

pub(super) const BENCH_RESTART: &str = "\
The broker is this program, with a data directory of its own below --dir, which
is removed. Words behind `--` are for `ringlog broker`.

Examples:
  ringlog bench restart --counts 100 --fill 20GiB
  ringlog bench restart --counts 1,1000 -- --memory 4GiB";

pub(super) const CLUSTER_DRAIN: &str = "\
Examples:
  ringlog cluster drain 2     before broker 2 is stopped for long";

pub(super) const CLUSTER_ELECT_LEADERS: &str = "\
Examples:
  ringlog cluster elect-leaders
  ringlog cluster elect-leaders --topic events";
