//! The live page and its history: `/` and /history.json.

use std::collections::BTreeMap;

use larder::protocol::HttpReply;

use crate::http::reply;
use crate::http_items::asked;
use crate::support::{Client, Server, wait_until};

/// The columns of the history. A gap is `None`.
fn history(client: &mut Client, query: &str) -> BTreeMap<String, Vec<Option<f64>>> {
    let (head, body) = asked(client, &format!("GET /history.json{query}"), "", b"");
    assert!(head.contains("\r\nContent-Type: application/json\r\n"), "{head}");
    let text = String::from_utf8(body).expect("JSON is text");
    let (front, columns) = text.split_once("\"columns\":{").expect("it has columns");
    assert!(front.starts_with("{\"now\":"), "{front}");
    let columns = columns.strip_suffix("]}}\n").expect("it has an end").split("],");
    let column = |column: &str| {
        let (name, values) = column.split_once(":[").expect("a column has a name");
        let values = values.split(',').map(|value| (value != "null").then(|| value.parse().expect("a number")));
        (name.trim_matches('"').to_owned(), values.collect())
    };
    columns.map(column).collect()
}

#[test]
fn the_page_is_one_file_that_loads_nothing_from_elsewhere() {
    let server = Server::start(&["--http=0"]);
    let (head, body) = asked(&mut server.http_client(), "GET /", "", b"");
    assert!(head.contains("\r\nContent-Type: text/html; charset=utf-8\r\n"), "{head}");
    let text = String::from_utf8(body).expect("the page is text");
    assert!(text.len() < 150 << 10 && text.contains("default-src 'none'"));
    let addresses =
        text.match_indices("://").map(|(at, _)| &text[at - 5..]).filter(|rest| !rest.contains("www.w3.org"));
    assert_eq!(addresses.count(), 0, "an address of another server");
}

#[test]
fn the_history_has_rates_and_values_of_rows_of_stats() {
    let server = Server::start(&["--http=0"]);
    let (mut client, mut http) = (server.client(), server.http_client());
    wait_until("a second has a rate", || {
        client.ask("set a 0 0 1\r\nx\r\nget a\r\nget b\r\n", "STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\nEND\r\n");
        let columns = history(&mut http, "?step=1&count=5");
        let has = |row: &str, value: &dyn Fn(f64) -> bool| columns[row].iter().flatten().any(|found| value(*found));
        has("cmd_get", &|rate| rate > 0.0) && has("curr_items", &|items| items == 1.0)
    });
    wait_until("a request was measured", || {
        client.ask("get a\r\n".repeat(10), "VALUE a 0 1\r\nx\r\nEND\r\n".repeat(10));
        let columns = history(&mut http, "?step=1&count=5");
        let newest = |row: &str| columns[row].iter().flatten().last().copied().unwrap_or(0.0);
        newest("latency_p50") > 0.0 && newest("latency_p50") <= newest("latency_p999")
    });
    let (rows, columns) = (server.stats(""), history(&mut http, "?step=60&count=10"));
    for (name, values) in columns {
        assert!(rows.contains_key(&name) || name.starts_with("latency_"), "{name} is not a row");
        assert_eq!(values.len(), 10, "{name}");
    }
}

#[test]
fn steps_beyond_the_history_are_refused() {
    let server = Server::start(&["--http=0"]);
    let mut client = server.http_client();
    for query in
        ["step=0", "step=-1", "step=x", "count=0", "count=601", "step=13&count=300", "step=99999999999999999999"]
    {
        client.ask(format!("GET /history.json?{query} HTTP/1.1\r\nHost: h\r\n\r\n"), reply(HttpReply::BadQuery));
    }
    let (head, _) = asked(&mut client, "GET /history.json?step=9223372036854775800&count=1", "", b"");
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
}
