//! Every row of the tables of binary packets in doc/hostile-input.md is sent to a server, which must do what the row
//! says.

use larder::protocol::binary::{HEADER_LEN, Opcode};

use crate::hostile::{Configured, Fate, PAGE, Row, code, fate_of, rows_of, send};
use crate::support::Client;
use crate::support::packet::{Packet, Reply};
use crate::support::transcript::expanded;

const PACKETS: &[&str] =
    &["Magic", "Opcode", "Key length", "Extras length", "Body length", "Body", "Reply", "Connection"];

#[test]
fn every_packet_has_the_reply_and_the_fate_of_its_row() {
    let mut faults = String::new();
    let rows = rows_of(PACKETS);
    assert!(rows.len() > 30, "{PAGE} has only {} rows of packets", rows.len());
    let mut server = Configured::start(&rows[0].options);
    for Row { line, options, cells } in rows {
        if server.options != options {
            server = Configured::start(&options);
        }
        for in_one_packet in [true, false] {
            let mut client = server.client();
            // The first packet makes the connection binary.
            let outcome = ask(&mut client, Opcode::Version).and_then(|_| {
                send(&mut client, &packet(&cells), in_one_packet);
                answered(&server, &mut client, &cells)
            });
            if let Err(fault) = outcome {
                let delivery = if in_one_packet { "in one packet" } else { "byte by byte" };
                faults += &format!("\n{PAGE}:{line}: {delivery}: {fault}");
            }
        }
    }
    assert!(faults.is_empty(), "{faults}");
}

fn packet(cells: &[String]) -> Vec<u8> {
    let number = |at: usize| {
        let (digits, radix) = cells[at].strip_prefix("0x").map_or((&cells[at][..], 10), |digits| (digits, 16));
        u32::from_str_radix(digits, radix).unwrap_or_else(|e| panic!("{PAGE}: {} {}: {e}", PACKETS[at], cells[at]))
    };
    let byte = |at: usize| u8::try_from(number(at)).expect("a field of one byte");
    let packet = Packet {
        key_len: Some(u16::try_from(number(2)).expect("a field of two bytes")),
        extras_len: Some(byte(3)),
        body_len: Some(number(4)),
        value: code(&cells[5]).first().map(|text| expanded(text)).unwrap_or_default(),
        ..Packet::new(byte(1))
    };
    let mut bytes = packet.bytes();
    bytes[0] = byte(0);
    bytes
}

fn ask(client: &mut Client, opcode: Opcode) -> Result<String, String> {
    send(client, &Packet::of(opcode, "").bytes(), true);
    reply(client)
}

/// The next reply: its status in two hexadecimal digits, and its value.
fn reply(client: &mut Client) -> Result<String, String> {
    let mut bytes = client.read_exactly(HEADER_LEN).map_err(|e| format!("no reply: {e}"))?;
    let body_len = u32::from_be_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
    bytes.extend(client.read_exactly(body_len as usize).map_err(|e| format!("no body: {e}"))?);
    let (reply, _) = Reply::read(&bytes).ok_or("half a reply")?;
    Ok(format!("{:02x} {}", reply.status, reply.value.escape_ascii()).trim_end().to_string())
}

fn answered(server: &Configured, client: &mut Client, cells: &[String]) -> Result<(), String> {
    for expected in code(&cells[6]) {
        let reply = reply(client)?;
        if reply != expected {
            return Err(format!("the reply is `{reply}`"));
        }
    }
    match fate_of(&cells[7]) {
        Fate::Open => {
            let after = ask(client, Opcode::Version)?;
            return if after == "00 1.6.45" { Ok(()) } else { Err(format!("then came {after:?}")) };
        }
        Fate::Waiting => {
            server.waits_for_one()?;
            client.finish_sending();
        }
        Fate::Closed => {}
    }
    let rest = client.read_to_close().map_err(|e| format!("the server does not close: {e}"))?;
    if rest.is_empty() { Ok(()) } else { Err(format!("before closing came `{}`", rest.escape_ascii())) }
}
