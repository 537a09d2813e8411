//! Operands of commands that do not change the configuration.

use std::net::{IpAddr, Ipv6Addr};

use super::{Command, ConnectionFilter};
use crate::config::Operand;
use crate::control::grammar;
use crate::control::lookup::{find, shown};
use crate::model::{AdvisorKey, AdvisorKind, AdvisorScope, Name, PortKey, PortNumber};

/// What is wrong with an operand, in one sentence.
pub type Fault = String;

/// Which advisors are meant; `None` stands for any.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AdvisorSelection {
    pub kind: Option<AdvisorKind>,
    pub scope: Option<AdvisorScope>,
}

impl AdvisorSelection {
    pub fn matches(&self, key: &AdvisorKey) -> bool {
        self.kind.is_none_or(|kind| kind == key.kind) && self.scope.as_ref().is_none_or(|scope| *scope == key.scope)
    }

    /// `[NAME [P|C:P]]`
    pub fn parse(words: &[String]) -> Result<Self, Fault> {
        match words {
            [] => Ok(Self::default()),
            [kind] => Ok(Self { kind: Some(advisor_kind(kind)?), scope: None }),
            [kind, scope] => Ok(Self { kind: Some(advisor_kind(kind)?), scope: Some(advisor_scope(scope)?) }),
            [_, _, more, ..] => Err(too_much(more)),
        }
    }
}

