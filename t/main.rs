//! The integration tests of the server and its tools. Those of the store alone are in engine/.

/// Each named script becomes a test: played in every delivery against servers of its own.
macro_rules! transcripts {
    ($($name:ident: $script:literal;)*) => {
        $(
            #[test]
            fn $name() {
                crate::support::transcript::play_in_every_delivery($script);
            }
        )*
    };
}

mod activation;
mod auth;
mod binary;
mod charts;
mod cli;
mod commands;
mod corpus;
mod docs;
mod dumps;
mod fuzz_connection;
mod fuzz_datagrams;
mod fuzz_http;
mod fuzz_parser;
mod fuzz_server;
mod hostile;
mod hostile_binary;
mod http;
mod http_items;
mod install;
mod live_page;
mod load;
mod logging;
mod meta_commands;
mod metrics;
mod model;
#[path = "support/model_engine.rs"]
mod model_engine;
#[path = "support/random.rs"]
mod random;
mod regressions;
mod replication;
mod restart;
#[path = "support/session.rs"]
mod session;
mod support;
mod text;
mod tidy;
mod tls;
mod tools;
mod transcripts;
mod udp;
mod upgrade;
mod watch;
