//! `larder-bench` run with the flags that need more than a server: a terminal's line, silent connections, files.

use std::fs;

use crate::support::{Server, scratch_directory};

use super::tool::bench;

#[test]
fn progress_is_a_line_a_second_on_standard_error() {
    let server = Server::start(&[]);
    let ran = bench(&format!("-p {} -n 50 -c 2 -d 2.5 --sleep -r 500 --progress", server.tcp_address().port()));
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert!((1..=2).contains(&lines.len()), "{}", ran.stderr);
    let mut least = 100;
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["load", _, "s", requests, "requests,", _, "of", "500", "a", "second"] = words[..] else {
            panic!("{line}");
        };
        let requests: u64 = requests.replace(',', "").parse().expect("a number");
        assert!((least..=1250).contains(&requests), "{line}");
        least = requests + 100;
    }
    let ran = bench(&format!("-p {} -n 50 -c 2 -d 1.2 --sleep -r 500 -q", server.tcp_address().port()));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
}

#[test]
fn idle_connections_are_open_beside_those_that_ask() {
    let server = Server::start(&[]);
    let total = || server.stats("")["total_connections"].parse::<u64>().expect("a number");
    let before = total();
    let ran = bench(&format!("-p {} -n 50 -c 2 --idle 7 -d 0.02 --sleep", server.tcp_address().port()));
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains(", 2 connections and 7 idle, "), "{}", ran.stdout);
    // And the one that asks for the total.
    assert_eq!(total() - before, 2 + 7 + 1);
}

/// The page's example, with a tenth of a second of load. It needs a hard limit of 13,100 open files.
#[test]
fn the_example_with_ten_thousand_idle_connections_runs() {
    let page = fs::read_to_string("doc/larder-bench.md").expect("the page is there");
    let line = page.lines().find(|line| line.contains("--idle 10000")).expect("the page has the example");
    let (flags, server_flags) = line.split_once('#').expect("the example says what the server needs");
    let clients = server_flags.split_once("-c ").expect("it needs more clients").1.trim();
    let server = Server::start(&["-c", clients, "-v"]);
    let flags = flags.strip_prefix("larder-bench ").expect("it is a command line");
    let flags = flags.replace("-p 11311", &format!("-p {}", server.tcp_address().port())).replace("-d 2", "-d 0.1");
    let ran = bench(&flags);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("2,000 connections and 10,000 idle"), "{}", ran.stdout);
}

#[test]
fn lengths_of_values_come_from_a_file() {
    let server = Server::start(&[]);
    let directory = scratch_directory();
    let path = directory.join("sizes.json");
    let file = "{\"valSizeRange\": [300, 310, 5000],\n\"valSizeRangeProbability\": [0.0, 0.75, 0.25]}";
    fs::write(&path, file).expect("the folder can be written");
    let ran = bench(&format!(
        "-p {} -n 500 -c 2 -d 0.05 --sleep -x get,set -v kvcache:{}",
        server.tcp_address().port(),
        path.display()
    ));
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("values of kvcache_reg's lengths"), "{}", ran.stdout);
    let mut client = server.client();
    let lengths: Vec<usize> = (0..500)
        .map(|number| {
            client.send(format!("get bench:{number:026}\r\n"));
            let line = String::from_utf8(client.read_line().expect("an answer")).expect("text");
            let len = line.split_whitespace().last().and_then(|len| len.parse().ok()).expect("every key is stored");
            client.read_exactly(len + b"\r\nEND\r\n".len()).expect("a value");
            len
        })
        .collect();
    assert!(lengths.iter().all(|len| (300..=5000).contains(len)), "{lengths:?}");
    let short = lengths.iter().filter(|len| **len <= 310).count();
    assert!((330..420).contains(&short), "three quarters of 500 are up to 310 bytes long, {short} were");
}

#[test]
fn a_row_of_twitters_table_is_a_load() {
    let server = Server::start(&[]);
    let directory = scratch_directory();
    let path = directory.join("clusters.csv");
    let rows = "cluster,key,value,requests per object,one-hit %,compulsory,ttl,operations,alpha\n\
                cluster1,20,100,5,10,1,\"1d:1.0\",get:1,1\n\
                cluster7,40,200,10,50,1.37,\"2h:0.5, 30s:0.25\",get:0.6 set:0.3 incr:0.1,1.0666\n";
    fs::write(&path, rows).expect("the folder can be written");
    let at = |row| {
        format!("-p {} -n 500 -c 2 -d 0.05 --sleep --twitter {}:{row}", server.tcp_address().port(), path.display())
    };
    let ran = bench(&at("cluster7"));
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let load = "load            get=0.6,set=0.3,incr=0.1, 500 keys of 40 B, values of 100 to 300 B, Zipf 1.0666, \
                times to live of a mix\n";
    assert!(ran.stdout.starts_with(load), "{}", ran.stdout);
    // The fill, and keys that are named once.
    let stored: u64 = server.stats("")["total_items"].parse().expect("a number");
    assert!(stored > 1000, "{stored}");
    let ran = bench(&format!("{} -v 7", at("cluster7")));
    assert!(ran.stdout.contains(", values of 7 B, "), "flags beside it count: {}", ran.stdout);
    let ran = bench(&at("cluster9"));
    let line = format!("larder-bench: --twitter: {} has no row cluster9\n", path.display());
    assert_eq!((ran.code, ran.stderr), (Some(64), line));
}