/// A connection or request that is only thought of: who would get it?
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Exchange {
    pub client: IpAddr,
    pub port: PortKey,
    /// The first line of an HTTP request.
    pub request: Option<RequestLine>,
    /// Names as typed.
    pub headers: Vec<(String, String)>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RequestLine {
    pub method: String,
    pub target: String,
}

impl Exchange {
    /// `CLIENT C:P [REQUEST-LINE] [HEADER]...`
    pub fn parse(words: &[String]) -> Result<Self, Fault> {
        let [client, port, rest @ ..] = words else {
            return Err("the client's address and the port are missing".to_owned());
        };
        let (request, headers) = match rest.split_first() {
            None => (None, rest),
            Some((first, _)) if is_header(first) => (None, rest),
            Some((first, headers)) => (Some(request_line(first)?), headers),
        };
        let headers = headers.iter().map(|text| header(text)).collect::<Result<_, _>>()?;
        Ok(Self { client: client_address(client)?, port: port_key(port)?, request, headers })
    }
}

/// `[C[:P[:S]]]` of at most `depth` parts; nothing stands for all.
pub fn operand(words: &[String], depth: usize) -> Result<Operand, Fault> {
    let text = match words {
        [] => ":".repeat(depth.saturating_sub(1).max(1)),
        [one] => one.clone(),
        [_, more, ..] => return Err(too_much(more)),
    };
    Operand::parse(&text, depth).map_err(|refusal| refusal.to_string())
}

/// `command`, which has no operands.
pub fn only(words: &[String], command: Command) -> Result<Command, Fault> {
    words.first().map_or(Ok(command), |more| Err(too_much(more)))
}

/// `[CLIENT|NETWORK|C[:P[:S]]]`
pub fn connections(words: &[String]) -> Result<Command, Fault> {
    let filter = match words {
        [] => ConnectionFilter::All,
        [one] => one.parse().map_or_else(|_| ConnectionFilter::Object(one.replace('@', ":")), ConnectionFilter::Client),
        [_, more, ..] => return Err(too_much(more)),
    };
    Ok(Command::Connections(filter))
}

/// `[PRIMARYHOST]`
pub fn takeover(words: &[String]) -> Result<Command, Fault> {
    let primaryhost = match words {
        [] => None,
        [host] => {
            let fault = || format!("`{}` is not an address of a dispatcher such as 10.0.0.1", shown(host));
            Some(host.parse().map_err(|_| fault())?)
        }
        [_, more, ..] => return Err(too_much(more)),
    };
    Ok(Command::Takeover { primaryhost })
}

/// `[OBJECT]`
pub fn help(words: &[String]) -> Result<Command, Fault> {
    match words {
        [] => Ok(Command::Help(None)),
        [word] => {
            let object = grammar::find_object(word).map_err(|refusal| first_line(&refusal.to_string()))?;
            Ok(Command::Help(Some(object.word)))
        }
        [_, more, ..] => Err(too_much(more)),
    }
}

/// `NAME`, plain or a path.
pub fn file(words: &[String]) -> Result<String, Fault> {
    match words {
        [] => Err("the name of a file is missing".to_owned()),
        [name] => file_name(name),
        [_, more, ..] => Err(too_much(more)),
    }
}

/// `NAME [force]`
pub fn file_save(words: &[String]) -> Result<Command, Fault> {
    let (words, force) = match words {
        [name, word] if find(word, &["force"], "").is_ok() => (std::slice::from_ref(name), true),
        _ => (words, false),
    };
    Ok(Command::FileSave { name: plain_name(&file(words)?)?, force })
}

/// `NAME`
pub fn file_delete(words: &[String]) -> Result<Command, Fault> {
    Ok(Command::FileDelete { name: plain_name(&file(words)?)? })
}

/// A file below the configuration directory.
fn plain_name(name: &str) -> Result<String, Fault> {
    match name.contains('/') {
        true => Err(format!(
            "`{}` is a path; files are saved to and deleted from the configuration directory only, by a plain name",
            shown(name)
        )),
        false => Ok(name.to_owned()),
    }
}

/// A plain name or a path.
fn file_name(text: &str) -> Result<String, Fault> {
    let last = text.rsplit('/').next().unwrap_or_default();
    if last.is_empty() || last == "." || last == ".." {
        return Err(format!("`{}` is not the name of a file", shown(text)));
    }
    if text.len() > MAX_FILE_NAME || text.chars().any(char::is_control) {
        return Err(format!("`{}` is too long for a file name or has control characters in it", shown(text)));
    }
    Ok(text.to_owned())
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// A sentence about an operand that nobody asked for.
fn too_much(word: &str) -> Fault {
    format!("`{}` is one operand too many", shown(word))
}

fn advisor_kind(word: &str) -> Result<AdvisorKind, Fault> {
    let words = AdvisorKind::ALL.map(AdvisorKind::word);
    let there_are = || format!("there are {}", words.map(|word| format!("`{word}`")).join(", "));
    let found = find(word, &words, "known advisor").map_err(|fault| format!("{fault}; {}", there_are()))?;
    let kind = AdvisorKind::ALL.into_iter().find(|kind| kind.word() == found);
    Ok(kind.expect("`find` returns one of the words it was given"))
}

fn advisor_scope(text: &str) -> Result<AdvisorScope, Fault> {
    match text.contains([':', '@']) {
        true => port_key(text).map(AdvisorScope::ClusterPort),
        false => port_number(text).map(AdvisorScope::Port),
    }
}

fn client_address(text: &str) -> Result<IpAddr, Fault> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().map_err(|_| format!("`{}` is not a client's address such as 203.0.113.7", shown(text)))
}

/// Exactly one port of exactly one cluster: `shop:80`, `shop@80`, `2001:db8::1@80`, `[2001:db8::1]:80`.
fn port_key(text: &str) -> Result<PortKey, Fault> {
    let fault = || format!("`{}` is not one port of one cluster such as shop:80", shown(text));
    let (cluster, port) = text.rsplit_once('@').or_else(|| text.rsplit_once(':')).ok_or_else(fault)?;
    let bare = cluster.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(cluster);
    // `2001:db8::1:80` may be an address without a port just as well.
    if text.parse::<Ipv6Addr>().is_ok() {
        return Err(format!("{}; an IPv6 address needs `@` or brackets before the port", fault()));
    }
    let cluster = Name::new(bare).map_err(|_| fault())?;
    Ok(PortKey { cluster, port: port_number(port)? })
}

fn port_number(text: &str) -> Result<PortNumber, Fault> {
    let number =
        text.parse().ok().and_then(|number| PortNumber::new(number).ok()).filter(|number| !number.is_wildcard());
    number.ok_or_else(|| format!("`{}` is not a port number from 1 to 65535", shown(text)))
}

/// A header line has a colon right after its first word; a request line has a blank there.
fn is_header(text: &str) -> bool {
    text.split_once(':').is_some_and(|(name, _)| is_token(name))
}

fn header(text: &str) -> Result<(String, String), Fault> {
    let fault = || format!("`{}` is not a header such as \"Host: www.example.com\"", shown(text));
    let (name, value) = text.split_once(':').filter(|(name, _)| is_token(name)).ok_or_else(fault)?;
    if value.chars().any(|c| c.is_control() && c != '\t') {
        return Err(fault());
    }
    Ok((name.to_owned(), value.trim().to_owned()))
}

fn request_line(text: &str) -> Result<RequestLine, Fault> {
    let fault = || format!("`{}` is not a request line such as \"GET /cart HTTP/1.1\"", shown(text));
    let words: Vec<&str> = text.split(' ').collect();
    match words.as_slice() {
        [method, target] | [method, target, "HTTP/1.0" | "HTTP/1.1"]
            if is_token(method) && !target.is_empty() && target.chars().all(|c| c.is_ascii_graphic()) =>
        {
            Ok(RequestLine { method: (*method).to_owned(), target: (*target).to_owned() })
        }
        _ => Err(fault()),
    }
}

/// RFC 9110, 5.6.2: `token`.
fn is_token(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}

/// Bytes of a path that Linux accepts (`PATH_MAX`).
const MAX_FILE_NAME: usize = 4096;
