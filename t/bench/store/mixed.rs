//! Values of 100 bytes to 900 KiB in a small cache: the number of sets that are refused for lack of memory.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::options::Options;
use crate::verdict::Verdict;
use larder_bench::figures::{Table, grouped};
use larder_bench::random::{Random, whole};
use larder_bench::server::ServerCommand;

const MEGABYTES: u64 = 64;
const CONNECTIONS: u64 = 8;
const KEYS: u64 = 200_000;
const VALUE_LEN_LEAST: f64 = 100.0;
const VALUE_LEN_MOST: f64 = 900.0 * 1024.0;
const DURATION: Duration = Duration::from_secs(60);
const SILENCE_MAX: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Answers {
    stored: u64,
    bytes: u64,
    out_of_memory: u64,
    /// Any other refusal, with its text.
    other: u64,
    text: String,
}

pub(crate) fn run(options: &Options) -> io::Result<Vec<Verdict>> {
    let answers = options.both(1, |command| measure(options, command))?;
    let header = ["server", "sets", "MB stored", "out of memory", "other errors", "the first of them"];
    let mut table = Table::new(header.map(str::to_string));
    for (command, answers) in options.comparison.servers.iter().zip(&answers) {
        table.row([
            command.name.clone(),
            grouped(answers.stored + answers.out_of_memory + answers.other),
            grouped(answers.bytes / 1_000_000),
            grouped(answers.out_of_memory),
            grouped(answers.other),
            answers.text.clone(),
        ]);
    }
    let duration = options.share_of_time(DURATION).as_secs();
    println!(
        "Sets of 100 B to 900 KiB (log-uniform), -m {MEGABYTES}, {CONNECTIONS} connections, {duration} s.\n\n{table}"
    );
    let [ours, theirs] = answers.each_ref().map(|answers| answers.out_of_memory + answers.other);
    let measure = format!("out-of-memory answers, 100 B to 900 KiB at -m {MEGABYTES}, {CONNECTIONS} connections");
    Ok(vec![Verdict::at_most(measure, grouped(theirs), ours as f64, 0.0, "0")])
}

fn measure(options: &Options, command: &ServerCommand) -> io::Result<Answers> {
    eprintln!("{}", command.name);
    let server = options.start(command, MEGABYTES)?;
    let until = Instant::now() + options.share_of_time(DURATION);
    let address = server.address;
    let mut sum = Answers::default();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS)
            .map(|connection| scope.spawn(move || one_connection(address, connection, until)))
            .collect();
        for thread in threads {
            let answers = thread.join().map_err(|_| io::Error::other("a connection's thread panicked"))??;
            sum.stored += answers.stored;
            sum.bytes += answers.bytes;
            sum.out_of_memory += answers.out_of_memory;
            sum.other += answers.other;
            if sum.text.is_empty() {
                sum.text = answers.text;
            }
        }
        io::Result::Ok(())
    })?;
    server.stop()?;
    Ok(sum)
}

fn one_connection(address: SocketAddr, connection: u64, until: Instant) -> io::Result<Answers> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    let mut stream = BufReader::new(stream);
    let mut random = Random::with_seed(connection);
    let mut answers = Answers::default();
    let mut request = Vec::new();
    let mut reply = String::new();
    while Instant::now() < until {
        let len = whole(VALUE_LEN_LEAST * (VALUE_LEN_MOST / VALUE_LEN_LEAST).powf(random.unit()));
        request.clear();
        request.extend_from_slice(format!("set mixed:{} 0 0 {len}\r\n", random.below(KEYS)).as_bytes());
        request.resize(request.len() + usize::try_from(len).expect("at most 900 KiB"), b'v');
        request.extend_from_slice(b"\r\n");
        stream.get_mut().write_all(&request)?;
        reply.clear();
        stream.read_line(&mut reply)?;
        match reply.trim_end() {
            "STORED" => {
                answers.stored += 1;
                answers.bytes += len;
            }
            "SERVER_ERROR out of memory storing object" => answers.out_of_memory += 1,
            other => {
                answers.other += 1;
                if answers.text.is_empty() {
                    answers.text = other.to_string();
                }
            }
        }
    }
    Ok(answers)
}
