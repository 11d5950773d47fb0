//! The only table of the flags with which tools use TLS: parsers, helps, and pages are made from it.

/// A flag of TLS. Each of them turns it on.
#[derive(Clone, Copy, Debug)]
pub struct TlsFlag {
    /// Its name, without dashes.
    pub name: &'static str,
    /// The placeholder of its value. `None`: it has no value.
    pub hint: Option<&'static str>,
    /// What the tool is to do.
    pub help: &'static str,
}

const fn flag(name: &'static str, hint: Option<&'static str>, help: &'static str) -> TlsFlag {
    TlsFlag { name, hint, help }
}

/// All flags.
pub const TLS_FLAGS: [TlsFlag; 6] = [
    flag("tls", None, "accept certificates of the system's authorities"),
    flag("tls-ca", Some("FILE"), "accept certificates of the authorities in this PEM file, and no others"),
    flag("tls-insecure", None, "accept every certificate. Anyone may be at the other end of the connection"),
    flag("tls-name", Some("NAME"), "demand this name in the certificate, instead of the host of the server"),
    flag("tls-cert", Some("FILE"), "show this certificate, a PEM file with its chain, if the server asks"),
    flag("tls-key", Some("FILE"), "the key of the certificate of --tls-cert, if it is not in the same file"),
];

/// What a help and a page say before the flags.
pub const TLS_FLAGS_HEAD: &str = "TLS, which each of these flags turns on";

/// Column where the texts of a help start.
const COLUMN: usize = 25;

impl TlsFlag {
    /// Its name and its placeholder: `--tls-ca FILE`.
    fn notation(&self) -> String {
        let hint = self.hint.map(|hint| format!(" {hint}")).unwrap_or_default();
        format!("--{}{hint}", self.name)
    }
}

/// The part of a help.
pub fn tls_help() -> String {
    let mut text = format!("\n{TLS_FLAGS_HEAD}:\n");
    for flag in TLS_FLAGS {
        text.push_str(&format!("{:COLUMN$}{}\n", format!("      {}", flag.notation()), flag.help));
    }
    text
}

/// The section of a manual page.
pub fn tls_manual() -> String {
    let roff = |text: &str| text.replace('-', "\\-");
    let mut text = format!(".SS {TLS_FLAGS_HEAD}\n");
    for flag in TLS_FLAGS {
        let (first, rest) = flag.help.split_at(1);
        let help = roff(&format!("{}{rest}", first.to_uppercase()));
        text.push_str(&format!(".TP\n.B {}\n{help}.\n", roff(&flag.notation().replace(' ', "="))));
    }
    text
}

/// The rows of a table in Markdown.
pub fn tls_markdown() -> String {
    TLS_FLAGS.iter().map(|flag| format!("| `{}` | {} |\n", flag.notation(), flag.help)).collect()
}

#[cfg(test)]
mod tests {
    use super::{TLS_FLAGS, tls_help, tls_manual, tls_markdown};

    #[test]
    fn every_text_has_every_flag_and_no_line_is_too_long() {
        let [help, manual, markdown] = [tls_help(), tls_manual().replace("\\-", "-"), tls_markdown()];
        for flag in TLS_FLAGS {
            for text in [&help, &manual, &markdown] {
                assert!(text.contains(&format!("--{}", flag.name)), "{text}");
            }
            assert!(help.contains(&format!(" {}\n", flag.help)), "{help}");
        }
        assert!(help.lines().all(|line| line.len() <= 110), "{help}");
        assert!(manual.contains(".B --tls-ca=FILE\nAccept certificates"), "{manual}");
    }
}
