//! Lines that are very long, and lines that never end.

use crate::support::Server;

#[test]
fn a_line_without_an_end_is_cut_off_at_2048_bytes() {
    for start in ["", "set ", "delete ", "flush_all "] {
        let server = Server::start(&[]);
        let mut client = server.client();
        // Ignored: the server may close before it has been told everything.
        let _ = client.try_send(format!("{start}{}", "j".repeat(1 << 16)).as_bytes());
        client.expect_close();
        server.client().ask("get a\r\n", "END\r\n");
    }
}

#[test]
fn a_gigantic_line_without_an_end_is_not_kept() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let junk = vec![b'j'; 1 << 20];
    let refused = (0..256).any(|_| client.try_send(&junk).is_err());
    assert!(refused, "256 MiB of one line were taken");
    server.client().ask("get a\r\n", "END\r\n");
}

#[test]
fn a_line_of_2000_bytes_is_only_an_error() {
    let server = Server::start(&[]);
    server.client().ask(format!("{}\r\n", "j".repeat(2000)), "ERROR\r\n");
}

#[test]
fn get_takes_20000_keys_in_one_line() {
    let server = Server::start(&[]);
    for verb in ["get", "gets"] {
        let mut client = server.client();
        client.ask("set key-19999 0 0 1\r\nx\r\n", "STORED\r\n");
        let keys: String = (0..20_000).map(|n| format!(" key-{n}")).collect();
        client.send(format!("{verb}{keys}\r\n"));
        let line = client.read_line().expect("the hit");
        assert!(line.starts_with(b"VALUE key-19999 0 1"), "{}", line.escape_ascii());
        client.expect("x\r\nEND\r\n");
        client.expect_silence();
    }
}

#[test]
fn a_get_of_20000_hits_answers_them_all() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("set a 0 0 10\r\n0123456789\r\n", "STORED\r\n");
    client.send(format!("get{}\r\n", " a".repeat(20_000)));
    client.expect("VALUE a 0 10\r\n0123456789\r\n".repeat(20_000));
    client.expect("END\r\n");
}
